"""Every engine computes what the network does, whatever size comes after whatever other; and which one is taken."""

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import paddle
import pytest

from common.device import cpu_bf16
from common.errors import InputError
from infer import engines
from infer.engines import openvino_cpu, programs
from tests.helpers import generators, golden

ROOT = Path(__file__).resolve().parents[1]
HERE = [name for name in engines.ENGINES if not engines.module(name).missing("cpu")]
SPLIT = [name for name in HERE if len(engines.module(name).PARTS) == 2]
PARTS = (programs.TRUNK, programs.UPSAMPLING)
GREY_LEVEL = 2 / 255


@pytest.fixture(scope="module")
def network():
    return generators.recorded()


@pytest.fixture(scope="module")
def load(network, tmp_path_factory):
    """Opens an engine in a precision; each program is written once, each engine opened once."""
    opened, folders = {}, {None: network}

    def get(name, precision="fp32", part=programs.WHOLE):
        module = engines.module(name)
        if module.PROGRAM not in folders:
            folders[module.PROGRAM] = tmp_path_factory.mktemp(module.PROGRAM)
            write = {"paddle": programs.write_paddle, "onnx": programs.write_onnx}[module.PROGRAM]
            write(network, folders[module.PROGRAM], (programs.WHOLE, *PARTS))
        if (name, precision, part) not in opened:
            opened[name, precision, part] = module.load(folders[module.PROGRAM], precision, "cpu", part)
        return opened[name, precision, part]

    return get


def picture(*size):
    return np.random.RandomState(sum(size)).uniform(-1, 1, size).astype("float32")


def directly(network, lr):
    with paddle.no_grad():
        return network(paddle.to_tensor(lr)).numpy()


