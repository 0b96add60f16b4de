"""The article's own checkpoints: folders written by `fluid.io.save_persistables`, and the variable names in them.

Such a folder (`models/g_models/`) has one file per variable; a `/` in a name makes a sub-folder. The article's
programs contain G, D and VGG19 together, so any of its folders may contain all three.

They are not read with `paddle.static.load_program_state`: for a truncated file Paddle 2.6.2 returns an array of the
full shape without an error, and its end is uninitialized memory.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Callable

import numpy as np

from common.errors import InputError
from common.files import AnyPath
from models.settings import FEATURES, RESIDUAL_BLOCKS
from models.weight_files.variables import Arrays, Table, select


def is_generators(name: str) -> bool:
    """Whether a variable of the article's programs belongs to its generator."""
    return name.startswith(("n64s1/", "n256s1/", "out.", "batch_norm_"))


def is_discriminators(name: str) -> bool:
    """Whether a variable of the article's programs belongs to its discriminator."""
    return re.match(r"(h\d|res|ho)/", name) is not None


def read_persistables(folder: AnyPath, is_wanted: Callable[[str], bool] = lambda name: True) -> Arrays:
    """Read a folder written by `fluid.io.save_persistables` as {variable: read-only array}, without fluid.

    is_wanted: called with each variable's name; only variables for which it returns true are read (one of the article's
    folders has 1 GB, its generator 6 MB). Hidden files (of notebooks and file managers) are skipped.
    Raises InputError if the folder is missing or empty, or contains a file that is not a complete fluid variable.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one written by fluid.io.save_persistables")
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    names = [name for name in names if not any(part.startswith(".") for part in name.split("/"))]
    if not names:
        raise InputError(f"{folder}: empty; expected one file per variable, as fluid.io.save_persistables writes them")
    return {name: read_variable(folder / name) for name in names if is_wanted(name)}


def read_variable(path: AnyPath) -> np.ndarray:
    """Read one file of such a folder, as a read-only array; Paddle parses its header, and is needed.

    The format is fluid's `SerializeToStream` of a LoDTensor, little-endian: uint32 version 0; uint64 number of LoD
    levels, each a uint64 size and its bytes; uint32 version 0; int32 size of a protobuf TensorDesc and its bytes; then
    the elements. Raises InputError naming the file if anything is invalid: the file is untrusted.
    """
    try:
        from google.protobuf.message import DecodeError
        from paddle.base.proto.framework_pb2 import VarType
    except ImportError as error:
        raise InputError(f"{path}: the article's folders need Paddle, which cannot be loaded ({error})") from None

    content = Path(path).read_bytes()
    try:
        version, levels = struct.unpack_from("<IQ", content)
        position = 12
        for _ in range(levels):
            position += 8 + struct.unpack_from("<Q", content, position)[0]
        tensor_version, size = struct.unpack_from("<Ii", content, position)
        position += 8 + size
        if version or tensor_version or size < 0:
            raise ValueError("its version is not 0")
        desc = VarType.TensorDesc.FromString(content[position - size : position])
        if min(desc.dims, default=0) < 0:
            raise ValueError(f"its shape is {list(desc.dims)}")
        # The names of the plain numbers are NumPy's: FP32, INT64, UINT8, BOOL …
        dtype = VarType.Type.Name(desc.data_type).replace("FP", "FLOAT").lower()
        return np.frombuffer(content, dtype, offset=position).reshape(list(desc.dims))
    except (DecodeError, struct.error, ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(
            f"{path}: not a variable of fluid.io.save_persistables ({error}). If the file is damaged, fetch the folder "
            "again; if it does not belong there, remove it"
        ) from None


def _conv(key: str, name: str, call: int, outputs: int, inputs: int, kernel: int) -> Table:
    """Table rows of a convolution: `.w_k` and `.b_k`, where k is the number of the network's call that created it."""
    return {
        f"{key}.weight": (f"{name}.w_{call}", (outputs, inputs, kernel, kernel)),
        f"{key}.bias": (f"{name}.b_{call}", (outputs,)),
    }


