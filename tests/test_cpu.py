"""What `train/run/cpu.py` sets is the whole process's, and stays: its tests run in a process of their own.

Beside OpenVINO and Paddle Inference, which other tests use, training with oneDNN's programs has ended Python with a
segmentation fault. No command has both.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


def test_training_on_a_cpu_computes_what_it_should():
    line = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/helpers/cpu_cases.py"]
    result = subprocess.run(line, cwd=ROOT, check=False, capture_output=True, encoding="utf-8", timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout
