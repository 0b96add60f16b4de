"""What is done to a compressed picture before a generator gets it: JPEG's blocks are smoothed, and grain is added.

A generator that sharpens takes the seams between JPEG's blocks for edges. A bilateral filter (Tomasi and Manduchi, ICCV
1998) removes differences as small as theirs and keeps edges. So that it does not remove fine texture with them, it may
change what the file says by no more than a part of what rounding can have changed: each of JPEG's cosine coefficients
is held within a share of its quantization step (constraint sets as in Zakhor, IEEE Transactions on Circuits and Systems
for Video Technology, 1992). In place of the noise that is gone comes grain about as strong, of which the network makes
texture: without it, what is smooth stays smooth like plastic. Video codecs do the same ("film grain synthesis").
"""

from __future__ import annotations

import cv2
import numpy as np

from data.pictures.jpeg import BLOCK, Quantization, of_quality

# All chosen by LPIPS at quality 60, of Set14 and BSD100: see weights/README.md.
DIAMETER, SIGMA_SPACE = 13, 6  # pixels
# Of each pass, as multiples of the mean quantization step of brightness: grey levels, of the sum of the differences in
# red, green and blue.
SIGMA_COLOUR = (0.52, 0.26)
HELD = 0.15  # the largest change of a cosine coefficient, as a share of its quantization step
GRAIN = 0.9  # the grain's standard deviation, as a multiple of what the first pass removed
AROUND = 31  # pixels: side of the square in which that is measured

ASSUMED = 60  # quality, of a picture that is not from a JPEG file, such as a screenshot of one
# Rows that are computed at a time, and those around them that matter to them: the filter's radius and the blocks that
# it touches, for each pass, which is more than the half of AROUND.
ROWS, MARGIN = 16 * BLOCK, 3 * BLOCK
SIDE = 8  # of the blocks whose cosine transform is taken

_COSINES = cv2.dct(np.eye(SIDE, dtype="float32"), flags=cv2.DCT_ROWS).T  # [frequency, sample], orthonormal


def deblocked(picture: np.ndarray, jpeg: Quantization | None = None) -> np.ndarray:
    """A picture of full range, uint8 or uint16 [h,w,1] (grey) or [h,w,3] (RGB), smoothed and with grain; the same type.

    jpeg: how it was compressed; None: assumed to be as by libjpeg with a quality of ASSUMED, from the corner on.
    The grain is the same in all colours, and the same each time. Beside the result this takes a copy of the picture,
    and some 120 bytes for each pixel of ROWS and twice MARGIN rows.
    """
    jpeg = jpeg or of_quality(ASSUMED)
    to_levels = np.float32(255 / np.iinfo(picture.dtype).max)
    height, width = picture.shape[:2]
    top, left = (-side % BLOCK for side in jpeg.corner)
    edges = (top, -(top + height) % BLOCK), (left, -(left + width) % BLOCK), (0, 0)
    padded = np.pad(picture, edges, "edge")
    result = np.empty_like(picture)
    luck = np.random.default_rng(0)
    for start in range(0, len(padded), ROWS):
        first = max(0, start - MARGIN)
        smooth, removed = smoothed(padded[first : start + ROWS + MARGIN] * to_levels, jpeg)
        rows = slice(max(start, top), min(start + ROWS, top + height))
        inside = slice(rows.start - first, rows.stop - first), slice(left, left + width)
        noise = luck.standard_normal((rows.stop - rows.start, width), np.float32) * GRAIN * _typical(removed)[inside]
        levels = np.rint((smooth[inside] + noise[..., None]) / to_levels)
        result[rows.start - top : rows.stop - top] = np.clip(levels, 0, np.iinfo(picture.dtype).max)
    return result


def smoothed(levels: np.ndarray, jpeg: Quantization) -> tuple:
    """float32 [h,w,1 or 3], 0..255, filtered and held, without grain; and what the first pass removed of grey, [h,w].

    levels: the same type and range, of whole blocks, beginning with one; [0, 0] is a block's corner.
    """
    before = _planes(levels)
    after, removed = levels, None
    for sigma in SIGMA_COLOUR:
        # Of grey there is one difference instead of three equal ones.
        after = cv2.bilateralFilter(after, DIAMETER, sigma * jpeg.step * levels.shape[2] / 3, SIGMA_SPACE)
        planes = _planes(after.reshape(levels.shape))
        removed = cv2.absdiff(planes[0], before[0]) if removed is None else removed
        planes[0] = _held(planes[0], before[0], jpeg.brightness)
        if jpeg.colour is not None:
            planes[1:] = [
                _held(plane, its, jpeg.colour, jpeg.subsampling) for plane, its in zip(planes[1:], before[1:])
            ]
        after = planes[0] if len(planes) == 1 else cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB)
    return after.reshape(levels.shape), removed


def _planes(levels: np.ndarray) -> list:
    """JPEG's: brightness, and two colour differences of a picture of three planes."""
    return list(cv2.split(cv2.cvtColor(levels, cv2.COLOR_RGB2YCrCb) if levels.shape[2] == 3 else levels))


def _held(after: np.ndarray, before: np.ndarray, steps: np.ndarray, subsampling: tuple = (1, 1)) -> np.ndarray:
    """[h,w], changed from `before` by no more than HELD steps in each coefficient of each block."""
    height, width = after.shape
    stored = width // subsampling[1], height // subsampling[0]
    change = cv2.resize(after - before, stored, interpolation=cv2.INTER_AREA)  # the mean, as encoders do it
    blocks = change.reshape(-1, SIDE, stored[0] // SIDE, SIDE).swapaxes(1, 2)
    coefficients = _COSINES @ blocks @ _COSINES.T
    largest = HELD * steps
    excess = _COSINES.T @ (coefficients - np.clip(coefficients, -largest, largest)) @ _COSINES
    excess = np.ascontiguousarray(excess.swapaxes(1, 2)).reshape(change.shape)
    return after - cv2.resize(excess, (width, height), interpolation=cv2.INTER_LINEAR)


def _typical(removed: np.ndarray) -> np.ndarray:
    """How much was removed around each pixel of [h,w], in grey levels: float32 [h,w].

    The power mean with the exponent 1/2, which large values change little: beside an edge JPEG's ringing is removed,
    and that is no noise.
    """
    return cv2.blur(np.sqrt(removed), (AROUND, AROUND)) ** 2
