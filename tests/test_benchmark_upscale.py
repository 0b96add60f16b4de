"""benchmarks/upscale.py: it runs as a whole, and what it compares is the same network. No time is asserted."""

from importlib.util import find_spec

import numpy as np
import pytest

from benchmarks import upscale
from common.errors import InputError


@pytest.mark.slow
def test_every_way_has_a_row_or_a_reason(g_models, capsys):
    upscale.main(upscale.parser().parse_args(["--weights", str(g_models), "--crop", "16", "--repeats", "1"]))
    printed = capsys.readouterr().out
    lines = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("|")]
    rows = {(line[0], line[1]): line[2:] for line in lines}
    for way in upscale.all_ways():
        assert (way in rows) != (f"- Not run: {' '.join(way)}. " in printed)
    assert ("openvino", "fp32") in rows and ("eager", "fp32") in rows
    assert ((upscale.PYTORCH, "fp32") in rows) == bool(find_spec("torch"))
    assert "### The whole command, openvino" in printed


class Computed:
    """Stands in for a worker: its result is always the same."""

    def __init__(self, value):
        self.value = value

    def result(self, array):
        return np.full((4, 4, 3), self.value, "uint8")


def test_a_network_that_computes_something_else_is_not_timed():
    rgb = np.zeros((1, 1, 3), "uint8")
    running = {
        upscale.REFERENCE: Computed(9),
        (upscale.PYTORCH, "fp32"): Computed(10),
        ("openvino", "bf16"): Computed(5),
    }
    assert upscale.differences(running, rgb)["openvino", "bf16"] == (4, 4)
    running[upscale.PYTORCH, "fp32"] = Computed(11)
    with pytest.raises(InputError, match="PyTorch differs from eager by 2"):
        upscale.differences(running, rgb)
