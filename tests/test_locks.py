"""A folder's lock, as another process and another file description see it."""

import subprocess
import sys
from pathlib import Path

import pytest

from common import locks
from common.locks import folder_lock

ROOT = Path(__file__).resolve().parents[1]
HOLDER = """
import sys; sys.path.insert(0, sys.argv[1])
from common.locks import folder_lock
with folder_lock(sys.argv[2]) as lock:
    print(getattr(lock, sys.argv[3])(), flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the locks are POSIX's")
@pytest.mark.parametrize("kind", ["exclusive", "shared"])
def test_it_is_held_until_its_process_ends(kind, tmp_path):
    line = [sys.executable, "-c", HOLDER, str(ROOT), str(tmp_path), kind]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with folder_lock(tmp_path) as lock:
            assert lock.exclusive() is False
            if kind == "shared":
                lock.shared()
        process.kill()
        process.wait()
        with folder_lock(tmp_path) as lock:
            assert lock.exclusive() is True
            lock.shared()
            with folder_lock(tmp_path) as other:
                assert other.exclusive() is False
                other.shared()


def test_where_there_are_no_locks_nothing_is_known(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    with folder_lock(tmp_path) as first, folder_lock(tmp_path) as second:
        assert first.exclusive() is None and second.exclusive() is None
        first.shared()
