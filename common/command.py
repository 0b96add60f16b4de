"""Code shared by all commands of the project: the `--debug` flag, the error line and the exit status."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import os
import signal
import sys
from typing import Callable, Iterator

from tqdm import tqdm

from common.errors import InputError, without_controls

INTERRUPTED = 128 + signal.SIGINT  # the shell's convention for a command stopped by Ctrl-C
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
ERRORS = (InputError, OSError, MemoryError)  # reported as one line, without a traceback


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the flags that all commands have; `description` is the command's own docstring."""
    # File names need not be UTF-8, and a terminal may not support every character: unprintable ones are escaped.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a notebook's stream has no encoding
            stream.reconfigure(errors="backslashreplace")
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--debug", action="store_true", help="show the full traceback of an error (default: one line)")
    return result


def words(error: BaseException) -> str:
    """The message that users see for one of ERRORS."""
    if isinstance(error, MemoryError):
        details = f" ({error})" if str(error) else ""
        return f"not enough memory{details}; close other programs, or use smaller pictures"
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    return text.replace("\r", "\\r")  # a file name may contain one


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
        error.exit_status = status  # type: ignore[union-attr]  # read by `run`
        raise


def run(arguments: argparse.Namespace, main: Callable[[argparse.Namespace], None]) -> None:
    """Call `main(arguments)`; an error that a user can fix becomes one line on standard error and exit status 1.

    Ctrl-C exits with 130, SIGTERM with 143, a closed terminal (SIGHUP) with 129. `--debug` keeps every traceback.
    """
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
    except BrokenPipeError:  # the reader, such as `head`, has ended; Python's documentation has this way to end, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ERRORS as error:
        if arguments.debug:
            raise
        print(f"error: {without_controls(words(error))}", file=sys.stderr)
        sys.exit(getattr(error, "exit_status", 1))
    finally:
        # Nothing is left to remove or to save, so a second signal, or the launcher's third, gets the default action. A
        # handler that raises would make the interpreter print a traceback at exit.
        for number in (signal.SIGINT, *ENDING):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
