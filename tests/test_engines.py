"""Every engine computes what the network does, whatever size comes after whatever other; which one and which precision
are taken; and nothing is sent.
"""

import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from common import device
from common.device import cpu_bf16
from common.errors import InputError
from infer import engines
from infer.engines import openvino
from models.generator import Generator
from tests.helpers import generators, golden
from tests.helpers.generators import HERE
from tests.helpers.programs import run_python

GREY_LEVEL = 2 / 255
needs_openvino = pytest.mark.skipif("openvino" not in HERE, reason="OpenVINO is not installed")
needs_bf16 = pytest.mark.skipif(not cpu_bf16() or "openvino" not in HERE, reason="this CPU has no bf16")


@pytest.fixture(scope="module")
def network():
    return generators.recorded()


@pytest.fixture(scope="module")
def load(network):
    """Both parts of an engine in a precision; each is loaded once."""
    loaded = {}

    def get(name, precision="fp32"):
        if (name, precision) not in loaded:
            loaded[name, precision] = engines.module(name).load(generators.numbers(network), precision, "cpu")
        return loaded[name, precision]

    return get


def whole(parts):
    trunk, upsampling = parts
    return lambda lr: upsampling(trunk(lr))


def picture(*size):
    return np.random.RandomState(sum(size)).uniform(-1, 1, size).astype("float32")


def directly(network, lr):
    with paddle.no_grad():
        return network(paddle.to_tensor(lr)).numpy()


