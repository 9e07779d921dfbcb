"""Guided examples: a model trained or set by hand, measured, and told step by step."""
