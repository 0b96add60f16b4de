import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from data import degrade
from data.degrade import DEGRADATIONS, DRAWS, Drawn, Photo, bicubic, bilinear, photo
from tests.helpers import matlab
from tests.helpers.pictures import read_with_opencv

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (24, 16), (4, 100), (100, 4)]  # of the LR picture, [h, w]


@pytest.mark.parametrize("picture", matlab.PICTURES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_matlabs_to_the_border(scale, size, picture):
    hr = picture(size[0] * scale, size[1] * scale)
    np.testing.assert_array_equal(bicubic(hr, scale), matlab.imresize(hr, *size))


@pytest.mark.parametrize("data_set", ["Set5", "BSD100"])
def test_bicubic_is_the_benchmarks_lr(data_set):
    folder = SHARED / data_set
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    names = sorted(path.name for path in (folder / "HR").glob("*.png"))
    assert len(names) == {"Set5": 5, "BSD100": 100}[data_set]
    for name in names:
        hr, lr = read_with_opencv(folder / "HR" / name), read_with_opencv(folder / "LRbicx4" / name)
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        # The two outermost pixels aside: those files were made from larger pictures.
        np.testing.assert_array_equal(bicubic(hr)[2:-2, 2:-2], lr[2:-2, 2:-2], err_msg=name)


def test_bilinear_by_4_is_the_mean_of_the_middle_four():
    hr = matlab.noise(36, 52)
    middle = hr.reshape(9, 4, 13, 4, 3)[:, 1:3, :, 1:3].astype(int)
    np.testing.assert_array_equal(bilinear(hr), (middle.sum(axis=(1, 3)) + 2) // 4)


def test_bilinear_by_3_is_the_middle_pixel():
    hr = matlab.noise(36, 51)
    np.testing.assert_array_equal(bilinear(hr, scale=3), hr[1::3, 1::3])


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
class TestBoth:
    @pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
    def test_constant_stays_constant(self, name, level):
        lr = DEGRADATIONS[name](np.full((20, 12, 3), level, np.uint8))
        np.testing.assert_array_equal(lr, np.full((5, 3, 3), level, np.uint8))

    def test_colours_stay_apart(self, name):
        hr = matlab.noise(24, 24)
        hr[..., 1] = 77
        assert (DEGRADATIONS[name](hr)[..., 1] == 77).all()

    def test_views_of_a_larger_read_only_picture(self, name):
        large = matlab.noise(60, 60)
        large.flags.writeable = False
        for view in (
            large[5:37, 7:31],
            large[5:37, 30:6:-1],
            large[::-1][4:36, :24],
            large.transpose(1, 0, 2)[:32, :24],
        ):
            expected = DEGRADATIONS[name](view.copy())
            np.testing.assert_array_equal(DEGRADATIONS[name](view), expected)

    def test_result_is_the_callers_own(self, name):
        hr = matlab.noise(16, 16)
        before = hr.copy()
        lr = DEGRADATIONS[name](hr)
        assert lr.dtype == np.uint8 and lr.flags.c_contiguous
        lr[:] = 0
        np.testing.assert_array_equal(hr, before)

    @pytest.mark.parametrize(
        "picture, given",
        [
            (np.zeros((16, 18, 3), np.uint8), "height 16 and width 18"),
            (np.zeros((15, 16, 3), np.uint8), "height 15 and width 16"),
            (np.zeros((0, 16, 3), np.uint8), "height 0 and width 16"),
            (np.zeros((16, 16, 3), np.float32), "float32"),
            (np.zeros((16, 16), np.uint8), r"\[16, 16\]"),
            (np.zeros((16, 16, 4), np.uint8), r"\[16, 16, 4\]"),
            (np.zeros((3, 16, 16), np.uint8), r"\[3, 16, 16\]"),
        ],
    )
    def test_refuses_what_is_no_multiple_or_no_rgb(self, name, picture, given):
        with pytest.raises(ValueError, match=given):
            DEGRADATIONS[name](picture)


def test_names_of_the_flag():
    assert DEGRADATIONS == {"bilinear": bilinear, "bicubic": bicubic}
    assert degrade.NAMES == ("bilinear", "bicubic", "photo")


# -------------------------------------------------------------------------------------------------------------- photo

NOTHING = Drawn(clean=False, blur=(0, 0), shrinking="area", noise=0, noise_seed=0, jpeg=100)  # but shrinking


def test_photo_shrinks_as_it_is_told():
    hr = matlab.noise(48, 64)
    mean = hr.reshape(12, 4, 16, 4, 3).mean(axis=(1, 3))
    assert np.abs(photo(hr, NOTHING) - mean).max() <= 0.5
    np.testing.assert_array_equal(photo(hr, NOTHING._replace(shrinking="bilinear")), bilinear(hr))
    np.testing.assert_array_equal(photo(hr, NOTHING._replace(shrinking="bicubic")), matlab.imresize(hr, 12, 16))


def test_a_clean_one_is_matlabs_bicubic_and_nothing_else():
    hr = matlab.noise(48, 64)
    drawn = Drawn(clean=True, blur=(3, 3), shrinking="area", noise=50, noise_seed=1, jpeg=1)
    np.testing.assert_array_equal(photo(hr, drawn), matlab.imresize(hr, 12, 16))


@pytest.mark.parametrize("blur", [(3.0, 1.0), (0.7, 2.2), (0.4, 0.4)])
def test_the_blur_is_gaussian_across_and_down(blur):
    hr = cv2.resize(matlab.noise(12, 16), (128, 96), interpolation=cv2.INTER_NEAREST)
    exact = gaussian_filter(hr.astype(float), (blur[1], blur[0], 0), mode="mirror")
    expected = exact.reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))
    assert np.abs(photo(hr, NOTHING._replace(blur=blur)) - expected).max() < 2.5
    assert np.abs(photo(hr, NOTHING._replace(blur=blur)) - expected).mean() < 0.5


