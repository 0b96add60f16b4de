"""The members of a tar archive that is not trusted, packed or not, described as a zip's are.

Of tarfile only what reads a header's own 512 bytes is used: it reads headers that follow one another recursively, goes
through those that are for all members once for each, and until 2024 tried its patterns at every digit, so that some KB
could take hours. Here each header is gone through once, and counts as what is unpacked.

Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar's manual, "Basic Tar Format".
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 20  # bytes
HEADERS = 1 << 20  # bytes that an archive's headers may take whatever its size; and one of them by itself
_LONGEST_NUMBER = 20  # digits, of 64 bits
# Where a header of GNU's old sparse format, and each block that goes on with it, says that another one follows.
_MORE_IN_HEADER, _MORE_IN_BLOCK = 482, 504


class Tar:
    """A tar archive, read as a zipfile.ZipFile is: `infolist`, then `open`, within a `with`.

    check: called with the number of bytes that going on unpacks the archive to; raises where they are too many.
    On damage a tarfile.ReadError is raised, or what the packers' modules raise.
    """

    def __init__(self, archive: Path, check):
        # Told by its first bytes, as tarfile does.
        with open(archive, "rb") as file:
            head = file.read(6)
        openers = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open, b"\x5d\0\0": lzma.open}
        opener = next((opener for beginning, opener in openers.items() if head.startswith(beginning)), open)
        self._file = opener(archive, "rb")
        self._check = check

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def infolist(self) -> list:
        """A zipfile.ZipInfo of each member, whose `header_offset` is the place of its content."""
        found, unpacked, place, name, records = [], 0, 0, b"", {}
        while True:
            block = self._read(place, BLOCK)
            place += BLOCK
            if not block.strip(b"\0"):  # the format ends with such, what follows does not count
                break
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            kind, size = header.type, header.size
            if kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                content = self._read(place, _padded(size))[:size]
                if kind == tarfile.GNUTYPE_LONGNAME:
                    name = content.partition(b"\0")[0]
                else:
                    records = _records(content)
                place += _padded(size)
                continue
            if kind in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):  # comments for all members; links are refused
                self._count(place, _padded(size))
                place += _padded(size)
                continue
            more = kind == tarfile.GNUTYPE_SPARSE and block[_MORE_IN_HEADER]
            while more:
                more = self._read(place, BLOCK)[_MORE_IN_BLOCK]
                place += BLOCK
            size = _number(records[b"size"]) if b"size" in records else size
            following = place + _padded(size)  # which finds a negative one
            unpacked += size
            self._check(unpacked)  # before they are gone through
            is_sparse = kind == tarfile.GNUTYPE_SPARSE or any(key.startswith(b"GNU.sparse.") for key in records)
            info = _described(header, records.get(b"path", name), is_sparse)
            info.file_size, info.header_offset = size, place
            if info.filename != "./":
                found.append(info)
            if header.isreg() or kind not in tarfile.SUPPORTED_TYPES:  # others have no content, whatever their size
                place = following
            name, records = b"", {}
        unpacked -= tarfile.RECORDSIZE  # which the zeros fill up
        for block in iter(lambda: self._file.read(CHUNK), b""):  # gzip's checksum is behind them
            unpacked += len(block)
            self._check(unpacked)
        return found

    @contextlib.contextmanager
    def open(self, member: zipfile.ZipInfo):
        """A member's content, as a file of which only `read` is there."""
        self._file.seek(member.header_offset)
        yield _Part(self._file, member.file_size)

    def _count(self, place: int, count: int) -> None:
        """Raise if a header at `place`, or a part of one, has too many bytes, or with all before it."""
        if count > HEADERS:
            raise tarfile.ReadError(f"a name or a comment of {count:,} bytes")
        self._check(place + count - HEADERS)

    def _read(self, place: int, count: int) -> bytes:
        """The bytes of a header, or of a part of one."""
        self._count(place, count)
        self._file.seek(place)
        content = self._file.read(count)
        if len(content) < count:
            raise tarfile.ReadError("it is truncated")
        return content


class _Part:
    """The next `left` bytes of a file."""

    def __init__(self, file, left: int):
        self._file, self._left = file, left

    def read(self, count: int) -> bytes:
        content = self._file.read(min(count, self._left))
        self._left -= len(content)
        return content


def _padded(size: int) -> int:
    """The bytes that a content of that size takes in the archive."""
    if size < 0:
        raise tarfile.ReadError("a member of negative size")
    return -(-size // BLOCK) * BLOCK


def _records(content: bytes) -> dict:
    """{keyword: value} of a PAX header, of the keywords that matter here. Each record is `LENGTH KEYWORD=VALUE\\n`."""
    found, place = {}, 0
    while content[place : place + 1].strip(b"\0"):
        digits = content[place : place + _LONGEST_NUMBER].partition(b" ")[0]
        end = place + _number(digits)
        keyword, equals, value = content[place + len(digits) + 1 : end].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise tarfile.ReadError("a damaged PAX header")
        if keyword in (b"path", b"size") or keyword.startswith(b"GNU.sparse."):
            found[keyword] = value[:-1]
        place = end
    return found


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > _LONGEST_NUMBER:
        raise tarfile.ReadError("a damaged PAX header")
    return int(digits)


def _described(header: tarfile.TarInfo, longer: bytes, is_sparse: bool) -> zipfile.ZipInfo:
    """The member as a zip's: one set of checks is for both. longer: its name, where that did not fit into its header.

    tarfile's filters would not do: they judge a member when it is about to be written, when others already are, let
    links through, know neither sizes nor names that differ in case alone, and came with Python 3.8.17.
    """
    name = longer.decode("utf-8", "surrogateescape") or header.name
    name = name.rstrip("/") if header.isdir() else name
    if name.startswith("./"):  # as `tar -c .` writes them
        name = name[2:]
    info = zipfile.ZipInfo(name + "/" * header.isdir())
    is_plain = header.isreg() and not is_sparse  # a sparse file's content can be in any order, and overlap
    info.external_attr = (stat.S_IFREG if is_plain else stat.S_IFDIR if header.isdir() else stat.S_IFLNK) << 16
    return info
