"""How similar a super-resolved picture is to the original: the field's PSNR and SSIM; and how much of a grid it has.

PSNR and SSIM take `sr` and `hr`, RGB uint8 [h,w,3], 0..255, and leave out `shave` pixels along each border, where a
network sees less. They raise ValueError for another type or different shapes, InputError for a picture that is
too small.
"""

import math

import cv2
import numpy as np

from common.errors import InputError
from common.scale import SCALE
from data.pictures.picture import GREY

WINDOW = 11  # side of SSIM's Gaussian window
BAND = 2_000_000  # pixels whose SSIM is computed at once, at 100 bytes each
GRID_BORDER = 8  # pixels along each border that `grid` leaves out
GRID_DETAIL = 20  # grey levels: an edge, which is more, is no grid


def psnr_y(sr: np.ndarray, hr: np.ndarray, shave: int = SCALE) -> float:
    """Peak signal-to-noise ratio of the luma (see `luma`) in dB; infinite for equal pictures."""
    return _psnr(*map(luma, _shave(sr, hr, shave)))


def psnr_rgb(sr: np.ndarray, hr: np.ndarray, shave: int = SCALE) -> float:
    """Peak signal-to-noise ratio over the three colours together, in dB; infinite for equal pictures."""
    return _psnr(*_shave(sr, hr, shave))


def ssim_y(sr: np.ndarray, hr: np.ndarray, shave: int = SCALE) -> float:
    """Structural similarity of the luma (see `luma`), at most 1, which equal pictures have.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with their settings:
    a Gaussian window of 11x11 pixels, sigma 1.5, K1 0.01, K2 0.03. As in their ssim_index.m the mean is over the
    windows that lie within the picture, which must be 11 pixels a side or more after shaving.
    """
    sr, hr = _shave(sr, hr, shave)
    if min(hr.shape[:2]) < WINDOW:
        size = f"{hr.shape[1]}x{hr.shape[0]} pixels without {shave} along each border"
        raise InputError(f"too small for SSIM: {size}; its window takes {WINDOW}x{WINDOW}")
    from skimage.metrics import structural_similarity  # here: upscaling needs no scikit-image

    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    places, step = hr.shape[0] - WINDOW + 1, max(1, BAND // hr.shape[1])  # of the window; in bands, for the memory
    total = 0.0
    for top in range(0, places, step):
        count = min(step, places - top)
        rows = slice(top, top + count + WINDOW - 1)
        total += count * structural_similarity(luma(sr[rows]), luma(hr[rows]), **settings)
    return float(total / places)


def grid(rgb_uint8: np.ndarray) -> float:
    """How much of a picture repeats every 4 pixels across and down, in grey levels: SR's phases, seen as a grid.

    rgb_uint8: [h,w,3], 0..255, 20 pixels a side or more. The fine detail is the grey less its mean over 5x5 pixels, cut
    off at 20 levels. Each of the 16 phases (the pixels at the same place in squares of 4x4) has its mean; the result is
    the standard deviation of these 16 means. Photographs have some 0.1; from about 1 people see it.
    Raises InputError for a picture that is too small.
    """
    grey = rgb_uint8.astype(np.float32) @ GREY
    fine = np.clip(grey - cv2.blur(grey, (5, 5)), -GRID_DETAIL, GRID_DETAIL)
    rows, columns = ((side - 2 * GRID_BORDER) // SCALE for side in grey.shape)
    if min(rows, columns) < 1:
        smallest = 2 * GRID_BORDER + SCALE
        size = f"{grey.shape[1]}x{grey.shape[0]} pixels"
        raise InputError(f"too small for its grid to be measured: {size}; expected {smallest} or more a side")
    inner = fine[GRID_BORDER:, GRID_BORDER:][: rows * SCALE, : columns * SCALE].astype(np.float64)
    return float(inner.reshape(rows, SCALE, columns, SCALE).mean(axis=(0, 2)).std())


def luma(rgb_uint8: np.ndarray) -> np.ndarray:
    """Y of ITU-R BT.601, uint8 [h,w] in 16..235, from RGB uint8 [h,w,3]: MATLAB's `rgb2ycbcr`, rounded as it rounds.

    Published figures use this rounded Y: bicubic has 28.42 dB and 0.8101 on Set5 (published: 28.42 and 0.8104), with an
    unrounded Y 28.43 dB and 0.8111.
    """
    red, green, blue = np.moveaxis(rgb_uint8.astype(np.int32), 2, 0)
    # Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255, in integers, so that halves are halves; they go up.
    numerator = 65481 * red + 128553 * green + 24966 * blue
    return (16 + (2 * numerator + 255000) // 510000).astype(np.uint8)


def check_pair(sr: np.ndarray, hr: np.ndarray) -> None:
    """Raise ValueError unless both are uint8 [h,w,3] of the same shape."""
    for rgb in (sr, hr):
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(f"expected uint8 [h,w,3], got {rgb.dtype} {list(rgb.shape)}")
    if sr.shape != hr.shape:
        raise ValueError(f"the pictures differ in shape: {list(sr.shape)} and {list(hr.shape)}")


def _shave(sr: np.ndarray, hr: np.ndarray, shave: int) -> tuple:
    check_pair(sr, hr)
    height, width = hr.shape[:2]
    if min(height, width) <= 2 * shave:
        raise InputError(f"{width}x{height} pixels: nothing is left without {shave} along each border")
    inner = (slice(shave, height - shave), slice(shave, width - shave))
    return sr[inner], hr[inner]


def _psnr(sr: np.ndarray, hr: np.ndarray) -> float:
    error = cv2.norm(np.ascontiguousarray(sr), np.ascontiguousarray(hr), cv2.NORM_L2SQR) / sr.size
    return 10 * math.log10(255**2 / error) if error else math.inf
