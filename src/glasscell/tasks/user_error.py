"""The line between a person's mistake and a bug."""


class UserError(ValueError):
    """Something a person gave (a file, a prompt, a folder, an option) cannot be used.

    The text is one sentence in plain English that says what is wrong and, where there is a way
    out, what to do. The command line shows it as it is; any other `ValueError` is a bug and is
    shown as one.
    """
