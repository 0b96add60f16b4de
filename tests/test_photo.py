"""`data/photo.py`: each operation against its definition or another library, and how often each is drawn."""

import io
import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from data.photo import DRAWS, Blur, Jpeg, Noise, Photo, Resize, Sharpen, photo
from tests.helpers import matlab

SMOOTH = cv2.resize(matlab.noise(20, 28), (28 * 16, 20 * 16), interpolation=cv2.INTER_CUBIC)
UNIFORM = np.random.default_rng(0).random((20000, DRAWS))
DRAWN = [Photo(clean=0.3).draw(row) for row in UNIFORM]
REDUCED = (Resize(0.25, "bicubic"),)


def moments(kernel) -> tuple:
    """(mean, covariance) of a kernel taken as weights at (x, y)."""
    reach = len(kernel) // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    points, weights = np.stack([x.ravel(), y.ravel()]), kernel.ravel()
    mean = points @ weights
    return mean, (points * weights) @ points.T - np.outer(mean, mean)


@pytest.mark.parametrize("across, down, angle", [(2.0, 2.0, 0.5), (3.0, 1.5, 0.4), (5.0, 2.0, 2.0)])
def test_an_oblong_gaussian_has_its_standard_deviations_along_its_turned_axes(across, down, angle):
    mean, covariance = moments(Blur("gaussian", across, down, angle).kernel())
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    np.testing.assert_allclose(mean, 0, atol=1e-9)
    np.testing.assert_allclose(covariance, turn @ np.diag([across**2, down**2]) @ turn.T, rtol=0.04, atol=0.04)


def test_a_round_gaussian_is_scipys():
    exact = gaussian_filter(SMOOTH.astype(float), (1.7, 1.7, 0), mode="mirror")
    assert np.abs(Blur("gaussian", 1.7, 1.7).apply(SMOOTH) - exact).max() <= 1.5


@pytest.mark.parametrize("radius", [1.5, 4.0, 10.0])
def test_a_disc_is_even_inside_nothing_outside_and_as_wide_as_its_radius(radius):
    kernel = Blur("disc", radius, radius).kernel()
    reach = len(kernel) // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    np.testing.assert_allclose(kernel[distance <= radius - 0.5], kernel[reach, reach])
    assert kernel[distance >= radius + 0.5].max() < 1e-15
    np.testing.assert_allclose(1 / kernel[reach, reach], math.pi * radius**2, rtol=0.05)  # its area
    assert kernel.sum() == pytest.approx(1)


def test_a_sinc_passes_low_frequencies_and_stops_those_over_its_cut_off():
    kernel = Blur("sinc", 2.0, 0.0).kernel()
    x = np.arange(len(kernel)) - len(kernel) // 2
    gain = {omega: abs((kernel.sum(axis=0) * np.cos(omega * x)).sum()) for omega in (0.0, 1.0, 3.0)}
    assert gain[0.0] == pytest.approx(1) and gain[1.0] > 0.9 and gain[3.0] < 0.15
    assert kernel.min() < -0.005, "it rings"


@pytest.mark.parametrize("grey, photon, correlation", [(False, False, 0.0), (True, False, 0.8), (False, True, 1.1)])
def test_noise_has_its_strength_its_colours_and_its_correlation(grey, photon, correlation):
    level, sigma = 64, 12.0
    flat = np.full((300, 300, 3), level, np.uint8)
    noise = Noise(sigma, photon, grey, correlation, 7).apply(flat).astype(float)[8:-8, 8:-8] - level
    expected = sigma * (math.sqrt(level / 128) if photon else 1)  # light that is counted: variance in proportion
    assert noise.std() == pytest.approx(math.sqrt(expected**2 + 1 / 12), rel=0.04)  # 1/12: of rounding
    assert abs(noise.mean()) < 0.2
    red, green = noise[..., 0].ravel(), noise[..., 1].ravel()
    assert np.corrcoef(red, green)[0, 1] == pytest.approx(1.0 if grey else 0.0, abs=0.02)
    # White noise behind a Gaussian has the autocorrelation of a Gaussian that is sqrt(2) times as wide.
    neighbour = np.corrcoef(noise[:, 1:, 0].ravel(), noise[:, :-1, 0].ravel())[0, 1]
    assert neighbour == pytest.approx(math.exp(-1 / (4 * correlation**2)) if correlation else 0, abs=0.03)


@pytest.mark.parametrize("level", [0, 255])
def test_noise_does_not_wrap_around(level):
    noisy = Noise(20.0, False, False, 0.0, 1).apply(np.full((80, 80, 3), level, np.uint8)).astype(int)
    assert np.abs(noisy - level).max() < 110 and (noisy == level).mean() == pytest.approx(0.5, abs=0.05)


def test_sharpening_is_an_unsharp_mask():
    exact = SMOOTH + 0.8 * (SMOOTH - gaussian_filter(SMOOTH.astype(float), (1.2, 1.2, 0), mode="mirror"))
    assert np.abs(Sharpen(1.2, 0.8).apply(SMOOTH) - np.clip(exact, 0, 255)).max() <= 1.5


