"""Which pictures count as clean, on photographs that the limits were not chosen on."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data as photographs

from benchmarks.photographs import file
from data.degrade import bicubic
from data.pictures.picture import Picture
from infer.cleanness import fitting_weights, is_clean

ASTRONAUT, CHELSEA = photographs.astronaut(), photographs.chelsea()[:300, :448]


def noisy(lr):
    return np.clip(np.rint(lr + np.random.default_rng(0).normal(0, 3, lr.shape)), 0, 255).astype("uint8")


def compressed(lr, quality):
    return np.asarray(Image.open(io.BytesIO(file(Image.fromarray(lr), quality))))


@pytest.mark.parametrize("hr", [ASTRONAUT, CHELSEA], ids=["astronaut", "chelsea"])
def test_what_is_reduced_is_clean_and_what_is_soft_noisy_or_compressed_is_not(hr):
    lr = bicubic(hr)
    assert is_clean(lr) and is_clean(compressed(lr, 96))
    assert not is_clean(compressed(lr, 60)), "a screenshot of a JPEG"
    assert not is_clean(noisy(lr))
    assert not is_clean(gaussian_filter(lr, (0.8, 0.8, 0)))


def test_grey_and_16_bits_are_measured_alike_and_the_smallest_are_clean():
    for picture in (bicubic(ASTRONAUT), noisy(bicubic(ASTRONAUT))):
        grey = np.asarray(Image.fromarray(picture).convert("L"))[..., None]
        assert is_clean(picture.astype("uint16") * 257) == is_clean(grey) == is_clean(picture)
    assert not is_clean(ASTRONAUT), "its own grain, which is hidden by detail in most places"
    assert is_clean(CHELSEA[:20, :9]) and is_clean(np.full((50, 50, 3), 255, "uint8"))


def test_what_was_compressed_and_what_is_not_clean_is_for_the_photo_generator():
    lr = bicubic(ASTRONAUT)
    assert [
        fitting_weights(Picture(colour, format=name, lossless=lossless))
        for colour, name, lossless in (
            (lr, "PNG", False),
            (lr, "WebP", True),
            (noisy(lr), "PNG", False),
            (lr, "WebP", False),
            (lr, "JPEG", False),
        )
    ] == ["srgan", "srgan", "srgan_photo", "srgan_photo", "srgan_photo"]
