"""The decoded pictures on disk: every file is decoded once, and read in place from then on."""

import contextlib
import hashlib
import mmap
import os
import random
import re
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.errors import InputError
from common.files import is_no_file, replacing
from common.locks import folder_lock
from data.hr_lr_pairs import check_quarter, lr_files
from data.pictures.images import list_pictures, read_rgb, skipped
from data.pictures.reading import pixels_of

FOLDER = ".decoded"  # in the folder of the pictures
FALLBACK = "output/decoded"  # where a folder of pictures may not be written
MAPPED_BYTES = 128 * 2**20  # of pictures mapped at once: what is touched of them counts as the process's memory
MAPPED = 256  # pictures mapped at once: each takes a file descriptor, of which a process often has 1024
DECODERS = 8  # threads, at most: each holds a picture some three times
LARGE = 12_000_000  # pixels: of larger pictures one at a time is decoded
FORMAT = "1"  # to be changed when the same file would be decoded to other pixels
TRAINERS_REMEDY = "fix or remove them, or lower --hr-size, or train without them: --skip-bad"

# The format .npy, version 1.0 (NumPy's NEP 1), of uint8 [h,w,3]; compared as bytes, since NumPy's reader fails in many
# ways on a damaged one.
_START = 128  # where the pixels start
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00v\x00\{'descr': '\|u1', 'fortran_order': False, 'shape': \(([1-9]\d*), ([1-9]\d*), 3\), \} +\n"
)
_OWN_FILES = re.compile(r"[0-9a-f]{32}\.npy|\.\d+-[0-9a-f]{8}\.npy")  # the second are those of `replacing`


_one_large = threading.Lock()


class Store:
    """Pictures as uint8 [h,w,3], 0..255, each in a memory-mapped file of its own.

    sources: the pictures' files, names: what they are called. folder: where the decoded ones are. `store[i]` is a
    read-only view of picture i: nothing is copied, and it stays valid as long as it is held. Several threads may read
    at once. Neither the memory nor the number of open files grows with the number of pictures.

    Raises InputError at `store[i]` when the picture's decoded file has been removed or changed since.
    """

    def __init__(self, folder: Path, sources: list, files: list, shapes: list):
        self.folder = folder
        self.sources = sources
        self.names = [source.name for source in sources]
        self._files = files
        self._shapes = shapes
        self._maps = {}  # {i: picture}, the one used last at the end
        self._mapped_bytes = 0
        self._lock = threading.Lock()

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i: int) -> np.ndarray:
        with self._lock:
            picture = self._maps.pop(i, None)
            if picture is None:
                picture = self._map(i)
                self._mapped_bytes += picture.nbytes
            self._maps[i] = picture
            while len(self._maps) > 1 and (self._mapped_bytes > MAPPED_BYTES or len(self._maps) > MAPPED):
                # Forgotten, not closed: the last view of it unmaps it.
                self._mapped_bytes -= self._maps.pop(next(iter(self._maps))).nbytes
        return picture

    @property
    def nbytes(self) -> int:
        """Bytes of all pictures: 3 a pixel."""
        return sum(map(_size, self._shapes))

    def _map(self, i: int) -> np.ndarray:
        shape = self._shapes[i]
        try:
            with open(self._files[i], "rb") as file:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (FileNotFoundError, ValueError):  # mmap's ValueError: the file is empty
            mapped = b""
        if len(mapped) != _START + _size(shape):
            # To read beyond a file's end would kill the process.
            raise InputError(
                f"{self._files[i]}, decoded from {self.names[i]}, was removed or changed: run the command again"
            )
        return np.frombuffer(mapped, np.uint8, offset=_START).reshape(shape)


def open_store(
    folder, min_side: int, fallback=FALLBACK, skip_bad: bool = False, remedy: str = TRAINERS_REMEDY
) -> Store:
    """Every picture of `folder`, decoded: what is not yet in its store, or was changed since, is decoded now.

    The store is the folder `.decoded` in `folder`, a `.npy` file of 3 bytes a pixel for each picture (800 pictures of
    DIV2K: about 7 GB), or, with a line that says so, a folder in `fallback` where `folder` may not be written and its
    store is not complete. Files appear whole or not at all, so that a build that was killed resumes where it stopped
    and several processes may build at once. A picture counts as changed when its size or its time of modification is
    another. Files that belong to no picture any more are removed, unless another process has the store open.

    min_side: the smallest side, in pixels, that a picture may have. remedy: the last sentence of the error about
    pictures that cannot be used.
    Raises InputError that lists every picture that cannot be decoded or is too small; with skip_bad they are left
    out, by name, as long as any is good. Raises OSError when the store cannot be written (disk full).
    """
    sources = _listed(folder)
    with contextlib.ExitStack() as stack:
        place, found = _decoded(folder, sources, sources, fallback, stack)
        good, problems = [], []
        for source, (file, shape) in found.items():
            problem = _problem(source, shape, min_side)
            if problem:
                problems.append(problem)
            else:
                good.append((source, file, shape))
        _report(problems, len(sources), skip_bad, remedy)
        return _store(place, good, stack)


