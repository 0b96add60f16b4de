"""The decoded pictures, read in place: every file is opened once, and none of it stays in memory."""

import itertools
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from data.images import read_rgb
from models.errors import InputError

AT_ONCE = 16  # pictures decoded ahead of the one being written, which bounds the memory


class Store:
    """Pictures as uint8 [h,w,3], 0..255, in a memory-mapped file without a name, which the system drops at exit.

    names: the pictures' file names. `store[i]` is a read-only view of picture i; nothing is copied.
    """

    def __init__(self, names: list, shapes: list, file):
        self.names = names
        self._shapes = shapes
        self._starts = np.cumsum([0] + [int(np.prod(shape)) for shape in shapes])
        self._file = file  # kept open: the map is all that holds the pictures
        self._bytes = np.memmap(file, dtype="uint8", mode="r")

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._bytes[self._starts[i] : self._starts[i + 1]].reshape(self._shapes[i])


def decode(paths: list, min_side: int, folder, skip_bad: bool = False) -> Store:
    """Decode every picture of `paths` once into a `Store`, with a progress bar.

    min_side: the smallest side, in pixels, that a picture may have. folder: where the decoded bytes go, 3 a pixel
    (800 pictures of DIV2K: about 7 GB).
    Raises InputError that lists every picture that cannot be decoded or is too small; with skip_bad they are left
    out, by name, as long as any is good.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise InputError(f"{str(folder)!r} cannot be used as the folder of the results ({error.strerror})") from None
    file = tempfile.TemporaryFile(dir=folder, prefix=".pictures-")  # noqa: SIM115  lives as long as the store
    names, shapes, problems = [], [], []
    for path, result in tqdm(_each(paths, min_side), total=len(paths), desc="decoding", unit="picture"):
        if isinstance(result, InputError):
            problems.append(str(result))
            continue
        _write(file, result, folder)
        names.append(path.name)
        shapes.append(result.shape)
    _report(problems, len(paths), skip_bad)
    file.flush()
    return Store(names, shapes, file)


def _each(paths, min_side: int):
    """(path, picture or InputError) in the order of `paths`, decoded in threads (Pillow's decoders release the GIL)."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(paths), AT_ONCE):
            group = paths[start : start + AT_ONCE]
            yield from zip(group, pool.map(_read, group, itertools.repeat(min_side)))


def _read(path, min_side: int):
    try:
        rgb = read_rgb(path)
    except InputError as error:
        return error
    height, width = rgb.shape[:2]
    if min(height, width) < min_side:
        return InputError(f"{path}: {width}×{height} is smaller than the {min_side}×{min_side} crop")
    return rgb


def _write(file, rgb: np.ndarray, folder) -> None:
    try:
        file.write(np.ascontiguousarray(rgb))
    except OSError as error:
        raise OSError(error.errno, f"no room for the decoded pictures ({error.strerror})", str(folder)) from None


def _report(problems: list, count: int, skip_bad: bool) -> None:
    if not problems:
        return
    listing = "\n  ".join([f"{len(problems)} of {count} pictures cannot be used:"] + problems)
    if not skip_bad:
        raise InputError(f"{listing}\nmend or remove them, lower --hr-size, or go on without them: --skip-bad")
    if len(problems) == count:
        raise InputError(f"{listing}\nnone is left to train on")
    print(f"left out: {listing}")