@pytest.mark.parametrize("sigma", [0.8, 5.0, 12.0])
def test_the_noise_is_gaussian_and_independent_between_pixels_and_colours(sigma):
    grey = np.full((400, 400, 3), 128, np.uint8)
    noise = photo(grey, NOTHING._replace(noise=sigma, noise_seed=7)).astype(float) - 128
    count = noise.size
    # Whole levels add the variance of rounding, 1/12 (Sheppard). Five standard errors each.
    assert abs(noise.mean()) < 5 * sigma / count**0.5
    assert noise.std() == pytest.approx((sigma**2 + 1 / 12) ** 0.5, rel=5 / (2 * count) ** 0.5)
    assert (np.abs(noise) <= 2 * sigma + 0.5).mean() == pytest.approx(0.9545, abs=0.12 / sigma)
    for other in (noise[:, 1:], noise[1:], np.roll(noise, 1, 2)):
        height, width = other.shape[:2]
        one = noise[:height, :width] if other.shape != noise.shape else noise
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / count**0.5


def test_noise_does_not_wrap_around():
    for level, limit in ((0, 100), (255, 155)):
        lr = photo(np.full((80, 80, 3), level, np.uint8), NOTHING._replace(noise=20, noise_seed=1)).astype(int)
        assert (lr <= limit).all() if level == 0 else (lr >= limit).all()
        assert (lr == level).mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("quality", [10, 40, 95])
def test_the_jpeg_is_pillows_of_that_quality(quality):
    hr = cv2.resize(matlab.noise(20, 28), (28 * 16, 20 * 16), interpolation=cv2.INTER_CUBIC)
    lr = photo(hr, NOTHING)
    stream = io.BytesIO()
    Image.fromarray(lr).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    pillows = np.asarray(Image.open(stream)).astype(int)
    found = photo(hr, NOTHING._replace(jpeg=quality))
    assert np.abs(found - pillows).mean() < 0.1 and np.abs(found - pillows).max() <= 4
    assert np.abs(found - lr.astype(int)).mean() > 0.5, "it loses something"


