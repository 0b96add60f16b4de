"""What every command shares: one line for what a user can put right, and the exit status."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from common import command
from common.errors import InputError
from tests.helpers import commands

ROOT = Path(__file__).resolve().parents[1]


def failing(error):
    def main(arguments):
        raise error

    return main


@pytest.mark.parametrize("error", [InputError("x: no space left"), OSError(28, "no space left", "x")])
def test_an_error_is_one_line_and_exit_status_1(error, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.run(argparse.Namespace(debug=False), failing(error))
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "error: x: no space left\n"


def test_no_files_name_steers_the_terminal(capsys):
    with pytest.raises(SystemExit):
        command.run(argparse.Namespace(debug=False), failing(InputError("a\x1b]0;title\x07\rb.png: no such file")))
    assert capsys.readouterr().err == "error: a\\x1b]0;title\\x07\\rb.png: no such file\n"


def test_ctrl_c_exits_with_130(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.run(argparse.Namespace(debug=False), failing(KeyboardInterrupt()))
    assert stopped.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_defect_of_the_program_keeps_its_traceback():
    with pytest.raises(KeyError):
        command.run(argparse.Namespace(debug=False), failing(KeyError("x")))


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_it_with_its_status_and_removes_what_is_half_written(name, status, tmp_path):
    code = (
        "import argparse, os, signal, sys; from common import command; from common.files import replacing\n"
        "def main(arguments):\n"
        "    with replacing(sys.argv[1]) as path:\n"
        "        path.write_text('half')\n"
        f"        os.kill(os.getpid(), signal.{name})\n"
        "command.run(argparse.Namespace(debug=False), main)"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "a.txt")]
    result = subprocess.run(line, cwd=ROOT, check=False, capture_output=True, encoding="utf-8", timeout=100)
    assert (result.returncode, result.stderr) == (status, "")
    assert list(tmp_path.iterdir()) == []


COMMANDS = sorted(
    path.relative_to(ROOT).as_posix()
    for room in ("data", "train", "infer", "benchmarks")
    for path in (ROOT / room).glob("*.py")
    if "command.run(" in path.read_text(encoding="utf-8")
)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_its_flags(name, capsys):
    """A stray % in one flag's text would end --help."""
    assert commands.run(name, "--help") == 0
    assert "--debug" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are POSIX's")
def test_a_reader_that_goes_away_ends_it_without_a_traceback():
    code = (
        "import argparse; from common import command\n"
        "def main(arguments):\n"
        "    for i in range(100_000): print('a line', i)\n"
        "command.run(argparse.Namespace(debug=False), main)"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.parametrize("error", [MemoryError(), MemoryError("Unable to allocate 9 GiB")])
def test_too_little_memory_is_said(error, capsys):
    with pytest.raises(SystemExit):
        command.run(argparse.Namespace(debug=False), failing(error))
    said = capsys.readouterr().err
    assert said.startswith("error: not enough memory") and str(error) in said and "smaller" in said


@pytest.mark.parametrize(
    ("number", "good", "bad", "said"),
    [
        (command.count, {"0": 0, "5": 5}, ["-1", "1.5", "x", "", "²"], "is not a whole number of 0 or more"),
        (command.positive, {"1": 1}, ["0", "nan"], "is not a whole number of 1 or more"),
        (command.Number(0), {"0": 0, "2.5": 2.5}, ["-1", "inf", "nan", "x"], "is not a number of 0 or more"),
        (command.Number(0, 1), {"0": 0, "1": 1}, ["1.1", "-0.1", "nan"], "is not a number from 0 to 1"),
        (command.Number(0, 4, above=True), {"4": 4}, ["0", "4.1", "inf"], "is not a number above 0 and up to 4"),
        (command.Number(1, 100, whole=True), {"100": 100}, ["0", "101", "5.5"], "is not a whole number from 1 to 100"),
    ],
)
def test_a_flags_number_is_within_its_bounds(number, good, bad, said):
    assert {text: number(text) for text in good} == good
    assert all(type(number(text)) is (int if number.whole else float) for text in good)
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError) as error:
            number(text)
        assert str(error.value) == f"{text!r} {said}"
