"""Deblocking, before a generator sees a JPEG: smooths the seams between blocks, then adds grain.

A generator that sharpens takes the seams between JPEG's blocks for edges. A bilateral filter (Tomasi and Manduchi, ICCV
1998) removes differences as small as these and keeps edges. To spare fine texture, each of JPEG's cosine coefficients
may change by no more than a share of its quantization step, which is less than rounding may have changed it (constraint
sets as in Zakhor, IEEE Transactions on Circuits and Systems for Video Technology, 1992). Grain about as strong as the
removed noise replaces it, and the network turns it into texture; without it, smooth areas look like plastic. Video
codecs do the same ("film grain synthesis").
"""

from __future__ import annotations

import cv2
import numpy as np

from data.pictures.jpeg import BLOCK, Quantization, of_quality
from infer.tiles import spans

# All chosen by LPIPS at quality 60, of Set14 and BSD100: see weights/README.md.
DIAMETER, SIGMA_SPACE = 13, 6  # pixels
# For each pass, as multiples of brightness's mean quantization step: in grey levels, summed over red, green and blue.
SIGMA_COLOUR = (0.52, 0.26)
HELD = 0.15  # the largest change of a cosine coefficient, as a share of its quantization step
GRAIN = 0.9  # the grain's standard deviation, as a multiple of what the first pass removed
AROUND = 31  # pixels: side of the square in which that is measured

ASSUMED = 60  # the quality of a picture that is no JPEG file, such as a screenshot of one
# The side of a tile, and of the margin that affects it: for each pass the filter's radius and the blocks it touches,
# which is more than half of AROUND. In pixels, a multiple of the blocks' side.
TILE, MARGIN = 64 * BLOCK, 3 * BLOCK
SIDE = 8  # of the blocks whose cosine transform is taken

_COSINES = cv2.dct(np.eye(SIDE, dtype="float32"), flags=cv2.DCT_ROWS).T  # [frequency, sample], orthonormal
# ITU-T T.871, section 7: JPEG's planes, brightness and the colour differences of blue and red, of RGB.
_TO_PLANES = np.array([(0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)])


def deblocked(picture: np.ndarray, jpeg: Quantization | None = None) -> np.ndarray:
    """A picture of full range, uint8 or uint16 [h,w,1] (grey) or [h,w,3] (RGB), smoothed and with grain; the same type.

    jpeg: how it was compressed; None: as by libjpeg with the quality ASSUMED, the first block in the corner.
    The grain is equal in all colours and in every call. Besides the result this needs 120 bytes per pixel of a tile
    with its margins, at most 150 MB.
    """
    jpeg = jpeg or of_quality(ASSUMED)
    largest = np.iinfo(picture.dtype).max
    to_levels = np.float32(255 / largest)
    height, width = picture.shape[:2]
    result = np.empty_like(picture)
    rng = np.random.default_rng(0)
    for rows, inner_rows, result_rows in _tiles(height, jpeg.corner[0]):
        noise = rng.standard_normal((result_rows.stop - result_rows.start, width), np.float32)
        for columns, inner_columns, result_columns in _tiles(width, jpeg.corner[1]):
            inner, place = (inner_rows, inner_columns), (result_rows, result_columns)
            smooth, removed = smoothed(picture[np.ix_(rows, columns)] * to_levels, jpeg)
            grain = GRAIN * _typical(removed)[inner] * noise[:, result_columns]
            result[place] = np.clip(np.rint((smooth[inner] + grain[..., None]) / to_levels), 0, largest)
    return result


def _tiles(size: int, corner: int):
    """Yield for each tile along a side: the pixels it is computed from (whole blocks; the border's pixel is repeated
    beyond the picture), and the slices of its result in these and in the picture.
    """
    begin = -(-corner % BLOCK)
    for span in spans(size - begin + (begin - size) % BLOCK, TILE, MARGIN):
        first = begin + span.start
        result = slice(max(begin + span.first, 0), min(begin + span.last, size))
        places = np.clip(np.arange(first, begin + span.stop), 0, size - 1)
        yield places, slice(result.start - first, result.stop - first), result


def smoothed(levels: np.ndarray, jpeg: Quantization) -> tuple:
    """(float32 [h,w,1 or 3], 0..255, filtered, without grain; how much grey the first pass removed, [h,w]).

    levels: the same type and range, of whole blocks; [0, 0] is the corner of one.
    """
    to_planes = _TO_PLANES if levels.shape[2] == 3 else np.eye(1)
    after, removed = levels, None
    for sigma in SIGMA_COLOUR:
        # Grey has one difference, a colour three.
        after = cv2.bilateralFilter(after, DIAMETER, sigma * jpeg.step * levels.shape[2] / 3, SIGMA_SPACE)
        after = after.reshape(levels.shape)
        change = cv2.transform(after - levels, to_planes).reshape(levels.shape)
        removed = np.abs(change[..., 0]) if removed is None else removed
        excess = np.zeros_like(change)
        excess[..., 0] = _excess(change[..., 0], jpeg.brightness)
        if jpeg.colour is not None:
            for plane in range(1, levels.shape[2]):
                excess[..., plane] = _excess(change[..., plane], jpeg.colour, jpeg.subsampling)
        after = after - cv2.transform(excess, np.linalg.inv(to_planes)).reshape(levels.shape)
    return after, removed


def _excess(change: np.ndarray, steps: np.ndarray, subsampling: tuple = (1, 1)) -> np.ndarray:
    """The part of a plane's change, [h,w], beyond HELD steps of a coefficient; approximate for a subsampled plane."""
    height, width = change.shape
    stored = width // subsampling[1], height // subsampling[0]
    change = cv2.resize(change, stored, interpolation=cv2.INTER_AREA)  # the mean, as encoders do it
    blocks = change.reshape(-1, SIDE, stored[0] // SIDE, SIDE).swapaxes(1, 2)
    coefficients = _COSINES @ blocks @ _COSINES.T
    largest = HELD * steps
    excess = _COSINES.T @ (coefficients - np.clip(coefficients, -largest, largest)) @ _COSINES
    excess = np.ascontiguousarray(excess.swapaxes(1, 2)).reshape(change.shape)
    return cv2.resize(excess, (width, height), interpolation=cv2.INTER_LINEAR)


def _typical(removed: np.ndarray) -> np.ndarray:
    """How much was removed around each pixel of [h,w], in grey levels: float32 [h,w].

    The power mean with the exponent 1/2, which large values change little: what is removed beside an edge is JPEG's
    ringing, not noise.
    """
    return cv2.blur(np.sqrt(removed), (AROUND, AROUND)) ** 2
