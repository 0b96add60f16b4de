"""How different two pictures look to people: LPIPS v0.1 with AlexNet.

Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018 (arXiv 1801.03924), as the
authors' package computes it: `lpips.LPIPS(net="alex")`, version 0.1. Lower is more alike; equal pictures have 0.
"""

import io
import math
import re
import struct
import threading
import zipfile
from pathlib import Path

import numpy as np

from common.errors import InputError, reason
from common.files import is_no_file, replacing
from data.metrics import check_pair
from models.weight_files.foreign import NPZ, ZIP, recognise_file
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
# Bytes of a file that `write` wrote, and of its directory, at most.
LARGEST, LARGEST_DIRECTORY = 4 * sum(map(math.prod, SHAPES.values())) + 2**16, 2**14
# The format .npy, version 1.0 (NumPy's NEP 1), as `write` has it: NumPy's reader makes room for whatever a header says.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '<f4', 'fortran_order': False, 'shape': \(([\d, ]{1,99})\), \} *\n", re.DOTALL
)
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


def read(path, remedy: str = "") -> dict:
    """{name of SHAPES: read-only array} of a file that `write` wrote.

    remedy: what a user may do about another file, an error's last sentence; by itself it depends on whether the file is
    the project's or the user's own.
    The file is untrusted: time and memory are in proportion to its size, and to LARGEST. Raises InputError, naming it
    and what it is instead, if it is of no use.
    """
    path = Path(path)
    if not remedy and path == Path(WEIGHTS):
        remedy = f"Remove it and get it with: {COMMAND}"
    remedy = remedy or f"Give the file that this makes: {COMMAND}"
    if is_no_file(path):
        raise InputError(f"{path}: not a file; expected LPIPS's weights. {remedy}")
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        what = recognise_file(path)[0]
    except FileNotFoundError:
        raise InputError(f"{path}: LPIPS's weights are not there; get it with: {COMMAND}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if what not in ("", NPZ, ZIP):
        raise InputError(f"{path}: not LPIPS's weights but {what}. {remedy}")
    try:
        variables = _arrays(content)
    except Exception as error:  # noqa: BLE001  a damaged archive can raise anything
        raise InputError(f"{path}: not LPIPS's weights, or damaged ({reason(error)}). {remedy}") from None
    try:
        return select(variables, {name: (name, shape) for name, shape in SHAPES.items()}, f"{path}, as LPIPS's weights")
    except InputError as error:
        raise InputError(f"{error}. {remedy}") from None


def _arrays(content: bytes) -> dict:
    """{name: read-only array} of those of SHAPES that the archive has. Raises ValueError, or what zipfile does."""
    if len(content) > LARGEST:
        raise ValueError(f"more than {LARGEST:,} bytes")
    # APPNOTE 4.3.16 and 4.3.15: the archive's end, without a comment, and the mark of a larger archive before it.
    # zipfile makes an object of each entry of the directory, however many a file has.
    end, before = content[-22:], content[-42:-22]
    if end[:4] != b"PK\5\6" or end[20:] != b"\0\0" or before.startswith(b"PK\6\7"):
        raise ValueError("its directory is missing")
    if int.from_bytes(end[12:16], "little") > LARGEST_DIRECTORY:
        raise ValueError("its directory is too large")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        wanted = {f"{name}.npy": name for name in SHAPES}
        found = {wanted[info.filename]: info for info in archive.infolist() if info.filename in wanted}
        if any(info.compress_type != zipfile.ZIP_STORED for info in found.values()):
            raise ValueError("its arrays are compressed")
        if sum(info.file_size for info in found.values()) > len(content):
            raise ValueError("its arrays are larger than the file")
        return {name: _array(name, archive.read(info)) for name, info in found.items()}


def _array(name: str, content: bytes) -> np.ndarray:
    header = _NPY.match(content)
    if not header or struct.unpack("<H", header[1])[0] != header.end() - 10:
        raise ValueError(f"{name} is not an array of float32")
    shape = [int(dim) for dim in re.findall(rb"\d+", header[2])]
    if 4 * math.prod(shape) != len(content) - header.end():
        raise ValueError(f"{name} has other bytes than its shape needs")
    return np.ndarray(shape, "<f4", content, header.end())


def write(path, arrays: dict) -> None:
    """Write {name of SHAPES: array} to `path`, whole or not at all."""
    with replacing(path) as temporary:
        np.savez(temporary, **{name: np.ascontiguousarray(arrays[name], "float32") for name in SHAPES})


def available(path=WEIGHTS) -> bool:
    """Whether the weights are there to be read."""
    return Path(path).exists()
