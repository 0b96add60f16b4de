"""A lock on a folder, by which processes know of each other. It ends with the process, however that ends."""

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
    """A lock that is not taken yet; `folder_lock` makes it. Where there are no locks, both methods do nothing."""

    def __init__(self, descriptor: int | None):
        self._descriptor = descriptor

    def exclusive(self) -> bool | None:
        """Take it for this process alone: False if another one has it, None where there are no locks."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):  # some network drives have none
                try:
                    fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return True
                except BlockingIOError:
                    return False
        return None

    def shared(self) -> None:
        """Take it, or what `exclusive` has taken, together with others; waits while one has it for itself."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)


@contextlib.contextmanager
def folder_lock(folder: AnyPath) -> Iterator[FolderLock]:
    """The lock on a folder that is there, given up at the end of the block."""
    if fcntl is None:
        yield FolderLock(None)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield FolderLock(descriptor)
    finally:
        os.close(descriptor)
