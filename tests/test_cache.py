"""The cache of exported programs: built once, whole or not at all, whatever happens to it."""

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from infer.engines import cache
from tests.helpers.programs import ended_process

ROOT = Path(__file__).resolve().parents[1]
FACTS = {"reach": 36, "text": "é"}
FILES = {"program.bin": bytes(range(256)) * 40, "weights.bin": b"weights", "empty.bin": b""}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "srgan-paddle"


class Builder:
    """Writes FILES, and counts how often it is asked to."""

    def __init__(self):
        self.calls = 0

    def __call__(self, folder):
        self.calls += 1
        assert not list(Path(folder).iterdir())
        for name, content in FILES.items():
            (Path(folder) / name).write_bytes(content)
        return FACTS


def is_whole(folder, facts):
    found = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != cache.CONTENTS}
    return found == FILES and facts == FACTS


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------------------- once


def test_it_is_in_xdg_cache_home_and_else_in_the_users_folder(tmp_path, monkeypatch):
    assert cache.folder() == tmp_path / "cache" / "srgan-paddle"
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for unset in (lambda: monkeypatch.setenv("XDG_CACHE_HOME", ""), lambda: monkeypatch.delenv("XDG_CACHE_HOME")):
        unset()
        assert cache.folder() == tmp_path / "me" / ".cache" / "srgan-paddle"


def test_built_once_and_found_after(home):
    build = Builder()
    first = cache.entry("a", build)
    assert first[0] == home / "a" and is_whole(*first)
    assert cache.entry("a", build) == first
    assert build.calls == 1
    assert names(home) == ["a"]


def test_each_key_has_its_own(home):
    build = Builder()
    assert cache.entry("a", build)[0] != cache.entry("b", build)[0]
    assert build.calls == 2 and names(home) == ["a", "b"]


def test_a_build_that_fails_leaves_nothing(home):
    def fails(folder):
        (folder / "half.bin").write_bytes(b"half")
        raise KeyError("reason")

    with pytest.raises(KeyError, match="reason"):
        cache.entry("a", fails)
    assert names(home) == []
    assert is_whole(*cache.entry("a", Builder()))


# ----------------------------------------------------------------------------------------------------------- damage


def cut(place):
    path = place / "program.bin"
    path.write_bytes(path.read_bytes()[:-1])


def flip(place):
    content = bytearray((place / "program.bin").read_bytes())
    content[5000] ^= 1
    (place / "program.bin").write_bytes(content)


def lengthen(place):
    (place / "empty.bin").write_bytes(b"\0")


def remove(name):
    return lambda place: (place / name).unlink()


def put_folder(place):
    (place / "weights.bin").unlink()
    (place / "weights.bin").mkdir()


def put_file(place):
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    place.write_bytes(b"a file where the folder was")


def empty(place):
    for path in place.iterdir():
        path.unlink()


def contents(content):
    return lambda place: (place / cache.CONTENTS).write_bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [cut, flip, lengthen, put_folder, put_file, empty]
    + [remove("program.bin"), remove("empty.bin"), remove(cache.CONTENTS)]
    + [
        pytest.param(contents(content), id=repr(content))
        for content in (b"", b"garbage", b"{", b"\xff\xfe", b"\0", b"[]", b"null", b"3", b'"text"', b"{}")
        + (b'{"facts": {}}', b'{"sha256": {}, "facts": ', b'{"sha256": 3, "facts": {}}')
        + (b'{"sha256": [], "facts": {}}', b'{"sha256": ["weights.bin"], "facts": {}}')
    ],
)
def test_what_is_damaged_is_built_anew(home, damage):
    build = Builder()
    place, _ = cache.entry("a", build)
    damage(place)
    assert is_whole(*cache.entry("a", build))
    assert build.calls == 2
    assert is_whole(*cache.entry("a", build))
    assert build.calls == 2, "and it is whole again"
    assert names(home) == ["a"]


