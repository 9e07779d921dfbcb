"""A text that is always at hand: English about Python, which ships with Python itself."""


def default_corpus() -> str:
    """The topics of Python's own `help()`: some hundred thousand characters of English prose.

    From the standard library's `pydoc_data.topics`, so nothing has to be downloaded. The text
    grows a little from one version of Python to the next.
    """
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"
