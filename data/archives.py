"""Unpacking zip and tar archives that are not trusted: all or nothing, and nothing outside the folder."""

from __future__ import annotations

import contextlib
import errno
import gzip
import lzma
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from pathlib import Path

from common.command import bytes_bar
from common.errors import InputError, reason
from common.files import is_no_file, is_writer, sync
from data.tars import CHUNK, Tar

# PNG files hardly shrink in an archive (about 1:1); deflate itself reaches 1000:1.
MAX_UNPACKED_RATIO = 20
LONGEST_NAME = 1000  # bytes of a member's path; with the folder it is unpacked to a file system takes 4,096, or 1,024
LONGEST_PART = 255  # bytes, of what is between slashes: what most file systems take
DEEPEST = 32  # folders within folders
SHOWN = 100  # characters, of a name in a message
FETCH_ANEW = "Remove it and run the command again to fetch it again"
MAKE_ROOM = "Make room, or give another folder with --to, and run the command again"
_UNPACKING = re.compile(r"\.(\d+)-[0-9a-f]{8}\.unpacking")

# Everything that zipfile and tarfile raise on bytes that are no sound archive. Few of them are documented.
DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(struct.error, EOFError, ValueError, OverflowError, RuntimeError),
)

# General-purpose flags of a member: encrypted, patch data, strong encryption, masked headers (APPNOTE 4.4.4).
ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
PATCH_FLAG = 0x20


def unpack(archive, folder, one_folder=True, remedy=FETCH_ANEW, no_room=MAKE_ROOM):
    """Unpack a zip or tar archive to `folder`, which is whole or not there.

    archive: the path of the file, which is not trusted: all its members are checked before anything is written.
    folder: the path of the folder to be made; its parent exists.
    one_folder: the archive must hold the one folder `folder.name`, whose content is taken; else all that it holds is.
    remedy: what a user may do about an archive that is of no use, an error's last sentence; no_room: about a full disk.

    Raises InputError when the folder is there already (also one that another process has unpacked meanwhile) or the
    archive is damaged or not harmless, and OSError when the files cannot be written. The archive stays as it is.
    """
    archive, folder = Path(archive), Path(folder)
    _check_absent(folder, archive)
    # Hidden, as others may look for pictures here, and of this process alone, as another may unpack the same.
    unpacking = folder.with_name(f".{os.getpid()}-{zlib.crc32(os.fsencode(folder.name)):08x}.unpacking")
    try:
        _remove_leftovers(folder.parent)
        with _opened(archive, remedy) as opened:
            members = opened.infolist()
            _check_members(members, archive, folder.name if one_folder else None, remedy)
            _check_room(members, archive, folder.parent, remedy, no_room)
            _extract(opened, members, archive, unpacking, one_folder)
        _check_absent(folder, archive)
        os.replace(unpacking, folder)
        sync(folder.parent)
    except OSError as error:
        raise OSError(f"cannot unpack {archive} to {folder}: {reason(error)}. The archive stays. {no_room}.") from error
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


def _check_absent(folder, archive):
    if folder.exists():
        raise InputError(f"{folder} is already there. Move it away to unpack {archive} again.")


def _remove_leftovers(folder):
    """Remove what processes that were killed in `unpack` left in `folder`; a living process's stays."""
    for path in folder.glob(".*.unpacking"):
        found = _UNPACKING.fullmatch(path.name)
        with contextlib.suppress(FileNotFoundError):  # another process removes it too
            if found and not is_writer(int(found[1]), path.stat().st_mtime):
                shutil.rmtree(path)


def members(archive, remedy=FETCH_ANEW) -> list:
    """The paths of the files in a zip or tar archive, as written there; raises InputError where it is damaged."""
    with _opened(Path(archive), remedy) as opened:
        return [member.filename for member in opened.infolist() if not _is_folder(member)]


@contextlib.contextmanager
def _opened(archive, remedy):
    """The archive as a zipfile.ZipFile or a Tar; what is raised inside because of damage becomes an InputError."""
    if is_no_file(archive):
        raise InputError(f"{archive} is not a file; expected a zip or tar archive")
    packed = archive.stat().st_size

    def check(unpacked):
        _check_ratio(unpacked, packed, archive, remedy)

    try:
        is_zip = archive.suffix.lower() == ".zip"
        with zipfile.ZipFile(archive) if is_zip else Tar(archive, check) as opened:
            yield opened
    except InputError:
        raise
    except MemoryError:  # LZMA takes as much as a file says
        raise InputError(f"{archive}: there is not enough memory to unpack it. {remedy}.") from None
    except DAMAGED_ARCHIVE as error:
        raise InputError(f"{archive} is damaged: {reason(error)}. {remedy}.") from error
    except OSError as error:
        # zipfile seeks to before the file's beginning when an offset is wrong; bz2's errors have no number.
        if error.errno in (errno.EINVAL, None):
            raise InputError(f"{archive} is damaged: {reason(error)}. {remedy}.") from error
        raise