@pytest.mark.parametrize("top, left", [(0, 0), (5, 11), (15, 16), (16, 1), (23, 38)])
def test_a_crops_jpeg_is_the_one_of_the_photograph_that_it_is_cut_from(top, left):
    hr = cv2.resize(matlab.noise(20, 28), (28 * 16, 20 * 16), interpolation=cv2.INTER_CUBIC)
    photograph = photo(hr, NOTHING._replace(jpeg=30))  # as Pillow's, by the test above
    crop = hr[4 * top :, 4 * left :][: 4 * 40, : 4 * 40]
    found = photo(crop, NOTHING._replace(jpeg=30, jpeg_corner=(top % 16, left % 16)))
    # Those of its blocks that lie in the crop, a pixel less, as colours are interpolated.
    rows, columns = (slice(-at % 16 + 1, (at + 40) // 16 * 16 - at - 1) for at in (top, left))
    assert rows.stop - rows.start >= 14 and columns.stop - columns.start >= 14
    expected = photograph[top : top + 40, left : left + 40]
    np.testing.assert_array_equal(found[rows, columns], expected[rows, columns])
    if top % 8 or left % 8:
        at_the_corner = photo(crop, NOTHING._replace(jpeg=30))
        assert np.abs(at_the_corner[rows, columns].astype(int) - expected[rows, columns]).mean() > 1


def test_equal_draws_give_equal_pixels_and_another_seed_other_noise():
    hr, drawn = matlab.noise(32, 32), Drawn(False, (1.0, 2.0), "bicubic", 9.0, 5, 60)
    first = photo(hr, drawn)
    cv2.setRNGSeed(1)
    cv2.randn(np.empty((5, 5), np.float32), 0, 1)
    np.testing.assert_array_equal(photo(hr, drawn), first)
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: photo(hr, drawn), range(40)):
            np.testing.assert_array_equal(other, first)
    assert (photo(hr, drawn._replace(noise_seed=6)) != first).mean() > 0.5


def test_what_is_drawn_is_uniform_up_to_the_strengths():
    uniform = np.random.default_rng(0).random((20000, DRAWS))
    drawn = [Photo(blur=2.0, noise=8.0, jpeg=91, clean=0.3).drawn(row) for row in uniform]
    assert np.mean([one.clean for one in drawn]) == pytest.approx(0.3, abs=0.02)
    for values, largest in (
        ([one.blur[0] for one in drawn], 2.0),
        ([one.blur[1] for one in drawn], 2.0),
        ([one.noise for one in drawn], 8.0),
        ([one.noise_seed for one in drawn], 2**31),
    ):
        assert 0 <= min(values) < 0.01 * largest and 0.99 * largest < max(values) <= largest
        np.testing.assert_allclose(np.quantile(values, [0.25, 0.5, 0.75]) / largest, [0.25, 0.5, 0.75], atol=0.02)
    for values, expected in (
        ([one.shrinking for one in drawn], ["area", "bicubic", "bilinear"]),
        ([one.jpeg for one in drawn], list(range(91, 101))),
        ([one.jpeg_corner[0] for one in drawn], list(range(16))),
        ([one.jpeg_corner[1] for one in drawn], list(range(16))),
    ):
        found, counts = np.unique(values, return_counts=True)
        assert list(found) == expected and np.abs(counts / 20000 - 1 / len(expected)).max() < 0.02
    parts = [[*one.blur, one.noise, one.noise_seed, one.jpeg, *one.jpeg_corner, one.clean] for one in drawn]
    assert np.abs(np.corrcoef(np.transpose(parts)) - np.eye(8)).max() < 5 / 20000**0.5


def test_without_strengths_it_only_shrinks():
    for row in np.random.default_rng(1).random((50, DRAWS)):
        drawn = Photo(0, 0, 100, 0).drawn(row)
        assert drawn._replace(shrinking="area", noise_seed=0, jpeg_corner=(0, 0)) == NOTHING
    assert all(Photo(clean=1).drawn([value] * DRAWS).clean for value in (0, 0.5, 1 - 2**-53))


@pytest.mark.parametrize("uniform", [[0.0] * DRAWS, [1 - 2**-53] * DRAWS])
def test_the_ends_of_what_can_be_drawn_work(uniform):
    drawn = Photo(clean=0).drawn(uniform)
    assert 40 <= drawn.jpeg <= 100 and photo(matlab.noise(16, 16), drawn).shape == (4, 4, 3)


def test_photo_refuses_what_the_others_refuse_and_leaves_the_picture_as_it_was():
    hr = matlab.noise(16, 16)
    before = hr.copy()
    hr.flags.writeable = False
    lr = photo(hr[:, ::-1], NOTHING._replace(blur=(1, 1), noise=3, jpeg=50))
    assert lr.dtype == np.uint8 and lr.flags.c_contiguous
    np.testing.assert_array_equal(hr, before)
    for bad, given in ((hr[:15], "height 15"), (hr.astype(float), "float64"), (hr[..., 0], r"\[16, 16\]")):
        with pytest.raises(ValueError, match=given):
            photo(bad, NOTHING)
