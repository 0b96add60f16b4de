"""The error for anything that a user can fix, other errors as messages, and names made safe to print."""

import re

# A terminal acts on these; the last ones reorder the displayed text. Line feeds, tabs and the carriage returns that
# progress bars print are not among them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class InputError(ValueError):
    """A file, folder or setting that cannot be used.

    The message names it, says what was found, what was expected and what to do next:
    commands print it unchanged, without a traceback.
    """


def reason(error: BaseException) -> str:
    """A short description of an exception, never empty: the operating system's message if it has one."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def without_controls(text: str) -> str:
    r"""The text with its control characters escaped, as \x1b: a file name may contain any."""
    return _CONTROLS.sub(lambda match: match.group().encode("unicode_escape").decode(), text)
