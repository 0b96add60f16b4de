"""Flat areas and borders keep LR's colour."""

import cv2
import numpy as np
import pytest

from common.device import cpu_bf16
from infer import Upscaler, colour
from infer.colour import match, mirror
from tests.helpers import matlab

COLOURS = [(255, 255, 255), (0, 0, 0), (3, 3, 3), (128, 128, 128), (250, 240, 230), (60, 20, 10), (10, 90, 200)]


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["srgan", "srresnet", "srgan_photo"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])  # auto may be int8
def test_flat_pictures_keep_their_colour_to_the_corners(weights, precision):
    if precision == "bf16" and not cpu_bf16():
        pytest.skip("this CPU has no bf16")
    upscale = Upscaler(weights, precision=precision, device="cpu")
    for rgb in COLOURS:
        lr = np.full((40, 44, 3), rgb, np.uint8)
        assert (upscale(lr) == rgb).all(), rgb
    assert (upscale.upscale(np.full((40, 44, 1), 65535, np.uint16)) == 65535).all()


@pytest.mark.slow
def test_tiles_give_the_same_with_it():
    lr = matlab.noise(70, 100)
    whole, tiled = (Upscaler("srgan", precision="fp32", device="cpu", tile=tile)(lr) for tile in (None, 20))
    difference = np.abs(whole.astype(int) - tiled)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3, "but for rounding"


def drifted(lr):
    """SR, and the same with colours that drift, slowly, by up to 6 levels."""
    height, width = lr.shape[:2]
    sr = cv2.resize(lr, (4 * width, 4 * height), interpolation=cv2.INTER_CUBIC).reshape(4 * height, 4 * width, -1)
    rows, columns = np.mgrid[: 4 * height, : 4 * width]
    largest = np.iinfo(lr.dtype).max
    drift = 6 * largest / 255 * np.sin(rows / 60)[..., None] * np.cos(columns / 60)[..., None]
    return sr, np.clip(np.rint(sr + drift), 0, largest).astype(lr.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("planes", [1, 3])
def test_a_slow_drift_of_colour_is_taken_back(dtype, planes):
    levels = 257 if dtype == np.uint16 else 1
    lr = cv2.GaussianBlur(matlab.noise(90, 100), (0, 0), 4)[..., :planes].astype(dtype) * levels
    right, wrong = drifted(lr)
    before = np.abs(wrong.astype(float) - right).mean() / levels
    match(wrong, lr)
    after = np.abs(wrong.astype(float) - right).mean() / levels
    assert before > 2 and after < 0.4


def test_whatever_is_corrected_at_a_time_and_nothing_wraps_around(monkeypatch):
    lr = matlab.noise(70, 41)
    _, sr = drifted(lr)
    whole = sr.copy()
    monkeypatch.setattr(colour, "BAND", 1000)
    match(whole, lr)
    for band in (1, 7, 64):
        banded = sr.copy()
        monkeypatch.setattr(colour, "BAND", band)
        match(banded, lr)
        np.testing.assert_array_equal(banded, whole)
    dark, light = np.zeros((16, 16, 3), np.uint8), np.full((64, 64, 3), 3, np.uint8)
    match(light, dark)
    assert light.max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2)])
def test_small_pictures(size):
    lr = matlab.noise(*size)
    assert (mirror(lr)[4:-4, 4:-4] == lr).all()
    sr = lr.repeat(4, 0).repeat(4, 1)
    match(sr, lr)
    assert (sr == lr.repeat(4, 0).repeat(4, 1)).all()
