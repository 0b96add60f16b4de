"""Deblocking before upscaling: the filter, the grain, and the files that it is for."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import uniform_filter
from skimage import data as photographs

from data.pictures.reading import read_picture
from infer import deblocking
from infer.deblocking import deblocked, smoothed
from infer.whole_picture import needs_deblocking
from models.weight_files.shipped import SHIPPED, weights_path
from tests.helpers import matlab


def bilateral(picture: np.ndarray) -> np.ndarray:
    """One pass of Tomasi and Manduchi's filter in a circle, by its definition; float64 [h,w,planes]."""
    radius = deblocking.DIAMETER // 2
    size = picture.shape[:2]
    padded = np.pad(picture, ((radius, radius), (radius, radius), (0, 0)), "reflect")
    total, weights = np.zeros(picture.shape), np.zeros((*size, 1))
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            if np.hypot(down, across) > radius:
                continue
            top, left = radius + down, radius + across
            other = padded[top : top + size[0], left : left + size[1]]
            # Planes are red, green and blue; a grey picture has three equal ones.
            difference = np.abs(other - picture).sum(2, keepdims=True) * 3 / picture.shape[2]
            weight = np.exp(-(down**2 + across**2) / (2 * deblocking.SIGMA_SPACE**2))
            weight = weight * np.exp(-(difference**2) / (2 * deblocking.SIGMA_COLOUR**2))
            total += weight * other
            weights += weight
    return total / weights


@pytest.fixture
def no_grain(monkeypatch):
    monkeypatch.setattr(deblocking, "GRAIN", 0)


@pytest.fixture(scope="module")
def photograph():
    return cv2.resize(photographs.chelsea()[:240, 60:300], (60, 60), interpolation=cv2.INTER_AREA)


def compressed(rgb, quality=40):
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_filter_is_bilateral_in_every_depth_and_in_grey(photograph, no_grain, planes, dtype):
    picture = compressed(photograph)[..., :planes]
    expected = picture.astype(float)
    for _ in range(deblocking.PASSES):
        expected = bilateral(expected)
    levels = 257 if dtype == "uint16" else 1
    found = deblocked(picture.astype(dtype) * levels)
    assert found.dtype == dtype and found.shape == picture.shape
    # uint8 is rounded in every pass; of float32 OpenCV takes the exponentials from a table.
    difference = np.abs(found / levels - expected)
    assert difference.max() < (4 if dtype == "uint8" else 0.1) and difference.mean() < (
        0.5 if dtype == "uint8" else 0.02
    )
    assert np.abs(picture - expected).mean() > 1, "it does something"


