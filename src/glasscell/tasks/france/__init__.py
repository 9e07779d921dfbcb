"""A small language with known hidden features, for looking into a model that has learned it."""

from glasscell.tasks.france.language import (
    COUNTRIES,
    EXAMPLE,
    FEATURES,
    ID,
    UNKNOWN,
    VOCABULARY,
    Country,
    Language,
    Sentence,
    Subject,
    words_of,
    written,
)
from glasscell.tasks.france.model import WordModel
from glasscell.tasks.france.task import France, encoded, encoded_words, features

__all__ = [
    "COUNTRIES",
    "EXAMPLE",
    "FEATURES",
    "ID",
    "UNKNOWN",
    "VOCABULARY",
    "Country",
    "France",
    "Language",
    "Sentence",
    "Subject",
    "WordModel",
    "encoded",
    "encoded_words",
    "features",
    "words_of",
    "written",
]
