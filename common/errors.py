"""The one error for what a user can put right."""


class InputError(ValueError):
    """A file, folder or setting that cannot be used.

    The message names it, says what was found and what was expected, and what to do next:
    commands print it as it is, without a traceback.
    """
