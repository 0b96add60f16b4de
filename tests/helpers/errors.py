"""What is said to a user about what cannot be used."""

import pytest

from common.errors import InputError


def message(call, *arguments, **options) -> str:
    """The text of the InputError that the call raises."""
    with pytest.raises(InputError) as error:
        call(*arguments, **options)
    return str(error.value)


def refusal(read, path, **options) -> str:
    """The text with which `read` refuses the file at `path`: one line that names it."""
    text = message(read, path, **options)
    assert text.startswith(f"{path} ") and len(text.splitlines()) == 1
    return text
