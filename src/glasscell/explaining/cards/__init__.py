"""What is known of each named variant, and the card that shows it."""

from glasscell.explaining.cards.card import Card, Source
from glasscell.explaining.cards.shown import card
from glasscell.explaining.cards.table import CARDS, listed

__all__ = ["CARDS", "Card", "Source", "card", "listed"]
