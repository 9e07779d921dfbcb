"""Work that cannot be measured here."""


class Skipped(Exception):
    """What is to be measured is not there; the text says what."""