def test_every_engine_that_is_installed_here_is_tested():
    assert {"eager", "paddle"} <= set(HERE)


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_fp32_equals_the_recording(name, load, recorded):
    sr = load(name)(golden.nchw(golden.picture("lr", (2, 24, 32, 3))))
    assert sr.dtype == np.float32
    np.testing.assert_allclose(sr, recorded["g_eval"], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_sizes_and_batches_may_change_and_change_back(name, load, network):
    compute = load(name)
    sizes = [(1, 3, 8, 13), (3, 3, 8, 13), (1, 3, 21, 5), (2, 3, 21, 5), (1, 3, 8, 13), (1, 3, 1, 1), (2, 3, 21, 5)]
    pictures = {size: picture(*size) for size in sizes}
    expected = {size: directly(network, lr) for size, lr in pictures.items()}
    results = [(size, compute(pictures[size])) for size in sizes]
    for size, sr in results:  # only now: a result may not lie where a later one is computed
        np.testing.assert_allclose(sr, expected[size], rtol=0, atol=1e-4, err_msg=str(size))


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_pictures_of_a_batch_do_not_touch_each_other(name, load):
    compute = load(name)
    lr = picture(3, 3, 7, 9)
    together = compute(lr)
    for i in range(3):
        np.testing.assert_allclose(compute(lr[i : i + 1]), together[i : i + 1], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", HERE)
def test_the_input_is_left_as_it_was(name, load):
    lr = picture(1, 3, 6, 6)
    before = lr.copy()
    load(name)(lr)
    np.testing.assert_array_equal(lr, before)


@pytest.mark.skipif(not cpu_bf16(), reason="this CPU has no bf16")
@pytest.mark.parametrize("name", [name for name in SPLIT if name != "eager"])
def test_both_parts_in_bf16(name, load):
    trunk, upsampling = (load(name, "bf16", part) for part in PARTS)
    lr = picture(2, 3, 17, 14)
    features = trunk(lr)
    for of in (features, np.array(features)):
        difference = np.abs(upsampling(of[1:, :, 2:, :-3]) - load(name)(lr)[1:, :, 8:, :-12])[..., 8:, :-8]
        assert 1e-4 < difference.mean() < GREY_LEVEL


@pytest.mark.skipif(not cpu_bf16(), reason="this CPU has no bf16")
@pytest.mark.parametrize("name", [name for name in HERE if name != "eager"])
def test_bf16_is_close_to_fp32_and_really_bf16(name, load):
    """bf16 has 8 bits: of 64-channel sums differences of 1e-3 remain, of fp32's 24 bits 1e-6."""
    for size in ((2, 3, 17, 14), (1, 3, 5, 30), (2, 3, 17, 14)):
        difference = np.abs(load(name, "bf16")(picture(*size)) - load(name)(picture(*size)))
        assert difference.dtype == np.float32
        assert 1e-4 < difference.mean() < GREY_LEVEL, size


@pytest.mark.slow
@pytest.mark.parametrize("name", SPLIT)
def test_both_parts_one_after_the_other_equal_the_recording(name, load, recorded):
    trunk, upsampling = (load(name, part=part) for part in PARTS)
    sr = upsampling(trunk(golden.nchw(golden.picture("lr", (2, 24, 32, 3)))))
    assert type(sr) is np.ndarray and sr.dtype == np.float32
    np.testing.assert_allclose(sr, recorded["g_eval"], rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPLIT)
def test_features_are_sliced_and_upsampled_in_any_order(name, load, network):
    """Of two pictures, whatever was upsampled before; as the engine's own arrays and as NumPy's."""
    trunk, upsampling = (load(name, part=part) for part in PARTS)
    lr = picture(2, 3, 19, 23)
    expected = directly(network, lr)
    features = trunk(lr)
    for of in (features, np.array(features)):
        for i, rows, columns in ((1, (0, 9), (4, 23)), (0, (5, 19), (0, 12)), (1, (0, 19), (0, 23))):
            sr = upsampling(of[i : i + 1, :, slice(*rows), slice(*columns)])
            inner = tuple(  # all but 2 pixels where it is cut
                slice(4 * (first and first + 2), 4 * (last if last == length else last - 2))
                for (first, last), length in ((rows, 19), (columns, 23))
            )
            offset = tuple(
                slice(axis.start - 4 * cut[0], axis.stop - 4 * cut[0]) for axis, cut in zip(inner, (rows, columns))
            )
            np.testing.assert_allclose(
                sr[(0, slice(None), *offset)], expected[(i, slice(None), *inner)], rtol=0, atol=1e-4
            )


@pytest.mark.parametrize("name", engines.ENGINES)
def test_an_engine_says_what_memory_it_takes(name):
    """At least the maps that have to be there at once, in 2 bytes: two of 64 channels in a block beside the one that
    is added, and the 256 channels before the second shuffle at 4 times the pixels."""
    least = {programs.TRUNK: 2 * 3 * 64, programs.UPSAMPLING: 2 * 4 * 256, programs.WHOLE: 2 * 4 * 256}
    module = engines.module(name)
    for precision in ("fp32", "bf16"):
        taken = module.bytes_per_pixel(precision)
        assert tuple(taken) == module.PARTS
        assert all(taken[part] >= least[part] for part in taken)


@pytest.mark.skipif("openvino" not in HERE, reason="OpenVINO is not installed")
def test_openvino_goes_without_its_converter():
    """In a process that has not imported it: it is there, only what nothing here uses is not."""
    lines = (
        "from infer.engines import openvino_cpu",
        "openvino_cpu.leave_out_converter()",
        "import openvino",
        "print(repr(openvino_cpu.missing('cpu')), hasattr(openvino, 'convert_model'), hasattr(openvino, 'Core'))",
    )
    said = subprocess.check_output([sys.executable, "-c", "; ".join(lines)], cwd=ROOT, text=True, timeout=60)
    assert said == "'' False True\n"


# ----------------------------------------------------------------------------------------------------------- choice


def hide_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)  # its import then fails


def show_openvino(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", types.ModuleType("openvino"))
    monkeypatch.setattr(openvino_cpu, "onnx_missing", lambda: "")


def test_auto_is_openvino_where_it_is_installed_and_paddle_elsewhere(monkeypatch):
    show_openvino(monkeypatch)
    assert engines.choose("auto", "cpu") == "openvino"
    assert engines.choose("auto", "gpu:0") == "paddle"
    hide_openvino(monkeypatch)
    assert engines.choose("auto", "cpu") == "paddle"


def test_auto_is_paddle_where_openvinos_program_cannot_be_written(monkeypatch):
    show_openvino(monkeypatch)
    monkeypatch.setattr(openvino_cpu, "onnx_missing", lambda: "paddle2onnx is not installed: pip install it")
    assert engines.choose("auto", "cpu") == "paddle"
    with pytest.raises(InputError, match="--engine openvino: paddle2onnx is not installed"):
        engines.choose("openvino", "cpu")


@pytest.mark.parametrize("name", HERE)
def test_each_by_its_name(name):
    assert engines.choose(name, "cpu") == name


@pytest.mark.parametrize("name", ["paddle", "eager"])
def test_paddles_engines_run_on_a_gpu(name):
    assert engines.choose(name, "gpu:0") == name


def test_openvino_is_refused_with_the_reason(monkeypatch):
    hide_openvino(monkeypatch)
    with pytest.raises(InputError, match="--engine openvino: openvino cannot be loaded: pip install -r requirements"):
        engines.choose("openvino", "cpu")
    with pytest.raises(InputError, match="--engine openvino: .*not on gpu:0"):
        engines.choose("openvino", "gpu:0")


@pytest.mark.parametrize("name", ["onnx", "", "OpenVINO", "openvino_cpu"])
def test_what_is_no_engine_is_refused_by_name(name):
    with pytest.raises(InputError, match=f"--engine {name}: must be auto, openvino, paddle or eager"):
        engines.choose(name, "cpu")
