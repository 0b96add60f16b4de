"""Fetching a file over http: checked, tried again and continued where it broke off."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from common.command import bytes_bar
from common.errors import InputError, reason
from common.files import hash_of

TRIES = 5  # in a row that bring nothing new, before giving up
PAUSE = 5.0  # seconds between two tries
TIMEOUT = 30.0  # seconds without a byte from the server
# What another try may get over. Python 3.8 and 3.9 have a timeout of sockets that is no TimeoutError.
PASSING = (urllib.error.URLError, http.client.HTTPException, ConnectionError, socket.timeout, ssl.SSLError)


def fetch(url: str, path, size=None, digest=None, check=None, instead: str = "") -> None:
    """Fetch `url` to the file `path`, which gets its name only once it is complete and checked.

    A file that exists already is checked and left as it is. A transfer goes to `path`.part, is tried again if it breaks
    and continued where it stopped, also by the next call.

    size: in bytes; digest: (algorithm, hexadecimal digits); each if known. check: called with the path of a complete
    file; raises InputError if the content is of no use. instead: what users can do without this file, the end of an
    error.

    Raises InputError if the file cannot be had or is another one, OSError if it cannot be written.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.part")
    by_hand = f"or fetch the file elsewhere and put it at {path}{instead}"
    if path.exists():
        problem = _problem(path, size, digest, check)
        if problem:
            raise InputError(f"{path} exists but is not the file of {url}: it {problem}. Move it away and try again.")
        print(f"{path} exists already and is complete: not fetched again")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    furthest = failures = 0
    while True:
        try:
            _continue(url, part, size)
            break
        except PASSING as error:
            status = getattr(error, "code", None)  # an HTTPError's
            problem = f"the server answers {error}" if status else reason(getattr(error, "reason", error))
            if status and status < 500 and status not in (408, 429):  # another try will not change it
                raise InputError(f"{url}: {problem}. Try later, {by_hand}.") from error
        # Only a new furthest point is progress: a server without ranges that always breaks must not go on for ever.
        reached = part.stat().st_size if part.exists() else 0
        failures = 1 if reached > furthest else failures + 1
        furthest = max(furthest, reached)
        if failures >= TRIES:
            raise InputError(f"{url}: {problem} (tried {failures} times). Run the command again, {by_hand}.")
        print(f"{part.name}: {problem}; next try in {PAUSE:g} s", file=sys.stderr)
        time.sleep(PAUSE)
    problem = _problem(part, size, digest, check)
    if problem:
        part.unlink()
        raise InputError(f"{url}: the file received {problem}. It was removed; run the command again, {by_hand}.")
    os.replace(part, path)


def _problem(path: Path, size, digest, check) -> str:
    """What is wrong with a file, worded to follow its name; "" if nothing is."""
    length = path.stat().st_size
    if size is not None and length != size:
        return f"has {length:,} bytes, expected {size:,}"
    if digest is not None:
        algorithm, expected = digest
        with bytes_bar(length, f"checking {path.name}") as bar:
            found = hash_of(path, algorithm, bar.update)
        if found != expected:
            return f"has {algorithm} {found}, expected {expected}"
    try:
        if check is not None:
            check(path)
    except InputError as error:
        return f"fails its check: {error}"
    return ""


def _continue(url: str, part: Path, size) -> None:
    """One try to complete `part`; raises what urllib does, and ConnectionError if the server stops too early."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # there is nothing beyond: it is complete, or another file, which the check will tell
            return
        raise
    with answer:
        if answer.status != 206:
            start = 0  # a server without ranges begins again
        total = size if answer.length is None else start + answer.length
        if None not in (size, total) and size != total:
            # Before the old part is touched: a log-in page instead of the file must not replace it.
            raise InputError(f"{url}: the file on the server has {total:,} bytes, expected {size:,}. Try later.")
        with open(part, "ab" if start else "wb") as file, bytes_bar(total, part.stem, start) as bar:
            # read1, not read: what arrived before a break is written, not lost with the exception.
            for block in iter(lambda: answer.read1(2**20), b""):
                try:
                    file.write(block)
                    file.flush()
                except OSError as error:  # a full disk
                    raise OSError(error.errno, error.strerror, str(part)) from error
                bar.update(len(block))
            reached = file.tell()
            os.fsync(file.fileno())
    if total is not None and reached < total:
        raise ConnectionError(f"the transfer broke off after {reached:,} of {total:,} bytes")
