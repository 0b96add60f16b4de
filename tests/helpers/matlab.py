"""MATLAB's `imresize`, and pictures that show where another resize differs from it.

Nothing of the port is used here.
"""

import numpy as np


def imresize(picture, height, width):
    """MATLAB's imresize(picture, [height width], 'bicubic'), uint8 or uint16, [h,w] or [h,w,c], in double precision.

    Written from its documentation and its function `contributions`; slow.
    """
    largest = np.iinfo(picture.dtype).max
    result = picture.astype(np.float64)
    scales = (height / picture.shape[0], width / picture.shape[1])
    for axis in np.argsort(scales, kind="stable"):
        weights = contributions(picture.shape[axis], (height, width)[axis], scales[axis])
        resized = np.moveaxis(np.tensordot(weights, result, (1, axis)), 0, axis)
        result = np.clip(np.floor(resized + 0.5), 0, largest)
    return result.astype(picture.dtype)


def contributions(before, after, scale):
    """The weights [after, before] of the pixels along one axis."""
    result = np.zeros((after, before))
    mirrored = np.concatenate([np.arange(before), np.arange(before)[::-1]])
    stretch = min(scale, 1)  # below 1 the kernel is widened against aliasing
    for output in range(after):
        centre = (output + 1) / scale + 0.5 * (1 - 1 / scale)  # counted from 1, as MATLAB does
        taps = np.floor(centre - 2 / stretch) + np.arange(np.ceil(4 / stretch) + 2)
        weights = cubic(stretch * (centre - taps))
        for tap, weight in zip(taps.astype(int), weights / weights.sum()):
            result[output, mirrored[(tap - 1) % (2 * before)]] += weight
    return result


def cubic(x):
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def noise(height, width):
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def black_or_white(height, width):
    return np.where(noise(height, width) < 128, 0, 255).astype(np.uint8)


def checkerboard(height, width):
    # Fields of three pixels: a period that no scale here divides evenly, so over- and undershoots occur.
    fields = (np.indices((height, width)) // 3).sum(axis=0) % 2
    return np.repeat((255 * fields).astype(np.uint8)[..., np.newaxis], 3, axis=2)


def ramp(height, width):
    rows, columns = np.indices((height, width))
    return np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)


PICTURES = (noise, black_or_white, checkerboard, ramp)
