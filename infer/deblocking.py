"""What is done to a compressed picture before a generator gets it: JPEG's blocks are smoothed, and grain is added.

A generator that sharpens takes the seams between JPEG's blocks for edges. A bilateral filter (Tomasi and Manduchi, ICCV
1998) removes differences as small as theirs and keeps edges. With them it removes the noise of a photograph and fine
texture. In their place comes grain about as strong as what was removed around each pixel, of which the network makes
texture: without it, what is smooth stays smooth like plastic. Video codecs do the same ("film grain synthesis").
"""

import cv2
import numpy as np

from data.pictures.picture import rows_per_block

# All chosen by LPIPS at quality 60, of Set14 and of parts of BSD100: see weights/README.md.
PASSES = 2
DIAMETER, SIGMA_SPACE = 13, 6  # pixels
SIGMA_COLOUR = 12  # grey levels, of the sum of the differences in red, green and blue
GRAIN = 0.9  # the grain's standard deviation, as a multiple of what the filter removed
AROUND = 31  # pixels: side of the square in which that is measured

# Above a quality of 90 the filter removes more than compression did: LPIPS of Set14 becomes worse by it.
LOWEST_QUALITY = 90  # of libjpeg, from which on a JPEG is left as it is by default
FINEST_STEP = 11.5  # what Picture's `jpeg_step` is then


def smoothed(picture: np.ndarray) -> np.ndarray:
    """A picture of full range, uint8 [h,w,1 or 3] or float32 in grey levels, by the bilateral filter; the same type."""
    # Of grey there is one difference instead of three equal ones.
    sigma_colour = SIGMA_COLOUR * picture.shape[2] / 3
    result = picture
    for _ in range(PASSES):
        result = cv2.bilateralFilter(result, DIAMETER, sigma_colour, SIGMA_SPACE)
    return result.reshape(picture.shape)


def deblocked(picture: np.ndarray) -> np.ndarray:
    """A picture of full range, uint8 or uint16 [h,w,1] (grey) or [h,w,3] (RGB), smoothed and with grain; the same type.

    The grain is the same in all colours, and the same each time. Takes up to 40 bytes a pixel beside the result.
    """
    largest = np.iinfo(picture.dtype).max
    levels = picture if picture.dtype == np.uint8 else picture.astype("float32") * np.float32(255 / largest)
    after = smoothed(levels)
    sigma = GRAIN * _removed(levels, after)
    result = np.empty_like(picture)
    luck = np.random.default_rng(0)
    rows = rows_per_block(picture)
    for top in range(0, len(picture), rows):
        part = slice(top, top + rows)
        noise = sigma[part, :, None] * luck.standard_normal((*sigma[part].shape, 1), np.float32)
        result[part] = np.clip(np.rint((after[part] + noise) * np.float32(largest / 255)), 0, largest)
    return result


def _removed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How much of grey the filter took away around each pixel of [h,w,1 or 3], in grey levels: float32 [h,w].

    The power mean with the exponent 1/2, which large values change little: beside an edge JPEG's ringing is removed,
    and that is no noise.
    """
    one, other = (cv2.cvtColor(x, cv2.COLOR_RGB2GRAY) if x.shape[2] == 3 else x[..., 0] for x in (before, after))
    difference = cv2.absdiff(one, other).astype("float32")
    return cv2.blur(np.sqrt(difference, out=difference), (AROUND, AROUND)) ** 2
