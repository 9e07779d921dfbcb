"""Cards of the GRU, the simple RNN, and those without a cell state."""

from glasscell.explaining.cards.card import BA, CHO, ELMAN, FENG, JOZEFOWICZ, LE, LI, Card

SEARCHED = (
    "Jozefowicz et al. searched over ten thousand architectures; this is one of the three they "
    "kept. They report cells that beat LSTM and GRU on some of their tasks, not on all, and that "
    "a forget bias of 1 closes the gap between LSTM and GRU."
)
TO_COMPARE = "To compare with what a search over architectures found."
SAME_SIZE = (
    "The input must be as wide as the hidden state, since $x_t$ is added without a matrix: put a "
    "`torch.nn.Linear` in front where it is not."
)

GRU_CARDS: dict[str, Card] = {
    "gru": Card(
        "Gated recurrent unit, as in PyTorch",
        "Two gates, and no cell state.",
        "$z_t$ says what stays of the hidden state and, by its complement, what is written; $r_t$ "
        "how much of the past the candidate sees, after the product with $U_n$. The memory is the "
        "hidden state: all of it is shown.",
        "Three quarters of an LSTM's weights, and often as good. It cannot keep everything and "
        "write at once, as counting needs.",
        (CHO,),
        "Section 2.3. There $z_t$ and its complement, and where the reset gate acts, vary with the "
        "version of the text; here they are as in PyTorch.",
    ),
    "gru_reset_before": Card(
        "GRU, reset before the product",
        "The reset gate acts on $h_{t-1}$, before $U_n$.",
        "A GRU whose candidate reads $U_n \\, (r_t \\odot h_{t-1})$ in place of "
        "$r_t \\odot (U_n h_{t-1} + b'_n)$.",
        "For models trained with it: Keras' `reset_after=False`, ONNX's `linear_before_reset=0`. "
        "It needs two products one after the other in a step, and so is slower.",
        (CHO,),
        "Section 2.3.",
    ),
    "layer_norm_gru": Card(
        "Layer-normalised GRU",
        "A GRU whose products are normalised.",
        "The products of both gates are normalised together, those of the candidate by themselves; "
        "each then has gains of its own.",
        "As `layer_norm_lstm`, with fewer weights.",
        (BA,),
        "Eq. 23 to 25 of the supplementary material.",
        "Ba et al. report that it steadies the hidden state's dynamics and shortens training.",
    ),
    "mut1": Card(
        "MUT1",
        "A mutated GRU: $z_t$ reads the input alone.",
        "As in the paper $z_t$ says how much is written. It reads $x_t$ alone, and the candidate "
        "reads $\\tanh(x_t)$ without a matrix and the reset past.",
        f"{TO_COMPARE} {SAME_SIZE}",
        (JOZEFOWICZ,),
        "Section 4.",
        SEARCHED,
    ),
    "mut2": Card(
        "MUT2",
        "A mutated GRU: $r_t$ reads the input itself.",
        "As in the paper $z_t$ says how much is written. The reset gate reads $x_t$ without a "
        "matrix.",
        f"{TO_COMPARE} {SAME_SIZE}",
        (JOZEFOWICZ,),
        "Section 4.",
        SEARCHED,
    ),
    "mut3": Card(
        "MUT3",
        "A mutated GRU: $z_t$ reads $\\tanh(h_{t-1})$.",
        "As in the paper $z_t$ says how much is written. It reads the past through a tanh.",
        TO_COMPARE,
        (JOZEFOWICZ,),
        "Section 4.",
        SEARCHED,
    ),
    "min_gru": Card(
        "minGRU",
        "One gate and a candidate, and neither reads the past.",
        "Gate and candidate read $x_t$ alone, the candidate is positive, and there is no reset "
        "gate. ($z_t$ says what stays, as in all GRUs here.)",
        "As `min_lstm`, with a third fewer weights.",
        (FENG,),
        "Section 3.1; the positive candidate is that of the appendix on computing with logarithms.",
        "The authors report fewer weights, training that runs in parallel over time, and results "
        "near those of recent models on a range of tasks.",
    ),
}

RNN_CARDS: dict[str, Card] = {
    "rnn": Card(
        "Simple recurrent network",
        "No gates: the state is written anew each step.",
        "There is no cell state and no gate: $h_t$ is the tanh of one sum.",
        "For short memories, for teaching, and as the base line that shows what gates are for: "
        "its gradient passes a matrix and a squash at every step.",
        (ELMAN,),
    ),
    "relu_rnn": Card(
        "Simple recurrent network of rectified linear units",
        "relu in place of tanh.",
        "A simple RNN with $\\max(v, 0)$ as its squash: it does not saturate, and can grow without "
        "end.",
        "Where a plain network is to remember. Begin with $U$ as the identity, and clip gradients.",
        (LE,),
        "",
        "Le et al. report that, begun with the identity, it comes near LSTMs on four benchmarks.",
    ),
    "indrnn": Card(
        "Independently recurrent network (IndRNN)",
        "Each unit reads no past but its own.",
        "In place of the matrix $U$ each unit has one weight $u$ for its own past, and relu as its "
        "squash. Units meet only in the next layer.",
        "Long sequences and deep stacks; and where each unit is to be read by itself, since its "
        "memory is one number. Keep $|u|$ at or below 1, or clip gradients.",
        (LI,),
        "",
        "Li et al. report sequences of more than 5000 steps and networks of 21 layers.",
    ),
}
