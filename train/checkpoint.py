"""Checkpoints: all that a run needs to go on as if it had never stopped, each in one file.

`output/checkpoints/STAGE/epoch_000012_step_000003.npz`: 12 epochs are done and 3 steps of epoch number 12, which is the
13th. It is an ordinary NumPy archive: the networks' variables as `generator/head_conv.weight`, the optimizers' as
`optimizer/generator/head_conv.weight/moment1_0`, and `note`, a JSON text of everything else.
"""

import contextlib
import dataclasses
import errno
import json
import os
import re
import sys
import zipfile
from pathlib import Path

import numpy as np

from models.errors import InputError
from models.files import replacing

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None

FOLDER = "checkpoints"
KEPT = 3  # the newest ones; the best one beside them
FORMAT = 1  # to be raised when a file of before cannot be gone on from

_NAME = re.compile(r"epoch_(\d{6,})_step_(\d{6,})\.npz")


@dataclasses.dataclass
class Progress:
    """How far a run is, and what it has measured.

    epoch: the one under way, counted from 0. step: how many of its steps are done. totals: {loss: sum over them}.
    seconds: what they took. history: a dict of the figures of each finished epoch (see `train.log_csv`).
    best: the row of `history` with the highest `valid_psnr`. start: the figures of the generator before the first step.
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
    """The file is not what was written."""


@contextlib.contextmanager
def locked(folder):
    """While inside, no other process writes checkpoints to `folder`. Makes the folder.

    Raises InputError if another one is doing so. A process that ends, however it does, gives the lock up.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network drives have no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"{folder}: another run is writing here. Wait for its end, stop it, or name another folder with "
                    "--output"
                ) from None
        yield
    finally:
        os.close(descriptor)


def save(path, variables: dict, note: dict) -> None:
    """Write {name: array or tensor} and `note` (what JSON can hold) to `path`, whole or not at all.

    Every array carries a CRC-32, as the members of a zip archive do; `load` compares it. No more than one array is copied
    at a time. Raises OSError that names the file when it cannot be written, InputError where an array is not finite;
    what was there before is kept.
    """
    text = json.dumps({"format": FORMAT, **note})
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        _write(archive, "note", np.frombuffer(text.encode("utf-8"), "uint8"))
        for name, variable in variables.items():
            array = np.asarray(variable)
            if not np.isfinite(array).all():
                raise InputError(
                    f"{path}: not written, the checkpoints before it are kept: {name} is not finite. Go on from the last "
                    "one with a smaller --learning-rate (--resume --new-recipe)"
                )
            _write(archive, name, array)


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)


def load(path) -> tuple:
    """({name: array}, note) of a checkpoint.

    The file is untrusted: nothing but arrays of numbers and a JSON text is read from it. Raises Damaged naming the file
    if it is damaged or no checkpoint, InputError if it is of another format or cannot be read now.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        note = json.loads(arrays.pop("note").tobytes().decode("utf-8"))
        found = note["format"]
    except MemoryError:
        raise InputError(f"{path}: there is not enough memory to read it") from None
    except Exception as error:  # noqa: BLE001  a damaged archive can raise anything
        # A damaged archive sends the reader to places that no file has; any other error is the disk's.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        raise Damaged(f"{path}: damaged, or no checkpoint ({type(error).__name__}: {error})") from None
    if found != FORMAT:
        raise InputError(f"{path}: a checkpoint of format {found}; this version of the project reads format {FORMAT}")
    return arrays, note


def newest(folder):
    """(path, arrays, note) of the newest whole checkpoint in `folder`, None where there is none at all.

    A damaged one is named and set aside as NAME.damaged, so that it is not taken for one of the newest to keep.
    Raises InputError where all of them are damaged (then they stay as they are), and as `load` does.
    """
    damaged = []
    for path in listed(folder):
        try:
            arrays, note = load(path)
        except Damaged as error:
            print(f"{error}; passed over", file=sys.stderr)
            damaged.append(path)
            continue
        for other in damaged:
            other.replace(other.with_name(other.name + ".damaged"))
        return path, arrays, note
    if damaged:
        raise InputError(f"{folder}: none of its {len(damaged)} checkpoints is whole; remove the folder to start anew")
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
    """Give `network` what `network_variables` named. Raises InputError for a variable that is missing or misshapen."""
    state = network.state_dict()
    network.set_state_dict({key: _checked(f"{name}/{key}", arrays, state[key].shape, source) for key in state})


def optimizer_variables(name: str, optimizer, network) -> dict:
    """{optimizer/`name`/variable/moment: tensor} of the optimizer of `network`; {} before its first step."""
    state = optimizer.state_dict()
    return {
        # Paddle calls it PARAMETER_moment1_0, where PARAMETER depends on how many networks the process has made.
        f"optimizer/{name}/{key}/{state_key[len(parameter.name) + 1 :]}": state[state_key]
        for key, parameter in network.named_parameters()
        for state_key in state
        if state_key.startswith(parameter.name + "_")
    }


def restore_optimizer(name: str, optimizer, network, arrays: dict, source) -> None:
    """Give `optimizer` what `optimizer_variables` named. Raises InputError for a moment that is misshapen."""
    state = {}
    for key, parameter in network.named_parameters():
        prefix = f"optimizer/{name}/{key}/"
        for array_name in [array_name for array_name in arrays if array_name.startswith(prefix)]:
            kind = array_name[len(prefix) :]
            shape = [1] if "_pow_" in kind else parameter.shape
            state[f"{parameter.name}_{kind}"] = _checked(array_name, arrays, shape, source)
    optimizer.set_state_dict(state)


def _checked(name: str, arrays: dict, shape, source) -> np.ndarray:
    array = arrays.get(name)
    if array is None:
        raise InputError(f"{source}: it lacks {name}, of shape {list(shape)}")
    if array.dtype != np.float32 or list(array.shape) != list(shape):
        raise InputError(f"{source}: {name} is {array.dtype} {list(array.shape)}; this run's is float32 {list(shape)}")
    return array
