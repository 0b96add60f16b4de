"""Which LR or SR picture belongs to which HR picture, and pairs of them, cut as the field cuts them."""

import re
import sys
from pathlib import Path

import cv2
import numpy as np

from common.errors import InputError
from common.scale import SCALE
from data.degrade import bicubic
from data.metrics import WINDOW
from data.pictures.images import all_of, list_and_report, read_rgb, some_of

# What data sets append to a name to tell HR, LR and SR: DIV2K, Set5 of SelfExSR, BasicSR's scripts and others.
_SUFFIX = re.compile(
    rf"(_SRF_{SCALE}_(HR|LR|SR)|[_-]?(LRBI|LRbic|LR|SR)?[_-]?x{SCALE}|[_-](HR|LR|SR|GT))$", re.IGNORECASE
)

SHAVE = SCALE  # pixels along each border that are not measured
UNLIKE, FAR_BELOW = 20, 10  # dB: a pair with less `agreement` than that, and than the median, is no pair
ROWS = 64  # of LR, of which that is measured
SMALLEST = -(-(WINDOW + 2 * SHAVE) // SCALE) * SCALE  # side of an HR picture that SSIM's window still fits into


def pairs(hr_folder, lr_folder=None) -> list:
    """[(HR file, LR file)] of the pictures in `hr_folder`, sorted by name; the LR file is None without `lr_folder`.

    The LR picture of NAME.EXT or NAME_HR.EXT is called NAME, with any ending, and perhaps with one of the suffixes that
    data sets have: x4, _x4, _LR, LRBI_x4, _SRF_4_LR (then HR's is _SRF_4_HR). Skipped files, and pairs that don't look
    like pairs, are named on standard error. Raises InputError that names what is missing or cannot be used.
    """
    hr_paths = list_and_report(hr_folder)
    if lr_folder is None:
        return [(path, None) for path in hr_paths]
    partners, agreements = lr_files(hr_paths, lr_folder), {}

    def check(hr_path):
        agreements[hr_path] = agreement(*read_pair(hr_path, _raise_if_error(partners[hr_path])))

    all_of(hr_paths, check)
    for hr_path, problem in mismatches(agreements).items():
        print(f"{partners[hr_path]} {problem} of {hr_path}", file=sys.stderr)
    return list(partners.items())


def lr_files(hr_paths: list, lr_folder) -> dict:
    """{HR file: its LR file in `lr_folder`, or the InputError that says why there is none}.

    Names are those that `pairs` takes. LR pictures that belong to no HR picture are named on standard error.
    """
    return _partners(hr_paths, lr_folder, "LR")


def sr_files(hr_paths: list, sr_folder) -> dict:
    """{HR file: its SR file in `sr_folder`}: pictures that any program has made, named as `pairs` takes them for LR.

    Raises InputError that names all that are missing.
    """
    partners = _partners(hr_paths, sr_folder, "SR")
    all_of(partners.values(), _raise_if_error)
    return partners


def _raise_if_error(partner):
    if isinstance(partner, InputError):
        raise partner
    return partner


def agreement(hr: np.ndarray, lr: np.ndarray) -> float:
    """PSNR of LR and the means of HR's squares of 4x4 pixels in dB, in some rows. Pairs have some 25 to 45, others 10.

    hr: uint8 [h,w,3]; lr: a quarter of its sides, rounded down.
    """
    height, width = lr.shape[:2]
    rows = np.unique(np.linspace(0, height - 1, ROWS).astype(int))
    squares = np.concatenate([hr[SCALE * row : SCALE * (row + 1), : SCALE * width] for row in rows])
    return cv2.PSNR(cv2.resize(squares, (width, len(rows)), interpolation=cv2.INTER_AREA), lr[rows])


def mismatches(agreements: dict) -> dict:
    """{key: what is wrong} of the pairs whose `agreement` is far below that of the others. agreements: {key: dB}."""
    median = float(np.median(list(agreements.values()))) if agreements else 0
    return {
        key: f"does not look like the LR picture ({decibels:.0f} dB, the others {median:.0f}; swapped files?)"
        for key, decibels in agreements.items()
        if decibels < min(UNLIKE, median - FAR_BELOW)
    }


def _partners(hr_paths: list, folder, kind: str) -> dict:
    """{HR file: the LR or SR file (`kind`) in `folder` that belongs to it, or an InputError}.

    Files that belong to none are named.
    """
    paths = list_and_report(folder)
    stems = {path.stem for path in hr_paths}
    named = {}  # {stem, or stem without suffix: the files of that name}
    for path in paths:
        for name in {path.stem, _without_suffix(path.stem)}:
            named.setdefault(name, set()).add(path)
    partners = {}
    for hr_path in hr_paths:
        candidates = named.get(hr_path.stem, set()) | named.get(_without_suffix(hr_path.stem), set())
        # A picture that has another HR's very name belongs to that one.
        candidates = [path for path in sorted(candidates) if path.stem == hr_path.stem or path.stem not in stems]
        if len(candidates) == 1:
            partners[hr_path] = candidates[0]
        elif candidates:
            names = " and ".join(path.name for path in candidates)
            partners[hr_path] = InputError(f"{folder} has two {kind} pictures of {hr_path}: {names}; remove one")
        else:
            expected = f"{hr_path.name} or {hr_path.stem}x{SCALE}{hr_path.suffix}"
            partners[hr_path] = InputError(f"{folder} lacks the {kind} picture of {hr_path}: expected {expected}")
    used = set(partners.values())
    without = [path.name for path in paths if path not in used]
    if without:
        print(f"{folder}: {kind} pictures without HR, skipped: {some_of(without)}", file=sys.stderr)
    return partners


def _without_suffix(stem: str) -> str:
    return _SUFFIX.sub("", stem) or stem


def read_pair(hr_path: Path, lr_path) -> tuple:
    """HR, cut to multiples of 4, and LR, a quarter of its size, RGB uint8; where `lr_path` is None LR is made from HR.

    Raises InputError, naming the file, for a picture that cannot be read, is too small or is not of the size expected.
    """
    hr = _cut(read_rgb(hr_path))
    height, width = hr.shape[:2]
    if min(height, width) < SMALLEST:
        size = f"{width}x{height} pixels (cut to multiples of {SCALE})"
        raise InputError(f"{hr_path} is too small to be measured: {size}; expected {SMALLEST} or more a side")
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
