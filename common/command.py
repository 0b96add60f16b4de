"""Code shared by all commands of the project: the `--debug` flag, the error line and the exit status."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import signal
import sys
from typing import Any, Callable, Iterator, TextIO

from tqdm import tqdm

from common.errors import InputError, without_controls

INTERRUPTED = 128 + signal.SIGINT  # the shell's convention for a command stopped by Ctrl-C
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
ERRORS = (InputError, OSError, MemoryError)  # reported as one line, without a traceback


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags that all commands have; `description` is the command's own docstring."""
    _open_missing_streams()
    # File names need not be UTF-8, and a terminal may not support every character: unprintable ones are escaped.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's stream has no encoding
            stream.reconfigure(errors="backslashreplace")
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--debug", action="store_true", help="show the full traceback of an error (default: one line)")
    return result


def _open_missing_streams() -> None:
    """Make commands work without standard streams, too: after `2>&-`, or in a program without a console."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open until the process ends


class _Stream:
    """A standard stream whose reader may exit early, as `head` does: later output is lost, the work continues.

    name: what an error message calls the stream. With a name, any other error (such as a full disk) fails the command;
    without one, nobody can be told, and that output is lost too.

    Control characters are escaped, so that no file name can control the terminal.
    """

    def __init__(self, stream: TextIO, name: str = ""):
        self._stream, self._name = stream, name

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._without_reader():
            self._stream.write(without_controls(text))
        return len(text)

    def flush(self) -> None:
        with self._without_reader():
            self._stream.flush()

    @contextlib.contextmanager
    def _without_reader(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if self._name and not isinstance(error, BrokenPipeError):
                raise InputError(
                    f"{self._name} cannot be written ({error.strerror}); redirect it to another place"
                ) from error


@contextlib.contextmanager
def _streams_without_readers() -> Iterator[None]:
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Stream(sys.stdout, "standard output"), _Stream(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before


def words(error: BaseException) -> str:
    """The message that users see for one of ERRORS."""
    if isinstance(error, MemoryError):
        details = f" ({error})" if str(error) else ""
        return f"not enough memory{details}; close other programs, or use smaller pictures"
    return str(error).replace("\r", "\\r")  # a file name may contain one


@dataclasses.dataclass(frozen=True)
class Number:
    """argparse type: a number from `least` to `most`, or above `least` and up to `most`; with `whole`, an int."""

    least: float = 0
    most: float | None = None
    above: bool = False
    whole: bool = False

    def __call__(self, text: str) -> float:
        """The number; raises ArgumentTypeError, naming the accepted values, for any other text."""
        try:
            value = (int if self.whole and text.isdecimal() else float)(text)
        except ValueError:
            value = math.nan
        if self.whole and not text.isdecimal() or not self._holds(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {self._words()}")
        return value

    def _holds(self, value: float) -> bool:
        is_least = value > self.least if self.above else value >= self.least
        return is_least and (value < math.inf if self.most is None else value <= self.most)

    def _words(self) -> str:
        kind = "a whole number" if self.whole else "a number"
        if self.most is None:
            return f"{kind} above {self.least:g}" if self.above else f"{kind} of {self.least:g} or more"
        bounds = f"above {self.least:g} and up to" if self.above else f"from {self.least:g} to"
        return f"{kind} {bounds} {self.most:g}"


count = Number(0, whole=True)
positive = Number(1, whole=True)


def bytes_bar(total: int | None, name: str, start: int = 0) -> tqdm:
    """A progress bar that counts bytes from `start` on. total: None if unknown."""
    return tqdm(total=total, initial=start, desc=name, unit="B", unit_scale=True, unit_divisor=1024)


@contextlib.contextmanager
def exit_status(status: int) -> Iterator[None]:
    """Make an error in the block, if it is one of ERRORS, end the command with this exit status instead of 1."""
    try:
        yield
    except ERRORS as error:
        error.exit_status = status  # type: ignore[union-attr]  # read by `_run`
        raise


def run(arguments: argparse.Namespace, main: Callable[[argparse.Namespace], None]) -> None:
    """Call `main(arguments)`; an error that a user can fix becomes one line on standard error and exit status 1.

    Ctrl-C exits with 130, SIGTERM with 143, a closed terminal (SIGHUP) with 129. `--debug` keeps every traceback.
    """
    _open_missing_streams()
    try:
        with _streams_without_readers():
            _run(arguments, main)
    finally:
        # Nothing is left to remove or to save, so a second signal, or the launcher's third, gets the default action. A
        # handler that raises would make the interpreter print a traceback at exit.
        for number in (signal.SIGINT, *ENDING):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)


def _run(arguments: argparse.Namespace, main: Callable[[argparse.Namespace], None]) -> None:
    # Background jobs of a shell script ignore Ctrl-C's signal; `kill -INT` should stop them too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Half-written files must be removed at exit; Paddle's own handler would dump its stack instead.
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # as under `nohup`
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        main(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        if arguments.debug:
            raise
        print("stopped by Ctrl-C", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except ERRORS as error:
        if arguments.debug:
            raise
        print(f"error: {words(error)}", file=sys.stderr)
        sys.exit(getattr(error, "exit_status", 1))
