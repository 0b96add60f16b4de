"""Which device is taken, with stand-ins for Paddle's GPU builds."""

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


@pytest.mark.parametrize("name, expected", [("gpu", "gpu:0"), ("gpu:1", "gpu:1")])
def test_by_name(machine, name, expected):
    machine(True, 2)
    assert choose_device(name) == expected


@pytest.mark.parametrize("gpu_build, gpus, name", [(False, 0, "gpu"), (True, 0, "gpu:0"), (True, 2, "gpu:2")])
def test_a_gpu_that_is_not_there_is_refused(machine, gpu_build, gpus, name):
    machine(gpu_build, gpus)
    with pytest.raises(InputError, match=f"--device {name}: .* sees {gpus} GPUs.*--device cpu"):
        choose_device(name)


@pytest.mark.parametrize("name", ["", "tpu", "cpu:0", "gpu:x", "gpu:-1"])
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


@pytest.mark.parametrize(
    "files, unlimited",
    [
        (
            {
                "cpu.max": "150000 100000",
                "memory.max": "3000",
                "memory.current": "1000",
                "memory.stat": "inactive_file 400",
            },
            {"cpu.max": "max 100000", "memory.max": "max"},
        ),
        (
            {
                "cpu/cpu.cfs_quota_us": "150000",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": "3000",
                "memory/memory.usage_in_bytes": "1000",
                "memory/memory.stat": "total_inactive_file 400",
            },
            {"cpu/cpu.cfs_quota_us": "-1", "memory/memory.limit_in_bytes": str(2**63 - 4096)},
        ),
    ],
)
def test_a_container_s_limits_count(tmp_path, monkeypatch, files, unlimited):
    monkeypatch.setattr(device, "GROUP", tmp_path)
    monkeypatch.setattr(device.os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert device.cores() == 8 and device.available_memory() > 10_000
    for expected, texts in (((2, 2400), files), ((8, None), unlimited)):
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        assert device.cores() == expected[0]
        assert device.available_memory() == expected[1] if expected[1] else device.available_memory() > 10_000


def test_without_libgl_a_command_says_what_to_install(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    code = "import sys; sys.path[:0] = sys.argv[1:]; import common"
    line = [sys.executable, "-c", code, str(tmp_path), str(ROOT)]
    done = subprocess.run(line, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "libGL.so.1" in done.stderr and "opencv-python-headless" in done.stderr
