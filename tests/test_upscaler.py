"""The upscaler from Python: threads, grey and 16 bits, blending, self-ensemble."""

import itertools
import pickle
import threading

import numpy as np
import pytest

from common.device import cpu_bf16
from common.errors import InputError
from infer import Upscaler
from tests.helpers import generators, golden
from tests.helpers.generators import HERE, ROUNDED, assert_levels, directly, levels, noise

pytestmark = pytest.mark.usefixtures("uncorrected")


@pytest.fixture(scope="module")
def network():
    return generators.recorded()


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
def test_a_picture_of_one_pixel(weights_file, network, engine):
    lr = noise(1, 1)
    sr = Upscaler(weights_file, engine=engine, precision="fp32")(lr)
    assert sr.dtype == np.uint8
    assert_levels(sr, directly(network, lr), ROUNDED)


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
    np.zeros((4, 5), "uint8"),
    np.zeros((4, 5, 4), "uint8"),
    np.zeros((0, 5, 3), "uint8"),
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
def test_a_blend_goes_from_one_generator_to_the_other(weights_file, other_file):
    lr = noise(6, 7)
    ends = [directly(generators.recorded(seed), lr) for seed in (0, 1)]
    assert np.abs(ends[0] - ends[1]).mean() > 5, "the two differ"
    state = {name: 0.5 * array for name, array in generators.numbers(generators.recorded(0)).items()}
    for name, array in generators.numbers(generators.recorded(1)).items():
        state[name] += 0.5 * array
    averaged = generators.recorded()
    averaged.set_state_dict(state)
    half = directly(averaged, lr)
    assert np.abs(half - (ends[0] + ends[1]) / 2).mean() > 1, "their mean is something else"
    for alpha, expected in ((0, ends[0]), (1, ends[1]), (0.5, half), (None, half)):
        settings = {} if alpha is None else {"alpha": alpha}
        sr = Upscaler(weights_file, blend=other_file, engine="eager", **settings)(lr)
        assert_levels(sr, expected, ROUNDED)


@pytest.mark.slow
def test_it_says_what_it_chose(weights_file):
    chosen = Upscaler(weights_file)
    assert (chosen.engine, chosen.device) == (HERE[0], "cpu")
    assert chosen.precision == ("bf16" if cpu_bf16() and HERE[0] != "eager" else "fp32")
    for engine in HERE:
        named = Upscaler(weights_file, engine=engine, precision="fp32", device="cpu")
        assert (named.engine, named.precision, named.device) == (engine, "fp32", "cpu")


@pytest.mark.parametrize("content", [None, b"text", pickle.dumps({"x": print})])
def test_weights_that_cannot_be_used_are_named(weights_file, content, tmp_path):
    path = tmp_path / "bad.pdparams"
    if content is not None:
        path.write_bytes(content)
    for settings in ({"weights": path}, {"weights": weights_file, "blend": path}):
        with pytest.raises(InputError) as error:
            Upscaler(**settings)
        assert str(path) in str(error.value)
