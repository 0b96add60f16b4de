"""Atomic writes (a file is either complete or absent), hashes, checks of paths, and temporary files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Tuple, Union

import psutil

from common.errors import InputError

AnyPath = Union[str, "os.PathLike[str]"]
Named = Sequence[Tuple[str, Optional[AnyPath]]]  # (the flag that names it, path)

# See `replacing`. A process ID has at most seven digits (Linux: 2^22), so a date in a name is not taken for one.
_TEMPORARY = re.compile(r"\.(\d{1,7})-[0-9a-f]{8}(\.[^.]+)?")


@contextlib.contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """Write a file under a temporary name, then rename it into place.

    Yields the temporary path (beside `path`, with the same ending) to write to. When the block succeeds, the file is
    synced to the disk and renamed to `path`; when it fails, the temporary file is removed and a file that was at
    `path` before is unchanged. Makes the parent folder. An OSError (a full disk) names `path`. Raises InputError if
    `path` is a device or a pipe, which a renamed file would replace.
    """
    path = Path(path)
    _check_kind(path)
    # Not the name with a suffix: that could exceed the length limit of names.
    temporary = path.with_name(f".{os.getpid()}-{zlib.crc32(os.fsencode(path.name)):08x}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot be written ({error.strerror}); any previous file is kept", str(path)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def hash_of(path: AnyPath, algorithm: str, advance: Callable[[int], object] = lambda count: None) -> str:
    """The hexadecimal hash of a file's content. advance: called with the number of bytes read since its last call."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Flush a file's or a folder's content to the disk; folders are skipped on Windows, which cannot open them."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_no_file(path: AnyPath) -> bool:
    """Whether the path is a folder, a pipe or a device: opening a pipe would wait until somebody writes to it."""
    return os.path.exists(path) and not os.path.isfile(path)


def _check_kind(path: AnyPath) -> None:
    if is_no_file(path) and not os.path.isdir(path):
        raise InputError(f"{path} is a device or a pipe, and results are written to files; give another name")


def check_name(path: AnyPath) -> None:
    """Raise InputError if a file of that name cannot be written: it is too long, or that of a device or a pipe."""
    _check_kind(path)
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            length = len(os.fsencode(Path(path).name))
            raise InputError(f"{path} cannot be written: its name of {length} bytes is too long; shorten it") from None


def check_apart(read: Named, files: Named = (), folders: Named = (), flat: Named = ()) -> None:
    """Raise InputError if a command would overwrite its input, or write its results into an input folder.

    read, files, folders: (flag, path) of each file or folder that is read, each file that is written and each folder
    that gets files; entries without a path are skipped. flat: folders that are read without their sub-folders, such as
    folders of pictures; results may be in a sub-folder of these. Links are followed.
    """
    sources = [
        (flag, path, Path(os.path.realpath(path)), is_flat)
        for named, is_flat in ((read, False), (flat, True))
        for flag, path in named
        if path
    ]
    for is_folder, named in ((False, files), (True, folders)):
        for flag, path in [(flag, path) for flag, path in named if path]:
            target = Path(os.path.realpath(path))
            for source_flag, source, real, is_flat in sources:
                if real == target and is_folder:
                    raise InputError(
                        f"{flag} {path} is the folder that is read ({source_flag} {source}); give another folder"
                    )
                if real == target:
                    raise InputError(
                        f"{flag} {path} would replace {source}, which is read ({source_flag}); give another name"
                    )
                is_below = real in target.parents and not (is_flat and (is_folder or real != target.parent))
                if is_below:
                    where = f"{flag} {path} would be in {source}, which is read ({source_flag})"
                    raise InputError(f"{where}; give another folder")


def remove_leftovers(folder: AnyPath) -> None:
    """Remove the temporary files of processes that were killed while `replacing` a file in `folder`.

    Those of running processes are kept. Call this before the process writes to the folder itself.
    """
    for path in Path(folder).glob(".*-*"):
        found = _TEMPORARY.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if found and not is_writer(int(found.group(1)), path.stat().st_mtime):
                path.unlink()


def temporary_folder(prefix: str, place: AnyPath | None = None) -> Path:
    """Make a folder PREFIX… in `place` (default: the system's temporary folder); the caller removes it.

    Folders that killed processes left under the same prefix are removed.
    """
    place = Path(place or tempfile.gettempdir())
    for path in place.glob(f"{prefix}*"):
        found = re.fullmatch(rf"{re.escape(prefix)}(\d{{1,7}})-\w{{8}}", path.name)
        with contextlib.suppress(OSError):
            if found and not _has_run_since(int(found.group(1)), path.lstat().st_mtime):
                shutil.rmtree(path, ignore_errors=True)  # another user's folder stays
    return Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=place))


def is_writer(pid: int, modified: float) -> bool:
    """Whether another process with this ID has been running since before the file was written (IDs are reused)."""
    return pid != os.getpid() and _has_run_since(pid, modified)


def _has_run_since(pid: int, modified: float) -> bool:
    try:
        return psutil.Process(pid).create_time() <= modified
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
