"""Quantized generators: close to fp32, the same in tiles, tied to their weights, and made by one command."""

import shutil
from importlib.util import find_spec

import numpy as np
import pytest

from common.device import cpu_int8
from common.errors import InputError
from data.pictures.images import read_rgb, write_rgb
from data.prepare import sample_sources
from infer import Upscaler, engines, quantize
from infer.engines.int8 import quantized_path, read_quantized
from models.weight_files.shipped import SHIPPED
from models.weight_files.weights import generator_arrays

needs_int8 = pytest.mark.skipif(
    not cpu_int8() or bool(engines.module("openvino").missing("cpu")), reason="this CPU has no int8, or no OpenVINO"
)


@pytest.fixture(scope="module")
def photo():
    """A detail of a photograph, shrunk: RGB uint8 [60,100,3]."""
    rgb = read_rgb(sample_sources()[1])[: 4 * 60, : 4 * 100].astype(float)
    return np.rint(rgb.reshape(60, 4, 100, 4, 3).mean((1, 3))).astype("uint8")


@pytest.fixture
def copy(tmp_path):
    """The weights `srgan` with their quantized form, to be changed."""
    shutil.copy(quantized_path(SHIPPED["srgan"]), tmp_path / "g.int8.npz")
    return shutil.copy(SHIPPED["srgan"], tmp_path / "g.pdparams")


@needs_int8
@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_close_to_fp32_and_really_int8(name, photo):
    exact = Upscaler(name, precision="fp32")(photo).astype(float)
    difference = np.abs(Upscaler(name, precision="int8")(photo) - exact)
    assert 0.1 < difference.mean() < 2
    assert difference.mean(axis=(0, 1)).ptp() < 0.5, "no colour is shifted"
    assert abs((Upscaler(name, precision="int8")(photo) - exact).mean()) < 0.25, "nor the brightness"


@needs_int8
def test_tiles_give_the_same(photo):
    wide = np.tile(photo, (1, 2, 1))
    whole = Upscaler(precision="int8", tile=400)(wide).astype(int)
    tiled = Upscaler(precision="int8", tile=20)(wide)
    assert np.abs(whole - tiled).max() <= 1


@needs_int8
def test_auto_takes_it_for_8_bits_alone(photo):
    upscaler = Upscaler()
    assert upscaler.precision == "int8"
    np.testing.assert_array_equal(upscaler(photo), Upscaler(precision="int8")(photo))
    deep = photo.astype("uint16") * 257
    other = engines.choose_precision("auto", "openvino", "cpu")
    np.testing.assert_array_equal(upscaler.upscale(deep), Upscaler(precision=other).upscale(deep))
    assert Upscaler(blend="srresnet").precision == other


@needs_int8
def test_a_form_of_other_weights_a_damaged_one_and_none_are_named(copy, tmp_path):
    Upscaler(copy, precision="int8")
    path = quantized_path(copy)
    whole = path.read_bytes()
    shutil.copy(SHIPPED["srresnet"], copy)
    for precision in ("int8", "auto"):
        with pytest.raises(InputError, match=r"g\.int8\.npz: it belongs to other weights.*infer/quantize\.py"):
            Upscaler(copy, precision=precision)
    shutil.copy(SHIPPED["srgan"], copy)
    for damaged in (whole[:-100], whole[:20_000] + b"\0" + whole[20_001:], b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"g\.int8\.npz: "):
            Upscaler(copy)
    path.unlink()
    with pytest.raises(InputError, match=r"g\.int8\.npz: no such file"):
        Upscaler(copy, precision="int8")
    assert Upscaler(copy).precision != "int8"
    with pytest.raises(InputError, match="a mixture has no quantized form"):
        Upscaler(blend="srresnet", precision="int8")


def test_arrays_of_another_shape_or_type_are_refused(copy):
    path, generator = quantized_path(copy), generator_arrays(copy)
    with np.load(path) as file:
        arrays = dict(file)
    for name, array in (
        ("tail_conv.weight", np.zeros((64, 64, 3, 3), "float32")),
        ("tail_conv.scale", np.zeros(3, "float32")),
        ("tail_conv.input", np.array([0, np.nan], "float32")),
        ("none.bias", np.zeros(64, "float32")),
    ):
        np.savez(path, **{**arrays, name: array})
        with pytest.raises(InputError, match=name):
            read_quantized(copy, generator)
    np.savez(path, **{**arrays, "tail_conv.bias": np.array([print])})
    with pytest.raises(InputError, match="damaged"):
        read_quantized(copy, generator)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("nncf"), reason="NNCF is not installed")
def test_the_command_makes_it(copy, photo, tmp_path, monkeypatch):
    quantized_path(copy).unlink()
    monkeypatch.setattr(quantize, "CROPS", 2)
    monkeypatch.setattr(quantize, "SIDE", 15)
    (tmp_path / "data").mkdir()
    write_rgb(tmp_path / "data" / "a.png", photo)
    quantize.main(quantize.parser().parse_args(["--weights", str(copy), "--data", str(tmp_path / "data")]))
    difference = Upscaler(copy, precision="int8")(photo).astype(float) - Upscaler(copy, precision="fp32")(photo)
    assert np.abs(difference).mean() < 4
