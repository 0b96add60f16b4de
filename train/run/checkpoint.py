"""Checkpoints: one file each with everything that a run needs to resume bit-identically.

`output/checkpoints/STAGE/epoch_000012_step_000003.npz`: 12 epochs are done, and 3 steps of epoch number 12, which is
the 13th. The file is an ordinary NumPy archive: the networks' variables as `generator/head_conv.weight`, the
optimizers' as `optimizer/generator/head_conv.weight/moment1_0`, and everything else in `note`, a JSON text. The note
also holds a digest of all names, shapes, data types and values, by which `load` checks that the file is complete and
unchanged.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import re
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import is_no_file, replacing
from common.locks import folder_lock

FOLDER = "checkpoints"
KEPT = 3  # newest checkpoints; the best one is kept too
FORMAT = 1  # increment it when older checkpoints cannot be resumed

_NAME = re.compile(r"epoch_(\d{6,})_step_(\d{6,})\.npz")
# The format .npy, version 1.0 (NumPy's NEP 1), as NumPy writes it for plain numbers in C order: `save` writes nothing
# else, and NumPy's own reader would allocate as much memory as a damaged shape asks for.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|][fiub]\d)', 'fortran_order': False, 'shape': \(([\d, ]{0,200})\), \} *\n",
    re.DOTALL,
)


@dataclasses.dataclass
class Progress:
    """A run's progress, and its figures so far.

    epoch: the current one, counted from 0. step: how many of its steps are done. totals: {loss: sum over these steps}.
    seconds: the time they took. history: a dict of figures for each finished epoch (see `train.report.log_csv`).
    best: the best row of `history` according to `--best-by`. start: the figures of the generator before the first step.
    """

    epoch: int = 0
    step: int = 0
    totals: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    history: list = dataclasses.field(default_factory=list)
    best: dict = dataclasses.field(default_factory=dict)
    start: dict = dataclasses.field(default_factory=dict)


def folder_of(output, stage: str) -> Path:
    return Path(output) / FOLDER / stage


def path_of(folder, epoch: int, step: int) -> Path:
    return Path(folder) / f"epoch_{epoch:06d}_step_{step:06d}.npz"


def listed(folder) -> list:
    """The checkpoints in `folder`, as Paths, the newest first."""
    folder = Path(folder)
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: [int(number) for number in _NAME.fullmatch(path.name).groups()], reverse=True)


class Damaged(InputError):
    """The file is not as it was written."""


@contextlib.contextmanager
def locked(folder):
    """A context in which no other run writes checkpoints to `folder`, which is created if needed.

    Raises InputError if another run is writing there.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with folder_lock(folder) as lock:
        if lock.exclusive() is False:
            raise InputError(
                f"{folder}: another run is writing here. Wait until it ends, stop it, or name another folder with "
                "--output"
            )
        yield


def save(path, variables: dict, note: dict) -> None:
    """Write {name: array or tensor} and `note` (JSON-serializable) to `path`, atomically.

    No more than one array is copied at a time. Raises OSError naming the file if it cannot be written, InputError if an
    array is not finite; any previous file is kept.
    """
    note = {"format": FORMAT, **note}
    digest = _Digest()
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, variable in variables.items():
            array = np.asarray(variable, order="C")
            if not np.isfinite(array).all():
                raise InputError(
                    f"{path}: not written, earlier checkpoints are kept: {name} is not finite. Resume from the "
                    "last one with a smaller --learning-rate (--resume --new-recipe)"
                )
            _write(archive, name, array)
            digest.add(name, array)
        text = json.dumps({**note, "digest": digest.over(note)})
        _write(archive, "note", np.frombuffer(text.encode("utf-8"), "uint8"))


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


class _Digest:
    """BLAKE2 over the names, data types, shapes and values of arrays, one after another, and a note."""

    def __init__(self):
        self._hash = hashlib.blake2b(digest_size=32)

    def add(self, name: str, array: np.ndarray) -> None:
        self._hash.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        self._hash.update(array)

    def over(self, note: dict) -> str:
        """The digest of all added arrays and the note, in hexadecimal."""
        self._hash.update(json.dumps(note).encode())
        return self._hash.hexdigest()


def load(path) -> tuple:
    """({name: read-only array}, note) of a checkpoint.

    The file is untrusted: only arrays of numbers and a JSON text are read from it, and it takes no more memory than it
    has bytes. Raises Damaged naming the file unless it is complete and unchanged, InputError if it has another format
    or cannot be read now. Older checkpoints without a digest (also format 1) are checked by their structure and the
    archive's CRC-32s.
    """
    if is_no_file(path):
        raise Damaged(f"{path}: not a file; expected a checkpoint")
    try:
        digest, arrays, text = _Digest(), {}, None
        for name, array in _members(path):
            if name == "note":
                text = array.tobytes().decode("utf-8")
                continue
            if not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite")
            arrays[name] = array
            digest.add(name, array)
        if text is None:
            raise ValueError("its note is missing")
        note = json.loads(text)
        found, expected = note["format"], note.pop("digest", None)
    except MemoryError:
        raise InputError(f"{path}: not enough memory to read it") from None
    except Exception as error:  # noqa: BLE001  a damaged archive can raise anything
        # A damaged archive makes the reader seek to impossible positions (EINVAL); any other OSError is the disk's.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        raise Damaged(f"{path}: damaged, or not a checkpoint ({type(error).__name__}: {error})") from None
    if found != FORMAT:
        raise InputError(f"{path}: a checkpoint of format {found}; this version of the project reads format {FORMAT}")
    if expected is not None and digest.over(note) != expected:
        raise Damaged(f"{path}: damaged: its contents do not match its digest")
    return arrays, note


