"""How coarsely a JPEG was compressed, and where its blocks are."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

BLOCK = 16  # pixels: the side of a block of colour of which every second row and column is kept; brightness has 8

# EXIF 2.3, tag 0x0112: the orientations of which the stored picture is transposed, or then has its rows or columns in
# reverse order. `data.pictures.reading` reverses first, hence its other numbers.
_TRANSPOSED, _ROWS_REVERSED_AFTER, _COLUMNS_REVERSED_AFTER = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)


class Quantization(NamedTuple):
    """To which steps a JPEG's coefficients were rounded (ITU-T T.81, A.3.4).

    brightness: float32 [8,8], the steps by frequency down and across, in grey levels, of an orthonormal cosine
    transform; of a file that stores RGB or CMYK those of its first plane. colour: the same of the two colour planes,
    the smaller step of both; None where there are none, or they are subsampled in an unusual way. subsampling: pixels
    down and across, 1 or 2, that share a sample of colour. corner: pixels down and across, 0..15, from the picture's
    corner to the first corner of a block of BLOCK pixels.
    """

    brightness: np.ndarray
    colour: np.ndarray | None = None
    subsampling: tuple = (1, 1)
    corner: tuple = (0, 0)

    @property
    def step(self) -> float:
        """The mean step of brightness."""
        return float(self.brightness.mean())


def quantization(image, orientation: int = 1) -> Quantization | None:
    """The quantization of the upright picture; None if it is not from a JPEG.

    image: opened by Pillow, as it is stored. orientation: EXIF's number.
    """
    stored = getattr(image, "quantization", {})  # only JPEGs have it
    tables = {number: np.array(steps, "float32").reshape(8, 8) for number, steps in stored.items()}
    if not tables:
        return None
    (_, across, down, number), *colours = image.layer  # of each component
    brightness, colour, subsampling = tables[number], None, (1, 1)
    is_rgb = image.info.get("adobe_transform") == 0
    if len(colours) == 2 and colours[0][1:3] == colours[1][1:3] and not is_rgb:
        _, its_across, its_down, _ = colours[0]
        steps = [tables[each[3]] for each in colours if each[3] in tables]
        if len(steps) == 2 and down in (its_down, 2 * its_down) and across in (its_across, 2 * its_across):
            colour, subsampling = np.minimum(*steps), (down // its_down, across // its_across)
    height, width = image.size[::-1]
    if orientation in _TRANSPOSED:
        height, width, brightness, subsampling = width, height, brightness.T, subsampling[::-1]
        colour = None if colour is None else colour.T
    corner = (
        height % BLOCK if orientation in _ROWS_REVERSED_AFTER else 0,
        width % BLOCK if orientation in _COLUMNS_REVERSED_AFTER else 0,
    )
    return Quantization(brightness, colour, subsampling, corner)


def of_quality(quality: int) -> Quantization:
    """libjpeg's quantization at this quality, 1 to 100, by default subsampled, of a picture that begins with a block.

    Raises ValueError for another quality.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"quality {quality} is not 1 to 100")
    stream = io.BytesIO()
    Image.new("RGB", (BLOCK, BLOCK)).save(stream, "JPEG", quality=quality)
    with Image.open(stream) as image:
        return quantization(image)  # type: ignore[return-value]  # not None: it is a JPEG
