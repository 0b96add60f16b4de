"""The pictures of a benchmark: HR, cut as the field cuts it, and the LR or SR that goes with it."""

import re
import sys
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.scale import SCALE
from data.degrade import bicubic
from data.metrics import WINDOW
from data.pictures.images import all_of, list_pictures, read_rgb, skipped, some_of

# What data sets put behind a name to tell HR, LR and SR: as DIV2K, Set5 of SelfExSR, BasicSR's scripts and others do.
_TAIL = re.compile(
    rf"(_SRF_{SCALE}_(HR|LR|SR)|[_-]?(LRBI|LRbic|LR|SR)?[_-]?x{SCALE}|[_-](HR|LR|SR|GT))$", re.IGNORECASE
)

SHAVE = SCALE  # pixels along each border that are not measured
SMALLEST = -(-(WINDOW + 2 * SHAVE) // SCALE) * SCALE  # side of an HR picture that SSIM's window still fits into


def pairs(hr_folder, lr_folder=None) -> list:
    """[(HR file, LR file)] of the pictures in `hr_folder`, sorted by name; the LR file is None without `lr_folder`.

    The LR picture of NAME.EXT or NAME_HR.EXT is called NAME, with any ending, and perhaps with one of the tails that
    data sets have: x4, _x4, _LR, LRBI_x4, _SRF_4_LR (then HR's is _SRF_4_HR). What is skipped is named. Raises
    InputError naming what is missing.
    """
    hr_paths = list_pictures(hr_folder)
    _say(skipped(hr_folder))
    if lr_folder is None:
        return [(path, None) for path in hr_paths]
    found = _all_there(lr_files(hr_paths, lr_folder), read_pair)
    return [(path, found[path]) for path in hr_paths]


def lr_files(hr_paths: list, lr_folder) -> dict:
    """{HR file: its LR file in `lr_folder`, or the InputError that says why there is none}.

    Names are those that `pairs` takes. LR pictures that belong to no HR picture are named on standard error.
    """
    return _partners(hr_paths, lr_folder, "LR", SCALE)


def sr_files(hr_paths: list, sr_folder) -> dict:
    """{HR file: its SR file in `sr_folder`}: pictures that any program has made, named as `pairs` takes them for LR.

    Raises InputError naming what is missing.
    """
    return _all_there(_partners(hr_paths, sr_folder, "SR", 1), lambda hr, sr: read_sr(sr, _cut(read_rgb(hr))))


def _all_there(found: dict, read) -> dict:
    """`found`, from `_partners`, if every picture has a partner; else an InputError that names all faults at once.

    read: called with a picture and its partner, so that unusable pairs are named along with missing partners.
    """

    def check(item):
        hr_path, partner = item
        if isinstance(partner, InputError):
            raise partner
        read(hr_path, partner)

    if any(isinstance(partner, InputError) for partner in found.values()):
        all_of(found.items(), check)
    return found


def _say(line: str) -> None:
    if line:
        print(line, file=sys.stderr)


def _partners(hr_paths: list, folder, kind: str, shrunk: int) -> dict:
    """{HR file: the LR or SR file (`kind`) in `folder` that belongs to it, or an InputError}.

    Those that belong to none are named.
    """
    paths, found = list_pictures(folder), {}
    stems = {path.stem for path in hr_paths}
    for hr_path in hr_paths:
        # A picture that is called as another HR's is, to the letter, is that one's.
        free = [path for path in paths if path.stem == hr_path.stem or path.stem not in stems]
        try:
            found[hr_path] = _partner(hr_path, free, Path(folder), kind, shrunk)
        except InputError as error:
            found[hr_path] = error
    _say(skipped(folder))
    without = [path.name for path in paths if path not in found.values()]
    _say(f"{folder}: {kind} pictures without HR, skipped: {some_of(without)}" if without else "")
    return found


def _without_tail(stem: str) -> str:
    return _TAIL.sub("", stem) or stem


def _partner(hr_path: Path, paths: list, folder: Path, kind: str, shrunk: int) -> Path:
    """The LR or SR file (`kind`) among `paths` that belongs to `hr_path`; shrunk: how often HR's sides have its own."""
    names = (hr_path.stem, _without_tail(hr_path.stem))
    found = [path for path in paths if path.stem in names or _without_tail(path.stem) in names]
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
    check_quarter(lr_path, lr.shape, hr_path, hr.shape)
    return hr, lr


def check_quarter(lr_path: Path, lr_shape: tuple, hr_path: Path, hr_shape: tuple) -> None:
    """Raise InputError if the LR picture's sides are no quarter of HR's, rounded down. Shapes are [h,w,…]."""
    height, width = (side // SCALE for side in hr_shape[:2])
    if tuple(lr_shape[:2]) != (height, width):
        expected = f"{width}x{height}, a quarter of {hr_path}"
        raise InputError(f"{lr_path} has {lr_shape[1]}x{lr_shape[0]} pixels; expected {expected}")


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