@pytest.mark.slow
def test_damage_to_the_list_of_contents_never_gives_other_facts(monkeypatch):
    """A wrong reach would put seams into every picture, silently."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # some hundred builds
    facts = {"reach": 36}

    def build(folder):
        (folder / "program.bin").write_bytes(b"program")
        return facts

    place, _ = cache.entry("a", build)
    written = (place / cache.CONTENTS).read_bytes()
    for i in range(len(written)):
        damaged = bytearray(written)
        damaged[i] ^= 1
        (place / cache.CONTENTS).write_bytes(damaged)
        assert cache.entry("a", build) == (place, facts), damaged
        (place / cache.CONTENTS).write_bytes(written)


# ------------------------------------------------------------------------------------------------ several processes

# Imports, says so, waits to be let go with the others; then asks for every key, and checks that what it gets is whole
# and all of one builder. Prints how often it built.
WORKER = """
import os, sys, time
from pathlib import Path
from infer.engines import cache

def build(folder):
    global built
    built += 1
    for name in ("x", "y", "z"):
        (folder / name).write_text(str(os.getpid()) * 1000)
        time.sleep(0.002)
    return {"reach": 36}

built = 0
signals, keys = Path(sys.argv[1]), sys.argv[2:]
(signals / str(os.getpid())).touch()
while not (signals / "go").exists():
    time.sleep(0.001)
for key in keys:
    place, facts = cache.entry(key, build)
    x, y, z = ((place / name).read_text() for name in ("x", "y", "z"))
    assert x == y == z and len(x) >= 1000 and facts == {"reach": 36}, key
print(built)
"""


def at_once(count, keys, tmp_path):
    signals = tmp_path / "signals"
    signals.mkdir()
    line = [sys.executable, "-c", WORKER, str(signals), *keys]
    processes = [
        subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        for _ in range(count)
    ]
    while len(list(signals.iterdir())) < count and all(process.poll() is None for process in processes):
        time.sleep(0.01)
    (signals / "go").touch()
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * count, [errors for _, errors in said]
    assert [errors for _, errors in said] == [""] * count
    return [int(output) for output, _ in said]


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 6])
def test_processes_that_start_at_once_all_get_a_whole_program(count, home, tmp_path):
    keys = [f"key{i}" for i in range(8)]
    built = at_once(count, keys, tmp_path)
    assert sum(built) >= len(keys)
    assert names(home) == keys, "nothing is left over"
    for key in keys:
        assert names(home / key) == sorted([cache.CONTENTS, "x", "y", "z"])


@pytest.mark.slow
def test_processes_that_find_it_damaged_at_once_all_get_a_whole_program(home, tmp_path):
    keys = [f"key{i}" for i in range(8)]
    for key in keys:
        flip(cache.entry(key, Builder())[0])
    at_once(4, keys, tmp_path)
    assert names(home) == keys


def test_what_another_process_has_put_there_meanwhile_is_used_and_never_moved_away(home):
    """It may be reading it. Here the other process finishes while this one builds."""
    inside, others = Builder(), Builder()

    def build(folder):
        facts = inside(folder)
        cache.entry("a", others)
        identity.append((home / "a").stat().st_ino)
        return facts

    identity = []
    assert is_whole(*cache.entry("a", build))
    assert (inside.calls, others.calls) == (1, 1)
    assert (home / "a").stat().st_ino == identity[0]
    assert names(home) == ["a"]


def test_it_is_not_moved_away_at_whatever_moment_it_came(home, monkeypatch):
    """The other process does its part before or after each look and each rename of this one, one moment a round."""
    look, rename = cache._whole, Path.rename

    def round_with_the_other_at(moment):
        """The other's folder, or None if this process has fewer moments."""
        moments, identity = itertools.count(), []

        def here():
            if next(moments) == moment:
                monkeypatch.setattr(cache, "_whole", look)
                monkeypatch.setattr(Path, "rename", rename)
                assert is_whole(*cache.entry("a", Builder()))
                identity.append((home / "a").stat().st_ino)

        def watched(function):
            def call(*arguments):
                here()
                try:
                    return function(*arguments)
                finally:
                    here()

            return call

        monkeypatch.setattr(cache, "_whole", watched(look))
        monkeypatch.setattr(Path, "rename", watched(rename))
        assert is_whole(*cache.entry("a", Builder()))
        assert names(home) == ["a"]
        if identity:
            assert (home / "a").stat().st_ino == identity[0], moment
        return identity

    rounds = 0
    while round_with_the_other_at(rounds):
        shutil.rmtree(home)
        rounds += 1
    assert rounds >= 4, "at least one look and one rename"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_builder_that_is_killed_leaves_the_next_one_working(home):
    code = """
import os, signal
from infer.engines import cache

def build(folder):
    (folder / "program.bin").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

cache.entry("a", build)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert result.returncode == -signal.SIGKILL
    left = names(home)
    assert left and "a" not in left, "what it left is not taken for the program"
    assert is_whole(*cache.entry("a", Builder()))
    assert names(home) == sorted([*left, "a"]), "it may be a builder's that still works"
    two_days_ago = time.time() - 2 * 86400
    os.utime(home / left[0], (two_days_ago, two_days_ago))
    cache.entry("b", Builder())
    assert names(home) == ["a", "b"]


# ------------------------------------------------------------------------------------------------ nowhere to keep it

UNKEPT = """
import os
from infer.engines import cache

