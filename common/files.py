"""Atomic writes (a file is either complete or absent), hashes, checks of paths, and temporary files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Tuple, Union

from common.errors import InputError

AnyPath = Union[str, "os.PathLike[str]"]
Named = Sequence[Tuple[str, Optional[AnyPath]]]  # (the flag that names it, path)

_TEMPORARY = ".srgan-unfinished-"  # what the names of temporary files begin with
_ABANDONED = 3600  # seconds without a write after which a temporary file counts as a killed process's


@contextlib.contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """Write a file under a temporary name, then rename it into place.

    Yields the temporary path (beside `path`, with the same ending) to write to. When the block succeeds, the file is
    synced to the disk and renamed to `path`; when it fails, the temporary file is removed and a file that was at
    `path` before is unchanged. Makes the parent folder. An OSError (a full disk) names `path`. Raises InputError as
    `check_name` does: a renamed file would replace a device or a pipe.
    """
    path = Path(path)
    check_name(path)
    # Not the name with a suffix: that could exceed the length limit of names.
    temporary = path.with_name(f"{_TEMPORARY}{uuid.uuid4().hex[:8]}{path.suffix}")
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


def remove_leftovers(folder: AnyPath, abandoned: float = _ABANDONED) -> None:
    """Remove the temporary files in `folder` that `replacing` has not written to for `abandoned` seconds.

    Killed processes leave them.
    """
    for path in Path(folder).glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime >= abandoned:
                path.unlink()


def temporary_folder(prefix: str, place: AnyPath | None = None) -> Path:
    """Make a folder PREFIX… in `place` (default: the system's temporary folder); the caller removes it."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place))


def hash_of(path: AnyPath, algorithm: str, advance: Callable[[int], object] = lambda count: None) -> str:
    """The hexadecimal hash of a file's content. advance: called with the number of bytes read since its last call."""
    digest = hashlib.new(algorithm)
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(2**20), b""):
            digest.update(block)
            advance(len(block))
    return digest.hexdigest()


def is_no_file(path: AnyPath) -> bool:
    """Whether the path is a folder, a pipe or a device: opening a pipe would wait until somebody writes to it."""
    return os.path.exists(path) and not os.path.isfile(path)


def check_name(path: AnyPath) -> None:
    """Raise InputError if a file of that name cannot be written: it is too long, or that of a device or a pipe."""
    if is_no_file(path) and not os.path.isdir(path):
        raise InputError(f"{path} is a device or a pipe, and results are written to files; give another name")
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
    sources = [(flag, path, False) for flag, path in read if path] + [(flag, path, True) for flag, path in flat if path]
    targets = [(flag, path, False) for flag, path in files if path] + [
        (flag, path, True) for flag, path in folders if path
    ]
    for flag, path, is_folder in targets:
        target = Path(os.path.realpath(path))
        for source_flag, source, is_flat in sources:
            real = Path(os.path.realpath(source))
            is_below = real in target.parents and not (is_flat and (is_folder or real != target.parent))
            if real == target and not is_folder:
                raise InputError(
                    f"{flag} {path} would replace {source}, which is read ({source_flag}); give another name"
                )
            if real == target or is_below:
                raise InputError(
                    f"{flag} {path} would be written into {source}, which is read ({source_flag}); give another folder"
                )
