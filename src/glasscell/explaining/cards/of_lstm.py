"""Cards of the LSTM and of those with a cell state."""

from glasscell.explaining.cards.card import (
    BA,
    BECK,
    FENG,
    GERS_2000,
    GERS_2002,
    GREFF,
    HOCHREITER,
    WESTHUIZEN,
    Card,
)

NO_BETTER = (
    "Greff et al. compare the LSTM with eight variants: none is significantly better, and the "
    "forget gate and the output activation are what it can least do without."
)
COUPLED_TOO = f"{NO_BETTER} Coupling the two gates saves weights at no significant loss."

LSTM_CARDS: dict[str, Card] = {
    "lstm": Card(
        "Long short-term memory",
        "The plain one: three gates, no peepholes.",
        "This is the LSTM that the others are compared with, and that torch.nn has: each gate "
        "reads $x_t$ and $h_{t-1}$. Greff et al. call it NP, no peepholes; `np` is another name.",
        "To begin with. Where memories are long, start it with `forget_bias=1`, or `chrono=` for "
        "the longest that is expected.",
        (HOCHREITER, GERS_2000),
        "The forget gate is of 2000; the cell of 1997 is `no_forget_gate`.",
    ),
    "peephole": Card(
        "LSTM with peepholes, the vanilla LSTM",
        "Gates also read their own unit's cell state.",
        "The input and forget gates read $c_{t-1}$ and the output gate $c_t$, through one weight a "
        "unit. Greff et al. call it the vanilla LSTM; `vanilla` is another name.",
        "Where the length of intervals matters, in rhythms and counting: a gate sees the cell "
        "state even while the output gate is shut. It costs $3H$ weights.",
        (GERS_2002, GREFF),
        "Gers et al., eq. 1 to 5.",
        "Gers et al. report that it tells sequences of spikes 50 steps apart from those 49 apart.",
    ),
    "coupled": Card(
        "LSTM with coupled input and forget gates",
        "One gate for both: $f_t = 1 - i_t$.",
        "What is written is taken off what is kept, so $c_t$ is a weighted mean of candidates and "
        "stays between −1 and 1 once it is there.",
        "A quarter fewer weights than the LSTM. It cannot keep everything and write at once, as "
        "counting needs.",
        (GREFF,),
        "CIFG there, which has peepholes: `cifg`.",
        COUPLED_TOO,
    ),
    "no_input_gate": Card(
        "LSTM without input gate",
        "Every candidate is written whole.",
        "$i_t = 1$: nothing keeps a candidate out but its own size.",
        "To see what the input gate is good for; a quarter fewer weights.",
        (GREFF,),
        "NIG there, which has peepholes: `nig`.",
        NO_BETTER,
    ),
    "no_forget_gate": Card(
        "LSTM without forget gate, as in 1997",
        "Nothing is ever forgotten.",
        "$f_t = 1$: the cell state only adds up, and its gradient comes back along it unchanged.",
        "For short sequences that each begin anew, and to see why the forget gate was added: on "
        "long ones the cell state grows and the output squash saturates.",
        (HOCHREITER, GERS_2000),
        "The cell of 1997; of its gates' further inputs see `fgr`.",
        "Gers et al. 2000 report that without resets the state may grow without end, and add the "
        "forget gate for that.",
    ),
    "no_output_gate": Card(
        "LSTM without output gate",
        "All of the memory is shown at each step.",
        "$o_t = 1$: $h_t = \\tanh(c_t)$. What is kept cannot be hidden from the other gates.",
        "To see what the output gate is good for, and where each state should be readable from "
        "outside; a quarter fewer weights.",
        (GREFF,),
        "NOG there, which has peepholes: `nog`.",
        NO_BETTER,
    ),
    "no_input_activation": Card(
        "LSTM without input activation",
        "The candidate is a plain sum.",
        "The candidate has no tanh, so a step may write any amount.",
        "To see what squashing the candidate is good for. Clip gradients.",
        (GREFF,),
        "NIAF there, which has peepholes: `niaf`.",
        NO_BETTER,
    ),
    "no_output_activation": Card(
        "LSTM without output activation",
        "The cell state is shown unsquashed.",
        "$h_t = o_t \\odot c_t$, without tanh: where the cell state grows, so does $h_t$.",
        "To see what squashing the output is good for. Greff et al. found it hard to do without.",
        (GREFF,),
        "NOAF there, which has peepholes: `noaf`.",
        NO_BETTER,
    ),
    "hard_lstm": Card(
        "LSTM with hard squashes",
        "Pieces of straight lines in place of sigmoid and tanh.",
        "Gates are $v/6 + 1/2$ between 0 and 1, candidate and output squash $v$ between −1 and 1, "
        "as `torch.nn.Hardsigmoid` and `torch.nn.Hardtanh` are.",
        "For models trained elsewhere with hard squashes, and where exponentials are dear. Gates "
        "can be exactly 0 and 1; there no gradient passes them.",
    ),
    "layer_norm_lstm": Card(
        "Layer-normalised LSTM",
        "Products and the shown cell state are normalised.",
        "$W x_t$ and $U h_{t-1}$ are normalised over all gates of a step, and $c_t$ over its units "
        "on its way out; each then has gains of its own.",
        "Where training is slow or unstable, and batches too small for batch normalisation. It "
        "costs three normalisations a step.",
        (BA,),
        "Eq. 20 to 22 of the supplementary material.",
        "Ba et al. report that it steadies the hidden state's dynamics and shortens training.",
    ),
    "janet": Card(
        "JANET, an LSTM with a forget gate alone",
        "One gate; $h_t$ is the cell state itself.",
        "The forget gate says what stays and, less $\\beta = 1$ in its sum, what is written: "
        "$i_t = 1 - \\sigma(f_t^{\\mathrm{pre}} - \\beta)$. There is no output gate and no squash.",
        "Half an LSTM's weights. It is meant for long memories, with `chrono=` set to the longest.",
        (WESTHUIZEN,),
        "Section 3.",
        "The authors report that, begun with chrono biases, it beats the LSTM on MNIST and "
        "permuted MNIST read pixel by pixel: 99 against 98.5 %, and 92.5 against 91 %.",
    ),
    "slstm": Card(
        "sLSTM, an LSTM with exponential gates",
        "An exponential input gate, and a normalizer.",
        "The input gate has no upper end, so what comes may outweigh all that was written before. "
        "The normalizer $n_t$ adds up the same gates and divides what is shown; the stabilizer "
        "$m_t$ keeps the exponentials in range. Gates are recorded relative to it, at most 1. "
        "(The paper's $z_t$ is $g_t$ here, and its heads are not made: $U$ is whole.)",
        "Where what is stored must be revised when something better comes. Three vectors are "
        "carried from step to step, so `c_n` is three times as wide.",
        (BECK,),
        "Section 2.2; the stabilizer is eq. 15.",
        "The authors stack it in residual blocks with others, and compare those with Transformers "
        "as language models.",
    ),
    "min_lstm": Card(
        "minLSTM",
        "No gate reads the past; gates are shares of one.",
        "Gates and candidate read $x_t$ alone. The input and forget gates are divided by their "
        "sum, the candidate is positive, and there is no output gate: $h_t = c_t$.",
        "Long sequences, where speed counts more than what one layer can compute: all gates are "
        "known beforehand. Stack several layers, since one has no gate that depends on the past.",
        (FENG,),
        "Section 3.2; the positive candidate is that of the appendix on computing with logarithms.",
        "The authors report fewer weights, training that runs in parallel over time, and results "
        "near those of recent models on a range of tasks.",
    ),
}

