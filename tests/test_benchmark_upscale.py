"""benchmarks/upscale.py: it runs as a whole, and what it compares is the same network. No time is asserted."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import upscale
from common.errors import InputError
from infer.engines import ENGINES, module

ROOT = Path(__file__).resolve().parents[1]


def rows(text):
    """{(engine, precision): cells} of the first table."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {(line[0], line[1]): line[2:] for line in lines if line[1] in ("fp32", "bf16")}


@pytest.mark.slow
def test_every_engine_has_a_row_and_pytorch_computes_the_same(g_models, tmp_path):
    call = [sys.executable, "benchmarks/upscale.py", "--weights", g_models, "--crop", "16", "--repeats", "1"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found = rows(ended.stdout)
    for engine in ENGINES:
        assert ((engine, "fp32") in found) == (not module(engine).missing("cpu"))
        for precision in ("fp32", "bf16"):
            assert ((engine, precision) in found) != (f"- Not run: {engine} {precision}. " in ended.stdout)
    if find_spec("torch"):
        assert float(found["pytorch", "fp32"][-1]) <= 1e-3
        assert float(found["pytorch", "fp32"][4]) == 1
    else:
        assert "Not run: pytorch fp32. PyTorch is not installed: pip install -r" in ended.stdout
    for section in ("### The network", "### The whole command", "### Time and pixels", "### Windows and batches"):
        assert section in ended.stdout
    assert any(tmp_path.rglob("contents.json"))  # the command that was timed kept its program


class Computed:
    """Stands in for a worker: its result is always the same."""

    def __init__(self, value):
        self.value = value

    def result(self, array):
        return np.full((1, 3, 4, 4), self.value, "float32")


def test_a_network_that_computes_something_else_is_not_timed():
    lr = np.zeros((1, 3, 1, 1), "float32")
    running = {("eager", "fp32"): Computed(0), ("pytorch", "fp32"): Computed(5e-4), ("pytorch", "bf16"): Computed(0.01)}
    assert upscale.differences(running, lr)["pytorch", "bf16"] == pytest.approx(0.01)
    running["pytorch", "fp32"] = Computed(2e-3)
    with pytest.raises(InputError, match="pytorch differs from eager by 0.002"):
        upscale.differences(running, lr)
    running["pytorch", "fp32"] = Computed(float("nan"))
    with pytest.raises(InputError):
        upscale.differences(running, lr)


def test_a_picture_for_which_the_memory_is_too_small_is_refused_with_a_crop_that_fits():
    rgb = np.broadcast_to(np.uint8(0), (50_000, 40_000, 3))
    with pytest.raises(InputError, match=r"40000x50000 pixels: .* --crop \d+ fits"):
        upscale.check_memory([("eager", "fp32")], rgb)
