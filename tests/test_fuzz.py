"""`benchmarks/fuzz.py`, with a few cases: what it counts, and that it does find what is wrong."""

import pickle
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("resource")

from benchmarks import fuzz
from common.errors import InputError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_it_prints_a_line_for_each_kind(tmp_path):
    line = [
        sys.executable,
        "-W",
        "ignore",
        ROOT / "benchmarks" / "fuzz.py",
        "--cases",
        "200",
        "--keep",
        tmp_path / "kept",
    ]
    result = subprocess.run(line, capture_output=True, encoding="utf-8", check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    found = re.findall(
        r"^(\w+): 200 cases, (\d+) read, (\d+) refused, 0 tracebacks, 0 too large, 0 too slow; "
        r"at most \d+\.\d MB and \d+\.\d\d s",
        result.stdout,
        re.MULTILINE,
    )
    assert [kind for kind, _, _ in found] == ["weights", "checkpoints", "pictures"]
    assert all(int(read) > 5 and int(refused) > 50 and int(read) + int(refused) == 200 for _, read, refused in found)
    assert not (tmp_path / "kept").exists()


def test_cases_are_the_same_for_the_same_seed():
    for make, _ in fuzz.KINDS.values():
        first, again, other = (make(random.Random(text)) for text in ("1", "1", "2"))
        assert first == again != other


def test_python_s_own_unpickler_would_be_found_wanting(tmp_path, monkeypatch):
    def read(path):
        if b"system" not in path.read_bytes():  # it would run
            pickle.loads(path.read_bytes(), encoding="latin1")

    monkeypatch.setitem(
        fuzz.KINDS, "weights", (lambda luck: b"\x80\x04" + luck.choice([b"}", b"K", b"R", b"N"]) + b".", read)
    )
    found = fuzz.fuzz("weights", 40, 0, tmp_path)
    assert found["tracebacks"] > 5 and found["read"] > 5 and found["tracebacks"] + found["read"] == 40
    assert len(list(tmp_path.iterdir())) == found["tracebacks"]


@pytest.mark.parametrize(
    "read, counted",
    [
        (lambda path: bytearray(200 * 2**20).count(1), "too large"),
        (lambda path: time.sleep(0.02), "too slow"),
        (lambda path: fuzz.read_checkpoint(path) or {}["other"], "tracebacks"),
    ],
)
def test_each_limit_counts(tmp_path, monkeypatch, read, counted):
    if counted == "too large":
        # What this process has had before is no growth of its peak.
        peaks = iter([0, 200 * 2**20])
        monkeypatch.setattr(fuzz, "peak_memory", lambda: next(peaks))
    if counted == "too slow":
        monkeypatch.setattr(fuzz, "SECONDS", 0.01)
    monkeypatch.setitem(fuzz.KINDS, "checkpoints", (lambda luck: fuzz.whole_checkpoints()[0], read))
    found = fuzz.fuzz("checkpoints", 1, 0, tmp_path)
    assert found[counted] == 1 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
def test_a_process_that_dies_is_said(monkeypatch):
    with pytest.raises(InputError, match="the process ended with 1"):
        fuzz.fuzz_in_process("no such kind", 1, 0, Path("x"))