_TO_REPEAT = "To repeat the comparison of Greff et al.; otherwise take `{}`."


def _greff(title: str, brief: str, differs: str, otherwise: str, reported: str = NO_BETTER) -> Card:
    place = f"{title.rpartition(' ')[2].strip('()')} there."
    return Card(title, brief, differs, _TO_REPEAT.format(otherwise), (GREFF,), place, reported)


GREFF_CARDS: dict[str, Card] = {
    "nig": _greff(
        "No input gate (NIG)", "`no_input_gate` with peepholes.",
        "The LSTM with peepholes in which $i_t = 1$.", "no_input_gate",
    ),
    "nfg": _greff(
        "No forget gate (NFG)", "`no_forget_gate` with peepholes.",
        "The LSTM with peepholes in which $f_t = 1$.", "no_forget_gate",
    ),
    "nog": _greff(
        "No output gate (NOG)", "`no_output_gate` with peepholes.",
        "The LSTM with peepholes in which $o_t = 1$.", "no_output_gate",
    ),
    "niaf": _greff(
        "No input activation function (NIAF)", "`no_input_activation` with peepholes.",
        "The LSTM with peepholes whose candidate has no tanh.", "no_input_activation",
    ),
    "noaf": _greff(
        "No output activation function (NOAF)", "`no_output_activation` with peepholes.",
        "The LSTM with peepholes in which $h_t = o_t \\odot c_t$.", "no_output_activation",
    ),
    "cifg": _greff(
        "Coupled input and forget gate (CIFG)", "`coupled` with a peephole each.",
        "The LSTM with peepholes in which $f_t = 1 - i_t$.", "coupled", COUPLED_TOO,
    ),
    "fgr": _greff(
        "Full gate recurrence (FGR)", "Gates also read all gates of the step before.",
        "The LSTM with peepholes whose three gates also read the three gates of the step before, "
        "through nine matrices more. The first form of the LSTM had such connections. The gates "
        "are carried from step to step, so `c_n` is four times as wide.", "peephole",
    ),
}  # fmt: skip
