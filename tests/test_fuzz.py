"""`benchmarks/fuzz.py`, with a few cases: what it counts, and that it does find what is wrong."""

import pickle
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

if not Path("/proc/self/clear_refs").exists():
    pytest.skip("what a case takes is measured by Linux", allow_module_level=True)

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
    assert [kind for kind, _, _ in found] == ["weights", "checkpoints", "lpips", "tars", "zips", "pictures"]
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
        (lambda path: sum(range(10**6)), "too slow"),
        (lambda path: fuzz.read_checkpoint(path) or {}["other"], "tracebacks"),
    ],
)
def test_each_limit_counts(tmp_path, monkeypatch, read, counted):
    if counted == "too slow":
        monkeypatch.setattr(fuzz, "SECONDS", 0)
    monkeypatch.setitem(fuzz.KINDS, "checkpoints", (lambda luck: fuzz.whole_checkpoints()[0], read))
    found = fuzz.fuzz("checkpoints", 1, 0, tmp_path)
    assert found[counted] == 1 and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("counted", ["tracebacks", "too large", "too slow"])
def test_the_command_fails_for_each(tmp_path, monkeypatch, counted):
    none = {"read": 1, "refused": 0, "tracebacks": 0, "too large": 0, "too slow": 0, "peak": 0, "seconds": 0.0}
    arguments = fuzz.parser().parse_args(["--keep", str(tmp_path)])
    monkeypatch.setattr(fuzz, "fuzz_in_process", lambda *given: none)
    fuzz.main(arguments)
    monkeypatch.setattr(fuzz, "fuzz_in_process", lambda *given: {**none, counted: 1})
    with pytest.raises(InputError, match=f"{len(fuzz.KINDS)} cases failed"):
        fuzz.main(arguments)


def test_a_case_that_hangs_ends_the_process_and_the_command(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from benchmarks import fuzz; fuzz.HANGS = 0.2\n"
        "fuzz.KINDS['weights'] = (lambda luck: b'', lambda path: time.sleep(60))\n"
        "fuzz.fuzz('weights', 1, 0, Path('kept'))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert ended.returncode == -signal.SIGALRM


def test_the_gate_reads_2_000_cases_of_each_kind_always_the_same():
    (line,) = re.findall(r"benchmarks/fuzz\.py(.*)", (ROOT / ".ci" / "run").read_text())
    arguments = fuzz.parser().parse_args(line.split())
    assert (arguments.cases, arguments.seed, arguments.kinds) == (2000, 0, list(fuzz.KINDS))


@pytest.mark.slow
def test_a_process_that_dies_is_said(monkeypatch):
    with pytest.raises(InputError, match="the process ended with 1"):
        fuzz.fuzz_in_process("no such kind", 1, 0, Path("x"))
