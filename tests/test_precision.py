"""Which precision is taken, and why one is refused."""

from pathlib import Path

import pytest

from common import device
from common.errors import InputError
from infer.engines.precision import choose_precision

CPUINFO = "processor\t: 0\nmodel name\t: {name}\nflags\t\t: fpu sse2 avx2 avx512f {flags} arat\nbugs\t\t: spectre_v1\n"


@pytest.fixture
def cpu(monkeypatch):
    """Sets what Linux says of the CPU: its flags, or None for a system without /proc/cpuinfo."""
    read_text = Path.read_text

    def set_flags(flags, name="A CPU"):
        def read(path, *arguments, **settings):
            if str(path) != "/proc/cpuinfo":
                return read_text(path, *arguments, **settings)
            if flags is None:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return CPUINFO.format(name=name, flags=flags) * 2

        monkeypatch.setattr(Path, "read_text", read)
        device.cpu_bf16.cache_clear()

    yield set_flags
    device.cpu_bf16.cache_clear()


WITH = ["amx_bf16", "avx512_bf16", "avx512_bf16 amx_tile amx_bf16"]
WITHOUT = ["", "avx512bw avx512_vnni", "amx_tile amx_int8", "avx512_bf16x xamx_bf16", None]


@pytest.mark.parametrize("flags", WITH)
@pytest.mark.parametrize("engine", ["openvino", "paddle"])
def test_where_the_cpu_has_bf16_auto_takes_it(cpu, flags, engine):
    cpu(flags)
    assert device.cpu_bf16() in flags.split()
    assert choose_precision("auto", engine, "cpu") == "bf16"
    assert choose_precision("bf16", engine, "cpu") == "bf16"


@pytest.mark.parametrize("flags", WITHOUT)
@pytest.mark.parametrize("engine", ["openvino", "paddle"])
def test_where_it_has_not_auto_is_fp32_and_bf16_is_refused_with_the_reason(cpu, flags, engine):
    cpu(flags)
    assert device.cpu_bf16() == ""
    assert choose_precision("auto", engine, "cpu") == "fp32"
    with pytest.raises(InputError, match="--precision bf16: .*neither amx_bf16 nor avx512_bf16.*fp32"):
        choose_precision("bf16", engine, "cpu")


def test_the_name_of_the_cpu_is_not_its_flags(cpu):
    cpu("avx512_vnni", name="no-avx512_bf16 (amx_bf16)")
    assert device.cpu_bf16() == ""


def test_this_machines_flags_are_found():
    """Against another reading of the same file."""
    device.cpu_bf16.cache_clear()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        pytest.skip("no /proc/cpuinfo on this machine")
    flags = {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}
    assert bool(device.cpu_bf16()) == bool(flags & {"amx_bf16", "avx512_bf16"})


def test_the_eager_engine_has_no_bf16_on_a_cpu(cpu):
    cpu(WITH[-1])
    assert choose_precision("auto", "eager", "cpu") == "fp32"
    with pytest.raises(InputError, match="--precision bf16: the eager engine"):
        choose_precision("bf16", "eager", "cpu")


@pytest.mark.parametrize("engine", ["openvino", "paddle", "eager"])
def test_fp16_on_a_cpu_is_refused(cpu, engine):
    cpu(WITH[-1])
    with pytest.raises(InputError, match="--precision fp16 is for GPUs"):
        choose_precision("fp16", engine, "cpu")


@pytest.mark.parametrize("name", ["int8", "FP32", "", "float32"])
@pytest.mark.parametrize("device", ["cpu", "gpu:0"])
def test_what_is_no_precision_is_refused_by_name(cpu, name, device):
    cpu(WITH[-1])
    with pytest.raises(InputError, match=f"--precision {name}: must be auto, fp32, bf16 or fp16"):
        choose_precision(name, "paddle", device)


@pytest.mark.parametrize("device", ["cpu", "gpu:0"])
@pytest.mark.parametrize("engine", ["openvino", "paddle", "eager"])
def test_fp32_is_always_there(cpu, engine, device):
    cpu(None)
    assert choose_precision("fp32", engine, device) == "fp32"


@pytest.mark.parametrize("capability, bf16", [((8, 0), True), ((9, 0), True), ((12, 0), True), ((7, 5), False)])
def test_on_a_gpu_bf16_goes_by_its_capability(cpu, monkeypatch, capability, bf16):
    import paddle

    asked = []
    monkeypatch.setattr(
        paddle.device.cuda, "get_device_capability", lambda device: asked.append(device) or capability, raising=False
    )
    cpu(None)
    assert choose_precision("auto", "paddle", "gpu:1") == "fp32"
    assert choose_precision("fp16", "paddle", "gpu:1") == "fp16"
    if bf16:
        assert choose_precision("bf16", "paddle", "gpu:1") == "bf16"
    else:
        with pytest.raises(InputError, match=r"--precision bf16: .*8\.0.*gpu:1 has 7\.5"):
            choose_precision("bf16", "paddle", "gpu:1")
    assert asked == ["gpu:1"]
