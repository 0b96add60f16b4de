"""LR pictures as people have them: what happens to a photograph between the lens and the file that someone upscales.

`Photo.draw` chooses operations, mild ones often and strong ones seldom, and `photo` carries them out. They come in the
order of life, in two rounds, as in Real-ESRGAN (arXiv 2107.10833, section 3) and BSRGAN (arXiv 2103.14006, section 3),
whose ranges are wider: a lens's blur, a reduction, a sensor's noise, the camera's JPEG; then blur, the reduction to LR,
ringing, noise, an app's sharpening, its JPEG.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
from scipy.special import j1

from data.degrade import check_size
from data.imresize import imresize

DRAWS = 48  # numbers that `Photo.draw` uses at most
BLOCK = 16  # pixels: side of the square that shares a sample of colour transform in a JPEG with 4:2:0
SINC_SIDE = 21  # pixels: side of the kernel of a sinc
# "bicubic" is MATLAB's, antialiased. "bilinear" and "lanczos" are OpenCV's, not antialiased, as in many apps.
RESIZING = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "lanczos": cv2.INTER_LANCZOS4, "bicubic": None}


class Blur(NamedTuple):
    """A Gaussian blur (shape "gaussian"), a lens out of focus ("disc") or a low-pass that rings ("sinc").

    across, down: a Gaussian's standard deviations in pixels along its axes, which are turned by `angle` (radians); a
    disc's semi-axes; across is a sinc's cut-off frequency in radians a pixel, 0 to pi, and its down and angle are 0.
    """

    shape: str
    across: float
    down: float
    angle: float = 0.0

    def kernel(self) -> np.ndarray:
        """float64 [k,k], k odd, of sum 1."""
        if self.shape == "sinc":
            # A circular low-pass: arXiv 2107.10833, equation 6.
            y, x = _grid(SINC_SIDE // 2)
            radius = np.hypot(x, y)
            middle = SINC_SIDE // 2
            radius[middle, middle] = 1
            kernel = self.across * j1(self.across * radius) / (2 * math.pi * radius)
            kernel[middle, middle] = self.across**2 / (4 * math.pi)
            return kernel / kernel.sum()
        largest = max(self.across, self.down)
        reach = math.ceil(largest + 0.5 if self.shape == "disc" else 3 * largest)
        y, x = _grid(reach)
        along = x * math.cos(self.angle) + y * math.sin(self.angle)
        beside = y * math.cos(self.angle) - x * math.sin(self.angle)
        distance = np.hypot(along / self.across, beside / self.down)
        if self.shape == "disc":
            kernel = np.clip((1 - distance) * min(self.across, self.down) + 0.5, 0, 1)  # a rim of a pixel's width
        else:
            kernel = np.exp(-(distance**2) / 2)
        return kernel / kernel.sum()

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        if self.shape == "gaussian" and not self.angle:
            return cv2.GaussianBlur(rgb, (0, 0), self.across, sigmaY=self.down)
        return cv2.filter2D(rgb, -1, self.kernel())


class Noise(NamedTuple):
    """Gaussian noise, rounded and clipped.

    sigma: standard deviation in grey levels; of a mid-grey pixel if `photon`, and then as its square root elsewhere, as
    of light that is counted. grey: the same in all colours. correlation: standard deviation in pixels of the Gaussian
    that the noise was blurred with, as behind a demosaicing; 0: white. seed: 0 to 2^31 - 1.
    """

    sigma: float
    photon: bool
    grey: bool
    correlation: float
    seed: int

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        height, width = rgb.shape[:2]
        noise = np.empty((height, width * (1 if self.grey else 3)), np.float32)
        cv2.setRNGSeed(self.seed)  # of this thread's generator: each has its own
        cv2.randn(noise, 0, self.sigma)
        noise = noise.reshape(height, width, -1)
        if self.correlation:
            side = 2 * math.ceil(3 * self.correlation) + 1
            line = cv2.getGaussianKernel(side, self.correlation, cv2.CV_32F)
            line /= np.sqrt((line**2).sum())  # keeps the variance
            noise = cv2.sepFilter2D(noise, -1, line, line)
        noise = noise.reshape(height, width, -1)  # OpenCV drops a single plane's axis
        if self.photon:
            noise = noise * np.sqrt(rgb / np.float32(128))
        return np.clip(np.rint(rgb + noise), 0, 255).astype(np.uint8)


class Sharpen(NamedTuple):
    """An unsharp mask. sigma: of its Gaussian, in pixels. amount: how many times what the Gaussian removes is added."""

    sigma: float
    amount: float

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        return cv2.addWeighted(rgb, 1 + self.amount, cv2.GaussianBlur(rgb, (0, 0), self.sigma), -self.amount, 0)


class Jpeg(NamedTuple):
    """JPEG compression.

    quality: libjpeg's, 1 to 100. corner: pixels down and across from a corner of a square of BLOCK pixels to the
    picture's, 0 to 15: a crop lies anywhere in a photograph; were its blocks always at its corner, a network would find
    them by the border. halved: whether colours have half the resolution (4:2:0, otherwise 4:4:4).
    """

    quality: int
    corner: tuple = (0, 0)
    halved: bool = True

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        down, across = self.corner
        bgr = cv2.copyMakeBorder(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), down, 0, across, 0, cv2.BORDER_REFLECT)
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if self.halved else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        flags = [cv2.IMWRITE_JPEG_QUALITY, self.quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        _, content = cv2.imencode(".jpg", bgr, flags)
        return cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR)[down:, across:], cv2.COLOR_BGR2RGB)


class Resize(NamedTuple):
    """A change of size. share: the new sides as a share of the HR picture's. method: a name of RESIZING."""

    share: float
    method: str

    def apply(self, rgb: np.ndarray, hr_height: int, hr_width: int) -> np.ndarray:
        height, width = (max(1, round(self.share * side)) for side in (hr_height, hr_width))
        if self.method == "bicubic":
            return imresize(rgb, height, width)
        return cv2.resize(rgb, (width, height), interpolation=RESIZING[self.method])


