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

# AlexNet's convolutions as torchvision has them, and its max pooling, in order: (shape of the weight, or None), kernel,
# stride, padding.
LAYERS = (
    ((64, 3, 11, 11), 11, 4, 2),
    (None, 3, 2, 0),
    ((192, 64, 5, 5), 5, 1, 2),
    (None, 3, 2, 0),
    ((384, 192, 3, 3), 3, 1, 1),
    ((256, 384, 3, 3), 3, 1, 1),
    ((256, 256, 3, 3), 3, 1, 1),
)
CONVS = [shape for shape, *_ in LAYERS if shape]
SHAPES = {
    name: shape
    for i, conv in enumerate(CONVS)
    for name, shape in ((f"conv{i}.weight", conv), (f"conv{i}.bias", conv[:1]), (f"linear{i}.weight", conv[:1]))
}
# The authors' ScalingLayer, for pictures in [-1,1].
SHIFT, INPUT_SCALE = np.float32([-0.030, -0.088, -0.188]), np.float32([0.458, 0.448, 0.450])
EPSILON = 1e-10
BAND = 2_000_000  # pixels, about, that are computed at once, at 200 bytes each
LEAST_ROWS = 64  # of a band: 4 of the last layer
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
        import paddle

        check_pair(sr, hr)
        check_size(hr)
        height, width = hr.shape[:2]
        bands = max(1, min(height * width // BAND, height // LEAST_ROWS))
        with paddle.no_grad():
            return sum(self._of_band(sr, hr, _rows(height, band, bands)) for band in range(bands))

    def _of_band(self, sr: np.ndarray, hr: np.ndarray, rows: list) -> float:
        """A band's share of the distance. rows: from `_rows`."""
        from paddle import to_tensor
        from paddle.nn import functional

        first, last = rows[0]["input"]
        pictures = np.stack([sr[first:last], hr[first:last]]).astype("float32")
        x = to_tensor(((pictures / 127.5 - 1 - SHIFT) / INPUT_SCALE).transpose(0, 3, 1, 2))
        distance, number = 0.0, 0
        for (conv, kernel, stride, padding), row in zip(LAYERS, rows):
            start, end = row["input"]
            x = x[:, :, start - first : end - first]
            first = row["output"][0]
            if conv is None:
                x = functional.max_pool2d(x, kernel, stride)
                continue
            weight, bias = self._tensors[f"conv{number}.weight"], self._tensors[f"conv{number}.bias"]
            x = functional.relu(functional.conv2d(x, weight, bias, stride, [*row["padding"], padding, padding]))
            start, end = row["own"]
            own = x[:, :, start - first : end - first]
            own = own / ((own * own).sum(axis=1, keepdim=True).sqrt() + EPSILON)  # each pixel's vector at length 1
            # The paper weighs the channels, adds them up and takes the mean over the pixels: here the sum is first.
            sums = ((own[0] - own[1]) ** 2).sum(axis=[1, 2]) * self._tensors[f"linear{number}.weight"]
            distance += float(sums.sum()) / (row["height"] * x.shape[3])
            number += 1
        return distance


def _rows(height: int, band: int, bands: int) -> list:
    """For each of LAYERS the rows of a band: what it reads, computes, and counts (own), and how it is padded.

    height: the picture's. A layer computes what the band counts of it and what the next layer reads.
    """
    heights = [height]
    for _, kernel, stride, padding in LAYERS:
        heights.append((heights[-1] + 2 * padding - kernel) // stride + 1)
    rows, wanted = [], None  # wanted: what the next layer reads
    for (conv, kernel, stride, padding), before, after in reversed(list(zip(LAYERS, heights, heights[1:]))):
        own = (band * after // bands, (band + 1) * after // bands)
        output = own if wanted is None else wanted
        if conv is not None:
            output = (min(output[0], own[0]), max(output[1], own[1]))
        top, bottom = output[0] * stride - padding, (output[1] - 1) * stride - padding + kernel
        wanted = (max(0, top), min(before, bottom))
        padded = (max(0, -top), max(0, bottom - before))
        rows.append({"input": wanted, "output": output, "own": own, "padding": padded, "height": after})
    return rows[::-1]


def check_size(hr: np.ndarray, path=None, remedy: str = "") -> None:
    """Raise InputError, which names `path` and ends with `remedy`, for a picture too small to be measured."""
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST:
        of = f"{path} is " if path else ""
        raise InputError(
            f"{of}too small for LPIPS: {width}x{height} pixels; expected {SMALLEST} or more a side{remedy}"
        )


def read(path, remedy: str = "") -> dict:
    """{name of SHAPES: array} of a file that `write` wrote.

    remedy: what a user can do about a useless file, an error's last sentence; by default it depends on whether the file
    is the project's or the user's own. Raises InputError that names the file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: LPIPS's weights are missing; get them with: {COMMAND}")
    how = "Remove it and get it with" if path == Path(WEIGHTS) else "Give the file that this makes"
    remedy = remedy or f"{how}: {COMMAND}"
    try:
        with np.load(path, allow_pickle=False) as file:
            variables = {name: file[name] for name in SHAPES if name in file.files}
    except Exception as error:  # noqa: BLE001  a damaged archive, or another file, can raise anything
        raise InputError(f"{path}: not LPIPS's weights, or damaged ({reason(error)}). {remedy}") from None
    try:
        return select(variables, {name: (name, shape) for name, shape in SHAPES.items()}, f"{path}, as LPIPS's weights")
    except InputError as error:
        raise InputError(f"{error}. {remedy}") from None


def write(path, arrays: dict) -> None:
    """Write {name of SHAPES: array} to `path`, completely or not at all."""
    with replacing(path) as temporary:
        np.savez(temporary, **{name: np.ascontiguousarray(arrays[name], "float32") for name in SHAPES})


def available(path=WEIGHTS) -> bool:
    """Whether the weights can be read."""
    return Path(path).exists()
