"""Checkpoints: one file each with everything that a run needs to resume bit-identically.

`output/checkpoints/STAGE/epoch_000012_step_000003.npz`: 12 epochs are done, and 3 steps of epoch number 12, which is
the 13th. The file is an ordinary NumPy archive: the networks' variables as `generator/head_conv.weight`, the
optimizers' as `optimizer/generator/head_conv.weight/moment1_0`, and everything else in `note`, a JSON text. The
archive's checksums and the number of arrays, which the note has, show whether the file is complete and unchanged.
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

from common.errors import InputError
from common.files import replacing

try:
    import fcntl
except ImportError:  # on Windows, where runs are not kept apart
    fcntl = None

FOLDER = "checkpoints"
NEWEST = 3  # checkpoints that are kept, and the best one
FORMAT = 1  # increment it when older checkpoints cannot be resumed

_NAME = re.compile(r"epoch_(\d{6,})_step_(\d{6,})\.npz")


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


def list_checkpoints(folder) -> list:
    """The checkpoints in `folder`, as Paths, the newest first."""
    folder = Path(folder)
    names = [name for name in (_NAME.fullmatch(path.name) for path in folder.glob("*.npz") if path.is_file()) if name]
    return [folder / name[0] for name in sorted(names, key=lambda name: (int(name[1]), int(name[2])), reverse=True)]


class Damaged(InputError):
    """The file is not as it was written."""


@contextlib.contextmanager
def lock(folder):
    """A context in which no other run writes checkpoints to `folder`, which is created if needed.

    Raises InputError if another run is writing there.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if fcntl:
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until the process ends, in whatever way
            except BlockingIOError:
                raise InputError(
                    f"{folder}: another run is writing here. Wait until it ends, stop it, or name another folder with "
                    "--output"
                ) from None
            except OSError:  # some network drives have no locks
                pass
        yield


def save(path, variables: dict, note: dict) -> None:
    """Write {name: array or tensor} and `note` (JSON-serializable) to `path`, atomically.

    Raises OSError naming the file if it cannot be written, InputError if an array is not finite; any previous file is
    kept.
    """
    text = json.dumps({"format": FORMAT, **note, "arrays": len(variables)}).encode("utf-8")
    # np.savez would do the same, but on a full disk Python adds a traceback of its own.
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, variable in [*variables.items(), ("note", np.frombuffer(text, "uint8"))]:
            array = np.asarray(variable)
            if not np.isfinite(array).all():
                raise InputError(
                    f"{path}: not written, earlier checkpoints are kept: {name} is not finite. Resume from the "
                    "last one with a smaller --learning-rate (--resume --new-recipe)"
                )
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path) -> tuple:
    """({name: array}, note) of a checkpoint.

    The file is untrusted: only arrays of numbers and a JSON text are read from it. Raises Damaged naming the file
    unless it is complete and unchanged, InputError if it has another format or cannot be read now.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()  # np.load checks only what it reads: not what a damaged header leaves out
            if bad:
                raise ValueError(f"{bad} has a wrong checksum")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        note = json.loads(arrays.pop("note").tobytes())
        written, format_ = note.pop("arrays", len(arrays)), note["format"]  # older ones lack it
    except MemoryError:
        raise InputError(f"{path}: not enough memory to read it") from None
    except Exception as error:  # noqa: BLE001  a damaged archive can raise anything
        # A damaged archive makes the reader seek to impossible positions (EINVAL); any other OSError is the disk's.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        raise Damaged(f"{path}: damaged, or not a checkpoint ({type(error).__name__}: {error})") from None
    if format_ != FORMAT:
        raise InputError(f"{path}: a checkpoint of format {format_}; this version of the project reads format {FORMAT}")
    if written != len(arrays):
        raise Damaged(f"{path}: damaged: it has {len(arrays)} of {written} arrays")
    return arrays, note


def load_newest(folder):
    """(path, arrays, note) of the newest valid checkpoint in `folder`, None if there are no checkpoints.

    Damaged ones are reported and renamed to NAME.damaged, so that they do not count among the newest to keep.
    Raises InputError if all checkpoints are damaged (then none is renamed), and as `load` does.
    """
    damaged = []
    for path in list_checkpoints(folder):
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
    """Remove all but the NEWEST newest checkpoints and `best`, a path or None."""
    for path in list_checkpoints(folder)[NEWEST:]:
        if path != best:
            path.unlink()


def network_variables(name: str, network) -> dict:
    """{`name`/variable: tensor} of a network's weights and statistics."""
    return {f"{name}/{key}": value for key, value in network.state_dict().items()}


def restore_network(name: str, network, arrays: dict, source) -> None:
    """Restore `network` from the arrays of `network_variables`. Raises InputError if one is missing or misshapen."""
    state = network.state_dict()
    network.set_state_dict({key: _array(f"{name}/{key}", arrays, state[key].shape, source) for key in state})


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
            state[f"{parameter.name}_{kind}"] = _array(f"{prefix}{key}/{kind}", arrays, shape, source)
    optimizer.set_state_dict(state)


def _array(name: str, arrays: dict, shape, source) -> np.ndarray:
    array = arrays.get(name)
    if array is None:
        raise InputError(f"{source}: it lacks {name}, of shape {list(shape)}")
    if array.dtype != np.float32 or list(array.shape) != list(shape):
        raise InputError(f"{source}: {name} is {array.dtype} {list(array.shape)}; this run's is float32 {list(shape)}")
    return array