def test_seams_between_blocks_become_weaker_and_edges_stay(no_grain):
    # Blocks of 8 pixels, of which each is 3 grey levels brighter than the one before; and an edge below.
    row = 90 + 3 * (np.arange(96) // 8)
    picture = np.repeat(np.stack([row] * 32 + [row + 90] * 32).astype(np.uint8)[..., None], 3, axis=2)
    found = deblocked(picture).astype(float)
    seams = np.abs(np.diff(found[:24], axis=1)).max(axis=(0, 2))
    assert seams[7::8].max() <= 1.5 and found[:24].std() == pytest.approx(picture[:24].std(), rel=0.1)
    assert (found[40:] - found[:24]).mean() == pytest.approx(90, abs=1)
    assert np.abs(found[31:33] - picture[31:33]).mean() < 1.5


def noisy(sigma, planes, size=(300, 400), luck=3):
    """Grey noise around 128, uint8 [h,w,planes], of no more than 8 levels, nearly all of which the filter removes."""
    noise = np.random.default_rng(luck).normal(128, sigma, size)
    return np.repeat(np.clip(np.rint(noise), 120, 136).astype(np.uint8)[..., None], planes, axis=2)


@pytest.mark.parametrize("dtype, levels", [("uint8", 1), ("uint16", 257)])
@pytest.mark.parametrize("planes", [1, 3])
def test_grain_is_grey_white_gaussian_noise_as_strong_as_what_was_removed(dtype, levels, planes):
    picture = noisy(np.linspace(1.5, 6, 400), planes).astype(dtype) * levels
    after = smoothed(picture if levels == 1 else (picture / levels).astype("float32")).astype(float)
    noise = deblocked(picture) / levels - after
    assert (noise == noise[..., :1]).all()
    removed = np.abs(picture / levels - after)[..., 0]
    sigma = deblocking.GRAIN * uniform_filter(np.sqrt(removed), deblocking.AROUND, mode="mirror") ** 2
    assert sigma.min() > 0.5 and sigma.max() > 2 * sigma.min()
    # Whole levels add the variance of rounding (Sheppard). Five standard errors each.
    noise = noise[..., 0] / np.sqrt(sigma**2 + 1 / 12 / levels**2)
    assert abs(noise.mean()) < 5 / noise.size**0.5
    assert noise.std() == pytest.approx(1, rel=5 / (2 * noise.size) ** 0.5)
    for one, other in ((noise[:, 1:], noise[:, :-1]), (noise[1:], noise[:-1])):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / one.size**0.5


@pytest.mark.parametrize("planes", [1, 3])
def test_where_nothing_is_removed_there_is_no_grain(planes):
    picture = np.full((120, 200, planes), 128, np.uint8)
    picture[:, :100] = noisy(3, planes, (120, 100))
    picture[60:, 150:] = 230  # an edge, which the filter leaves alone
    grain = np.abs(deblocked(picture).astype(float) - smoothed(picture)).max(axis=(0, 2))
    assert grain[:85].min() > 1 and grain[115:].max() == 0


def test_what_is_removed_at_few_places_makes_little_grain():
    # So rings beside an edge do, which are not noise. The root mean square of what is removed is more than a level.
    picture = np.full((160, 160, 3), 128, np.uint8)
    picture[::5, ::5] += 6
    after = smoothed(picture).astype(float)
    assert np.sqrt(((picture - after) ** 2).mean()) > 1
    assert np.abs(deblocked(picture) - after).max() < 1


def test_it_is_the_same_each_time_and_in_blocks_of_any_size(monkeypatch):
    picture = matlab.noise(37, 21)
    picture.flags.writeable = False
    whole = deblocked(picture)
    assert np.array_equal(deblocked(picture), whole)
    monkeypatch.setattr(deblocking, "rows_per_block", lambda picture: 5)
    assert np.array_equal(deblocked(picture), whole)


@pytest.mark.parametrize("darkest", [0, 251])
def test_grain_does_not_wrap_around(darkest):
    picture = np.random.default_rng(0).integers(darkest, darkest + 5, (80, 80, 1)).astype(np.uint8)
    levels = deblocked(picture).astype(int)
    assert 2 < np.abs(levels - picture).max() < 15


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 2)])
def test_pictures_smaller_than_the_filter(size):
    assert deblocked(matlab.noise(*size)).shape == (*size, 3)


@pytest.mark.parametrize("quality, is_needed", [(60, True), (89, True), (90, False), (95, False)])
def test_it_is_for_coarse_jpegs_and_the_generator_for_photographs(quality, is_needed, tmp_path):
    Image.fromarray(matlab.noise(8, 8)).save(tmp_path / "jpeg.png", "JPEG", quality=quality)  # by content, not by name
    picture = read_picture(tmp_path / "jpeg.png")
    assert needs_deblocking(weights_path("srgan_photo"), picture) == is_needed
    assert needs_deblocking(SHIPPED["srgan_photo"], picture) == is_needed
    assert not needs_deblocking(weights_path("srgan"), picture)
    assert not needs_deblocking(Path("output/srgan_g.pdparams"), picture)


def test_a_turned_jpeg_is_one_and_a_png_is_none(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(matlab.noise(8, 12)).save(tmp_path / "a.jpg", quality=50, exif=exif)
    Image.fromarray(matlab.noise(8, 12)).save(tmp_path / "a.png")
    # The standard's table (ITU-T T.81, K.1), which quality 50 stands for, has a mean of 57.6.
    assert read_picture(tmp_path / "a.jpg").jpeg_step == pytest.approx(57.625)
    assert read_picture(tmp_path / "a.png").jpeg_step == 0
    assert not needs_deblocking(SHIPPED["srgan_photo"], read_picture(tmp_path / "a.png"))
