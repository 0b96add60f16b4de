"""The decoded pictures on disk: every file is decoded once, and read in place from then on."""

import hashlib
import os
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.device import cores
from common.errors import InputError
from common.files import replacing
from data.hr_lr_pairs import agreement, check_quarter, lr_files, mismatches
from data.pictures.images import list_and_report, read_rgb

FOLDER = ".decoded"  # in the folder of the pictures
FALLBACK = "output/decoded"  # if that is not writable
DECODERS = 4  # threads, at most: each has a picture in memory some three times
FORMAT = "1"  # to be changed if the same file would be decoded to other pixels
REMEDY = "fix or remove them, or lower --hr-size, or train without them: --skip-bad"


class Store:
    """Pictures as uint8 [h,w,3], 0..255, each in a `.npy` file of its own.

    sources: the pictures' files; names: their names. folder: where the decoded ones are. `store[i]` is a read-only
    view of picture i, mapped into memory: nothing is copied, and several threads may read at once. Raises InputError if
    the decoded file was removed or changed since.
    """

    def __init__(self, folder: Path, sources: list):
        self.folder = folder
        self.sources = sources
        self.names = [source.name for source in sources]
        self._files = [folder / _file_name(source) for source in sources]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        picture = _map(self._files[i])
        if picture is None:
            raise InputError(
                f"{self._files[i]}, decoded from {self.names[i]}, was removed or changed: run the command again"
            )
        return picture


def open_store(folder, hr_size: int, fallback=FALLBACK, skip_bad: bool = False) -> Store:
    """Every picture of `folder`, decoded: what is not yet in its store, or has changed since, is decoded now.

    The store is the folder `.decoded` in `folder`, a `.npy` file of 3 bytes per pixel for each picture (800 pictures of
    DIV2K: about 7 GB), or a folder in `fallback` if `folder` is not writable. It can be removed at any time. Files
    appear complete or not at all, so a build that was killed resumes. A picture counts as changed if its size or
    modification time has changed.

    hr_size: the smallest side in pixels that a picture may have.
    Raises InputError that lists every picture that cannot be decoded or is too small; with skip_bad they are left out,
    by name, if any is good. Raises OSError if the store cannot be written (full disk).
    """
    place, shapes = _decode(folder, list_and_report(folder), fallback)
    problems = {source: _problem(source, shape, hr_size) for source, shape in shapes.items()}
    return Store(place, _select_usable(problems, skip_bad))


def open_pairs(hr_folder, lr_folder, hr_size: int, fallback=FALLBACK, skip_bad: bool = False) -> tuple:
    """(HR, LR), the Stores of two folders: picture i of LR is that of picture i of HR, at a quarter of its sides.

    Each folder is decoded as `open_store` does it; which LR picture belongs to which HR picture follows from the names
    as in `data.hr_lr_pairs.pairs`, and sides of HR that are not multiples of 4 count as cut. hr_size: the smallest side
    of HR. Raises InputError that lists every picture that cannot be decoded, is too small, has no partner or one of
    another size or content; with skip_bad these pairs are left out, by name. Raises OSError as `open_store` does.
    """
    sources = list_and_report(hr_folder)
    partners = lr_files(sources, lr_folder)
    hr_place, hr_shapes = _decode(hr_folder, sources, fallback)
    lr_sources = [path for path in partners.values() if isinstance(path, Path)]
    lr_place, lr_shapes = _decode(lr_folder, lr_sources, fallback)
    problems, agreements = {}, {}
    for hr_path, hr_shape in hr_shapes.items():
        lr_path = partners[hr_path]
        lr_shape = lr_shapes.get(lr_path, lr_path)  # or the InputError that says why there is none
        lines = [_problem(hr_path, hr_shape, hr_size), _problem(lr_path, lr_shape, 1)]
        if not (isinstance(hr_shape, InputError) or isinstance(lr_shape, InputError)):
            try:
                check_quarter(lr_path, lr_shape, hr_path, hr_shape)
                hr, lr = _map(hr_place / _file_name(hr_path)), _map(lr_place / _file_name(lr_path))
                agreements[hr_path] = agreement(hr, lr)
            except InputError as error:
                lines.append(str(error))
        problems[hr_path] = "\n  ".join(filter(None, lines))
    for hr_path, problem in mismatches(agreements).items():
        problems[hr_path] = f"{partners[hr_path]} {problem} of {hr_path}"
    good = _select_usable(problems, skip_bad)
    return Store(hr_place, good), Store(lr_place, [partners[path] for path in good])