def _bn(key: str, name: str, use: int, channels: int) -> Table:
    """Table rows of a batch norm, the `use`-th with its name: scale, shift, moving mean, moving variance.

    Scale, mean and variance share one counter, so the second use of a name continues at `.w_3`.
    """
    names = {
        "weight": f"{name}.w_{3 * use}",
        "bias": f"{name}.b_{use}",
        "_mean": f"{name}.w_{3 * use + 1}",
        "_variance": f"{name}.w_{3 * use + 2}",
    }
    return {f"{key}.{part}": (variable, (channels,)) for part, variable in names.items()}


def _first_call(variables: Arrays, weight: str) -> int:
    """The number of the network's call that created the variables: the lowest k for which `weight`.w_k exists.

    Every call of the article's `SRGAN_g` or `SRGAN_d` creates new weights, and the names are numbered across both of
    its programs: the G of a saved program may be `n64s1/c.w_0` or `n64s1/c.w_1`.
    """
    pattern = re.compile(re.escape(weight) + r"\.w_(\d+)")
    matches = [pattern.fullmatch(name) for name in variables]
    return min((int(match.group(1)) for match in matches if match), default=0)


def generator_state(variables: Arrays, source: AnyPath = "the article's generator") -> Arrays:
    """The article's variables of `SRGAN_g` as a state dict of `models.generator.Generator`; others are left out.

    source: what an error message calls them. Raises InputError for a missing or misshapen variable.
    """
    return select(variables, generator_table(_first_call(variables, "n64s1/c")), str(source))


def generator_table(call: int = 0) -> Table:
    """{name in `models.generator.Generator`: (variable of `SRGAN_g`'s call of that number, shape)}."""
    f = FEATURES
    # The tail's batch norm has the same name as the last block's, so each call uses that name twice.
    last = RESIDUAL_BLOCKS - 1
    table = {**_conv("head_conv", "n64s1/c", call, f, 3, 3), **_bn("head_bn", f"batch_norm_{call}", 0, f)}
    for i in range(RESIDUAL_BLOCKS):
        use = 2 * call if i == last else call
        table.update(_conv(f"blocks.{i}.conv1", f"n64s1/c1/{i}", call, f, f, 3))
        table.update(_bn(f"blocks.{i}.bn1", f"n64s1/b1/{i}", call, f))
        table.update(_conv(f"blocks.{i}.conv2", f"n64s1/c2/{i}", call, f, f, 3))
        table.update(_bn(f"blocks.{i}.bn2", f"n64s1/b2/{i}", use, f))
    table.update(_conv("tail_conv", "n64s1/c/m", call, f, f, 3))
    table.update(_bn("tail_bn", f"n64s1/b2/{last}", 2 * call + 1, f))
    for i in range(2):
        table.update(_conv(f"upsample.{i}.conv", f"n256s1/{i + 1}", call, 4 * f, f, 3))
    table.update(_conv("out_conv", "out", call, 3, f, 1))
    return table


def discriminator_state(
    variables: Arrays, hr_size: int = 384, source: AnyPath = "the article's discriminator"
) -> Arrays:
    """The article's variables of `SRGAN_d` as a state dict of `models.discriminator.Discriminator(hr_size)`.

    `res/c`, `res/c2` and `ho/fc`, which the article computes but never uses, are left out, like all other variables.
    source and errors as for `generator_state`.
    """
    from models.discriminator import CHANNELS, final_side  # here: it needs Paddle, which reading a generator does not

    call = _first_call(variables, "h0/c")
    table: Table = {}
    inputs = 3
    for i, channels in enumerate(CHANNELS):
        table.update(_conv(f"convs.{i}", f"h{i}/c", call, channels, inputs, 4))
        if i:
            table.update(_bn(f"bns.{i - 1}", f"h{i}/bn", call, channels))
        inputs = channels
    table.update(_conv("res_conv", "res/c3", call, inputs, inputs, 3))
    table.update(_bn("res_bn", "res/bn3", call, inputs))
    table["fc.weight"] = (f"ho/fc2.w_{call}", (inputs * final_side(hr_size) ** 2, 1))
    table["fc.bias"] = (f"ho/fc2.b_{call}", (1,))
    return select(variables, table, str(source))
