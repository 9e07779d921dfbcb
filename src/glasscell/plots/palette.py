"""The colours of the project, and what they mean. Each gate has its own, in every figure.

Two readings of a number, two kinds of scale: a gate goes from the paper's colour (shut, 0) to the
gate's own (open, 1); a signed quantity goes from blue (below 0) through the paper's colour (0) to
red (above 0).
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Theme:
    """One set of colours for paper and ink, as "#rrggbb"."""

    name: str
    page: str  # behind everything
    surface: str  # behind text and figures
    zero: str  # what "nothing" looks like in a scale: a shut gate, a state at 0
    ink: str
    muted: str  # captions, axes
    line: str  # rules, grids
    accent: str  # what the reader has selected
    negative: str
    positive: str
    surprise: str


LIGHT = Theme(
    name="light",
    page="#f6f5f2",
    surface="#ffffff",
    zero="#f5f5f4",
    ink="#1d2129",
    muted="#667080",
    line="#e3e1dc",
    accent="#1d2129",
    negative="#2166ac",
    positive="#c8372d",
    surprise="#eda100",
)
DARK = Theme(
    name="dark",
    page="#111317",
    surface="#191c22",
    zero="#20242b",
    ink="#e6e8ec",
    muted="#98a1af",
    line="#2c313a",
    accent="#ffffff",
    negative="#5fa8f0",
    positive="#ff7a68",
    surprise="#ffc53d",
)
THEMES = (LIGHT, DARK)


@dataclass(frozen=True)
class Look:
    """How a quantity is named and coloured.

    Attributes:
        label: its name in words.
        letter: its letter in equations.
        light, dark: its colour on light and on dark paper.
        meaning: what it does, in a few words.
        unbounded: whether it is coloured by its tanh, because it has no largest value: what the
            output gate shows of a cell state c is tanh(c). (So do Karpathy, Johnson and Li 2015.)
    """

    label: str
    letter: str
    light: str
    dark: str
    meaning: str
    unbounded: bool = False

    def colour(self, theme: Theme) -> str:
        return self.dark if theme is DARK else self.light

    def soft(self, theme: Theme) -> str:
        """The colour, thinned with a third of paper, for large areas."""
        pairs = zip(_channels(self.colour(theme)), _channels(theme.surface), strict=True)
        return "#" + "".join(f"{(2 * own + paper) // 3:02x}" for own, paper in pairs)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


LOOKS = {
    "input_gate": Look("Input gate", "i", "#1f8a4c", "#4cc38a", "lets the candidate in"),
    "forget_gate": Look("Forget gate", "f", "#2563c9", "#6ea8fe", "keeps the cell state"),
    "candidate": Look("Candidate", "g", "#c26a00", "#f5a742", "what could be written"),
    "output_gate": Look("Output gate", "o", "#7c3fc4", "#b794f6", "shows the memory to others"),
    "reset_gate": Look("Reset gate", "r", "#a0522d", "#e0997a", "lets the candidate see the past"),
    "update_gate": Look("Update gate", "z", "#2563c9", "#6ea8fe", "keeps the hidden state"),
    "cell": Look("Cell state", "c", "#b02a5b", "#f47fa8", "the memory itself", unbounded=True),
    "normalizer": Look(
        "Normalizer", "n", "#7a6a00", "#d9c34a", "what the cell state is divided by", unbounded=True
    ),
    "stabilizer": Look(
        "Stabilizer", "m", "#5b6472", "#a3acb9", "the exponent both are relative to", unbounded=True
    ),
    "hidden": Look("Hidden state", "h", "#0b7f86", "#4fc9cf", "what the rest of the model sees"),
}


def look(quantity: str) -> Look:
    """The look of a quantity; for one without its own, a neutral one. What a gate was at the step
    before looks like the gate.
    """
    if (gate := quantity.removeprefix("previous_")) != quantity and gate in LOOKS:
        return replace(LOOKS[gate], label=f"{LOOKS[gate].label} before")
    plain = Look(quantity.replace("_", " ").capitalize(), quantity[:1], "#5b6472", "#a3acb9", "")
    return LOOKS.get(quantity, plain)


def gate_scale(colour: str, theme: Theme) -> list[list[float | str]]:
    """A colour scale from shut (0) to open (1)."""
    return [[0.0, theme.zero], [1.0, colour]]


# The colour bar of an unbounded quantity: where tanh has these values, and what they mean.
UNBOUNDED_TICKS = ([-1, -0.7616, 0, 0.7616, 1], ["≤ −3", "−1", "0", "1", "≥ 3"])


def signed_scale(theme: Theme) -> list[list[float | str]]:
    """A colour scale for -limit to +limit, with 0 in the middle."""
    return [[0.0, theme.negative], [0.5, theme.zero], [1.0, theme.positive]]