def build(folder):
    (folder / "program.bin").write_bytes(b"program")
    return {"reach": 36}

for key in "ab":
    place, facts = cache.entry(key, build)
    assert facts == {"reach": 36} and (place / "program.bin").read_bytes() == b"program"
    print(place)
"""


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "file/below", "/proc/none"])
def test_a_cache_that_cannot_be_made_is_said_and_does_without(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / place), "TMPDIR": str(tmp_path / "tmp")}
    line = [sys.executable, "-c", UNKEPT]
    result = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert str(tmp_path / place / "srgan-paddle") in result.stderr and "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    places = result.stdout.split()
    assert len(set(places)) == 2 and all(place.startswith(str(tmp_path / "tmp")) for place in places)
    assert names(tmp_path / "tmp") == [], "nothing is left when the process has ended"
    assert (tmp_path / "file").read_text() == "mine"


def test_without_a_cache_what_a_killed_process_left_is_removed(tmp_path, monkeypatch):
    (tmp_path / "tmp" / f"srgan-paddle-{ended_process()}-abcdefgh").mkdir(parents=True)
    (tmp_path / "cache").write_text("mine")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    place, _ = cache.entry("a", Builder())
    assert names(tmp_path / "tmp") == [place.name]


def test_a_cache_that_can_only_be_read_is_used(home, monkeypatch):
    """Another user's, or one on a file system mounted read-only, as in a container's image."""
    first = cache.entry("a", Builder())

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(Path, "touch", refuse)
    build = Builder()
    assert cache.entry("a", build) == first and build.calls == 0


def test_a_cache_home_with_dots_in_its_name_keeps_programs(tmp_path, monkeypatch, capsys):
    (tmp_path / "b").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/b/../c")
    build = Builder()
    cache.entry("a", build)
    assert is_whole(*cache.entry("a", build)) and build.calls == 1
    assert names(tmp_path / "c" / "srgan-paddle") == ["a"]
    assert capsys.readouterr().err == ""


# -------------------------------------------------------------------------------------------------------------- old


def test_the_programs_used_last_are_kept(home):
    keys = [f"key{i:02}" for i in range(cache.KEPT)]
    for i, key in enumerate(keys):
        place, _ = cache.entry(key, Builder())
        os.utime(place, (i * 1000, i * 1000))
    assert names(home) == keys
    unused = Builder()
    cache.entry("key00", unused)  # the oldest, used once more
    assert unused.calls == 0
    cache.entry("new", Builder())
    assert names(home) == sorted(set(keys) - {"key01"} | {"new"})
    cache.entry("newer", Builder())
    assert names(home) == sorted(set(keys) - {"key01", "key02"} | {"new", "newer"})


def test_facts_are_whatever_json_holds(home):
    facts = {"reach": 36, "list": [1, 2.5, None], "text": "é\n"}
    cache.entry("a", lambda folder: facts)
    assert cache.entry("a", Builder())[1] == facts
    assert json.loads((home / "a" / cache.CONTENTS).read_text(encoding="utf-8"))
