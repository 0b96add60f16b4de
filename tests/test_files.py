import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import InputError
from common.files import check_name, remove_leftovers, replacing

ROOT = Path(__file__).resolve().parents[1]
FULL_DISK = """
import resource, sys
from common.files import replacing
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with replacing(sys.argv[1]) as temporary:
        temporary.write_bytes(bytes(100_000))
except OSError as error:
    print(type(error).__name__, error.filename, error)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(str(path)) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_syncs_to_the_disk_before_it_renames(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: calls.append("fsync") or fsync(file))
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("replace") or replace(*paths))
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert calls == ["fsync", "replace"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path, error):
    (tmp_path / "old.txt").write_text("old")
    for name in ("old.txt", "new.txt"):
        with pytest.raises(error, match="mine"), replacing(tmp_path / name) as temporary:
            temporary.write_text("half")
            raise error("mine")
    assert names(tmp_path) == ["old.txt"]
    assert (tmp_path / "old.txt").read_text() == "old"


def test_an_oserror_names_the_file_and_keeps_its_number(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError) as error, replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "the disk is full", str(temporary))
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert error.value.strerror == "cannot be written (the disk is full); any previous file is kept"
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"OSError {path} [Errno {errno.EFBIG}] cannot be written")
    assert names(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"old"


def test_what_killed_processes_left_is_removed_after_an_hour_and_nothing_else(tmp_path):
    (tmp_path / ".hidden").write_text("mine")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        remove_leftovers(tmp_path)
        left = temporary.with_name(temporary.name + ".txt")
        left.write_text("half")
        os.utime(left, (1e9, 1e9))
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted([".hidden", temporary.name])
    assert names(tmp_path) == [".hidden", "a.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InputError, match="pipe is a device or a pipe"):
        check_name(path)
    with pytest.raises(InputError, match="pipe is a device or a pipe"), replacing(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.is_fifo() and names(tmp_path) == ["pipe"]


def test_a_name_that_is_too_long_is_said_before_it_is_written_to(tmp_path):
    with pytest.raises(InputError, match="its name of 264 bytes is too long; shorten it"):
        check_name(tmp_path / ("ü" * 130 + ".png"))
    check_name(tmp_path / ("ü" * 100 + ".png"))