def _check_members(members, archive, top, remedy):
    names = set()
    spellings = {}  # as a file system that ignores case sees a path -> the path, and whether it is a folder
    for member in members:
        fault = (
            _fault_of_length(member)
            or _fault_of_kind(member)
            or _fault_of_name(member, top)
            or _fault_of_place(member, names, spellings)
        )
        if fault:
            name = member.orig_filename
            shown = f"{name[:SHOWN]}…" if len(name) > SHOWN else name
            raise InputError(f"{archive}: member {shown!r} {fault}; nothing has been unpacked. {remedy}.")
    if all(_is_folder(member) for member in members):
        raise InputError(f"{archive} holds no files, expected {f'the folder {top}' if top else 'some'}. {remedy}.")


def _fault_of_length(member):
    # First, as what the others cost grows with the length times the depth.
    name = member.orig_filename.encode("utf-8", "surrogateescape")
    if len(name) > LONGEST_NAME:
        return f"has a name of more than {LONGEST_NAME:,} bytes"
    if name.count(b"/") > DEEPEST:
        return f"lies more than {DEEPEST} folders deep"
    if max(map(len, name.split(b"/"))) > LONGEST_PART:
        return f"has more than {LONGEST_PART} bytes in a part of its name"
    return None


def _fault_of_place(member, names, spellings):
    """What is wrong with its place beside the members before it, which `names` and `spellings` note."""
    parts = member.filename.rstrip("/").split("/")
    if "/".join(parts) in names:
        return "is there twice"
    names.add("/".join(parts))
    for depth in range(1, len(parts) + 1):
        here = "/".join(parts[:depth])
        entry = (here, depth < len(parts) or _is_folder(member))
        known = spellings.setdefault(unicodedata.normalize("NFC", here.casefold()), entry)
        if known != entry:
            return f"has the same place as {known[0]!r}"
    return None


def _is_folder(member):
    # Not ZipInfo.is_dir: it fails on an empty name (to Python 3.11) and differs on Windows.
    return member.filename.endswith("/")


def _fault_of_kind(member):
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if _is_folder(member) else stat.S_IFREG):
        return "is not a plain file or folder (a link or a special file)"
    if _is_folder(member) and member.file_size:
        return "is a folder with content of its own"
    if member.flag_bits & ENCRYPTED_FLAGS:
        return "is encrypted"
    if member.flag_bits & PATCH_FLAG or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by an unexpected method ({member.compress_type})"
    return None


def _fault_of_name(member, top):
    name = member.orig_filename
    # zipfile cuts a name at a NUL, turns a backslash into a slash on Windows and may take a name from an extra field.
    if name != member.filename or not name.isprintable() or "\\" in name:
        return "has a character in its name that can hide another name"
    if name.startswith("/"):
        return "has an absolute path"
    if ":" in name:
        return "has a drive letter or a colon in its name"
    parts = name.split("/")
    if _is_folder(member):
        parts.pop()
    if ".." in parts:
        return "leads out of its folder (..)"
    # Windows drops a dot or a space at the end of a name.
    if any(not part or part != part.rstrip(". ") for part in parts):
        return "has an empty part, a dot or a space at the end of a part in its name"
    if top is not None and (parts[0] != top or (len(parts) == 1 and not _is_folder(member))):
        return f"is outside the expected folder {top}"
    return None


def _check_room(members, archive, folder, remedy, no_room):
    unpacked = sum(member.file_size for member in members)
    _check_ratio(unpacked, archive.stat().st_size, archive, remedy)
    free = shutil.disk_usage(folder).free
    if unpacked > free:
        raise InputError(
            f"{archive} unpacks to {unpacked:,} bytes and {folder} has {free:,} free; "
            f"nothing has been unpacked. {no_room}."
        )


def _check_ratio(unpacked, packed, archive, remedy):
    if unpacked > MAX_UNPACKED_RATIO * packed:
        raise InputError(
            f"{archive} has {packed:,} bytes and claims to unpack to {unpacked:,}, expected at most "
            f"{MAX_UNPACKED_RATIO} times its size; nothing has been unpacked. {remedy}."
        )


def _extract(opened, members, archive, folder, one_folder):
    folder.mkdir()
    with bytes_bar(sum(member.file_size for member in members), f"unpacking {archive.name}") as bar:
        for member in members:
            target = folder.joinpath(*member.filename.rstrip("/").split("/")[one_folder:])
            (target if _is_folder(member) else target.parent).mkdir(parents=True, exist_ok=True)
            if not _is_folder(member):
                _extract_file(opened, member, target, bar)
    for path, _, _ in os.walk(folder):
        sync(Path(path))


def _extract_file(opened, member, target, bar):
    left = member.file_size
    with opened.open(member) as source, open(target, "xb") as file:
        while left:
            block = source.read(min(CHUNK, left))
            if not block:
                raise zipfile.BadZipFile(f"member {member.filename!r} is shorter than the archive says")
            file.write(block)
            left -= len(block)
            bar.update(len(block))
        if source.read(1):
            raise zipfile.BadZipFile(f"member {member.filename!r} is longer than the archive says")
        file.flush()
        os.fsync(file.fileno())
