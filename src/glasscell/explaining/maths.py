r"""LaTeX's maths, as much of it as explanations need, read into a tree.

One source for all formats: Markdown shows the LaTeX itself, a terminal and a browser what is made
of this tree. What is not known raises, so that no format shows something else than another.
"""

import re
from functools import lru_cache

from glasscell.errors import InputError
from glasscell.explaining.maths_tree import (
    Accent,
    Fraction,
    Grid,
    Letter,
    Node,
    Number,
    Operator,
    Root,
    Row,
    Scripts,
    Space,
    Word,
)

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω", "Delta": "Δ", "Sigma": "Σ", "Phi": "Φ", "Omega": "Ω", "Theta": "Θ",
    "Lambda": "Λ",
}  # fmt: skip
OPERATORS = {
    "odot": "⊙", "cdot": "·", "times": "×", "pm": "±", "le": "≤", "ge": "≥", "ne": "≠",
    "leq": "≤", "geq": "≥", "neq": "≠", "approx": "≈", "to": "→", "in": "∈", "mid": "∣",
    "mapsto": "↦", "sim": "∼", "equiv": "≡", "ll": "≪", "gg": "≫", "Rightarrow": "⇒",
    "checkmark": "✓",
}  # fmt: skip
SYMBOLS = {
    "infty": "∞", "partial": "∂", "nabla": "∇", "ldots": "…", "cdots": "⋯", "vdots": "⋮",
    "ddots": "⋱", "dots": "…", "ell": "ℓ", "top": "⊤", "forall": "∀", "prime": "′",
    "mathbb{R}": "ℝ",
}  # fmt: skip
BIG = {"sum": "∑", "prod": "∏"}
FUNCTIONS = ("tanh", "exp", "log", "ln", "max", "min", "sin", "cos", "lim", "arg", "softmax")
ACCENTS = {"bar": "¯", "hat": "^", "tilde": "~", "overline": "¯"}
SPACES = {"quad": "  ", "qquad": "    ", ",": " ", ";": " ", ":": " ", " ": " ", "!": ""}
FENCES = {"bmatrix": ("[", "]"), "pmatrix": ("(", ")"), "matrix": ("", ""), "cases": ("{", ""),
          "aligned": ("", ""), "vmatrix": ("|", "|")}  # fmt: skip
RELATIONS = set("=<>≤≥≠≈→∈↦∼≡≪≫⇒:")
BINARY = set("+-⊙·×±*/∣")
_TEXT = re.compile(r"\\(text|mathrm|operatorname|mathbf)\{([^{}]*)\}")
_TOKEN = re.compile(
    r"\\begin\{\w+\}|\\end\{\w+\}|\\mathbb\{R\}|\\[A-Za-z]+|\\\\|\\.|\d+(?:[.]\d+)?|\s+|.",
    re.DOTALL,
)


@lru_cache(maxsize=4096)
def read(latex: str) -> Row:
    r"""The tree of a formula.

    Raises:
        InputError: a command that is not known, or braces that do not match.
    """
    return _Reader(latex).whole()


