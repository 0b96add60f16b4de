"""Chooses the shipped generator for a picture: one for clean pictures, one for compressed, noisy or soft ones.

The limits were chosen on 108 photographs of no benchmark: as they are, reduced, and degraded as for training.
"""

from __future__ import annotations

import cv2
import numpy as np

from data.pictures.picture import GREY, Picture
from models.weight_files.shipped import DEFAULT, PHOTO

SHARP = 0.53  # clean edges have more, those behind a Gaussian blur of half a pixel less: see `_sharpness`
NOISE = 0.6  # grey levels
EVEN, LARGE = 1.3, 2**17  # small pictures may be all detail, which is less even; of this many pixels, some are calm
BLOCKS = 0.08  # see `_blocks`
MEASURED, TILE = 1024, 8  # pixels: the most of a side that is measured, and the side of a place


def fitting_weights(picture: Picture) -> str:
    """The name of the shipped generator for a picture: DEFAULT if its file is lossless and it is clean, else PHOTO."""
    is_lossy = picture.format == "JPEG" or picture.format == "WebP" and not picture.lossless
    return DEFAULT if not is_lossy and is_clean(picture.colour) else PHOTO


def is_clean(picture: np.ndarray) -> bool:
    """Whether a picture, uint8 or uint16 [h,w,1 or 3], is sharp and has neither noise nor the traces of compression.

    Pictures with a side under 24 pixels count as clean.
    """
    top, left = (max(0, side - MEASURED) // 2 for side in picture.shape[:2])
    middle = picture[top : top + MEASURED, left : left + MEASURED] * np.float32(255 / np.iinfo(picture.dtype).max)
    grey = middle @ GREY if middle.shape[2] == 3 else middle[..., 0]
    if min(grey.shape) < 3 * TILE:
        return True
    calmest, calm = _noise(grey)
    is_noisy = calmest > NOISE and (grey.size >= LARGE or calm < EVEN * calmest)
    return _sharpness(grey) >= SHARP and not is_noisy and _blocks(grey) <= BLOCKS


def _sharpness(grey: np.ndarray) -> float:
    """How much of an edge's rise over four pixels lies between the middle two: the median of the steepest 2 %."""
    found = []
    for each in (grey, grey.T):
        before, step, after = (np.diff(each)[:, start : each.shape[1] - 3 + start] for start in range(3))
        peak = np.abs(step) >= np.maximum(np.abs(before), np.abs(after))
        found.append((np.stack([step, before + step + after]) * np.sign(step))[:, peak])
    step, rise = np.concatenate(found, axis=1)
    steep = rise >= max(np.percentile(rise, 98), 1)
    return float(np.median(step[steep] / rise[steep])) if steep.any() else 1.0


def _noise(grey: np.ndarray) -> tuple:
    """The largest standard deviation of noise in the calmest 2 and 10 % of places, by Immerkær's Laplacian (1996)."""
    differences = cv2.filter2D(grey, -1, np.float32([[1, -2, 1], [-2, 4, -2], [1, -2, 1]]) / 6)[1:-1, 1:-1]
    rows, columns = (side // TILE for side in differences.shape)
    variance, level = (
        each[: rows * TILE, : columns * TILE].reshape(rows, TILE, columns, TILE).mean((1, 3))
        for each in (differences**2, grey[1:-1, 1:-1])
    )
    unclipped = variance[(level > 12) & (level < 243)]
    return tuple(np.sqrt(np.percentile(unclipped if unclipped.size else variance, (2, 10))))


def _blocks(grey: np.ndarray) -> float:
    """How much more often a step is larger than both beside it at one place in eight, as between JPEG's blocks."""
    more = []
    for each in (grey, grey.T):
        step = np.abs(np.diff(each))
        often = (step[:, 1:-1] > np.maximum(step[:, :-2], step[:, 2:])).mean(0)
        share = np.sort(often[: len(often) // TILE * TILE].reshape(-1, TILE).mean(0))
        more.append(share[-1] - share[:-1].mean())
    return float(np.mean(more))