class Photo(NamedTuple):
    """How strong the degradation is: a recipe's `photo_strength` and `photo_clean`.

    strength: 1 for what people have; it multiplies the blur, the noise and how far JPEG's qualities lie below 100; 0 or
    more. clean: share of the pictures that are only reduced, by MATLAB's bicubic, 0 to 1.
    """

    strength: float = 1.0
    clean: float = 0.2

    def draw(self, uniform, scale: int = 4) -> tuple:
        """The operations on one picture, by DRAWS numbers that are independent and uniform in [0,1)."""
        numbers = iter(uniform)

        def chance(share: float) -> bool:
            return next(numbers) < share

        def between(low: float, high: float, power: float = 1.0) -> float:
            """Uniform for power 1; the larger the power, the nearer to `low`."""
            return low + (high - low) * float(next(numbers)) ** power

        def choice(shares: dict) -> str:
            number, total = float(next(numbers)), 0.0
            for name, share in shares.items():
                total += share
                if number < total:
                    return name
            return name

        def blur(largest: float, pixel: float) -> Blur:
            """largest: in LR pixels. pixel: an LR pixel's side in pixels of the picture that is blurred."""
            shape = choice({"gaussian": 0.75, "disc": 0.25})
            # A disc of radius r is as wide as a Gaussian of standard deviation r/2.
            size = between(0.1, largest, 1.5) * pixel * self.strength * (2 if shape == "disc" else 1)
            if chance(0.7):
                return Blur(shape, size, size)
            return Blur(shape, size, size * between(0.4, 1), between(0, math.pi))

        def noise(largest: float) -> Noise:
            return Noise(
                sigma=between(0.5, largest, 1.5) * self.strength,
                photon=chance(0.4),
                grey=chance(0.35),
                correlation=between(0.4, 1.1) if chance(0.5) else 0.0,
                seed=int(between(0, 2**31)),
            )

        def jpeg(best: int, worst: int) -> Jpeg:
            lost = (100 - between(best, worst, 1.3)) * self.strength
            corner = (int(between(0, BLOCK)), int(between(0, BLOCK)))
            return Jpeg(max(1, min(100, round(100 - lost))), corner, chance(0.85))

        def resize(share: float) -> Resize:
            return Resize(share, choice({"area": 0.35, "bilinear": 0.15, "lanczos": 0.1, "bicubic": 0.4}))

        lr = 1 / scale
        if chance(self.clean) or not self.strength:
            return (Resize(lr, "bicubic"),)
        operations: list = []
        if chance(0.6):
            operations.append(blur(1.3, scale))
        way = choice({"not yet": 0.35, "reduced": 0.5, "too far": 0.15})  # too far: and enlarged to LR later
        share = {"not yet": 1.0, "reduced": lr ** between(0, 1), "too far": lr * between(0.6, 1)}[way]
        if share < 1:
            operations.append(resize(share))
        if chance(0.5):
            operations.append(noise(15))
        if chance(0.5):
            operations.append(jpeg(96, 45))
        if chance(0.3):
            operations.append(blur(0.7, share / lr))
        operations.append(resize(lr))
        if chance(0.1):
            operations.append(Blur("sinc", between(math.pi, math.pi / 2), 0.0))
        if chance(0.5):
            operations.append(noise(15))
        if chance(0.4):
            operations.append(Sharpen(between(0.5, 1.5), between(0.2, 1.5, 1.3) * self.strength))
        if chance(0.75):
            operations.append(jpeg(97, 40))
        return tuple(operations)


def photo(rgb_uint8: np.ndarray, operations: tuple, scale: int = 4) -> np.ndarray:
    """uint8 [h,w,3] -> uint8 [h/scale,w/scale,3], 0..255, by the operations of a `Photo.draw` with the same scale.

    The same operations give the same pixels, in any thread. Raises ValueError for another type or shape, or sides that
    are not multiples of `scale`.
    """
    check_size(rgb_uint8, scale)
    height, width = rgb_uint8.shape[:2]
    for operation in operations:
        if isinstance(operation, Resize):
            rgb_uint8 = operation.apply(rgb_uint8, height, width)
        else:
            rgb_uint8 = operation.apply(rgb_uint8)
    return rgb_uint8


def _grid(reach: int) -> tuple:
    """(y, x), float64 [2·reach+1,2·reach+1] each, from -reach to reach."""
    line = np.arange(-reach, reach + 1, dtype=np.float64)
    return tuple(np.meshgrid(line, line, indexing="ij"))
