"""How different two pictures look to people: LPIPS v0.1 with AlexNet.

Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018 (arXiv 1801.03924), as the
authors' package computes it: `lpips.LPIPS(net="alex")`, version 0.1. Lower is more alike; equal pictures have 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from common.errors import InputError, reason
from common.files import replacing
from data.metrics import check_pair
from models.weight_files.variables import select

FILE = "lpips_alex.npz"
WEIGHTS = f"weights/{FILE}"
COMMAND = "python data/download.py lpips"

# AlexNet's convolutions as torchvision has them: shape of the weight, stride, padding, and whether max pooling of 3x3
# by 2 comes before.
CONVS = (
    ((64, 3, 11, 11), 4, 2, False),
    ((192, 64, 5, 5), 1, 2, True),
    ((384, 192, 3, 3), 1, 1, True),
    ((256, 384, 3, 3), 1, 1, False),
    ((256, 256, 3, 3), 1, 1, False),
)
SHAPES = {
    name: shape
    for i, (conv, *_) in enumerate(CONVS)
    for name, shape in ((f"conv{i}.weight", conv), (f"conv{i}.bias", conv[:1]), (f"linear{i}.weight", conv[:1]))
}
# The authors' ScalingLayer, for pictures in [-1,1].
SHIFT, INPUT_SCALE = np.float32([-0.030, -0.088, -0.188]), np.float32([0.458, 0.448, 0.450])
EPSILON = 1e-10
BAND = 2_000_000  # pixels, about, that are computed at once, at 200 bytes each
LEAST_ROWS = 64  # of a band: 4 of the last layer
STRIDE = 16  # rows of the picture for each of the last layers': where bands begin
ABOVE, BELOW = 80, 112  # rows that a band needs beyond its own: the last layer sees 66 and 97, the first multiple of 16
SMALLEST = 31  # side of a picture of which the second pooling leaves a pixel


class Lpips:
    """The distance as a function of two pictures: `Lpips()(sr, hr)`, both RGB uint8 [h,w,3], 0..255.

    weights: a file that `write` wrote, or {name of SHAPES: array}. Paddle computes it, on the device that is set,
    without gradients. Large pictures are computed in bands with the same result: memory does not grow with them.

    Raises InputError, naming the file, for weights that are missing or damaged, and for a picture of under 31 pixels
    a side; ValueError for another type or different shapes.
    """

    def __init__(self, weights=WEIGHTS):
        import paddle  # here: it takes seconds, and `data/download.py` needs the names and shapes alone

        arrays = weights if isinstance(weights, dict) else read(weights)
        self._tensors = {name: paddle.to_tensor(np.ascontiguousarray(arrays[name], "float32")) for name in SHAPES}

    def __call__(self, sr: np.ndarray, hr: np.ndarray) -> float:
        check_pair(sr, hr)
        check_size(hr)
        height, width = hr.shape[:2]
        rows = max(LEAST_ROWS, BAND // width // STRIDE * STRIDE)
        starts = [*range(0, max(1, height - LEAST_ROWS), rows)]
        bands = [self._of_band(sr, hr, start, end) for start, end in zip(starts, [*starts[1:], None])]
        sums, counts = np.sum(bands, axis=0)
        return float((sums / counts).sum())

    def _of_band(self, sr: np.ndarray, hr: np.ndarray, start: int, end: int | None) -> list:
        """[sums, pixels] of the distances in each of CONVS' layers, of the rows from `start` to `end`."""
        from paddle import no_grad, to_tensor
        from paddle.nn import functional

        top, bottom = max(0, start - ABOVE), None if end is None else end + BELOW
        pictures = np.stack([sr[top:bottom], hr[top:bottom]]).astype("float32")
        x = to_tensor(((pictures / 127.5 - 1 - SHIFT) / INPUT_SCALE).transpose(0, 3, 1, 2))
        sums, counts, shrunk = [], [], 1
        with no_grad():
            for number, (_, stride, padding, is_pooled) in enumerate(CONVS):
                if is_pooled:
                    x, shrunk = functional.max_pool2d(x, 3, 2), 2 * shrunk
                weight, bias = self._tensors[f"conv{number}.weight"], self._tensors[f"conv{number}.bias"]
                x, shrunk = functional.relu(functional.conv2d(x, weight, bias, stride, padding)), stride * shrunk
                own = x[:, :, (start - top) // shrunk : None if end is None else (end - top) // shrunk]
                own = own / ((own * own).sum(axis=1, keepdim=True).sqrt() + EPSILON)  # each pixel's vector at length 1
                # The paper weighs the channels, adds them up and takes the mean over the pixels: here the sum is first.
                of_channels = ((own[0] - own[1]) ** 2).sum(axis=[1, 2])
                sums.append(float((of_channels * self._tensors[f"linear{number}.weight"]).sum()))
                counts.append(own.shape[2] * own.shape[3])
        return [sums, counts]


def check_size(hr: np.ndarray, path=None, remedy: str = "") -> None:
    """Raise InputError, which names `path` and ends with `remedy`, for a picture too small to be measured."""
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST:
        of = f"{path} is " if path else ""
        raise InputError(
            f"{of}too small for LPIPS: {width}x{height} pixels; expected {SMALLEST} or more a side{remedy}"
        )


def read(path) -> dict:
    """{name of SHAPES: array} of a file that `write` wrote. Raises InputError that names the file and the way out."""
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: LPIPS's weights are missing; get them with: {COMMAND}")
    try:
        with np.load(path, allow_pickle=False) as file:
            variables = {name: file[name] for name in SHAPES if name in file.files}
        return select(variables, {name: (name, shape) for name, shape in SHAPES.items()}, "its content")
    except Exception as error:  # noqa: BLE001  a damaged archive, or another file, can raise anything
        problem = f"{path}: not LPIPS's weights, or damaged ({reason(error)})"
        raise InputError(f"{problem}. Move it away and get it with: {COMMAND}") from None


def write(path, arrays: dict) -> None:
    """Write {name of SHAPES: array} to `path`, completely or not at all."""
    with replacing(path) as temporary:
        np.savez(temporary, **{name: np.ascontiguousarray(arrays[name], "float32") for name in SHAPES})


def available(path=WEIGHTS) -> bool:
    """Whether the weights can be read."""
    return Path(path).exists()
