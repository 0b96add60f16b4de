"""The error for anything that a user can fix, and other errors in words."""


class InputError(ValueError):
    """A file, folder or setting that cannot be used.

    The message names it, says what was found and what was expected, and what to do next:
    commands print it as it is, without a traceback.
    """


def reason(error: BaseException) -> str:
    """An exception in a few words: the system's own where it has some, never nothing."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
