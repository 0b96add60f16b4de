"""The upscaler from Python: tiles without seams, memory, threads, grey and 16 bits, blending, self-ensemble."""

import itertools
import pickle
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import paddle
import psutil
import pytest

from common.device import cpu_bf16
from common.errors import InputError
from infer import Upscaler, engines, tiles, upscaler
from models.weight_files import weights
from tests.helpers import generators, golden, matlab
from tests.helpers.generators import REACH, levels

pytestmark = pytest.mark.usefixtures("uncorrected")
ROOT = Path(__file__).resolve().parents[1]
HERE = [name for name in engines.ENGINES if not engines.module(name).missing("cpu")]
FASTEST = HERE[0]

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


@pytest.fixture(scope="module")
def network():
    return generators.recorded()


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


def noise(height, width, planes=3, dtype="uint8", seed=0):
    return np.random.RandomState(seed).randint(0, np.iinfo(dtype).max + 1, (height, width, planes)).astype(dtype)


def directly(network, lr, largest=255):
    """Grey levels, not rounded, [4h,4w,3], of the network run as a whole by Paddle."""
    x = golden.nchw((lr.astype("float64")[None] * 2 / largest - 1).astype("float32"))
    with paddle.no_grad():
        return levels(network(paddle.to_tensor(x)).numpy()[0].transpose(1, 2, 0), largest)


def assert_levels(found, expected, within):
    """found: integers; expected: integers or numbers that are not rounded."""
    assert found.shape == expected.shape
    assert np.abs(found.astype("float64") - expected).max() <= within


ROUNDED = 0.5 + 0.01  # a level: of fp32 about 1e-6 of the range is rounding error


# ------------------------------------------------------------------------------------------------------------ tiles


