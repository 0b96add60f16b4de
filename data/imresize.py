"""MATLAB's `imresize(picture, 'bicubic')`, by which the field's benchmarks are made and measured."""

import cv2
import numpy as np
from PIL import Image

from models.scale import SCALE

KERNEL_REACH = 2  # of the cubic kernel to either side, in pixels of the smaller picture
BAND = 512  # lines resized at once: Pillow and its way to NumPy hold a picture several times over


def imresize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture enlarged or shrunk to [height,width] as MATLAB's `imresize` does it: same type, same value range.

    picture: uint8 [h,w] or [h,w,3], 0..255, or uint16 [h,w], 0..65535. The cubic kernel with a = -0.5 (Keys, "Cubic
    convolution interpolation for digital image processing", 1981), widened against aliasing where it shrinks;
    mirrored borders; one axis after the other (the smaller scale first, height first where they are equal), rounded to
    whole levels after each, halves up. Equal to MATLAB's arithmetic on every pixel where the scales are powers of 2;
    at others the kernel's weights are no binary fractions, and an exact half can fall to either side.

    Raises ValueError for another type or shape, or sides that are neither multiples nor whole parts of the picture's.
    """
    _check(picture, height, width)
    sizes = (height, width)
    # Sorting keeps the order of equals: height before width.
    for axis in sorted((0, 1), key=lambda axis: sizes[axis] / picture.shape[axis]):
        across = 1 - axis
        bands = np.array_split(picture, -(-picture.shape[across] // BAND), axis=across)
        picture = np.concatenate([_resize_axis(band, axis, sizes[axis]) for band in bands], axis=across)
    return picture


def enlarge(rgb_uint8: np.ndarray) -> np.ndarray:
    """The benchmarks' bicubic ×4: uint8 [h,w,3] to uint8 [4h,4w,3], 0..255."""
    return imresize(rgb_uint8, SCALE * rgb_uint8.shape[0], SCALE * rgb_uint8.shape[1])


def _check(picture: np.ndarray, height: int, width: int) -> None:
    is_8_bit = picture.dtype == np.uint8 and (picture.ndim == 2 or picture.ndim == 3 and picture.shape[2] == 3)
    is_16_bit = picture.dtype == np.uint16 and picture.ndim == 2
    if not (is_8_bit or is_16_bit) or not picture.size:
        found = f"{picture.dtype} {list(picture.shape)}"
        raise ValueError(f"expected uint8 [h,w] or [h,w,3], or uint16 [h,w], got {found}")
    for name, before, after in (("height", picture.shape[0], height), ("width", picture.shape[1], width)):
        if after < 1 or before % after and after % before:
            raise ValueError(f"{name} {before} cannot become {after}: it is no multiple and no whole part of it")


def _resize_axis(picture: np.ndarray, axis: int, size: int) -> np.ndarray:
    # Pillow's kernel and rounding are MATLAB's; its borders are not (it drops the taps outside the picture), so the
    # picture is mirrored by as far as the kernel reaches and `box` leaves the mirrored pixels out of the result.
    reach = KERNEL_REACH * max(1, picture.shape[axis] // size)
    top, left = (reach, 0) if axis == 0 else (0, reach)
    padded = cv2.copyMakeBorder(picture, top, top, left, left, cv2.BORDER_REFLECT)
    height, width = picture.shape[:2]
    target = (width, size) if axis == 0 else (size, height)
    box = (left, top, left + width, top + height)
    if picture.dtype == np.uint8:
        return np.asarray(Image.fromarray(padded).resize(target, Image.Resampling.BICUBIC, box=box))
    # Pillow has no bicubic of 16 bits; that of 32-bit integers adds in double precision and rounds halves up.
    resized = Image.fromarray(padded.astype(np.int32)).resize(target, Image.Resampling.BICUBIC, box=box)
    return np.clip(np.asarray(resized), 0, 65535).astype(np.uint16)
