"""Captures the output that native libraries print past Python, which users need only if something fails."""

import contextlib
import os
import sys
import tempfile

STANDARD_STREAMS = (1, 2)  # the file descriptors of standard output and standard error


@contextlib.contextmanager
def native_output():
    """Capture what the process prints in the block; afterwards it is the only item of the yielded list."""
    said = []
    _flush()
    with tempfile.TemporaryFile() as file:
        originals = {}
        for stream in STANDARD_STREAMS:
            with contextlib.suppress(OSError):  # it is closed
                originals[stream] = os.dup(stream)
        try:
            for stream in originals:
                os.dup2(file.fileno(), stream)
            yield said
        finally:
            _flush()
            for stream, original in originals.items():
                os.dup2(original, stream)
                os.close(original)
            file.seek(0)
            said.append(file.read().decode(errors="replace"))


def _flush() -> None:
    """Flush Python's own buffers, so that lines printed before are not captured, and captured ones are not lost."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # it is closed
            stream.flush()
