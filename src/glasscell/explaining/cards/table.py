"""All cards, by the variant's name."""

from glasscell.cells import ALIASES, VARIANTS
from glasscell.explaining.cards.card import Card
from glasscell.explaining.cards.of_gru import GRU_CARDS, RNN_CARDS
from glasscell.explaining.cards.of_lstm import GREFF_CARDS, LSTM_CARDS
from glasscell.explaining.cards.sizes import parameters
from glasscell.explaining.document import Explanation
from glasscell.explaining.pieces import Prose, Table, literal

_ALL = {**LSTM_CARDS, **GREFF_CARDS, **GRU_CARDS, **RNN_CARDS}
CARDS: dict[str, Card] = {name: _ALL[name] for name in VARIANTS}


def listed() -> Explanation:
    """All variants in a table: what is different, how many gates, how many weights."""
    rows = []
    for name, cell in VARIANTS.items():
        count = f"{parameters(cell)(128, 128):,}"
        rows.append([f"`{literal(name)}`", CARDS[name].brief, str(cell.G), count])
    others = ", ".join(f"`{alias}` is `{name}`" for alias, name in ALIASES.items())
    caption = f"Gate maps, the candidate included, and weights with both biases. Also: {others}."
    head = ["cell", "what is different", "gates", "weights of H = I = 128"]
    return Explanation(
        "The variants",
        [
            Table(head, rows, "llrr", caption),
            Prose(
                "`glasscell explain --cell janet` shows the card of one. Any other is a line such "
                "as `lstm(forget_gate=None)`."
            ),
        ],
    )