def open_pairs(hr_folder, lr_folder, hr_size: int, fallback=FALLBACK, skip_bad: bool = False) -> tuple:
    """(HR, LR), the Stores of two folders: picture i of LR is that of picture i of HR, at a quarter of its sides.

    Each folder is decoded as `open_store` does it; which LR picture belongs to which HR picture follows from the names
    as in `data.hr_lr_pairs.pairs`, and sides of HR that are no multiples of 4 count as cut. hr_size: the smallest side
    of HR. Raises InputError that lists every picture that cannot be decoded, is too small, has no partner or one of
    another size; with skip_bad these pairs are left out, by name. Raises OSError as `open_store` does.
    """
    sources = _listed(hr_folder)
    partners = lr_files(sources, lr_folder)
    wanted = list({partner: None for partner in partners.values() if isinstance(partner, Path)})
    with contextlib.ExitStack() as hr_stack, contextlib.ExitStack() as lr_stack:
        hr_place, hr_found = _decoded(hr_folder, sources, sources, fallback, hr_stack)
        lr_place, lr_found = _decoded(lr_folder, list_pictures(lr_folder), wanted, fallback, lr_stack)
        hr_good, lr_good, problems = [], [], []
        for hr_path, (file, shape) in hr_found.items():
            partner = partners[hr_path]
            lr_file, lr_shape = lr_found.get(partner, (None, partner))
            reasons = [_problem(hr_path, shape, hr_size), _problem(partner, lr_shape, 1)]
            if not (isinstance(shape, InputError) or isinstance(lr_shape, InputError)):
                try:
                    check_quarter(partner, lr_shape, hr_path, shape)
                except InputError as error:
                    reasons.append(str(error))
            if any(reasons):
                problems.append("\n  ".join(dict.fromkeys(filter(None, reasons))))
            else:
                hr_good.append((hr_path, file, shape))
                lr_good.append((partner, lr_file, lr_shape))
        _report(problems, len(sources), skip_bad)
        return _store(hr_place, hr_good, hr_stack), _store(lr_place, lr_good, lr_stack)


def _listed(folder) -> list:
    """The pictures of a folder; what else is in it is said."""
    sources = list_pictures(folder)
    left_out = skipped(folder)
    if left_out:
        print(left_out, file=sys.stderr)
    return sources


def _decoded(folder, sources: list, wanted: list, fallback, stack) -> tuple:
    """The folder of the store, held open by `stack`, and {picture: (decoded file, its shape or an InputError)}.

    sources: all pictures of the folder; wanted: those of them that are decoded.
    """
    names = {source: _file_name(source) for source in sources}
    place = _place(Path(folder), [names[source] for source in wanted], fallback)
    stack.enter_context(_held_open(place, set(names.values())))
    files = [place / names[source] for source in wanted]
    return place, dict(zip(wanted, zip(files, _build(wanted, files))))


def _problem(source: Path, shape, min_side: int) -> str:
    """Why a picture cannot be used; "" where it can. shape: its own, or the InputError that says why it has none."""
    if isinstance(shape, InputError):
        return str(shape)
    height, width = shape[:2]
    if min(height, width) < min_side:
        return f"{source}: {width}×{height} is smaller than the {min_side}×{min_side} crop"
    return ""


def _store(place: Path, good: list, stack) -> Store:
    """The Store of (picture, decoded file, shape), held open as long as it is there."""
    store = Store(place, *map(list, zip(*good)))
    weakref.finalize(store, stack.pop_all().close)
    return store


def _file_name(source: Path) -> str:
    """The name of a picture's decoded file: another one when the picture has changed."""
    try:
        found = source.stat()
        state = f"{found.st_size} {found.st_mtime_ns}"
    except OSError:  # a broken link: decoding it says so
        state = ""
    return f"{_digest(os.fsencode(source.name), state.encode(), FORMAT.encode())}.npy"


