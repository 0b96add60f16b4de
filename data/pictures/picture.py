"""A picture in memory with everything that an upscaler must keep: depth, grey, transparency, profile; the formats."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field

import numpy as np

from data.pictures.jpeg import Quantization

MAX_PIXELS = 50_000_000

# Pictures are untrusted: of Pillow's forty formats (one of them starts Ghostscript) these alone are tried, whatever a
# file's ending says. A JPEG of several frames (MPO) comes through the JPEG reader.
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

# Pillow warns of odd metadata in pictures that decode well; what matters is raised. Filtered once for the process and
# not around each read, because `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

GREY = np.array((0.299, 0.587, 0.114), "float32")  # ITU-R BT.601: the grey of an RGB picture


@dataclass(eq=False)
class Picture:
    """A picture in memory, of full range: 0..255 in uint8 or 0..65535 in uint16.

    colour: [h,w,1] (grey) or [h,w,3] (RGB). alpha: [h,w] of the same dtype, 0 is transparent, the colour is not
    multiplied by it; or None. icc_profile: the bytes of an ICC profile for this colour (grey or RGB), or None.
    exif, xmp: its EXIF data from the TIFF header on, and its XMP data, saying that it is upright; b"" without.
    dpi: across and down, or None. png_colour: {name: content} of a PNG's own chunks about colour. lossless: whether it
    is from a WebP without loss. unkept: what could not be read or converted, in words for a user. jpeg: how a JPEG was
    compressed; None for others.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    pages: int = 1  # of the file it is the first of
    exif: bytes = b""
    dpi: tuple | None = None
    png_colour: dict = field(default_factory=dict)
    lossless: bool = False
    unkept: tuple = ()
    xmp: bytes = b""
    jpeg: Quantization | None = None


def taken(picture: Picture) -> str:
    """What is said where a file holds more than the picture that was read; "" where it does not."""
    return f"has {picture.pages} pages or frames; only the first is used" if picture.pages > 1 else ""


def rows_per_block(samples: np.ndarray) -> int:
    """How many rows of [h,w,...] samples make a block of some BLOCK_BYTES: what is copied of a picture at a time."""
    return max(1, BLOCK_BYTES * len(samples) // samples.nbytes)
