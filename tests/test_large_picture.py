"""`benchmarks/large_picture.py`, with a picture that is not large."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import large_picture

ROOT = Path(__file__).resolve().parents[1]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


@pytest.mark.slow
@linux
def test_it_prints_a_line_for_each_format(weights_file):
    call = [sys.executable, ROOT / "benchmarks" / "large_picture.py", "--weights", weights_file]
    result = subprocess.run(
        [*call, "--width", "24", "--height", "16"], capture_output=True, encoding="utf-8", check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert len(re.findall(r"^24×16 \.(?:png|jpg): \d+\.\d s, peak memory \d\d+ MB$", result.stdout, re.MULTILINE)) == 2
    assert re.search(r"an LR pixel: \d+\.\d\d µs, \d+\.\d{3} times one of 480×320 \(\d+\.\d\d µs\)$", result.stdout)


def test_what_a_pixel_costs_is_the_time_by_the_pixels(monkeypatch):
    """On a clock that goes on by 9 for a pixel of the large picture, and by 2, once by 3, for one of the small."""
    now, each = [0], iter((5, 2, 2, 3, 9, 2, 2, 2))  # the first to warm up

    def upscale(rgb):
        now[0] += next(each) * rgb.shape[0] * rgb.shape[1]

    monkeypatch.setattr(large_picture.time, "perf_counter", lambda: now[0])
    assert large_picture.pixel_costs(upscale, np.zeros((10, 20, 3)), np.zeros((3, 4, 3))) == (9, 2)


@linux
def test_the_peak_is_that_of_the_command():
    code = "import time; block = bytearray(200 * 2**20); del block; time.sleep(0.3)"
    _, peak = large_picture.run_watched([sys.executable, "-c", code])
    assert 200 < peak < 260
