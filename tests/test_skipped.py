"""`--limit-skips`, in a small project of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CASES = """
import pytest

def test_passes():
    pass

@pytest.mark.skip(reason="no GPU")
def test_first():
    pass

def test_second():
    pytest.importorskip("no_such_package")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "flags, allowed, status",
    [(["--limit-skips"], 3, 0), (["--limit-skips", "-n", "2"], 2, 1), ([], 0, 0)],
)
def test_more_skipped_tests_than_allowed_fail_and_are_named(flags, allowed, status, tmp_path):
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmax_skipped = {allowed}\n")
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('nor_this')\n")
    line = [sys.executable, "-m", "pytest", "-p", "tests.helpers.skipped", "--rootdir", tmp_path, *flags, tmp_path]
    result = subprocess.run(line, cwd=ROOT, check=False, capture_output=True, encoding="utf-8", timeout=100)
    assert result.returncode == status, result.stdout + result.stderr
    assert "1 passed, 3 skipped" in result.stdout
    named = [name for name in ("test_first: Skipped: no GPU", "test_second", "test_module") if name in result.stdout]
    assert len(named) == (3 if status else 0)
