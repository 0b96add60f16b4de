"""MATLAB's `imresize(picture, 'bicubic')`, by which the field's benchmarks are made and measured."""

import cv2
import numpy as np
from PIL import Image

from common.scale import SCALE

KERNEL_REACH = 2  # of the cubic kernel to either side, in pixels of the smaller picture
BAND = 512  # lines resized at once: Pillow and its way to NumPy hold a picture several times over


def imresize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A picture enlarged or shrunk to [height,width] as MATLAB's `imresize` does it: same type, same value range.

    picture: uint8, 0..255, or uint16, 0..65535, [h,w], [h,w,1] or [h,w,3]. The cubic kernel with a = -0.5 (Keys, "Cubic
    convolution interpolation for digital image processing", 1981), widened against aliasing where it shrinks;
    mirrored borders; one axis after the other (the smaller scale first, height first where they are equal), rounded to
    whole levels after each, halves up. Equal to MATLAB's arithmetic on every pixel where the scales are powers of 2;
    at others the kernel's weights are no binary fractions, and an exact half can fall to either side.

    Raises ValueError for another type or shape, or sides of less than 1.
    """
    _check(picture, height, width)
    return _resize(picture, height, width, lambda picture, shape: np.empty(shape, picture.dtype))


def shrink(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """What `imresize` makes of a picture at [height,width], no larger, in the picture's own memory.

    The picture is overwritten, and the result a view of its corner: beside it a band is all the memory taken.
    Raises ValueError as `imresize` does, and for a side that would grow.
    """
    _check(picture, height, width)
    if height > picture.shape[0] or width > picture.shape[1]:
        raise ValueError(f"{list(picture.shape[:2])} cannot shrink to {[height, width]}")
    return _resize(picture, height, width, lambda picture, shape: picture[: shape[0], : shape[1]])


def _resize(picture: np.ndarray, height: int, width: int, place) -> np.ndarray:
    """place: a function from a picture and the shape of its resized form to the array for it."""
    # Sorting keeps the order of equals, MATLAB's: height before width.
    for axis, size in sorted(enumerate((height, width)), key=lambda one: one[1] / picture.shape[one[0]]):
        across, shape = 1 - axis, list(picture.shape)
        shape[axis] = size
        result = place(picture, shape)
        for start in range(0, picture.shape[across], BAND):
            band = (slice(None),) * across + (slice(start, start + BAND),)
            result[band] = _resize_axis(picture[band], axis, size)
        picture = result
    return picture


def enlarge(rgb_uint8: np.ndarray) -> np.ndarray:
    """The benchmarks' bicubic ×4: uint8 [h,w,3] to uint8 [4h,4w,3], 0..255."""
    return imresize(rgb_uint8, SCALE * rgb_uint8.shape[0], SCALE * rgb_uint8.shape[1])


def _check(picture: np.ndarray, height: int, width: int) -> None:
    has_planes = picture.ndim == 2 or picture.ndim == 3 and picture.shape[2] in (1, 3)
    if picture.dtype not in (np.uint8, np.uint16) or not has_planes or not picture.size:
        found = f"{picture.dtype} {list(picture.shape)}"
        raise ValueError(f"expected uint8 or uint16 [h,w], [h,w,1] or [h,w,3], got {found}")
    for name, before, after in (("height", picture.shape[0], height), ("width", picture.shape[1], width)):
        if after < 1:
            raise ValueError(f"{name} {before} cannot become {after}")


def _resize_axis(picture: np.ndarray, axis: int, size: int) -> np.ndarray:
    if picture.ndim == 3 and (picture.dtype == np.uint16 or picture.shape[2] == 1):
        return np.stack([_resize_axis(plane, axis, size) for plane in np.moveaxis(picture, 2, 0)], axis=2)
    # Pillow's kernel and rounding are MATLAB's; its borders are not (it drops the taps outside the picture), so the
    # picture is mirrored by as far as the kernel reaches and `box` leaves the mirrored pixels out of the result.
    reach = KERNEL_REACH * -(-picture.shape[axis] // size)
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
