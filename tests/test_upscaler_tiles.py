"""The upscaler's tiles: without seams, as the memory allows, and reduced results."""

import types

import numpy as np
import paddle
import psutil
import pytest

from common.device import cpu_bf16
from common.errors import InputError
from infer import Upscaler, engines, tiles, upscaler
from models.weight_files import weights
from tests.helpers import generators, matlab
from tests.helpers.generators import HERE, REACH, ROUNDED, assert_levels, directly, levels, noise

pytestmark = pytest.mark.usefixtures("uncorrected")


@pytest.fixture(scope="module")
def network():
    return generators.recorded()


# Where each colour comes from, so that a seam on any side shows: red from above and left, green from below and right …
DIAGONAL = ((-1, -1), (1, 1), (1, -1))


STRAIGHT = ((0, -1), (0, 1), (-1, 0))


@pytest.fixture(scope="module")
def shifting_files(tmp_path_factory):
    """{steps: weights of the generator that moves the colours by them}."""
    folder = tmp_path_factory.mktemp("shifting")
    files = {}
    for i, steps in enumerate((DIAGONAL, STRAIGHT)):
        files[steps] = folder / f"{i}.pdparams"
        weights.save(generators.shifting(steps), files[steps])
    return files


@pytest.fixture
def computed(monkeypatch):
    """The shapes of LR [N,3,h,w] that engines are asked to compute in upscalers made after this."""
    shapes = []

    def watched(load):
        def call(*arguments):
            trunk, upsampling = load(*arguments)
            return (lambda lr: shapes.append(lr.shape) or trunk(lr)), upsampling

        return call

    for name in HERE:
        monkeypatch.setattr(engines.module(name), "load", watched(engines.module(name).load))
    return shapes


@pytest.mark.slow
@pytest.mark.parametrize(
    "height, width, tile, steps, windows",
    [
        (80, 78, 5, DIAGONAL, 4),
        (6, 200, 16, STRAIGHT, 8),
    ],
)
def test_tiles_give_the_whole_pictures_result_at_every_pixel(
    shifting_files, computed, height, width, tile, steps, windows
):
    """On networks that look as far as their convolutions can; the result is known by indexing."""
    lr = noise(height, width)
    sr = Upscaler(shifting_files[steps], precision="fp32", tile=tile)(lr)
    assert sum(shape[0] for shape in computed) == windows
    expected = levels(generators.moved(lr / 127.5 - 1, steps))
    assert_levels(sr, expected, ROUNDED)


def test_a_reach_that_is_too_small_would_show(shifting_files, monkeypatch):
    """That the test above can fail: with a reach of one pixel less there is a seam."""
    monkeypatch.setattr(tiles, "REACH", REACH - 1)
    lr = noise(3, 150)
    sr = Upscaler(shifting_files[STRAIGHT], engine="eager", tile=40)(lr)
    expected = levels(generators.moved(lr / 127.5 - 1, STRAIGHT))
    assert np.abs(sr - expected).max() > 20


@pytest.mark.slow
@pytest.mark.parametrize("engine", HERE)
def test_tiles_of_every_engine_equal_the_network_run_as_a_whole(weights_file, network, engine):
    lr = noise(7, 120)
    expected = directly(network, lr)
    assert_levels(Upscaler(weights_file, engine=engine, precision="fp32", tile=21)(lr), expected, 1)
    assert_levels(Upscaler(weights_file, engine=engine, precision="fp32")(lr), expected, ROUNDED)


@pytest.mark.skipif(not cpu_bf16() or HERE[0] == "eager", reason="this CPU has no bf16")
def test_tiles_and_self_ensemble_in_bf16(weights_file, network):
    lr = noise(7, 120)
    whole = Upscaler(weights_file, precision="bf16")(lr)
    assert_levels(Upscaler(weights_file, precision="bf16", tile=21)(lr), whole, 1)
    assert np.abs(whole - directly(network, lr)).mean() < 1
    exact, found = (
        Upscaler(weights_file, precision=precision, self_ensemble=True)(noise(5, 8)).astype(int)
        for precision in ("fp32", "bf16")
    )
    assert np.abs(found - exact).mean() < 1


