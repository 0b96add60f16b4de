"""The decoded pictures on disk: every file is decoded once, and read in place from then on."""

import contextlib
import functools
import hashlib
import math
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.device import cores
from common.errors import InputError
from common.files import replacing
from data.hr_lr_pairs import agreement, check_quarter, lr_files, mismatches
from data.pictures.images import list_pictures, read_rgb, skipped
from data.pictures.reading import pixels_of

FOLDER = ".decoded"  # in the folder of the pictures
FALLBACK = "output/decoded"  # if that is not writable
MAPPED = 16  # pictures at once: what is touched of them counts as the process's memory, and each takes a descriptor
DECODERS = 8  # threads, at most: each has a picture in memory some three times
LARGE = 12_000_000  # pixels: larger pictures are decoded one at a time
START = 128  # bytes of a `.npy` file's header, for pictures of any size
FORMAT = "1"  # to be changed if the same file would be decoded to other pixels
TRAINERS_REMEDY = "fix or remove them, or lower --hr-size, or train without them: --skip-bad"

_one_large = threading.Lock()


class Store:
    """Pictures as uint8 [h,w,3], 0..255, each in a `.npy` file of its own.

    sources: the pictures' files; names: their names. folder: where the decoded ones are. `store[i]` is a read-only
    view of picture i, mapped into memory: nothing is copied, and several threads may read at once. Raises InputError if
    the decoded file was removed or changed since.
    """

    def __init__(self, folder: Path, sources: list, files: list, shapes: list):
        self.folder = folder
        self.sources = sources
        self.names = [source.name for source in sources]
        self._files = files
        self._shapes = shapes
        self._map = functools.lru_cache(MAPPED)(self._map)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        return self._map(i)

    def _map(self, i: int) -> np.ndarray:
        # Not by `np.load`, which parses the header again: `open_store` has checked it.
        with contextlib.suppress(OSError):
            if os.path.getsize(self._files[i]) == START + math.prod(self._shapes[i]):
                return np.asarray(np.memmap(self._files[i], np.uint8, "r", START, self._shapes[i]))
        raise InputError(
            f"{self._files[i]}, decoded from {self.names[i]}, was removed or changed: run the command again"
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all pictures: 3 per pixel."""
        return sum(map(math.prod, self._shapes))


def open_store(
    folder, min_side: int, fallback=FALLBACK, skip_bad: bool = False, remedy: str = TRAINERS_REMEDY
) -> Store:
    """Every picture of `folder`, decoded: what is not yet in its store, or has changed since, is decoded now.

    The store is the folder `.decoded` in `folder`, a `.npy` file of 3 bytes per pixel for each picture (800 pictures of
    DIV2K: about 7 GB), or a folder in `fallback` if `folder` is not writable. It can be removed at any time. Files
    appear complete or not at all, so a build that was killed resumes, and several processes can build at once. A
    picture counts as changed if its size or modification time has changed.

    min_side: the smallest side in pixels that a picture may have. remedy: the last sentence of the error about pictures
    that cannot be used.
    Raises InputError that lists every picture that cannot be decoded or is too small; with skip_bad they are left out,
    by name, if any is good. Raises OSError if the store cannot be written (full disk).
    """
    sources = _listed(folder)
    place, decoded = _decoded(folder, sources, fallback)
    problems = {source: _problem(source, shape, min_side) for source, (_, shape) in decoded.items()}
    good = _good(problems, skip_bad, remedy)
    return Store(place, good, *_columns(decoded, good))


def open_pairs(hr_folder, lr_folder, hr_size: int, fallback=FALLBACK, skip_bad: bool = False) -> tuple:
    """(HR, LR), the Stores of two folders: picture i of LR is that of picture i of HR, at a quarter of its sides.

    Each folder is decoded as `open_store` does it; which LR picture belongs to which HR picture follows from the names
    as in `data.hr_lr_pairs.pairs`, and sides of HR that are not multiples of 4 count as cut. hr_size: the smallest side
    of HR. Raises InputError that lists every picture that cannot be decoded, is too small, has no partner or one of
    another size or content; with skip_bad these pairs are left out, by name. Raises OSError as `open_store` does.
    """
    sources = _listed(hr_folder)
    partners = lr_files(sources, lr_folder)
    hr_place, hr_decoded = _decoded(hr_folder, sources, fallback)
    lr_place, lr_decoded = _decoded(lr_folder, [path for path in partners.values() if isinstance(path, Path)], fallback)
    problems, agreements = {}, {}
    for hr_path, (file, shape) in hr_decoded.items():
        partner = partners[hr_path]
        lr_file, lr_shape = lr_decoded.get(partner, (None, partner))
        lines = [_problem(hr_path, shape, hr_size), _problem(partner, lr_shape, 1)]
        if not (isinstance(shape, InputError) or isinstance(lr_shape, InputError)):
            try:
                check_quarter(partner, lr_shape, hr_path, shape)
                agreements[hr_path] = agreement(_mapped(file), _mapped(lr_file))
            except InputError as error:
                lines.append(str(error))
        problems[hr_path] = "\n  ".join(dict.fromkeys(filter(None, lines)))
    for hr_path, problem in mismatches(agreements).items():
        problems[hr_path] = f"{partners[hr_path]} {problem} of {hr_path}"
    good = _good(problems, skip_bad, TRAINERS_REMEDY)
    lr_good = [partners[path] for path in good]
    return Store(hr_place, good, *_columns(hr_decoded, good)), Store(lr_place, lr_good, *_columns(lr_decoded, lr_good))


def _listed(folder) -> list:
    """The pictures of a folder; other files in it are named."""
    sources = list_pictures(folder)
    others = skipped(folder)
    if others:
        print(others, file=sys.stderr)
    return sources


def _columns(decoded: dict, good: list) -> tuple:
    """(decoded files, shapes) of those pictures, two lists."""
    return tuple(map(list, zip(*(decoded[source] for source in good))))


def _decoded(folder, sources: list, fallback) -> tuple:
    """(the folder of the store, {picture: (decoded file, its shape or an InputError)}); what is missing is decoded."""
    beside = Path(folder) / FOLDER
    files = {source: beside / _file_name(source) for source in sources}
    shapes = {source: _shape(file) for source, file in files.items()}
    missing = [source for source, shape in shapes.items() if shape is None]
    place = beside
    if missing and not _is_writable(beside):
        place = Path(fallback) / hashlib.blake2b(os.fsencode(Path(folder).resolve()), digest_size=16).hexdigest()
        place.mkdir(parents=True, exist_ok=True)
        print(f"{folder} is not writable: the decoded pictures go to {place}")
        files.update({source: place / files[source].name for source in missing})
        missing = [source for source in missing if not _shape(files[source])]
        shapes = {source: _shape(file) for source, file in files.items()}
    shapes.update(_decode_all({source: files[source] for source in missing}))
    return place, {source: (files[source], shapes[source]) for source in sources}


def _is_writable(beside: Path) -> bool:
    try:
        beside.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(beside, os.W_OK | os.X_OK)


def _file_name(source: Path) -> str:
    """The name of a picture's decoded file: another one if the picture has changed."""
    try:
        status = source.stat()
        state = f"{status.st_size} {status.st_mtime_ns}"
    except OSError:  # a broken link: decoding it says so
        state = ""
    parts = (os.fsencode(source.name), state.encode(), FORMAT.encode())
    return f"{hashlib.blake2b(bytes(1).join(parts), digest_size=16).hexdigest()}.npy"


def _mapped(file: Path):
    """A decoded file as a read-only array [h,w,3], or None if it is missing or damaged."""
    try:
        picture = np.load(file, mmap_mode="r")
        is_picture = picture.dtype == np.uint8 and picture.shape[2:] == (3,) and picture.flags.c_contiguous
        if is_picture and picture.offset == START and file.stat().st_size == START + picture.nbytes:
            return np.asarray(picture)
    except Exception:  # noqa: BLE001  NumPy's reader fails in many ways on a damaged file; then it is decoded again
        return None
    return None


def _shape(file: Path):
    picture = _mapped(file)
    return None if picture is None else picture.shape


def _problem(source: Path, shape, min_side: int) -> str:
    """Why a picture cannot be used, or "". shape: its own, or the InputError that says why it has none."""
    if isinstance(shape, InputError):
        return str(shape)
    height, width = shape[:2]
    if min(height, width) < min_side:
        return f"{source}: {width}×{height} is smaller than the {min_side}×{min_side} crop"
    return ""


def _decode_all(files: dict) -> dict:
    """Decode pictures. files: {picture: decoded file}. Returns {picture: its shape or an InputError}."""
    sources = list(files)
    random.Random(os.getpid()).shuffle(sources)  # so that processes that build at once share the work
    shapes = {}
    with ThreadPoolExecutor(min(DECODERS, cores())) as pool:  # Pillow's decoders release the GIL
        waiting = {pool.submit(_decode, source, files[source]): source for source in sources}
        try:
            for done in tqdm(as_completed(waiting), "decoding", len(files), unit="picture", disable=not files):
                shapes[waiting[done]] = done.result()
        finally:
            for future in waiting:
                future.cancel()
    return shapes


def _decode(source: Path, file: Path):
    """Decode a picture into its file, unless another process has just done so: its shape, or an InputError."""
    shape = _shape(file)
    if shape:
        return shape
    try:
        with _one_large if pixels_of(source) > LARGE else contextlib.nullcontext():
            rgb = np.ascontiguousarray(read_rgb(source))
    except InputError as error:
        return error
    with replacing(file) as temporary, open(temporary, "wb") as opened:
        # `np.save` would lose the number of an error such as a full disk's.
        header = {"descr": "|u1", "fortran_order": False, "shape": rgb.shape}
        np.lib.format.write_array_header_1_0(opened, header)
        opened.write(rgb.data)
    return rgb.shape


def _good(problems: dict, skip_bad: bool, remedy: str) -> list:
    """The pictures without a problem. problems: {picture: "" or why it cannot be used}."""
    good = [source for source, problem in problems.items() if not problem]
    if len(good) < len(problems):
        lines = [f"{len(problems) - len(good)} of {len(problems)} pictures cannot be used:"]
        listing = "\n  ".join(lines + [problem for problem in problems.values() if problem])
        if not skip_bad:
            raise InputError(f"{listing}\n{remedy}")
        if not good:
            raise InputError(f"{listing}\nnone is left to train on")
        print(f"left out: {listing}")
    return good
