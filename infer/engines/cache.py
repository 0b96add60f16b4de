"""A cache of exported programs in one of the user's folders, so that only the first use of weights exports them."""

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from common.files import temporary_folder

KEPT = 16  # programs of 6 MB each; the least recently used ones are removed
CONTENTS = "contents.json"


def folder() -> Path:
    """The folder of the cache: `srgan-paddle` in $XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "srgan-paddle"


class NotWrittenError(Exception):
    """A program was written incompletely, because of a full disk or a limit on file sizes."""


def entry(key: str, build) -> tuple:
    """The folder of the program `key` and its facts; the program is built if it is missing or damaged.

    build: called with an empty folder; writes the program's files and returns its facts, a JSON-serializable dict.
    Two processes may do this at once: each builds in a separate folder, which is then renamed to its place. A program
    that cannot be stored there, for whatever reason, is built in the system's temporary folder for this process only.
    Raises NotWrittenError or OSError if there is no room there either.
    """
    place = folder() / key
    facts = _whole(place)
    if facts is not None:
        with contextlib.suppress(OSError):  # another user's folder, or a read-only file system
            os.utime(place)
        return place, facts
    try:
        facts = _kept(place, build)
        _remove_old()
        return place, facts
    except (OSError, NotWrittenError) as error:
        reason = getattr(error, "strerror", None) or error
        print(f"{folder()} cannot be written ({reason}): programs are exported anew each time", file=sys.stderr)
    temporary = temporary_folder("srgan-paddle-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary, build(temporary)


def _kept(place: Path, build) -> dict:
    """Build the program and store it at `place`; return its facts."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=place.parent))
    try:
        built = temporary / place.name
        built.mkdir()
        facts = build(built)
        files = {path.name: _digest(path) for path in built.iterdir()}
        contents = json.dumps({"facts": facts, "sha256": files})
        (built / CONTENTS).write_text(json.dumps([contents, hashlib.sha256(contents.encode()).hexdigest()]))
        for path in built.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        _replace(built, place, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return facts


def _replace(built: Path, place: Path, temporary: Path) -> None:
    """Rename `built` to `place`, moving a damaged one to `temporary`, unless another process has stored one there."""
    for attempt in range(10):
        with contextlib.suppress(OSError):  # there is one already: complete, or damaged and in the way
            built.rename(place)
            return
        if _whole(place) is not None:
            return
        with contextlib.suppress(FileNotFoundError):
            place.rename(temporary / f"damaged-{attempt}")
    raise OSError(f"{place} cannot be replaced; remove it")


def _whole(place: Path):
    """The facts of a program whose files are all complete and unchanged, or None."""
    try:
        text, digest = json.loads((place / CONTENTS).read_text())
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            return None
        contents = json.loads(text)
        if all(_digest(place / name) == digest for name, digest in contents["sha256"].items()):
            return contents["facts"]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        pass
    return None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _remove_old() -> None:
    """Remove all but the most recently used programs, and leftovers of builds killed a day ago or more."""
    with contextlib.suppress(OSError):  # another process may be removing them too
        used = {path: path.stat().st_mtime for path in folder().iterdir()}
        programs = [path for path in used if not path.name.startswith(".")]
        left = [path for path in used if path.name.startswith(".building-") and used[path] < time.time() - 86400]
        for path in sorted(programs, key=used.get)[:-KEPT] + left:
            shutil.rmtree(path, ignore_errors=True)
