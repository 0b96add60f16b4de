"""benchmarks/upscale.py: it runs as a whole, and what it compares is the same network. No time is asserted."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import upscale
from common.errors import InputError


@pytest.mark.slow
def test_every_way_has_a_row_or_a_reason(g_models, capsys):
    upscale.main(upscale.parser().parse_args(["--weights", str(g_models), "--crop", "16", "--repeats", "1"]))
    printed = capsys.readouterr().out
    rows = [tuple(line.strip("| ").split(" | ")[:2]) for line in printed.splitlines() if line.startswith("|")]
    for way in upscale.all_ways():
        assert (way in rows) != (f"- Not run: {' '.join(way)}. " in printed)
    assert ("openvino", "fp32") in rows and ("eager", "fp32") in rows
    assert "### The whole command, openvino" in printed


def test_a_network_that_computes_something_else_is_not_timed():
    def worker(level):
        return SimpleNamespace(result=lambda array: np.full((4, 4, 3), level, "uint8"))

    ways = {upscale.REFERENCE: 9, (upscale.PYTORCH, "fp32"): 10, ("openvino", "bf16"): 5}
    running = {way: worker(level) for way, level in ways.items()}
    assert upscale.differences(running, np.zeros((1, 1, 3), "uint8"))["openvino", "bf16"] == (4, 4)
    running[upscale.PYTORCH, "fp32"] = worker(11)
    with pytest.raises(InputError, match="PyTorch differs from eager by 2"):
        upscale.differences(running, np.zeros((1, 1, 3), "uint8"))
