"""Stopping a run: Ctrl-C, SIGTERM and SIGHUP end it after the current step."""

import contextlib
import signal
import sys

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(Exception):
    """The run was asked to stop, by the signal `signum`."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


class Stop:
    """A context that records SIGINT, SIGTERM and SIGHUP instead of obeying them; a repeated signal is obeyed.

    alone: False for one of several processes. Their launcher sends SIGTERM three times in a row and SIGKILL half a
    minute later, so repeated signals are only recorded there too.
    signum: the first signal received, or 0.
    """

    def __init__(self, alone: bool = True):
        self.alone = alone
        self.signum = 0

    def __enter__(self):
        # A lost connection sends SIGHUP, which processes under `nohup` ignore.
        signals = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._note) for number in signals}
        for number in () if self.alone else signals:
            signal.siginterrupt(number, False)  # Paddle takes an interrupted call for a lost connection
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, signum, _):
        if self.alone:
            signal.signal(signum, self._before[signum])
        if not self.signum:
            self.signum = signum
            # Not print(): the signal may have interrupted a print().
            with contextlib.suppress(OSError, RuntimeError):
                sys.stderr.write("\nstopping after this step, saving\n")

    def check(self) -> None:
        """Raise Stopped if a signal has been received."""
        if self.signum:
            raise Stopped(self.signum)