def _members(path):
    """Yield (name, read-only array) of each member of the archive that `save` wrote.

    The members must follow each other without a gap from the file's first byte to the archive's directory, which must
    list each of them exactly once: a flipped bit in the directory can hide all later members. Raises ValueError, or any
    error of zipfile, if they do not.
    """
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        position, seen = 0, set()
        for info in archive.infolist():
            file.seek(position)
            header = file.read(30)
            if info.header_offset != position or len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise ValueError(f"no member at byte {position}, where one is expected")
            name_length, extra_length = struct.unpack("<HH", header[26:])
            name = file.read(name_length).decode("utf-8")
            start = position + 30 + name_length + extra_length
            position = start + info.file_size
            if name != info.filename or not name.endswith(".npy") or name in seen:
                raise ValueError(f"its directory lists {info.filename[:99]!r} for {name[:99]!r}, or lists it twice")
            if info.compress_type != zipfile.ZIP_STORED or position > archive.start_dir:
                raise ValueError(f"{name} is compressed, or larger than the file")
            seen.add(name)
            file.seek(start)
            content = file.read(info.file_size)
            if zlib.crc32(content) != info.CRC:
                raise ValueError(f"{name} has a wrong CRC-32")
            yield name[: -len(".npy")], _array(name, content)
        if position != archive.start_dir or archive.comment:
            raise ValueError(f"its directory does not list the data at byte {position}")


def _array(name: str, content: bytes) -> np.ndarray:
    """The read-only array of a .npy member. Raises ValueError if its shape does not match the number of bytes."""
    header = _NPY.match(content)
    if not header or struct.unpack("<H", header.group(1))[0] != header.end() - 10:
        raise ValueError(f"{name} is not an array of numbers")
    shape = [int(dim) for dim in re.findall(rb"\d+", header.group(3))]
    dtype, needed = np.dtype(header.group(2).decode()), len(content) - header.end()
    if math.prod(shape) * dtype.itemsize != needed:
        raise ValueError(f"{name} of shape {shape} has {needed} bytes")
    return np.ndarray(shape, dtype, content, header.end())


def newest(folder):
    """(path, arrays, note) of the newest valid checkpoint in `folder`, None if there are no checkpoints.

    Damaged ones are reported and renamed to NAME.damaged, so that they do not count among the newest to keep.
    Raises InputError if all checkpoints are damaged (then none is renamed), and as `load` does.
    """
    damaged = []
    for path in listed(folder):
        try:
            arrays, note = load(path)
        except Damaged as error:
            print(f"{error}; skipped", file=sys.stderr)
            damaged.append(path)
            continue
        for other in damaged:
            other.replace(other.with_name(other.name + ".damaged"))
        return path, arrays, note
    if damaged:
        raise InputError(f"{folder}: none of its {len(damaged)} checkpoints is valid; remove the folder to start over")
    return None


def prune(folder, best) -> None:
    """Remove all but the newest KEPT checkpoints and `best`, a path or None."""
    for path in listed(folder)[KEPT:]:
        if path != best:
            path.unlink()


def network_variables(name: str, network) -> dict:
    """{`name`/variable: tensor} of a network's weights and statistics."""
    return {f"{name}/{key}": value for key, value in network.state_dict().items()}


def restore_network(name: str, network, arrays: dict, source) -> None:
    """Restore `network` from the arrays of `network_variables`. Raises InputError if one is missing or misshapen."""
    state = network.state_dict()
    network.set_state_dict({key: _checked(f"{name}/{key}", arrays, state[key].shape, source) for key in state})


def optimizer_variables(name: str, optimizer, network) -> dict:
    """{optimizer/`name`/variable/moment: tensor} of the optimizer of `network`; {} before its first step."""
    state = optimizer.state_dict()
    return {
        # Paddle's name is PARAMETER_moment1_0, where PARAMETER depends on how many networks the process has created.
        f"optimizer/{name}/{key}/{state_key[len(parameter.name) + 1 :]}": state[state_key]
        for key, parameter in network.named_parameters()
        for state_key in state
        if state_key.startswith(parameter.name + "_")
    }


def restore_optimizer(name: str, optimizer, network, arrays: dict, source) -> None:
    """Restore `optimizer` from the arrays of `optimizer_variables`.

    Raises InputError if a moment is misshapen, or missing while others exist: Paddle would start it at zero.
    """
    state = {}
    prefix = f"optimizer/{name}/"
    kinds = {array_name.rpartition("/")[2] for array_name in arrays if array_name.startswith(prefix)}
    trained = [(key, parameter) for key, parameter in network.named_parameters() if not parameter.stop_gradient]
    for key, parameter in trained:
        for kind in kinds:
            shape = [1] if "_pow_" in kind else parameter.shape
            state[f"{parameter.name}_{kind}"] = _checked(f"{prefix}{key}/{kind}", arrays, shape, source)
    optimizer.set_state_dict(state)


def _checked(name: str, arrays: dict, shape, source) -> np.ndarray:
    array = arrays.get(name)
    if array is None:
        raise InputError(f"{source}: it lacks {name}, of shape {list(shape)}")
    if array.dtype != np.float32 or list(array.shape) != list(shape):
        raise InputError(f"{source}: {name} is {array.dtype} {list(array.shape)}; this run's is float32 {list(shape)}")
    return array