@pytest.fixture
def repeating(weights_file, monkeypatch):
    """Makes upscalers whose network repeats every pixel 4×4, in the memory given; `repeating.shapes`: the trunk's
    batches, `repeating.pieces`: the upsampling's. The trunk leaves the picture as it is."""

    def load(arrays, precision, device, quantized):
        return (
            lambda lr: make.shapes.append(lr.shape) or lr,
            lambda lr: make.pieces.append(lr.shape) or make.contrast * lr.repeat(4, 2).repeat(4, 3),
        )

    def make(pixels, contrast=1, **settings):
        """pixels: of LR, that the trunk's share of the memory is enough for."""
        make.shapes, make.pieces, make.contrast = [], [], contrast
        memory = -(-10 * pixels * engines.module("eager").BYTES_PER_PIXEL["fp32"][0] // 9)  # 9/10 of it
        monkeypatch.setattr(upscaler, "working_memory", lambda *_: memory)
        return Upscaler(weights_file, engine="eager", **settings)

    monkeypatch.setattr(engines.module("eager"), "load", load)
    return make


@pytest.mark.slow
def test_tiles_are_batched_as_the_memory_allows(repeating, monkeypatch):
    monkeypatch.setattr(upscaler, "BATCH_ON_CPU", 10**9)
    at_once = 3
    lr = noise(90, 180)
    window = (10 + 2 * REACH) ** 2
    np.testing.assert_array_equal(repeating(at_once * window, tile=10)(lr), lr.repeat(4, 0).repeat(4, 1))
    counts = [shape[0] for shape in repeating.shapes]
    assert sum(counts) == 2 * 11
    assert set(counts[:-1]) == {at_once} and counts[-1] <= at_once


@pytest.mark.parametrize(
    "height, width, pixels", [(30, 40, 1200), (200, 95, 19_000), (200, 190, 12_000), (8, 900, 1500), (120, 99, 0)]
)
def test_the_tile_is_chosen_so_that_the_memory_suffices(repeating, height, width, pixels):
    lr = noise(height, width, dtype="uint16")
    np.testing.assert_array_equal(repeating(pixels).upscale(lr), lr.repeat(4, 0).repeat(4, 1))
    smallest = min(height, 16 + 2 * REACH) * min(width, 16 + 2 * REACH)
    assert max(n * h * w for n, _, h, w in repeating.shapes) <= max(pixels, smallest)
    assert (len(repeating.shapes) == 1) == (height * width <= pixels)


def test_the_upsampling_computes_small_pieces_of_what_a_window_keeps(repeating):
    """A trunk has 9/10 of the memory and takes a quarter of what the upsampling does, so a piece has a 36th."""
    trunk, upsampling = engines.module("eager").BYTES_PER_PIXEL["fp32"]
    assert upsampling == 4 * trunk
    lr, most = noise(200, 300), 40**2
    np.testing.assert_array_equal(repeating(36 * most)(lr), lr.repeat(4, 0).repeat(4, 1))
    assert len(repeating.shapes) == 2
    assert max(n * h * w for n, _, h, w in repeating.pieces) <= most
    computed = sum(n * h * w for n, _, h, w in repeating.pieces)
    assert computed < 1.25 * 200 * 300, "hardly more than the picture has"


@pytest.mark.slow
@pytest.mark.parametrize("engine", HERE)
def test_pieces_of_every_engine_equal_the_network_run_as_a_whole(weights_file, network, engine, monkeypatch):
    monkeypatch.setattr(upscaler, "working_memory", lambda *_: 0)
    lr = noise(20, 35)
    expected = directly(network, lr)
    assert_levels(Upscaler(weights_file, engine=engine, precision="fp32", tile=100)(lr), expected, ROUNDED)
    monkeypatch.setattr(tiles, "UPSAMPLING_REACH", 1)
    assert np.abs(Upscaler(weights_file, engine=engine, tile=100)(lr) - expected).max() > 1, "a pixel less shows"


def test_progress_adds_up_to_1(repeating):
    shares = []
    repeating(0, tile=10).upscale(noise(5, 130), shares.append)
    assert len(shares) == 6 and min(shares) > 0 and sum(shares) == pytest.approx(1)


GB = 10**9


@pytest.fixture
def free(monkeypatch):
    """Sets how much memory is free."""

    def set_free(count):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=count))

    return set_free


@pytest.mark.parametrize("available", [GB, 64 * GB])
@pytest.mark.parametrize("result", [0, 576_000_000])
def test_with_the_result_it_stays_under_3_gb_and_under_what_is_free(free, available, result):
    """576 MB is what 16000×12000 pixels of RGB take: the limit of 3 GB is for that, the libraries included."""
    free(available)
    memory = upscaler.working_memory("cpu", result)
    assert upscaler.LEAST_ON_CPU <= memory <= min(2.5 * GB, available) - result
    assert available == GB or upscaler.working_memory("cpu", 0) - memory == result


