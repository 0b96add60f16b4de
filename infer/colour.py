"""Keeps LR's colours in SR.

By itself a generator leaves flat areas a few levels off, white as 253, and the picture's borders by more, as each of
its convolutions takes zeros for what is beyond. So it computes a few mirrored pixels more on every side, which are then
left out; and what the mean of its result over each LR pixel differs from that pixel, smoothed, is added to the result.
Where LR is of one colour, so is the result.
"""

import cv2
import numpy as np

from common.scale import SCALE

MARGIN = 4  # LR pixels: with more, no pixel comes nearer to LR
SIGMA, REACH = 1, 4  # of the Gaussian that smooths the difference, in LR pixels, and where OpenCV cuts it off
BAND = 64  # LR rows corrected at a time
FLAT = np.ones((5, 5), np.uint8)  # LR pixels that must be equal for the one in the middle to be flat


def mirror(lr: np.ndarray) -> np.ndarray:
    """[h,w,…] with MARGIN mirrored pixels on every side."""
    mirrored = cv2.copyMakeBorder(lr, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REFLECT)
    return mirrored.reshape(*mirrored.shape[:2], *lr.shape[2:])  # OpenCV drops the axis of a single plane


def match(sr: np.ndarray, lr: np.ndarray) -> None:
    """Correct SR [4h,4w,…] in place by LR [h,w,…], of the same type, uint8 or uint16."""
    height, width = lr.shape[:2]
    signed = np.int16 if lr.dtype == np.uint8 else np.int32
    means = cv2.resize(sr, (width, height), interpolation=cv2.INTER_AREA).reshape(lr.shape)
    difference = lr.astype(signed) - means
    is_flat = (cv2.dilate(lr, FLAT) == cv2.erode(lr, FLAT)).reshape(lr.shape).all(axis=2)
    for top in range(0, height, BAND):
        first, last = max(0, top - REACH - 1), min(height, top + BAND + REACH + 1)  # 1: of the interpolation
        smooth = cv2.GaussianBlur(difference[first:last].astype(np.float32), (2 * REACH + 1,) * 2, SIGMA)
        large = cv2.resize(smooth, (SCALE * width, SCALE * (last - first)), interpolation=cv2.INTER_LINEAR)
        band = sr[SCALE * top : SCALE * min(top + BAND, height)]
        large = large[SCALE * (top - first) :][: len(band)]
        depth = cv2.CV_8U if sr.dtype == np.uint8 else cv2.CV_16U
        cv2.add(band, large, dst=band, dtype=depth)  # rounded, and kept within the type's range
        flat = is_flat[top : top + BAND]
        if flat.any():
            colours = lr[top : top + BAND].repeat(SCALE, 0).repeat(SCALE, 1)
            np.copyto(band, colours, where=flat.repeat(SCALE, 0).repeat(SCALE, 1)[..., np.newaxis])
