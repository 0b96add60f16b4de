"""A disk that is full: the kernel refuses to write beyond a limit on files' sizes just so."""

import contextlib

import pytest


@contextlib.contextmanager
def full_after(count: int):
    """No file can be written beyond `count` bytes."""
    resource = pytest.importorskip("resource", reason="the limit on a file's size is POSIX")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
