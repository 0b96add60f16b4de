"""Which device is taken, with stand-ins for Paddle's GPU builds."""

import argparse
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import paddle
import pytest

from common import device
from common.device import choose_device
from common.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def machine(monkeypatch):
    """Sets which build of Paddle is installed and how many GPUs it sees."""

    def set_up(gpu_build, gpus):
        def distribution(name):
            if (name == "paddlepaddle-gpu") == gpu_build:
                return object()
            raise PackageNotFoundError(name)

        def device_count():
            assert gpu_build, "a CPU build is not asked for its GPUs"
            return gpus

        monkeypatch.setattr(device, "distribution", distribution)
        monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: gpu_build)
        monkeypatch.setattr(paddle.device.cuda, "device_count", device_count)

    return set_up


@pytest.mark.parametrize(
    "gpu_build, gpus, expected", [(False, 0, "cpu"), (True, 0, "cpu"), (True, 1, "gpu:0"), (True, 2, "gpu:0")]
)
def test_by_itself_it_is_the_first_gpu_where_there_is_one(machine, gpu_build, gpus, expected):
    machine(gpu_build, gpus)
    assert choose_device() == expected
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize(
    "name, expected", [("gpu", "gpu:0"), ("gpu:0", "gpu:0"), ("gpu:1", "gpu:1"), ("gpu:01", "gpu:1")]
)
def test_by_name(machine, name, expected):
    machine(True, 2)
    assert choose_device(name) == expected


@pytest.mark.parametrize("gpu_build, gpus, name", [(False, 0, "gpu"), (True, 0, "gpu:0"), (True, 2, "gpu:2")])
def test_a_gpu_that_is_not_there_is_refused(machine, gpu_build, gpus, name):
    machine(gpu_build, gpus)
    with pytest.raises(InputError, match=f"--device {name}: .* sees {gpus} GPUs.*--device cpu"):
        choose_device(name)


@pytest.mark.parametrize("name", ["", "tpu", "cpu:0", "gpu:", "gpu:x", "gpu:-1", "GPU", "cuda:0", "gpu:0\n", " cpu"])
def test_what_is_no_device_is_refused_by_name(name):
    with pytest.raises(InputError, match="cpu, gpu or gpu:N") as error:
        choose_device(name)
    assert f"--device {name}:" in str(error.value)


@pytest.mark.parametrize("name", [None, "cpu"])
def test_on_a_cpu_build_paddle_is_not_loaded_to_find_out(name):
    try:
        device.distribution("paddlepaddle-gpu")
    except PackageNotFoundError:
        code = (
            "import sys; from common.device import choose_device; "
            f"print(choose_device({name!r}), 'paddle' in sys.modules)"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
        )
        assert result.stdout == "cpu False\n"
    else:
        pytest.skip("Paddle's GPU build is installed here")


def test_the_flag():
    parser = argparse.ArgumentParser()
    device.add_device_flag(parser)
    assert parser.parse_args([]).device is None
    assert parser.parse_args(["--device", "gpu:1"]).device == "gpu:1"
