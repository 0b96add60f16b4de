"""The error for anything that a user can fix, other errors in words, and names that are safe to print."""

import re

# A terminal obeys these, and shows what stands between the last ones in another order. Line ends, tabs and the return
# to the line's start, of which progress bars are made, are not among them.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class InputError(ValueError):
    """A file, folder or setting that cannot be used.

    The message names it, says what was found and what was expected, and what to do next:
    commands print it as it is, without a traceback.
    """


def reason(error: BaseException) -> str:
    """An exception in a few words: the system's own where it has some, never nothing."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def without_controls(text: str) -> str:
    r"""The text with its control characters escaped, as \x1b: a file's name may hold any."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