def _digest(*parts: bytes) -> str:
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()


def _size(shape: tuple) -> int:
    return shape[0] * shape[1] * shape[2]


def _place(folder: Path, names: list, fallback) -> Path:
    """The folder of the store, which is there."""
    beside = folder / FOLDER
    reason = _why_not_written(beside)
    if not reason or names and all(_shape(beside / name) for name in names):
        return beside
    place = Path(fallback) / _digest(os.fsencode(folder.resolve()))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} is not writable ({reason}) and {str(fallback)!r} cannot be used instead as the folder of "
            f"the decoded pictures ({error.strerror})"
        ) from None
    print(f"{folder} is not writable ({reason}): the decoded pictures go to {place}")
    return place


def _why_not_written(beside: Path) -> str:
    """Why files cannot be put into the store `beside` the pictures; "" where they can. Makes the folder."""
    # Asked by the permission bits too: root may write everywhere, and yet a folder without them is not to be written.
    if not beside.parent.stat().st_mode & 0o222:
        return "no write permission"
    try:
        beside.mkdir(exist_ok=True)
    except OSError as error:
        return error.strerror
    if not beside.stat().st_mode & 0o222:
        return f"no write permission in {FOLDER}"
    return "" if os.access(beside, os.W_OK | os.X_OK) else f"no write permission in {FOLDER}"


@contextlib.contextmanager
def _held_open(place: Path, expected: set):
    """Hold a store open, by a lock that others may share; before that, what is left over is removed if nobody does.

    The system lets go of the lock when a process ends, however it ends. Where there is no such lock (Windows, some
    network file systems) nothing is removed.
    """
    with folder_lock(place) as lock:
        if lock.exclusive():
            with contextlib.suppress(OSError):
                _remove_left_over(place, expected)
        lock.shared()
        yield


def _remove_left_over(place: Path, expected: set) -> None:
    for path in place.iterdir():
        if _OWN_FILES.fullmatch(path.name) and path.name not in expected:
            with contextlib.suppress(OSError):  # another user's: it costs room, nothing else
                path.unlink()


def _shape(file: Path):
    """[h,w,3] of a decoded file, or None where it is not there or not whole."""
    if not file.is_file():  # to open a pipe is to wait for somebody to write to it
        return None
    try:
        with open(file, "rb") as opened:
            header = _HEADER.fullmatch(opened.read(_START))
            length = os.fstat(opened.fileno()).st_size
    except OSError:
        return None
    shape = header and (int(header.group(1)), int(header.group(2)), 3)
    return shape if shape and length == _START + _size(shape) else None


def _build(sources: list, files: list) -> list:
    """The shape of each decoded file or the InputError that says why there is none; what is missing is decoded."""
    results = [_shape(file) for file in files]
    missing = [i for i, shape in enumerate(results) if shape is None]
    # In an order of its own, so that two processes that build at once share the work.
    random.Random(os.getpid()).shuffle(missing)
    with ThreadPoolExecutor(min(DECODERS, os.cpu_count() or 1)) as pool:  # Pillow's decoders release the GIL
        waiting = {pool.submit(_decode, sources[i], files[i]): i for i in missing}
        try:
            for done in tqdm(as_completed(waiting), "decoding", len(missing), unit="picture", disable=not missing):
                results[waiting[done]] = done.result()
        finally:
            for future in waiting:
                future.cancel()
    return results


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
    try:
        if is_no_file(file):  # `replacing` leaves pipes alone
            file.unlink()
        with replacing(file) as temporary, open(temporary, "wb") as written:
            written.write(_header(rgb.shape))
            written.write(rgb.data)  # `np.save` would lose the error's number
    except OSError as error:
        raise OSError(
            error.errno,
            f"the decoded pictures, 3 bytes a pixel, cannot be written ({os.strerror(error.errno)}); "
            "those written before are kept",
            str(file.parent),
        ) from None
    return rgb.shape


def _header(shape: tuple) -> bytes:
    fields = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00v\x00" + fields.ljust(_START - 11).encode() + b"\n"


def _report(problems: list, count: int, skip_bad: bool, remedy: str = TRAINERS_REMEDY) -> None:
    if not problems:
        return
    listing = "\n  ".join([f"{len(problems)} of {count} pictures cannot be used:"] + problems)
    if not skip_bad:
        raise InputError(f"{listing}\n{remedy}")
    if len(problems) == count:
        raise InputError(f"{listing}\nnone is left to train on")
    print(f"left out: {listing}")
