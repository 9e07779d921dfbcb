"""The variants that have a name: configurations of the kinds of cells there are."""

from dataclasses import replace
from difflib import get_close_matches

from glasscell.cells.cell import Cell
from glasscell.cells.gate_recurrence import GateRecurrence
from glasscell.cells.gates import HARD_SIGMOID, HARD_TANH, IDENTITY, POSITIVE, RELU, GateMap
from glasscell.cells.gru import GRU
from glasscell.cells.layer_norm_gru import NormalisedGRU
from glasscell.cells.layer_norm_lstm import NormalisedLSTM
from glasscell.cells.lstm import LSTM, with_peepholes
from glasscell.cells.mut import MUT1, MUT2, MUT3
from glasscell.cells.rnn import RNN
from glasscell.cells.slstm import SLSTM


def _reading(gate: GateMap | None, *reads: str) -> GateMap:
    assert gate is not None
    return replace(gate, reads=reads)


def _hard(cell: LSTM) -> LSTM:
    def hard(gate: GateMap | None) -> GateMap | None:
        return gate and replace(gate, squash=HARD_SIGMOID)

    return replace(
        cell,
        input_gate=hard(cell.input_gate),
        forget_gate=hard(cell.forget_gate),
        candidate=replace(cell.candidate, squash=HARD_TANH),
        output_gate=hard(cell.output_gate),
        output_squash=HARD_TANH,
    )


_LSTM, _GRU, _RNN = LSTM(), GRU(), RNN()
_NO_INPUT_ACTIVATION = replace(_LSTM, candidate=replace(_LSTM.candidate, squash=IDENTITY))
_COUPLED = replace(_LSTM, forget_gate=None, sharing="complement")
_JANET = LSTM(
    input_gate=None, output_gate=None, output_squash=IDENTITY, sharing="complement", beta=1.0
)
_MIN_LSTM = LSTM(
    input_gate=_reading(_LSTM.input_gate, "x"),
    forget_gate=_reading(_LSTM.forget_gate, "x"),
    candidate=GateMap("candidate", "g", POSITIVE, ("x",)),
    output_gate=None,
    output_squash=IDENTITY,
    sharing="normalized",
)
_MIN_GRU = GRU(
    reset_gate=None,
    update_gate=_reading(_GRU.update_gate, "x"),
    candidate=GateMap("candidate", "n", POSITIVE, ("x",)),
)

VARIANTS: dict[str, Cell] = {
    "lstm": _LSTM,
    "peephole": with_peepholes(_LSTM),
    "coupled": _COUPLED,
    "no_input_gate": replace(_LSTM, input_gate=None),
    "no_forget_gate": replace(_LSTM, forget_gate=None),
    "no_output_gate": replace(_LSTM, output_gate=None),
    "no_input_activation": _NO_INPUT_ACTIVATION,
    "no_output_activation": replace(_LSTM, output_squash=IDENTITY),
    # Greff et al. 2017: all of them with peepholes
    "nig": with_peepholes(replace(_LSTM, input_gate=None)),
    "nfg": with_peepholes(replace(_LSTM, forget_gate=None)),
    "nog": with_peepholes(replace(_LSTM, output_gate=None)),
    "niaf": with_peepholes(_NO_INPUT_ACTIVATION),
    "noaf": with_peepholes(replace(_LSTM, output_squash=IDENTITY)),
    "cifg": with_peepholes(_COUPLED),
    "fgr": GateRecurrence(),
    "hard_lstm": _hard(_LSTM),
    "layer_norm_lstm": NormalisedLSTM(),
    "janet": _JANET,
    "slstm": SLSTM(),
    "min_lstm": _MIN_LSTM,
    "gru": _GRU,
    "gru_reset_before": replace(_GRU, reset_after=False),
    "layer_norm_gru": NormalisedGRU(),
    "mut1": MUT1,
    "mut2": MUT2,
    "mut3": MUT3,
    "min_gru": _MIN_GRU,
    "rnn": _RNN,
    "relu_rnn": RNN(replace(_RNN.hidden, squash=RELU)),
    "indrnn": RNN(GateMap("hidden", "h", RELU, ("x", "h_own"))),
}

# Other names of the same: those of Greff et al. 2017.
ALIASES = {"vanilla": "peephole", "np": "lstm"}


def variant(name: str) -> Cell:
    """The variant of that name.

    Raises:
        ValueError: there is none; the nearest are named.
    """
    found = VARIANTS.get(ALIASES.get(name, name))
    if found is not None:
        return found
    known = [each for each in (*VARIANTS, *ALIASES) if len(each) > 2]
    near = get_close_matches(name, known, n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else f": {', '.join(VARIANTS)}"
    raise ValueError(f"cell: there is no variant {name!r}{hint}")


def name_of(cell: Cell) -> str | None:
    """The name of this variant, or None where it has none."""
    return next((name for name, each in VARIANTS.items() if each == cell), None)
