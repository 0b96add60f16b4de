"""A test that would wait for ever fails instead."""

import contextlib
import signal


@contextlib.contextmanager
def within(seconds: int = 20):
    """A context in the main thread that a TimeoutError ends when it takes longer; not on Windows."""

    def ring(*_):
        raise TimeoutError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
