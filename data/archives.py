"""Unpacking zip and tar archives: all or nothing, and nothing outside the folder."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from common.errors import InputError, reason

FETCH_AGAIN = "Remove it and run the command again to fetch it again"
# Python 3.8 and 3.9 have it in some patch versions only; `_check` covers what it refuses.
_TAR_FILTER = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def unpack(archive, folder, remedy: str = FETCH_AGAIN) -> None:
    """Unpack a zip or tar archive to `folder`, which appears complete or not at all; the archive itself stays.

    folder: a folder that does not exist yet; its parent does. If the archive has a folder of that name at its top, as
    DIV2K's have, that one is taken. remedy: the last sentence of an error, what a user can do about a useless archive.

    Raises InputError if `folder` exists, or if the archive is damaged or has a link, a device or a member that would be
    written elsewhere; OSError if the files cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise InputError(f"{folder} exists already. Move it away to unpack {archive} again.")
    unpacking = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)  # of a killed process
    try:
        with _open(archive, remedy) as opened:
            for name, is_plain in _list(opened):
                if not is_plain or name.startswith("/") or ".." in PurePosixPath(name).parts:
                    raise InputError(f"has a member {name!r} that is a link or would be written outside its folder")
            opened.extractall(unpacking, **({} if isinstance(opened, zipfile.ZipFile) else _TAR_FILTER))
        if hasattr(os, "sync"):
            os.sync()  # a power cut must not leave empty files in a folder that looks complete
        inner = unpacking / folder.name
        os.replace(inner if inner.is_dir() else unpacking, folder)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


@contextlib.contextmanager
def _open(archive: Path, remedy: str):
    """The archive as a ZipFile or a TarFile. Damage that is noticed in the block becomes an InputError."""
    try:
        is_zip = archive.suffix.lower() == ".zip"
        with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as opened:
            yield opened
    except InputError as error:
        raise InputError(f"{archive} {error}. {remedy}.") from None
    except Exception as error:
        # Not a full disk: bz2's and gzip's errors have no number, and zipfile seeks to where a damaged offset says.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        words = " ".join(reason(error).split())  # tarfile's messages have several lines
        raise InputError(f"{archive} is damaged: {words}. {remedy}.") from error


def _list(opened) -> list:
    """[(name of a member, whether it is a plain file or a folder)] of the whole archive."""
    if isinstance(opened, zipfile.ZipFile):
        return [(info.filename, True) for info in opened.infolist()]
    entries = [(info.name, info.isreg() or info.isdir()) for info in opened]
    # tarfile takes a damaged header, or an archive that was cut off between two files, for the end.
    opened.fileobj.seek(opened.offset)
    if (
        opened.fileobj.read(tarfile.BLOCKSIZE).strip(b"\0")
        or opened.fileobj.tell() != opened.offset + tarfile.BLOCKSIZE
    ):
        raise tarfile.ReadError("its end is missing")
    while opened.fileobj.read(2**20):  # gzip's and xz's checksums follow the last byte
        pass
    return entries
