"""From a high-resolution picture to the low-resolution one a network starts from: HR -> LR.

All ways take and give RGB uint8, 0..255, so that a loader on 8-bit crops and an evaluation on 8-bit files see the
same LR pixels. `bilinear` and `bicubic` always do the same; `photo` does what is drawn for it.
"""

from typing import NamedTuple

import cv2
import numpy as np

from data.imresize import imresize
from data.pictures.jpeg import BLOCK


def bilinear(rgb_uint8: np.ndarray, scale: int = 4) -> np.ndarray:
    """uint8 [h,w,3] -> uint8 [h/scale,w/scale,3], 0..255: OpenCV's `resize` with INTER_LINEAR, as in the article.

    No antialiasing: at scale 4 an LR pixel is the mean of the 2x2 pixels in the middle of its 4x4. Raises ValueError
    for another type or shape, or sides that are not multiples of `scale`.
    """
    height, width = _lr_size(rgb_uint8, scale)
    return cv2.resize(rgb_uint8, (width, height), interpolation=cv2.INTER_LINEAR)


def bicubic(rgb_uint8: np.ndarray, scale: int = 4) -> np.ndarray:
    """uint8 [h,w,3] -> uint8 [h/scale,w/scale,3], 0..255: MATLAB's `imresize(rgb, 1/scale)`, the benchmarks' LR.

    Antialiased, with mirrored borders: see `data.imresize`. Raises ValueError for another type or shape, or sides that
    are not multiples of `scale`.
    """
    return imresize(rgb_uint8, *_lr_size(rgb_uint8, scale))


def _lr_size(rgb_uint8: np.ndarray, scale: int) -> tuple:
    if rgb_uint8.dtype != np.uint8 or rgb_uint8.ndim != 3 or rgb_uint8.shape[2] != 3:
        raise ValueError(f"expected uint8 [h,w,3], got {rgb_uint8.dtype} {list(rgb_uint8.shape)}")
    height, width = rgb_uint8.shape[:2]
    if height < 1 or width < 1 or height % scale or width % scale:
        raise ValueError(f"height {height} and width {width} must be multiples of the scale, {scale}: crop first")
    return height // scale, width // scale


DEGRADATIONS = {"bilinear": bilinear, "bicubic": bicubic}
NAMES = (*DEGRADATIONS, "photo")  # of the flag

# Of these "bilinear" alone is not antialiased, as in many apps; image editors and libraries shrink like the other two.
SHRINKING = {
    "area": lambda rgb, height, width: cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA),
    "bilinear": lambda rgb, height, width: cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR),
    "bicubic": imresize,
}
DRAWS = 9  # numbers that `Photo.drawn` makes a Drawn of


class Drawn(NamedTuple):
    """What `photo` does to one picture.

    clean: MATLAB's bicubic, and nothing of the rest. blur: standard deviation across and down, in HR pixels, 0: none.
    shrinking: a name of SHRINKING. noise: standard deviation in grey levels, 0: none. noise_seed: 0 to 2^31 - 1.
    jpeg: quality, 1 to 99; 100: none. jpeg_corner: LR pixels down and across from a corner of JPEG's blocks of 16 to
    the picture's, 0 to 15.
    """

    clean: bool
    blur: tuple
    shrinking: str
    noise: float
    noise_seed: int
    jpeg: int
    jpeg_corner: tuple = (0, 0)


class Photo(NamedTuple):
    """How strong `photo` may be: a recipe's `photo_blur`, `photo_noise`, `photo_jpeg` and `photo_clean`.

    blur, noise: the largest standard deviations, in HR pixels and grey levels, 0 or more; 0: none. jpeg: the lowest
    quality, 1 to 100; 100: no compression. clean: share of the pictures that are MATLAB's bicubic, 0 to 1.
    """

    blur: float = 3.0
    noise: float = 10.0
    jpeg: int = 40
    clean: float = 0.2

    def drawn(self, uniform) -> Drawn:
        """What is done to one picture, by DRAWS numbers that are independent and uniform in [0,1).

        All parts are drawn independently and uniformly up to their strengths.
        """
        clean, across, down, shrinking, noise, noise_seed, jpeg, *corner = map(float, uniform)
        return Drawn(
            clean=clean < self.clean,
            blur=(self.blur * (1 - across), self.blur * (1 - down)),
            shrinking=list(SHRINKING)[int(shrinking * len(SHRINKING))],
            noise=self.noise * noise,
            noise_seed=int(noise_seed * 2**31),
            jpeg=self.jpeg + int(jpeg * (101 - self.jpeg)),
            jpeg_corner=tuple(int(share * BLOCK) for share in corner),
        )


def photo(rgb_uint8: np.ndarray, drawn: Drawn, scale: int = 4) -> np.ndarray:
    """uint8 [h,w,3] -> uint8 [h/scale,w/scale,3], 0..255, roughly as a camera and a web site would have it.

    Gaussian blur, shrinking, Gaussian noise and JPEG, once each, in this order; all are OpenCV's but the bicubic
    shrinking, which is MATLAB's, antialiased. The same `drawn` gives the same pixels, in any thread. Raises ValueError
    for another type or shape, or sides that are not multiples of `scale`.
    """
    height, width = _lr_size(rgb_uint8, scale)
    if drawn.clean:
        return imresize(rgb_uint8, height, width)
    if max(drawn.blur) > 0:
        rgb_uint8 = cv2.GaussianBlur(rgb_uint8, (0, 0), drawn.blur[0], sigmaY=drawn.blur[1])
    lr = SHRINKING[drawn.shrinking](rgb_uint8, height, width)
    if drawn.noise > 0:
        noise = np.empty(lr.shape, np.int16)
        cv2.setRNGSeed(drawn.noise_seed)  # of this thread's generator: each has its own
        cv2.randn(noise, (0, 0, 0), (drawn.noise,) * 3)
        lr = cv2.add(lr, noise, dtype=cv2.CV_8U)
    if drawn.jpeg < 100:
        # A training crop is cut from anywhere of a photograph. Were its blocks always at its corner, the network would
        # know them by the distance to the border, and look for them in vain inside a photograph.
        down, across = drawn.jpeg_corner
        bgr = cv2.copyMakeBorder(cv2.cvtColor(lr, cv2.COLOR_RGB2BGR), down, 0, across, 0, cv2.BORDER_REFLECT)
        _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, drawn.jpeg])
        lr = cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR)[down:, across:], cv2.COLOR_BGR2RGB)
    return lr