@pytest.mark.parametrize("name", HERE)
def test_fp32_equals_the_recording(name, load, recorded):
    sr = whole(load(name))(golden.nchw(golden.picture("lr", (2, 24, 32, 3))))
    assert type(sr) is np.ndarray and sr.dtype == np.float32
    np.testing.assert_allclose(sr, recorded["g_eval"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", HERE)
def test_sizes_and_batches_may_change_and_change_back(name, load, network):
    compute = whole(load(name))
    sizes = [(1, 3, 8, 13), (3, 3, 8, 13), (1, 3, 21, 5), (2, 3, 21, 5), (1, 3, 8, 13), (1, 3, 1, 1), (2, 3, 21, 5)]
    pictures = {size: picture(*size) for size in sizes}
    expected = {size: directly(network, lr) for size, lr in pictures.items()}
    results = [(size, compute(pictures[size])) for size in sizes]
    for size, sr in results:  # only now: a result may not lie where a later one is computed
        np.testing.assert_allclose(sr, expected[size], rtol=0, atol=1e-4, err_msg=str(size))
        np.testing.assert_array_equal(pictures[size], picture(*size), err_msg="the input is left as it was")


@needs_bf16
def test_bf16_is_close_to_fp32_and_really_bf16(load):
    """bf16 has 8 bits: of 64-channel sums differences of 1e-3 remain, of fp32's 24 bits 1e-6."""
    for size in ((2, 3, 17, 14), (1, 3, 5, 30), (2, 3, 17, 14)):
        difference = np.abs(whole(load("openvino", "bf16"))(picture(*size)) - whole(load("openvino"))(picture(*size)))
        assert difference.dtype == np.float32
        assert 1e-4 < difference.mean() < GREY_LEVEL, size


def lively() -> Generator:
    """Random weights, and batch norms as training may leave them: means far from 0, variances from below epsilon to
    100, scales of both signs."""
    paddle.seed(0)
    network = Generator()
    random = np.random.RandomState(0)
    state = generators.numbers(network)
    for name, array in state.items():
        if "bn" in name:
            draws = {
                "weight": random.normal(0.3, 0.3, array.shape),
                "bias": random.normal(0, 0.3, array.shape),
                "_mean": random.normal(0, 0.5, array.shape),
                # In the blocks, whose values add up, not so small that the result would outgrow rounding.
                "_variance": 10 ** random.uniform(*((-1, 2) if "blocks" in name else (-4, 1)), array.shape),
            }
            array[:] = draws[name.split(".")[-1]]
        elif name.endswith("bias"):
            array[:] = random.normal(0, 0.1, array.shape)
    network.eval()
    # The last convolution is scaled so that tanh is not saturated: values of 0.4 on the average.
    lr = paddle.to_tensor(random.uniform(-1, 1, (1, 3, 9, 9)).astype("float32"))
    for mean in (1e-15, 0.4):
        network.set_state_dict(state)
        with paddle.no_grad():
            magnitude = np.abs(network(lr).numpy()).mean()
        for name in ("out_conv.weight", "out_conv.bias"):
            state[name] *= mean / magnitude
    network.set_state_dict(state)
    return network


@needs_openvino
def test_the_folded_network_computes_what_any_batch_norms_compute():
    network = lively()
    compute = whole(openvino.load(generators.numbers(network), "fp32", "cpu"))
    for shape in ((2, 3, 9, 14), (1, 3, 1, 1), (3, 3, 2, 31)):
        lr = picture(*shape)
        expected = directly(network, lr)
        assert np.abs(expected).mean() < 0.9, "tanh is not saturated"
        np.testing.assert_allclose(compute(lr), expected, rtol=0, atol=1e-4 * np.abs(expected).max())


# -------------------------------------------------------------------------------------------------- nothing is sent

SENDS = """
import sys, threading
asked = []
sys.addaudithook(lambda event, _: asked.append(event) if event in ("socket.getaddrinfo", "socket.connect") else None)
import numpy as np
from infer import Upscaler
Upscaler("srgan")(np.zeros((4, 4, 3), "uint8"))
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
import openvino
print(asked, hasattr(openvino, "convert_model"), "paddle" in sys.modules)
"""


@needs_openvino
def test_openvino_opens_no_socket_keeps_its_converter_and_goes_without_paddle():
    ended = run_python(SENDS)
    assert ended.stdout == "[] True False\n", ended.stderr


# ----------------------------------------------------------------------------------------------------------- choice


@needs_openvino
def test_auto_is_openvino_where_it_is_installed_and_eager_elsewhere(monkeypatch):
    assert engines.choose("auto", "cpu") == "openvino"
    assert engines.choose("auto", "gpu:0") == engines.choose("eager", "gpu:0") == "eager"
    monkeypatch.setitem(sys.modules, "openvino", None)  # its import then fails
    assert engines.choose("auto", "cpu") == "eager"
    with pytest.raises(InputError, match="--engine openvino: openvino cannot be loaded: pip install -r requirements"):
        engines.choose("openvino", "cpu")


def test_an_engine_that_cannot_be_is_refused_with_the_reason():
    with pytest.raises(InputError, match="--engine openvino: .*not on gpu:0"):
        engines.choose("openvino", "gpu:0")
    for name in ("onnx", "", "OpenVINO"):
        with pytest.raises(InputError, match=f"--engine {name}: must be auto, openvino or eager"):
            engines.choose(name, "cpu")


CPUINFO = "processor\t: 0\nmodel name\t: {name}\nflags\t\t: fpu sse2 avx2 avx512f {flags} arat\nbugs\t\t: spectre_v1\n"


@pytest.fixture
def cpu(monkeypatch):
    """Sets what Linux says of the CPU: its flags, or None for a system without /proc/cpuinfo."""
    read_text = Path.read_text

    def set_flags(flags, name="no-avx512_bf16 (amx_bf16)"):
        def read(path, *arguments, **settings):
            if str(path) != "/proc/cpuinfo":
                return read_text(path, *arguments, **settings)
            if flags is None:
                raise FileNotFoundError(2, "No such file or directory", str(path))
            return CPUINFO.format(name=name, flags=flags) * 2

        monkeypatch.setattr(Path, "read_text", read)
        device._cpu_flags.cache_clear()

    yield set_flags
    device._cpu_flags.cache_clear()


@pytest.mark.parametrize("flags", ["amx_bf16", "avx512_bf16"])
def test_where_the_cpu_has_bf16_auto_takes_it_but_not_eagerly(cpu, flags):
    cpu(flags)
    assert engines.choose_precision("auto", "openvino", "cpu") == "bf16"
    assert engines.choose_precision("bf16", "openvino", "cpu") == "bf16"
    assert engines.choose_precision("fp32", "openvino", "cpu") == "fp32"
    assert engines.choose_precision("auto", "eager", "cpu") == "fp32"
    with pytest.raises(InputError, match="--precision bf16: the eager engine"):
        engines.choose_precision("bf16", "eager", "cpu")


@pytest.mark.parametrize(
    "flags, expected",
    [
        ("avx512_vnni", "int8"),
        ("avx_vnni avx512_bf16", "int8"),
        ("amx_bf16", "bf16"),
        ("", "fp32"),
    ],
)
def test_auto_takes_int8_only_for_what_is_quantized_where_the_cpu_has_it(cpu, flags, expected):
    cpu(flags)
    assert engines.choose_precision("auto", "openvino", "cpu", is_quantized=True) == expected
    assert engines.choose_precision("auto", "eager", "cpu", is_quantized=True) == "fp32"
    assert engines.choose_precision("auto", "openvino", "cpu") == ("bf16" if "bf16" in flags else "fp32")
    if expected == "int8":
        assert engines.choose_precision("int8", "openvino", "cpu") == "int8"
    else:
        with pytest.raises(InputError, match="--precision int8: .*neither amx_int8 nor avx512_vnni nor avx_vnni"):
            engines.choose_precision("int8", "openvino", "cpu")


@pytest.mark.parametrize("flags", ["avx512bw avx512_vnni amx_int8", "avx512_bf16x xamx_bf16", None])
def test_where_it_has_not_auto_is_fp32_and_bf16_is_refused_with_the_reason(cpu, flags):
    cpu(flags)
    assert engines.choose_precision("auto", "openvino", "cpu") == "fp32"
    with pytest.raises(InputError, match="--precision bf16: .*neither amx_bf16 nor avx512_bf16.*fp32"):
        engines.choose_precision("bf16", "openvino", "cpu")


def test_a_precision_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="--precision int8 is for CPUs"):
        engines.choose_precision("int8", "eager", "gpu:0")
    with pytest.raises(InputError, match="--precision fp16 is for GPUs"):
        engines.choose_precision("fp16", "openvino", "cpu")
    with pytest.raises(InputError, match="--precision float32: must be auto, int8, fp32, bf16 or fp16"):
        engines.choose_precision("float32", "eager", "gpu:0")


def test_on_a_gpu_bf16_goes_by_its_capability(monkeypatch):
    capability = (8, 0)
    monkeypatch.setattr(paddle.device.cuda, "get_device_capability", lambda device: capability, raising=False)
    assert engines.choose_precision("auto", "eager", "gpu:1") == "fp32"
    assert engines.choose_precision("fp16", "eager", "gpu:1") == "fp16"
    assert engines.choose_precision("bf16", "eager", "gpu:1") == "bf16"
    capability = (7, 5)
    with pytest.raises(InputError, match=r"--precision bf16: .*8\.0.*gpu:1 has 7\.5"):
        engines.choose_precision("bf16", "eager", "gpu:1")
