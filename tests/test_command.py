"""What every command shares: one line for what a user can put right, and the exit status."""

import argparse

import pytest

from data import command
from models.errors import InputError


def failing(error):
    def main(arguments):
        raise error

    return main


@pytest.mark.parametrize("error", [InputError("a.png: no such file"), OSError(28, "No space left on device", "x")])
def test_an_error_is_one_line_and_exit_status_1(error, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.run(argparse.Namespace(debug=False), failing(error))
    assert stopped.value.code == 1
    assert capsys.readouterr().err == f"error: {error}\n"


def test_ctrl_c_exits_with_130(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.run(argparse.Namespace(debug=False), failing(KeyboardInterrupt()))
    assert stopped.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_debug_shows_the_traceback():
    with pytest.raises(InputError):
        command.run(command.parser("d").parse_args(["--debug"]), failing(InputError("x")))


def test_a_defect_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError):
        command.run(argparse.Namespace(debug=False), failing(KeyError("x")))