@pytest.mark.parametrize("device", ["cpu", "gpu:1"])
def test_a_result_that_does_not_fit_is_refused_with_both_figures(free, device):
    free(4 * GB)
    with pytest.raises(InputError, match="takes 10.0 GB of memory, 4.0 GB are free"):
        upscaler.working_memory(device, 10 * GB)


def test_on_a_gpu_it_is_a_part_of_what_paddle_has_not_taken(free, monkeypatch):
    properties = types.SimpleNamespace(total_memory=8 * GB)
    monkeypatch.setattr(paddle.device.cuda, "get_device_properties", {"gpu:1": properties}.__getitem__)
    monkeypatch.setattr(paddle.device.cuda, "memory_allocated", {"gpu:1": 2 * GB}.__getitem__)
    free(64 * GB)
    assert 2 * GB <= upscaler.working_memory("gpu:1", 50 * GB) <= 6 * GB


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_would_be_darker_than_black_or_brighter_than_white_is_not_wrapped(repeating, dtype):
    """tanh ends at -1 and 1, but an engine's may be a little off; here it is much."""
    lr = noise(20, 30, dtype=dtype)
    sr = repeating(10**6, contrast=1.5).upscale(lr)
    largest = np.iinfo(dtype).max
    expected = np.clip(1.5 * (lr - largest / 2) + largest / 2, 0, largest).repeat(4, 0).repeat(4, 1)
    assert sr.dtype == dtype and sr.min() == 0 and sr.max() == largest
    assert_levels(sr, expected, 0.5 + 1e-6 * largest)


def halved(sr):
    """The same at half the sides, by MATLAB's arithmetic."""
    return matlab.imresize(sr, sr.shape[0] // 2, sr.shape[1] // 2)


@pytest.mark.parametrize("planes, dtype, tile", [(1, "uint16", 20), (3, "uint8", None)])
def test_half_of_4_times_is_matlabs_reduction_of_the_whole(repeating, planes, dtype, tile):
    lr = noise(30, 50, planes, dtype)
    upscale = repeating(10**6, tile=tile).upscale
    found = upscale(lr, size=(60, 100))
    np.testing.assert_array_equal(found, halved(lr.repeat(4, 0).repeat(4, 1)))
    assert found.dtype == dtype and found.flags.owndata and found.flags.c_contiguous


def test_a_factor_is_given_to_the_function(repeating):
    upscale, lr = repeating(10**6), noise(14, 9)
    large = lr.repeat(4, 0).repeat(4, 1)
    np.testing.assert_array_equal(upscale(lr, outscale=4), large)
    np.testing.assert_array_equal(upscale(lr, 2), halved(large))
    assert upscale(lr, outscale=1.5).shape == (21, 14, 3)  # of 13.5 columns
    # A network that repeats pixels: a quarter of its result is the picture, smoothed by no more than bicubic does.
    np.testing.assert_array_equal(upscale(lr, outscale=1), matlab.imresize(large, 14, 9))
    for outscale in (0, 4.5, float("nan")):
        with pytest.raises(ValueError, match="outscale"):
            upscale(lr, outscale)


@pytest.mark.parametrize("size", [(0, 4), (17, 16), (16, 17)])
def test_a_size_that_cannot_be(repeating, size):
    with pytest.raises(ValueError, match="size"):
        repeating(10**6).upscale(noise(4, 4), size=size)


def test_room_is_left_for_both_pictures(repeating, monkeypatch):
    asked = []
    upscale = repeating(10**6).upscale
    monkeypatch.setattr(upscaler, "working_memory", lambda device, result: asked.append(result) or 10**9)
    upscale(noise(10, 20, dtype="uint16"), beside=7)
    upscale(noise(10, 20, dtype="uint16"), beside=7, size=(15, 30))
    assert asked == [40 * 80 * 6 + 7, 40 * 80 * 6 + 15 * 30 * 6 + 7]


@pytest.mark.slow
def test_self_ensemble_in_tiles_and_in_16_bit_grey(weights_file):
    lr = noise(3, 100, planes=1, dtype="uint16")
    whole = Upscaler(weights_file, precision="fp32", self_ensemble=True, tile=120).upscale(lr)
    tiled = Upscaler(weights_file, precision="fp32", self_ensemble=True, tile=20).upscale(lr)
    assert_levels(tiled, whole, 65535 * 1e-4)
