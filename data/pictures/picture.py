"""A picture in memory with everything that an upscaler must keep: depth, grey, transparency, profile; the formats."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass

import cv2
import numpy as np

from data.pictures.jpeg import Quantization

MAX_PIXELS = 50_000_000  # of a picture to be upscaled, unless the user says otherwise

# Of Pillow's forty formats (one of them starts Ghostscript) only these are tried, whatever a file's ending.
FORMATS = {
    ".bmp": "BMP",
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
}

BLOCK_BYTES = 2**20

# Pillow warns of odd metadata in pictures that decode well. Filtered once for the process and not around each read,
# because `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

GREY = np.array((0.299, 0.587, 0.114), "float32")  # ITU-R BT.601: the grey of an RGB picture


@dataclass(eq=False)
class Picture:
    """An upright picture in memory, of full range: 0..255 in uint8 or 0..65535 in uint16.

    colour: [h,w,1] (grey) or [h,w,3] (RGB). alpha: [h,w] of the same dtype, 0 is transparent, the colour is not
    multiplied by it; or None. icc_profile: an ICC profile for this colour (grey or RGB), or None. format: that of the
    file it was read from, a value of FORMATS. exif (from the TIFF header on), xmp: metadata that says "upright", b""
    without. dpi: across and down, or None. lossless: whether it is from a lossless WebP. omitted: what of the file was
    not read or not converted, in words for a user. jpeg: how a JPEG was compressed, None for others.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    format: str = ""
    exif: bytes = b""
    xmp: bytes = b""
    dpi: tuple | None = None
    lossless: bool = False
    omitted: tuple = ()
    jpeg: Quantization | None = None


def rows_per_block(samples: np.ndarray) -> int:
    """How many rows of [h,w,...] samples make a block of some BLOCK_BYTES: what is copied of a picture at a time."""
    return max(1, BLOCK_BYTES * len(samples) // samples.nbytes)


def to_8_bits(samples: np.ndarray) -> np.ndarray:
    """uint16 0..65535, [h,w] or [h,w,1..4], as uint8 0..255, rounded; uint8 as it is, not copied."""
    if samples.dtype == np.uint8:
        return samples
    # 65535 = 257 * 255, and 257 is odd: there are no halves to decide.
    return cv2.convertScaleAbs(np.ascontiguousarray(samples), alpha=1 / 257).reshape(samples.shape)
