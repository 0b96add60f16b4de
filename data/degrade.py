"""From a high-resolution picture to the low-resolution one a network starts from: HR -> LR.

All ways take and give RGB uint8, 0..255, so that a loader on 8-bit crops and an evaluation on 8-bit files see the
same LR pixels. `data.photo` makes LR like photographs as people have them.
"""

import cv2
import numpy as np

from data.imresize import imresize


def bilinear(rgb_uint8: np.ndarray, scale: int = 4) -> np.ndarray:
    """uint8 [h,w,3] -> uint8 [h/scale,w/scale,3], 0..255: OpenCV's `resize` with INTER_LINEAR, as in the article.

    No antialiasing: at scale 4 an LR pixel is the mean of the 2x2 pixels in the middle of its 4x4. Raises ValueError
    for another type or shape, or sides that are not multiples of `scale`.
    """
    height, width = check_size(rgb_uint8, scale)
    return cv2.resize(rgb_uint8, (width, height), interpolation=cv2.INTER_LINEAR)


def bicubic(rgb_uint8: np.ndarray, scale: int = 4) -> np.ndarray:
    """uint8 [h,w,3] -> uint8 [h/scale,w/scale,3], 0..255: MATLAB's `imresize(rgb, 1/scale)`, the benchmarks' LR.

    Antialiased, with mirrored borders: see `data.imresize`. Raises ValueError for another type or shape, or sides that
    are not multiples of `scale`.
    """
    return imresize(rgb_uint8, *check_size(rgb_uint8, scale))


def check_size(rgb_uint8: np.ndarray, scale: int) -> tuple:
    """(height, width) of the LR of uint8 [h,w,3]. Raises ValueError as the degradations do."""
    if rgb_uint8.dtype != np.uint8 or rgb_uint8.ndim != 3 or rgb_uint8.shape[2] != 3:
        raise ValueError(f"expected uint8 [h,w,3], got {rgb_uint8.dtype} {list(rgb_uint8.shape)}")
    height, width = rgb_uint8.shape[:2]
    if height < 1 or width < 1 or height % scale or width % scale:
        raise ValueError(f"height {height} and width {width} must be multiples of the scale, {scale}: crop first")
    return height // scale, width // scale


DEGRADATIONS = {"bilinear": bilinear, "bicubic": bicubic}
NAMES = (*DEGRADATIONS, "photo")  # of the flag
