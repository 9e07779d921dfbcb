"""Guided examples: a model trained or set by hand, measured, and told step by step."""

from glasscell.stories.france import france
from glasscell.stories.turnstile import turnstile
from glasscell.stories.vanishing import vanishing

__all__ = ["france", "turnstile", "vanishing"]