@pytest.mark.parametrize("quality", [10, 40, 95])
@pytest.mark.parametrize("halved", [True, False])
def test_the_jpeg_is_pillows_of_that_quality(quality, halved):
    stream = io.BytesIO()
    Image.fromarray(SMOOTH).save(stream, "JPEG", quality=quality, subsampling="4:2:0" if halved else "4:4:4")
    difference = np.abs(Jpeg(quality, halved=halved).apply(SMOOTH) - np.asarray(Image.open(stream)).astype(int))
    assert difference.mean() < 0.1 and difference.max() <= 4


@pytest.mark.parametrize("top, left", [(0, 0), (5, 11), (16, 1)])
def test_a_crops_jpeg_is_the_one_of_the_photograph_that_it_is_cut_from(top, left):
    whole = Jpeg(30).apply(SMOOTH)[top : top + 80, left : left + 80]
    crop = Jpeg(30, (top % 16, left % 16)).apply(SMOOTH[top : top + 80, left : left + 80])
    # Squares of 16 pixels that lie in the crop, a pixel less, as colours are interpolated.
    rows, columns = (slice(-at % 16 + 1, (at + 80) // 16 * 16 - at - 1) for at in (top, left))
    np.testing.assert_array_equal(crop[rows, columns], whole[rows, columns])


def test_resizing_takes_its_share_of_hr_by_its_method():
    np.testing.assert_array_equal(photo(SMOOTH, REDUCED), matlab.imresize(SMOOTH, 80, 112))
    means = SMOOTH.reshape(80, 4, 112, 4, 3).mean(axis=(1, 3))
    assert np.abs(photo(SMOOTH, (Resize(0.25, "area"),)) - means).max() <= 0.5
    twice = photo(SMOOTH, (Resize(0.5, "area"), Resize(0.25, "area")))
    assert np.abs(twice - means).max() <= 1
    for method in ("bilinear", "lanczos"):
        assert np.abs(photo(SMOOTH, (Resize(0.2, method), Resize(0.25, method))).astype(int) - means).mean() < 10


def test_equal_operations_give_equal_pixels_in_any_thread():
    hr = matlab.noise(32, 32)
    for operations in [one for one in DRAWN[:200] if len(one) > 6][:5]:
        first = photo(hr, operations)
        assert first.shape == (8, 8, 3) and first.dtype == np.uint8
        with ThreadPoolExecutor(4) as pool:
            for other in pool.map(lambda _: photo(hr, operations), range(20)):  # noqa: B023
                np.testing.assert_array_equal(other, first)


def test_shares_are_as_described():
    def share(holds) -> float:
        return sum(map(holds, DRAWN)) / len(DRAWN)

    def has(kind, part):
        return any(isinstance(one, kind) for one in part)

    assert share(lambda one: one == REDUCED) == pytest.approx(0.3, abs=0.02)
    degraded = 0.7
    assert share(lambda one: has(Sharpen, one)) == pytest.approx(degraded * 0.4, abs=0.02)
    assert share(lambda one: isinstance(one[-1], Jpeg)) == pytest.approx(degraded * 0.75, abs=0.02)
    assert share(lambda one: has(Noise, one)) == pytest.approx(degraded * 0.75, abs=0.02)
    assert share(lambda one: sum(isinstance(x, Jpeg) for x in one) == 2) == pytest.approx(degraded * 0.375, abs=0.02)
    assert all([x.share for x in one if isinstance(x, Resize)][-1] == 0.25 for one in DRAWN)


def test_mild_ones_are_frequent_and_the_strongest_are_the_limits():
    noises = [x.sigma for one in DRAWN for x in one if isinstance(x, Noise)]
    qualities = [one[-1].quality for one in DRAWN if isinstance(one[-1], Jpeg)]
    assert min(noises) < 0.6 and 14.5 < max(noises) <= 15 and np.median(noises) < 6
    assert min(qualities) in (40, 41) and max(qualities) == 97 and np.median(qualities) > 70
    first = [one[0] for one in DRAWN if isinstance(one[0], Blur)]
    assert 5 < max(x.across for x in first if x.shape == "gaussian") <= 1.3 * 4
    assert np.median([x.across for x in first if x.shape == "gaussian"]) < 2.5
    weaker = [Photo(strength=0.5, clean=0).draw(row) for row in UNIFORM[:3000]]
    assert max(x.sigma for one in weaker for x in one if isinstance(x, Noise)) <= 7.5
    assert min(x.quality for one in weaker for x in one if isinstance(x, Jpeg)) >= 70


def test_the_ends_of_what_can_be_drawn_work():
    assert all(Photo(strength=0).draw(row) == REDUCED for row in UNIFORM[:50])
    assert all(Photo(clean=1).draw(row) == REDUCED for row in UNIFORM[:50])
    for uniform in ([0.0] * DRAWS, [1 - 2**-53] * DRAWS):
        assert photo(matlab.noise(16, 16), Photo(clean=0).draw(uniform)).shape == (4, 4, 3)


def test_a_picture_is_not_changed_and_one_that_does_not_fit_is_refused():
    hr = matlab.noise(16, 16)
    before = hr.copy()
    hr.flags.writeable = False
    lr = photo(hr[:, ::-1], DRAWN[0])
    assert lr.dtype == np.uint8 and lr.flags.c_contiguous
    np.testing.assert_array_equal(hr, before)
    for bad, given in ((hr[:15], "height 15"), (hr.astype(float), "float64"), (hr[..., 0], r"\[16, 16\]")):
        with pytest.raises(ValueError, match=given):
            photo(bad, REDUCED)
