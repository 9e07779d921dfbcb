"""The kinds of cells: what a line that names a cell may begin with."""

from glasscell.cells.cell import Cell
from glasscell.cells.gate_recurrence import GateRecurrence
from glasscell.cells.gru import GRU
from glasscell.cells.layer_norm_gru import NormalisedGRU
from glasscell.cells.layer_norm_lstm import NormalisedLSTM
from glasscell.cells.lstm import LSTM
from glasscell.cells.mut import MUT
from glasscell.cells.rnn import RNN
from glasscell.cells.slstm import SLSTM

KINDS: dict[str, type[Cell]] = {
    cell.kind: cell
    for cell in (LSTM, GRU, RNN, GateRecurrence, SLSTM, MUT, NormalisedLSTM, NormalisedGRU)
}
