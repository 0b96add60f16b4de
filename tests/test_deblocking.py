"""Deblocking before upscaling: the filter, what holds it, the grain, and the files that it is for."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from skimage import data as photographs
from skimage.metrics import peak_signal_noise_ratio

from data.pictures.jpeg import of_quality, quantization
from data.pictures.reading import read_picture
from infer import deblocking
from infer.deblocking import deblocked, smoothed
from infer.files import Job
from infer.picture import Options, upscale_file
from models.weight_files.shipped import SHIPPED

COARSE = of_quality(60)


def bilateral(picture: np.ndarray, sigma_colour: float) -> np.ndarray:
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
            weight = weight * np.exp(-(difference**2) / (2 * sigma_colour**2))
            total += weight * other
            weights += weight
    return total / weights


@pytest.fixture
def no_grain(monkeypatch):
    monkeypatch.setattr(deblocking, "GRAIN", 0)


@pytest.fixture
def free(monkeypatch):
    """The filter may change whatever it will."""
    monkeypatch.setattr(deblocking, "HELD", 1e6)


def encoded(rgb, quality, **settings):
    """The JPEG as Pillow reads it."""
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=quality, **settings)
    return Image.open(stream)


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_filter_is_bilateral_in_every_depth_and_in_grey(no_grain, free, planes, dtype):
    photograph = cv2.resize(photographs.chelsea()[:240, 60:300], (60, 60), interpolation=cv2.INTER_AREA)
    picture = np.asarray(encoded(photograph, 60))[..., :planes]
    expected = np.pad(picture, ((0, 4), (0, 4), (0, 0)), "edge").astype(float)  # to whole blocks
    for share in deblocking.SIGMA_COLOUR:
        expected = bilateral(expected, share * COARSE.step)
    expected = expected[:60, :60]
    levels = 257 if dtype == "uint16" else 1
    found = deblocked(picture.astype(dtype) * levels, COARSE)
    assert found.dtype == dtype and found.shape == picture.shape
    # uint8 is rounded; OpenCV takes the exponentials from a table.
    assert np.abs(found / levels - expected).max() < (0.6 if dtype == "uint8" else 0.1)
    assert np.abs(picture - expected).mean() > 1, "it does something"


def shares_of_steps(image, plane: str) -> np.ndarray:
    """The largest change by deblocking of each coefficient of a plane, in quantization steps: [8,8].

    image: a JPEG of whole blocks. Planes as in ITU-T T.871, section 7.
    """
    jpeg, picture = quantization(image), np.asarray(image)
    change = smoothed(picture.astype("float32"), jpeg)[0].astype(float) - picture
    brightness = change @ (0.299, 0.587, 0.114)
    if plane == "brightness":
        (down, across), steps, change = (1, 1), jpeg.brightness, brightness
    else:
        (down, across), steps = jpeg.subsampling, jpeg.colour
        number, scale = {"blue": (2, 1.772), "red": (0, 1.402)}[plane]
        change = (change[..., number] - brightness) / scale
    height, width = change.shape[0] // down, change.shape[1] // across
    change = change.reshape(height, down, width, across).mean((1, 3))
    blocks = change.reshape(height // 8, 8, width // 8, 8)
    return np.abs(dctn(blocks, axes=(1, 3), norm="ortho")).max((0, 2)) / steps


@pytest.mark.parametrize("quality", [30, 90])
def test_no_coefficient_of_brightness_changes_by_more_than_a_share_of_its_step(quality):
    found = shares_of_steps(encoded(photographs.astronaut()[:64, 192:288], quality), "brightness")
    assert found.max() < deblocking.HELD + 0.01  # of the rounding of single precision
    assert found[:2, :2].min() > deblocking.HELD - 0.01, "it is held no more than it must be"


@pytest.mark.parametrize("quality", [30, 90])
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_a_photograph_without_blocks_is_nearer_to_the_uncompressed_one(name, quality, no_grain):
    hr = getattr(photographs, name)()[:256, :256]
    lr = cv2.resize(hr, (128, 128), interpolation=cv2.INTER_AREA)
    image = encoded(lr, quality)
    before, after = np.asarray(image), deblocked(np.asarray(image), quantization(image))
    assert peak_signal_noise_ratio(lr, after) > peak_signal_noise_ratio(lr, before) + 0.2  # dB


def test_it_is_the_same_each_time_and_whatever_is_computed_at_a_time(monkeypatch):
    picture = np.asarray(encoded(photographs.chelsea()[:150, 100:270], 60))
    picture.flags.writeable = False
    for corner in ((0, 0), (5, 9)):
        jpeg = COARSE._replace(corner=corner)
        monkeypatch.undo()
        whole = deblocked(picture, jpeg)
        assert np.array_equal(deblocked(picture, jpeg), whole)
        monkeypatch.setattr(deblocking, "TILE", 16)
        difference = np.abs(deblocked(picture, jpeg).astype(int) - whole)
        assert difference.max() <= 1 and (difference > 0).mean() < 2e-5, "but for rounding"


class Nearest:
    """In place of an upscaler."""

    def __init__(self, weights):
        self.weights = str(weights)

    def upscale(self, lr, progress, beside, size):
        return lr.repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize(
    "kind, weights, deblock, expected",
    [
        ("JPEG", SHIPPED["srgan_photo"], None, True),
        ("JPEG", SHIPPED["srgan_photo"], False, False),
        ("JPEG", SHIPPED["srgan"], None, False),
        ("JPEG", "output/srgan_g.pdparams", None, False),
        ("PNG", SHIPPED["srgan_photo"], None, False),
        ("PNG", SHIPPED["srgan"], True, True),
    ],
)
def test_it_is_for_jpegs_and_the_generator_for_photographs(kind, weights, deblock, expected, tmp_path):
    path = tmp_path / "a.bmp"  # a JPEG by content, not by name
    Image.fromarray(photographs.chelsea()[:64, :64]).save(path, kind)
    upscaled = upscale_file(Job(path, tmp_path / "b.png"), Options(deblock=deblock), lambda picture: Nearest(weights))
    lr = read_picture(path)
    lr = deblocked(lr.colour, lr.jpeg) if expected else lr.colour
    assert upscaled.is_deblocked == expected
    assert (read_picture(tmp_path / "b.png").colour[::4, ::4] == lr).all()
