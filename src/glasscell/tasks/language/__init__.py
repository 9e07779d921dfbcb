"""Language models: text in tokens, models of it, what they predict and what they write."""

from glasscell.tasks.language.corpus import default_corpus
from glasscell.tasks.language.evaluation import Score, evaluate
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig
from glasscell.tasks.language.ngram import NGram
from glasscell.tasks.language.sampling import generate
from glasscell.tasks.language.text import TextError, read_texts, split_by_position, text_blocks
from glasscell.tasks.language.vocabulary import UnknownCharacters, Vocabulary

__all__ = [
    "LanguageModel",
    "LanguageModelConfig",
    "NGram",
    "Score",
    "TextError",
    "UnknownCharacters",
    "Vocabulary",
    "default_corpus",
    "evaluate",
    "generate",
    "read_texts",
    "split_by_position",
    "text_blocks",
]