def _decode(folder, sources: list, fallback) -> tuple:
    """(the folder of the store, {picture: its shape or an InputError}); what is missing there is decoded."""
    names = {source: _file_name(source) for source in sources}
    place = _place(Path(folder), names.values(), fallback)
    shapes = {}
    for source, name in names.items():
        picture = _map(place / name)
        if picture is not None:
            shapes[source] = picture.shape
    missing = [source for source in sources if source not in shapes]
    with ThreadPoolExecutor(min(DECODERS, cores())) as pool:  # Pillow's decoders release the GIL
        results = pool.map(lambda source: _decode_one(source, place / names[source]), missing)
        progress = tqdm(results, "decoding", len(missing), unit="picture", disable=not missing)
        shapes.update(zip(missing, progress))
    return place, {source: shapes[source] for source in sources}


def _place(folder: Path, names, fallback) -> Path:
    """The folder of the store: in `folder` if that is writable, or has all the files already; else in `fallback`."""
    beside = folder / FOLDER
    if all((beside / name).exists() for name in names):
        return beside
    try:
        beside.mkdir(exist_ok=True)
        is_writable = os.access(beside, os.W_OK | os.X_OK)
    except OSError:
        is_writable = False
    if is_writable:
        return beside
    place = Path(fallback) / hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=16).hexdigest()
    print(f"{folder} is not writable: the decoded pictures go to {place}")
    return place


def _file_name(source: Path) -> str:
    """The name of a picture's decoded file: another one if the picture has changed."""
    try:
        status = source.stat()
        state = f"{status.st_size} {status.st_mtime_ns}"
    except OSError:  # a broken link: decoding it says so
        state = ""
    parts = (os.fsencode(source.name), state.encode(), FORMAT.encode())
    return f"{hashlib.blake2b(bytes(1).join(parts), digest_size=16).hexdigest()}.npy"


def _decode_one(source: Path, file: Path):
    """Decode a picture into its file: its shape, or an InputError."""
    try:
        rgb = np.ascontiguousarray(read_rgb(source))
    except InputError as error:
        return error
    with replacing(file) as temporary, open(temporary, "wb") as opened:
        np.save(types.SimpleNamespace(write=opened.write), rgb)  # given the file itself, it hides a full disk's number
    return rgb.shape


def _map(file: Path):
    """A decoded file as a read-only array [h,w,3], or None if it is missing or damaged."""
    try:
        return np.asarray(np.load(file, mmap_mode="r"))
    except (OSError, ValueError, EOFError):
        return None


def _problem(source: Path, shape, min_side: int) -> str:
    """Why a picture cannot be used, or "". shape: its own, or the InputError that says why it has none."""
    if isinstance(shape, InputError):
        return str(shape)
    height, width = shape[:2]
    if min(height, width) < min_side:
        return f"{source}: {width}×{height} is smaller than the {min_side}×{min_side} crop"
    return ""


def _select_usable(problems: dict, skip_bad: bool) -> list:
    """The pictures without a problem. problems: {picture: "" or why it cannot be used}."""
    good = [source for source, problem in problems.items() if not problem]
    if len(good) < len(problems):
        lines = [f"{len(problems) - len(good)} of {len(problems)} pictures cannot be used:"]
        listing = "\n  ".join(lines + [problem for problem in problems.values() if problem])
        if not skip_bad:
            raise InputError(f"{listing}\n{REMEDY}")
        if not good:
            raise InputError(f"{listing}\nnone is left to train on")
        print(f"left out: {listing}")
    return good
