"""Fetching a file over http: checked, tried again and continued where it broke off."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from common.command import bytes_bar
from common.errors import InputError, reason
from common.files import hash_of, sync

TRIES = 5  # tries in a row that bring nothing new, before giving up
PAUSE = 5.0  # seconds between two tries
TIMEOUT = 30.0  # seconds without a byte from the server
CHUNK = 1 << 20  # bytes
MOST = 16 << 30  # bytes of a file whose size is not known
RETRIED_STATUSES = (408, 429)  # as are all of 500 and above: the server's own trouble, which may pass


class _BrokenTransfer(Exception):
    """A transfer that failed in a way which another try may fix."""


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
        print(f"{path} is already there and complete: not fetched again")
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
    sync(part)
    os.replace(part, path)
    _note_path(part).unlink(missing_ok=True)
    sync(path.parent)


def fetch_page(url: str, most: int, by_hand: str):
    """The text at an http or https address, or None where it has more than `most` bytes. It is asked for once.

    by_hand: what a user may do without it, the end of an error's last sentence. Raises InputError when it cannot be
    had.
    """
    try:
        with _ask(url, 0, {}, by_hand) as answer:
            # Asked for all, it notices an answer that breaks off.
            limit = None if answer.length is not None and answer.length <= most else most + 1
            content = answer.read(limit)
    except (_BrokenTransfer, OSError, http.client.HTTPException) as error:
        raise InputError(f"{url}: {_reason(error)}. Run the command again, or {by_hand}.") from error
    return None if len(content) > most else content.decode("utf-8", "replace")


def _check_present(path, url, size, md5, check):
    try:
        _verify(path, size, md5, check)
    except InputError as error:
        raise InputError(
            f"{path} is there but is not the file of {url}: it {error}. Move it away and run the command again."
        ) from error


def _verify(path, size, md5, check):
    """Raises InputError with what is wrong with the file, worded to follow its name."""
    if not path.is_file():
        raise InputError("is not a file")
    found = path.stat().st_size
    if size is not None and found != size:
        raise InputError(f"has {found:,} bytes, expected {size:,}")
    if md5 is not None:
        with bytes_bar(found, f"checking {path.name}") as bar:
            found = hash_of(path, "md5", bar.update)
        if found != md5:
            raise InputError(f"has md5 {found}, expected {md5}")
    if check is not None:
        try:
            check(path)
        except InputError as error:
            raise InputError(f"fails its check: {error}") from error


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
                f"{request.full_url}: the server redirects to {new_url}, which is not encrypted; not followed"
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
    return reason(error.reason if isinstance(error, urllib.error.URLError) else error)


def _receive(answer, part, start, total, note):
    """Write the answer's body to `part` from the byte `start` on; total: the whole file's bytes, None if not known."""
    try:
        with open(part, "r+b" if start else "wb") as file, bytes_bar(total, part.stem, start) as bar:
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