class _Reader:
    """Reads from left to right, one token at a time."""

    def __init__(self, latex: str) -> None:
        self.latex = latex
        self.tokens = _tokens(latex)
        self.k = 0

    def whole(self) -> Row:
        row = self.row(())
        if self.peek() is not None:
            raise self.wrong(f"there is a {self.peek()} too many")
        return row

    def peek(self) -> str | None:
        return self.tokens[self.k] if self.k < len(self.tokens) else None

    def take(self) -> str:
        token = self.peek()
        if token is None:
            raise self.wrong("it ends too early")
        self.k += 1
        return token

    def wrong(self, why: str) -> InputError:
        return InputError(f"latex: expected maths that can be shown, got {self.latex!r}: {why}")

    def row(self, ends: tuple[str, ...]) -> Row:
        items: list[Node] = []
        while (token := self.peek()) is not None and token not in ends:
            if token in ("}", "&", "\\\\", "\\right") or token.startswith("\\end"):
                break
            items.append(self.scripted())
        return Row(tuple(items))

    def scripted(self) -> Node:
        base = self.atom()
        below = above = None
        while (token := self.peek()) in ("_", "^", "'"):
            self.take()
            if token == "'":
                above = Operator("′") if above is None else Row((above, Operator("′")))
            elif token == "_" and below is None:
                below = self.atom()
            elif token == "^":
                script = self.atom()
                above = script if above is None else Row((above, script))
            else:
                raise self.wrong("two indices")
        if isinstance(base, Accent) and base.mark == "⏟" and below is not None and above is None:
            return Accent(base.base, base.mark, below)
        return base if below is None and above is None else Scripts(base, below, above)

    def group(self) -> Row:
        if self.take() != "{":
            raise self.wrong("a { is missing")
        row = self.row(())
        if self.peek() != "}":
            raise self.wrong("a } is missing")
        self.take()
        return row

    def atom(self) -> Node:
        token = self.take()
        if token == "{":
            self.k -= 1
            return self.group()
        if token[0].isdigit():
            return Number(token)
        if not token.startswith("\\"):
            if token in "_^'&}":
                raise self.wrong(f"a {token} with nothing before it")
            if token.startswith("\0"):
                kind, text = token[1:].split("\0")
                return Word(text, is_function=kind == "operatorname", bold=kind == "mathbf")
            return Letter(token) if token.isalpha() else Operator(token)
        return self.command(token[1:])

    def command(self, name: str) -> Node:
        if name in GREEK:
            return Letter(GREEK[name])
        if name in SYMBOLS:
            return Letter(SYMBOLS[name])
        if name in OPERATORS:
            return Operator(OPERATORS[name])
        if name in BIG:
            return Operator(BIG[name])
        if name in FUNCTIONS:
            return Word(name, is_function=True)
        if name in SPACES:
            return Space(SPACES[name])
        if name in ACCENTS:
            return Accent(self.atom(), ACCENTS[name])
        if name == "underbrace":
            return Accent(self.atom(), "⏟")
        if name == "frac":
            return Fraction(self.atom(), self.atom())
        if name == "sqrt":
            return Root(self.atom())
        if name == "left":
            return self.fenced()
        if name in ("%", "{", "}", "_", "&", "#", "$"):
            return Operator(name)
        if name == "|":
            return Operator("‖")
        if name.startswith("begin{"):
            return self.grid(name[6:-1])
        raise self.wrong(f"\\{name} is not known")

    def fenced(self) -> Node:
        left = self.take().removeprefix("\\")
        inside = self.row(())
        if self.take() != "\\right":
            raise self.wrong("\\left without \\right")
        right = self.take().removeprefix("\\")
        return Grid(((inside,),), "" if left == "." else left, "" if right == "." else right, "row")

    def grid(self, kind: str) -> Grid:
        if kind not in FENCES:
            raise self.wrong(f"\\begin{{{kind}}} is not known")
        rows: list[tuple[Node, ...]] = []
        cells: list[Node] = [self.row(())]
        while True:
            token = self.take()
            if token == "&":
                cells.append(self.row(()))
            elif token == "\\\\":
                rows.append(tuple(cells))
                cells = [self.row(())]
            elif token == f"\\end{{{kind}}}":
                break
            else:
                raise self.wrong(f"{token} where \\end{{{kind}}} should be")
        if len(cells) > 1 or (isinstance(cells[0], Row) and cells[0].items) or not rows:
            rows.append(tuple(cells))
        left, right = FENCES[kind]
        return Grid(tuple(rows), left, right, kind)


def _tokens(latex: str) -> list[str]:
    r"""The tokens, with each \text{...} as one, in which spaces count."""
    tokens: list[str] = []
    rest = 0
    for match in _TEXT.finditer(latex):
        tokens += [t for t in _TOKEN.findall(latex[rest : match.start()]) if not t.isspace()]
        tokens.append(f"\0{match[1]}\0{match[2]}")
        rest = match.end()
    return tokens + [t for t in _TOKEN.findall(latex[rest:]) if not t.isspace()]
