"""A lock on a folder, shared by processes. The system releases it when the process ends, in whatever way."""

from __future__ import annotations

import contextlib
import os
from typing import Iterator

from common.files import AnyPath

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]


class FolderLock:
    """A lock that is not acquired yet; `folder_lock` makes it. Without support for locks, both methods do nothing."""

    def __init__(self, descriptor: int | None):
        self._descriptor = descriptor

    def exclusive(self) -> bool | None:
        """Acquire the lock for this process alone; False if another process holds it, None if locks are unsupported."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # some network drives do not support locks
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                except BlockingIOError:
                    return False
        return None

    def shared(self) -> None:
        """Acquire the lock together with others, or downgrade an exclusive one; waits while another process has it."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)


@contextlib.contextmanager
def folder_lock(folder: AnyPath) -> Iterator[FolderLock]:
    """The lock on an existing folder, released at the end of the block."""
    if fcntl is None:
        yield FolderLock(None)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield FolderLock(descriptor)
    finally:
        os.close(descriptor)
