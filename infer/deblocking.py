"""What is done to a compressed picture before a generator gets it: JPEG's blocks are smoothed, and grain is added.

A generator that sharpens takes the seams between JPEG's blocks for edges. A bilateral filter (Tomasi and Manduchi, ICCV
1998) removes differences as small as theirs and keeps edges. What is smooth then is the same everywhere, and so would
be what the network makes of it; with a little noise in it the network makes texture.
"""

import cv2
import numpy as np

from data.pictures.picture import rows_per_block

# All chosen by LPIPS at quality 60, of Set14 and of parts of BSD100: see weights/README.md.
PASSES = 2
DIAMETER, SIGMA_SPACE = 13, 6  # pixels
SIGMA_COLOUR = 12  # grey levels, of the sum of the differences in red, green and blue
GRAIN = 1.0  # grey levels: standard deviation of the noise where the picture is flat
GRAIN_PER_CONTRAST = 0.05  # what is added to it for each grey level of local contrast: texture hides in texture
CONTRAST_SIGMA = 1.0  # pixels: of the Gaussian window in which the contrast, a standard deviation, is taken

# Above a quality of about 90 the filter removes more than compression did: LPIPS of Set14 becomes worse by it.
LOWEST_QUALITY = 90  # of libjpeg, from which on a JPEG is left as it is by default
FINEST_STEP = 11.5  # what Picture's `jpeg_step` is then


def deblocked(picture: np.ndarray) -> np.ndarray:
    """A picture of full range, uint8 or uint16 [h,w,1] (grey) or [h,w,3] (RGB), smoothed and with grain; the same type.

    The grain is the same in all colours, and the same each time. Takes up to 40 bytes a pixel beside the result.
    """
    largest = np.iinfo(picture.dtype).max
    levels = picture if picture.dtype == np.uint8 else picture.astype("float32") * np.float32(255 / largest)
    # Of grey there is one difference instead of three equal ones.
    sigma_colour = SIGMA_COLOUR * picture.shape[2] / 3
    for _ in range(PASSES):
        levels = cv2.bilateralFilter(levels, DIAMETER, sigma_colour, SIGMA_SPACE)
    levels = levels.reshape(picture.shape)
    sigma = GRAIN + GRAIN_PER_CONTRAST * _contrast(levels)
    result = np.empty_like(picture)
    luck = np.random.default_rng(0)
    rows = rows_per_block(picture)
    for top in range(0, len(picture), rows):
        part = slice(top, top + rows)
        noise = sigma[part, :, None] * luck.standard_normal((*sigma[part].shape, 1), np.float32)
        result[part] = np.clip(np.rint((levels[part] + noise) * np.float32(largest / 255)), 0, largest)
    return result


def _contrast(levels: np.ndarray) -> np.ndarray:
    """The standard deviation of grey [h,w], float32, in a Gaussian window around each pixel of [h,w,1 or 3]."""
    grey = cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY) if levels.shape[2] == 3 else levels[..., 0]
    grey = grey.astype("float32")
    mean = cv2.GaussianBlur(grey, (0, 0), CONTRAST_SIGMA)
    variance = cv2.GaussianBlur(grey * grey, (0, 0), CONTRAST_SIGMA) - mean * mean
    return np.sqrt(np.maximum(variance, 0, out=variance), out=variance)
