"""Errors for callers: the argument, what was expected, what came."""


class InputError(ValueError, RuntimeError):
    """An argument whose value or shape a layer cannot take.

    Both a `ValueError`, which is what it is, and a `RuntimeError`, which `torch.nn` raises in
    most of the same places, so that code written for either keeps working.
    """


class EngineError(RuntimeError):
    """An engine that was asked for by name and cannot run the call."""


class UserError(ValueError):
    """Something a person gave (a file, a prompt, a folder, an option) cannot be used.

    The text is one sentence in plain English that says what is wrong and, where there is a way
    out, what to do. The command line shows it as it is; any other `ValueError` is a bug and is
    shown as one.
    """
