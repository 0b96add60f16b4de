"""How different two pictures look to people: LPIPS v0.1 with AlexNet.

Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018 (arXiv 1801.03924), as the
authors' package computes it: `lpips.LPIPS(net="alex")`, version 0.1. Lower is more alike; equal pictures have 0.
"""

import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import replacing
from data.metrics import check_pair
from models.weight_files.variables import select

FILE = "lpips_alex.npz"
WEIGHTS = f"weights/{FILE}"
COMMAND = "python data/download.py lpips"

# AlexNet's convolutions as torchvision has them: shape of the weight, stride, padding.
CONVS = (
    ((64, 3, 11, 11), 4, 2),
    ((192, 64, 5, 5), 1, 2),
    ((384, 192, 3, 3), 1, 1),
    ((256, 384, 3, 3), 1, 1),
    ((256, 256, 3, 3), 1, 1),
)
POOLED = (1, 2)  # the convolutions whose input is pooled first
SHAPES = {
    name: shape
    for i, (conv, _, _) in enumerate(CONVS)
    for name, shape in ((f"conv{i}.weight", conv), (f"conv{i}.bias", conv[:1]), (f"linear{i}.weight", conv[:1]))
}
# The authors' ScalingLayer, for pictures in [-1,1].
SHIFT, INPUT_SCALE = np.float32([-0.030, -0.088, -0.188]), np.float32([0.458, 0.448, 0.450])
EPSILON = 1e-10
# What np.load raises on bytes that are no archive of arrays; TypeError: they are one array.
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, TypeError)
SMALLEST = 31  # side of a picture of which the second pooling leaves a pixel


class Lpips:
    """The distance as a function of two pictures: `Lpips()(sr, hr)`, both RGB uint8 [h,w,3], 0..255, whole.

    weights: a file that `write` wrote, or {name of SHAPES: array}. Paddle computes it, on the device that is set,
    without gradients. The features of the last `hr` are kept: several results of one picture are measured one after the
    other, or in threads.

    Raises InputError, naming the file, for weights that are not there or damaged, and for a picture of under 31 pixels
    a side; ValueError for another type or different shapes.
    """

    def __init__(self, weights=WEIGHTS):
        import paddle  # here: it takes seconds, and `data/download.py` needs the names and shapes alone

        arrays = weights if isinstance(weights, dict) else read(weights)
        self._tensors = {name: paddle.to_tensor(np.ascontiguousarray(arrays[name], "float32")) for name in SHAPES}
        self._hr, self._hr_features, self._hr_lock = None, [], threading.Lock()

    def __call__(self, sr: np.ndarray, hr: np.ndarray) -> float:
        import paddle

        _check(sr, hr)
        with paddle.no_grad():
            with self._hr_lock:
                if self._hr is None or not np.array_equal(self._hr, hr):
                    self._hr, self._hr_features = hr.copy(), self._features(hr)
                hr_features = self._hr_features
            distance = 0.0
            for i, (ours, theirs) in enumerate(zip(self._features(sr), hr_features)):
                # The paper weighs the channels, adds them up and takes the mean over the pixels: here the mean is
                # first.
                differences = ((ours - theirs) ** 2).mean(axis=[0, 2, 3])
                distance += float((differences * self._tensors[f"linear{i}.weight"]).sum())
        return distance

    def _features(self, rgb: np.ndarray) -> list:
        """What each of the five ReLUs gives, [1,C,·,·], the vector of every pixel at length 1."""
        import paddle
        from paddle.nn import functional

        standardized = (rgb.astype("float32") / 127.5 - 1 - SHIFT) / INPUT_SCALE
        x = paddle.to_tensor(np.ascontiguousarray(standardized.transpose(2, 0, 1)[np.newaxis]))
        features = []
        for i, (_, stride, padding) in enumerate(CONVS):
            if i in POOLED:
                x = functional.max_pool2d(x, 3, 2)
            weight, bias = self._tensors[f"conv{i}.weight"], self._tensors[f"conv{i}.bias"]
            x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
            features.append(x / ((x * x).sum(axis=1, keepdim=True).sqrt() + EPSILON))
        return features


def _check(sr: np.ndarray, hr: np.ndarray) -> None:
    check_pair(sr, hr)
    check_size(hr)


def check_size(hr: np.ndarray, path=None, remedy: str = "") -> None:
    """Raise InputError, which names `path` and ends with `remedy`, for a picture too small to be measured."""
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST:
        of = f"{path} is " if path else ""
        raise InputError(
            f"{of}too small for LPIPS: {width}x{height} pixels; expected {SMALLEST} or more a side{remedy}"
        )


def read(path) -> dict:
    """{name of SHAPES: array} of a file that `write` wrote. Raises InputError, naming it, if that cannot be had."""
    remedy = f"get it with: {COMMAND}"
    try:
        with np.load(path, allow_pickle=False) as archive:
            variables = {name: archive[name] for name in SHAPES if name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path}: LPIPS's weights are not there; {remedy}") from None
    except DAMAGED as error:
        raise InputError(f"{path}: not LPIPS's weights, or damaged ({error}). Remove it and {remedy}") from None
    return select(variables, {name: (name, shape) for name, shape in SHAPES.items()}, f"{path}, as LPIPS's weights")


def write(path, arrays: dict) -> None:
    """Write {name of SHAPES: array} to `path`, whole or not at all."""
    with replacing(path) as temporary:
        np.savez(temporary, **{name: np.asarray(arrays[name], "float32") for name in SHAPES})


def available(path=WEIGHTS) -> bool:
    """Whether the weights are there to be read."""
    return Path(path).exists()