@pytest.mark.slow
@pytest.mark.parametrize(
    "height, width, tile, steps, windows",
    [
        (80, 78, 5, DIAGONAL, 4),
        (50, 42, 64, DIAGONAL, 1),
        (6, 200, 16, STRAIGHT, 8),
        (200, 6, 33, STRAIGHT, 4),
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


@pytest.mark.skipif(not cpu_bf16() or FASTEST == "eager", reason="this CPU has no bf16")
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


@pytest.mark.slow
def test_one_tile_at_a_time_gives_the_same(weights_file, network, computed, monkeypatch):
    monkeypatch.setattr(upscaler, "working_memory", lambda *_: 0)
    lr = noise(4, 130)
    sr = Upscaler(weights_file, precision="fp32", tile=20)(lr)
    assert computed == [(1, 3, 4, 20 + 2 * REACH)] * 3
    assert_levels(sr, directly(network, lr), ROUNDED)


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
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_tiles_are_batched_as_the_memory_allows(repeating, at_once, monkeypatch):
    monkeypatch.setattr(upscaler, "BATCH_ON_CPU", 10**9)
    lr = noise(90, 180)
    window = (10 + 2 * REACH) ** 2
    np.testing.assert_array_equal(repeating(at_once * window, tile=10)(lr), lr.repeat(4, 0).repeat(4, 1))
    counts = [shape[0] for shape in repeating.shapes]
    assert sum(counts) == 2 * 11
    assert set(counts[:-1]) <= {min(at_once, 22)} and counts[-1] <= at_once


@pytest.mark.slow
def test_on_a_cpu_smaller_tiles_never_take_more_memory(repeating):
    lr, most = noise(90, 180), []
    for tile in (100, 30, 10, 3):
        repeating(10**9, tile=tile)(lr)
        most.append(max(count * height * width for count, _, height, width in repeating.shapes))
    assert most == sorted(most, reverse=True)
    repeating(10**9, tile=1)(noise(2, 200))  # windows of 2×73: many fit into what is computed at once
    assert max(shape[0] for shape in repeating.shapes) > 1


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


def test_pieces_are_no_smaller_than_16_pixels(repeating):
    lr = noise(40, 50)
    np.testing.assert_array_equal(repeating(0, tile=60)(lr), lr.repeat(4, 0).repeat(4, 1))
    assert len(repeating.shapes) == 1 and len(repeating.pieces) == 3 * 3  # of 20 pixels: 18, 16 and 16 are kept


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


# ------------------------------------------------------------------------------------------------ memory and threads

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


@pytest.mark.parametrize("engine", HERE)
def test_threads_that_share_an_upscaler_each_get_their_own_result(weights_file, network, engine):
    upscale = Upscaler(weights_file, engine=engine, precision="fp32", tile=10)
    pictures = [noise(6 + i % 3, 90, seed=i) for i in range(8)]
    results = {}

    def work(i):
        results[i] = upscale(pictures[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, lr in enumerate(pictures):
        assert_levels(results[i], directly(network, lr), ROUNDED)


# --------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.slow
@pytest.mark.parametrize("engine", HERE)
def test_the_recording_in_16_bits(weights_file, engine, recorded):
    """The recording's LR is no picture of integers; rounded to 65536 levels it is off by 1.5e-5 at most."""
    upscale = Upscaler(weights_file, engine=engine, precision="fp32").upscale
    for lr, sr in zip(golden.picture("lr", (2, 24, 32, 3)), recorded["g_eval"]):
        found = upscale(np.rint(levels(lr, 65535)).astype("uint16"))
        assert found.dtype == np.uint16
        assert_levels(found, levels(sr.transpose(1, 2, 0), 65535), 65535 * 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("engine", HERE)
@pytest.mark.parametrize("height, width", [(1, 1), (3, 5), (1, 9)])
def test_very_small_pictures(weights_file, network, engine, height, width):
    lr = noise(height, width)
    sr = Upscaler(weights_file, engine=engine, precision="fp32")(lr)
    assert sr.dtype == np.uint8
    assert_levels(sr, directly(network, lr), ROUNDED)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_would_be_darker_than_black_or_brighter_than_white_is_not_wrapped(repeating, dtype):
    """tanh ends at -1 and 1, but an engine's may be a little off; here it is much."""
    lr = noise(20, 30, dtype=dtype)
    sr = repeating(10**6, contrast=1.5).upscale(lr)
    largest = np.iinfo(dtype).max
    expected = np.clip(1.5 * (lr - largest / 2) + largest / 2, 0, largest).repeat(4, 0).repeat(4, 1)
    assert sr.dtype == dtype and sr.min() == 0 and sr.max() == largest
    assert_levels(sr, expected, 0.5 + 1e-6 * largest)


@pytest.mark.slow
def test_16_bits_are_8_bits_times_257(weights_file):
    upscale = Upscaler(weights_file, precision="fp32").upscale
    lr = noise(12, 17)
    fine = upscale(lr.astype("uint16") * 257)
    assert fine.dtype == np.uint16 and fine.shape == (48, 68, 3)
    assert_levels(upscale(lr), fine / 257, ROUNDED)
    assert len(np.unique(fine)) > 256, "it has levels between those of 8 bits"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_grey_is_the_luma_of_the_result_in_colour(weights_file, network, dtype):
    lr = noise(11, 14, planes=1, dtype=dtype)
    largest = np.iinfo(dtype).max
    sr = Upscaler(weights_file, precision="fp32", tile=100).upscale(lr)
    assert sr.shape == (44, 56, 1) and sr.dtype == dtype
    colour = directly(network, lr.repeat(3, 2), largest)
    assert np.abs(colour - colour.mean(2, keepdims=True)).max() > 0.02 * largest, "its planes differ"
    luma = 0.299 * colour[..., :1] + 0.587 * colour[..., 1:2] + 0.114 * colour[..., 2:]  # ITU-R BT.601
    assert_levels(sr, luma, 0.5 + 1e-4 * largest)


@pytest.mark.slow
def test_the_picture_may_be_a_view_and_is_left_as_it_was(weights_file, network):
    upscale = Upscaler(weights_file, precision="fp32")
    whole = noise(20, 18)
    view = whole[::-2, 1:, ::-1]
    before = whole.copy()
    whole.flags.writeable = False
    first = upscale(view)
    kept = first.copy()
    assert_levels(first, directly(network, np.ascontiguousarray(view)), ROUNDED)
    np.testing.assert_array_equal(whole, before)
    upscale(noise(10, 17, seed=1))
    np.testing.assert_array_equal(first, kept)


BAD = [
    np.zeros((4, 5, 3), "float32"),
    np.zeros((4, 5, 3), "int32"),
    np.zeros((4, 5, 3), "int8"),
    np.zeros((4, 5, 3), bool),
    np.zeros((4, 5), "uint8"),
    np.zeros((1, 4, 5, 3), "uint8"),
    np.zeros((4, 5, 4), "uint8"),
    np.zeros((4, 5, 2), "uint8"),
    np.zeros((4, 5, 0), "uint8"),
    np.zeros((0, 5, 3), "uint8"),
    np.zeros((4, 0, 3), "uint8"),
]


@pytest.fixture(scope="module")
def any_upscaler(weights_file):
    return Upscaler(weights_file)


@pytest.mark.parametrize("bad", [*BAD, np.zeros((4, 5, 3), "uint16"), np.zeros((4, 5, 1), "uint8")])
def test_called_with_what_is_no_rgb_uint8_picture(any_upscaler, bad):
    with pytest.raises(ValueError, match="expected uint8") as error:
        any_upscaler(bad)
    assert str(bad.dtype) in str(error.value) and str(list(bad.shape)) in str(error.value)


@pytest.mark.parametrize("bad", BAD)
def test_upscale_with_what_is_no_picture(any_upscaler, bad):
    with pytest.raises(ValueError):
        any_upscaler.upscale(bad)


# ---------------------------------------------------------------------------------------------------- smaller results


def halved(sr):
    """The same at half the sides, by MATLAB's arithmetic."""
    return matlab.imresize(sr, sr.shape[0] // 2, sr.shape[1] // 2)


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("tile", [None, 20])
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


@pytest.mark.parametrize("outscale", [0, -1, 4.5, float("nan")])
def test_a_factor_that_cannot_be(repeating, outscale):
    with pytest.raises(ValueError, match="outscale"):
        repeating(10**6)(noise(4, 4), outscale)


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


# --------------------------------------------------------------------------------------------------- self-ensemble

# The 8 flips and turns, each as (turned over its diagonal?, upside down?, mirrored?).
TURNS = list(itertools.product((False, True), repeat=3))


def turn(picture, over_diagonal, upside_down, mirrored):
    turned = picture.transpose(1, 0, 2) if over_diagonal else picture
    turned = turned[::-1] if upside_down else turned
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def turn_back(picture, over_diagonal, upside_down, mirrored):
    turned = picture[:, ::-1] if mirrored else picture
    turned = turned[::-1] if upside_down else turned
    return turned.transpose(1, 0, 2) if over_diagonal else turned


def test_the_self_ensemble_is_the_mean_over_the_flips_and_turns(weights_file, network):
    lr = noise(5, 8)
    expected = np.mean([turn_back(directly(network, turn(lr, *how)), *how) for how in TURNS], axis=0)
    sr = Upscaler(weights_file, precision="fp32", self_ensemble=True)(lr)
    assert_levels(sr, expected, ROUNDED)
    assert np.abs(directly(network, lr) - expected).max() > 5


@pytest.mark.slow
def test_with_self_ensemble_a_turned_picture_gives_the_turned_result_and_without_not(weights_file):
    lr = noise(6, 11)
    with_ensemble = Upscaler(weights_file, precision="fp32", self_ensemble=True)
    without = Upscaler(weights_file, precision="fp32")
    for how in TURNS[1:]:
        assert_levels(with_ensemble(turn(lr, *how)), turn(with_ensemble(lr), *how), 1)
        assert np.abs(without(turn(lr, *how)).astype(int) - turn(without(lr), *how)).max() > 5


@pytest.mark.slow
def test_self_ensemble_in_tiles_and_in_16_bit_grey(weights_file):
    lr = noise(3, 100, planes=1, dtype="uint16")
    whole = Upscaler(weights_file, precision="fp32", self_ensemble=True, tile=120).upscale(lr)
    tiled = Upscaler(weights_file, precision="fp32", self_ensemble=True, tile=20).upscale(lr)
    assert_levels(tiled, whole, 65535 * 1e-4)


# ---------------------------------------------------------------------------------------------------------- blending


def averaged():
    """The network whose every weight and statistic is the mean of the two files'."""
    state = {name: 0.5 * array for name, array in generators.numbers(generators.recorded(0)).items()}
    for name, array in generators.numbers(generators.recorded(1)).items():
        state[name] += 0.5 * array
    network = generators.recorded()
    network.set_state_dict(state)
    return network


@pytest.mark.slow
def test_a_blend_goes_from_one_generator_to_the_other(weights_file, other_file):
    lr = noise(6, 7)
    ends = [directly(generators.recorded(seed), lr) for seed in (0, 1)]
    assert np.abs(ends[0] - ends[1]).mean() > 5, "the two differ"
    half = directly(averaged(), lr)
    assert min(np.abs(half - end).mean() for end in (*ends, (ends[0] + ends[1]) / 2)) > 1, "nor is it between them"
    for alpha, expected in ((0, ends[0]), (1, ends[1]), (0.5, half), (None, half)):
        settings = {} if alpha is None else {"alpha": alpha}
        sr = Upscaler(weights_file, blend=other_file, engine="eager", **settings)(lr)
        assert_levels(sr, expected, ROUNDED)


# -------------------------------------------------------------------------------------------------------- settings


@pytest.mark.slow
def test_it_says_what_it_chose(weights_file):
    chosen = Upscaler(weights_file)
    assert (chosen.engine, chosen.device) == (FASTEST, "cpu")
    assert chosen.precision == ("bf16" if cpu_bf16() and FASTEST != "eager" else "fp32")
    for engine in HERE:
        named = Upscaler(weights_file, engine=engine, precision="fp32", device="cpu")
        assert (named.engine, named.precision, named.device) == (engine, "fp32", "cpu")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"engine": "onnx"}, "onnx"),
        ({"precision": "int8"}, "int8"),
        ({"precision": "fp16"}, "fp16"),
        ({"engine": "eager", "precision": "bf16"}, "bf16"),
        ({"device": "tpu"}, "tpu"),
        ({"device": "gpu:7"}, "gpu:7"),
    ],
)
def test_a_setting_that_cannot_be_is_named(weights_file, settings, words):
    with pytest.raises(InputError, match=words):
        Upscaler(weights_file, **settings)


@pytest.mark.parametrize("content", [None, b"", b"text", pickle.dumps({"x": print})])
def test_weights_that_cannot_be_used_are_named(weights_file, content, tmp_path):
    path = tmp_path / "bad.pdparams"
    if content is not None:
        path.write_bytes(content)
    for settings in ({"weights": path}, {"weights": weights_file, "blend": path}):
        with pytest.raises(InputError) as error:
            Upscaler(**settings)
        assert str(path) in str(error.value)


@pytest.mark.slow
def test_the_articles_folder(network, g_models):
    lr = noise(8, 9)
    sr = Upscaler(g_models, precision="fp32")(lr)
    assert_levels(sr, directly(network, lr), ROUNDED)


@pytest.mark.slow
def test_three_lines_suffice(weights_file, tmp_path, monkeypatch):
    """What the package's docstring says, in a process of its own; Paddle 3 warns of what is not installed."""
    np.save(tmp_path / "lr.npy", noise(6, 7))
    code = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1]); rgb_uint8 = np.load('lr.npy')\n"
        "from infer import Upscaler\nupscale = Upscaler(sys.argv[2])\nsr = upscale(rgb_uint8)\n"
        "np.save('sr.npy', sr)"
    )
    line = [sys.executable, "-c", code, str(ROOT), str(weights_file)]
    result = subprocess.run(line, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False, timeout=120)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr
    if paddle.__version__.startswith("2."):
        assert result.stderr == ""
    monkeypatch.undo()  # that process keeps LR's colours
    assert_levels(np.load(tmp_path / "sr.npy"), Upscaler(weights_file)(noise(6, 7)), 1)
