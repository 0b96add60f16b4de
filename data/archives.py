"""Unpacking zip and tar archives: all or nothing, and nothing outside the folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path, PurePosixPath

from common.errors import InputError, reason

FETCH_AGAIN = "Remove it and run the command again to fetch it again"
LONGEST_NAME = 1000  # bytes of a member's path
_DAY = 86400  # seconds: what is older was left by a killed process
# Python 3.8 and 3.9 have it in some patch versions only; `_check` covers what it refuses.
_TAR_FILTER = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def unpack(archive, folder, one_folder: bool = True, remedy: str = FETCH_AGAIN) -> None:
    """Unpack a zip or tar archive to `folder`, which appears complete or not at all.

    folder: a folder that does not exist yet; its parent does. one_folder: the archive contains the one folder
    `folder.name`, which is taken. remedy: the last sentence of an error, what a user can do about a useless archive.

    Raises InputError if `folder` exists, or if the archive is damaged or has a member that is no plain file or folder,
    or would be written elsewhere; OSError if the files cannot be written. The archive itself stays.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already. Move it away to unpack {archive} again.")
    for path in folder.parent.glob(".*.unpacking"):
        if time.time() - path.stat().st_mtime > _DAY:
            shutil.rmtree(path, ignore_errors=True)
    unpacking = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".unpacking", dir=folder.parent))
    try:
        target = unpacking if one_folder else unpacking / folder.name
        with _opened(archive, remedy) as opened:
            entries = _entries(opened)
            if not entries:
                raise InputError("contains no files")
            for name, _, is_plain in entries:
                _check(name, is_plain, folder.name if one_folder else None)
            _check_room(sum(size for _, size, _ in entries), folder.parent)
            opened.extractall(target, **({} if isinstance(opened, zipfile.ZipFile) else _TAR_FILTER))
        if hasattr(os, "sync"):
            os.sync()  # a power cut must not leave empty files in a folder that looks complete
        os.replace(unpacking / folder.name, folder)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


def members(archive, remedy: str = FETCH_AGAIN) -> list:
    """The names of the files in a zip or tar archive; raises InputError if it is damaged."""
    with _opened(Path(archive), remedy) as opened:
        return [name for name, _, _ in _entries(opened) if not name.endswith("/")]


@contextlib.contextmanager
def _opened(archive: Path, remedy: str):
    """The archive as a ZipFile or a TarFile. Damage that is noticed in the block becomes an InputError."""
    if not archive.is_file():
        raise InputError(f"{archive} is not a file; expected a zip or tar archive")
    try:
        is_zip = archive.suffix.lower() == ".zip"
        with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as opened:
            yield opened
    except InputError as error:
        raise InputError(f"{archive} {error}. {remedy}.") from None
    except MemoryError:
        raise
    except Exception as error:
        # Not a full disk: bz2's and gzip's errors have no number, and zipfile seeks to where a damaged offset says.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise InputError(f"{archive} is damaged: {reason(error)}. {remedy}.") from error


def _entries(opened) -> list:
    """[(name, size in bytes, whether it is a plain file or a folder)]; the names of folders end in a slash."""
    if isinstance(opened, zipfile.ZipFile):
        return [(info.filename, info.file_size, True) for info in opened.infolist()]
    entries = [(info.name + "/" * info.isdir(), info.size, info.isreg() or info.isdir()) for info in opened]
    # tarfile takes a damaged header, or an archive that was cut off between two files, for the end.
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0") or opened.fileobj.tell() != opened.offset + 512:
        raise tarfile.ReadError("its end is missing")
    while opened.fileobj.read(2**20):  # gzip's and xz's checksums follow the last byte
        pass
    return entries


def _check(name: str, is_plain: bool, top: str | None) -> None:
    """Raise InputError for a member that is no plain file or folder, or is outside the folder `top` (None: any)."""
    parts = PurePosixPath(name).parts
    shown = f"has a member {name[:100]!r}"
    if not is_plain:
        raise InputError(f"{shown} that is a link or a special file")
    if name.startswith("/") or ".." in parts or "\\" in name or ":" in name or len(name.encode()) > LONGEST_NAME:
        raise InputError(f"{shown} that would not be unpacked to its folder")
    if top and parts and (parts[0] != top or parts == (top,) and not name.endswith("/")):
        raise InputError(f"{shown} outside the expected folder {top}")


def _check_room(size: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise InputError(f"unpacks to {size:,} bytes and {folder} has {free:,} free")
