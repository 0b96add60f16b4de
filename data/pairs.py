"""The pictures of a benchmark: HR, cut as the field cuts it, and the LR or SR that goes with it."""

from pathlib import Path

import numpy as np

from data.degrade import bicubic
from data.images import list_pictures, read_rgb
from data.metrics import WINDOW
from models.errors import InputError
from models.scale import SCALE

SHAVE = SCALE  # pixels along each border that are not measured
SMALLEST = -(-(WINDOW + 2 * SHAVE) // SCALE) * SCALE  # side of an HR picture that SSIM's window still fits into


def pairs(hr_folder, lr_folder=None) -> list:
    """[(HR file, LR file)] of the pictures in `hr_folder`, sorted by name; the LR file is None without `lr_folder`.

    The LR picture of NAME.EXT is called NAME or NAMEx4, with any ending. Raises InputError naming what is missing.
    """
    hr_paths = list_pictures(hr_folder)
    if lr_folder is None:
        return [(path, None) for path in hr_paths]
    lr_paths = list_pictures(lr_folder)
    return [(path, _partner(path, lr_paths, Path(lr_folder), "LR", SCALE)) for path in hr_paths]


def sr_files(hr_paths: list, sr_folder) -> dict:
    """{HR file: its SR file in `sr_folder`}: pictures that any program has made, named as `pairs` takes them for LR.

    Raises InputError naming what is missing.
    """
    sr_paths = list_pictures(sr_folder)
    return {path: _partner(path, sr_paths, Path(sr_folder), "SR", 1) for path in hr_paths}


def _partner(hr_path: Path, paths: list, folder: Path, kind: str, shrunk: int) -> Path:
    """The LR or SR file (`kind`) among `paths` that belongs to `hr_path`; shrunk: how often HR's sides have its own."""
    found = [path for path in paths if path.stem in (hr_path.stem, f"{hr_path.stem}x{SCALE}")]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise InputError(f"{folder} has two {kind} pictures of {hr_path}: {names}; remove one")
    if not found:
        height, width = (side // shrunk for side in _cut(read_rgb(hr_path)).shape[:2])
        expected = f"{hr_path.name} or {hr_path.stem}x{SCALE}{hr_path.suffix}, {width}x{height} pixels"
        raise InputError(f"{folder} lacks the {kind} picture of {hr_path}: expected {expected}")
    return found[0]


def read_pair(hr_path: Path, lr_path) -> tuple:
    """HR, cut to multiples of 4, and LR, a quarter of its size, RGB uint8; where `lr_path` is None LR is made from HR.

    Raises InputError, naming the file, for a picture that cannot be read, is too small or is not of the size expected.
    """
    hr = _cut(read_rgb(hr_path))
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST:
        found = f"{width}x{height} pixels (cut to multiples of {SCALE})"
        raise InputError(f"{hr_path} is too small to be measured: {found}; expected {SMALLEST} or more a side")
    if lr_path is None:
        return hr, bicubic(hr, SCALE)
    lr = read_rgb(lr_path)
    if lr.shape[:2] != (height // SCALE, width // SCALE):
        expected = f"{width // SCALE}x{height // SCALE}, a quarter of {hr_path}"
        raise InputError(f"{lr_path} has {lr.shape[1]}x{lr.shape[0]} pixels; expected {expected}")
    return hr, lr


def read_sr(sr_path: Path, hr: np.ndarray) -> np.ndarray:
    """A ready-made SR picture, RGB uint8, cut as its HR was. hr: as `read_pair` gives it.

    Raises InputError, naming the file, for one that cannot be read or has another size.
    """
    rgb = read_rgb(sr_path)
    sr = _cut(rgb)
    if sr.shape != hr.shape:
        (height, width), (hr_height, hr_width) = rgb.shape[:2], hr.shape[:2]
        expected = f"{hr_width}x{hr_height}, its HR picture's cut to multiples of {SCALE}"
        raise InputError(f"{sr_path} has {width}x{height} pixels; expected {expected}")
    return sr


def _cut(rgb: np.ndarray) -> np.ndarray:
    height, width = (side // SCALE * SCALE for side in rgb.shape[:2])
    return rgb[:height, :width]
