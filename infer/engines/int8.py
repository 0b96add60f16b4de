"""A generator's quantized form: one small file beside its weights, which `infer/quantize.py` makes.

It is an `.npz` of plain arrays, {"sha256": of the weight file that it belongs to} and, for each quantized convolution,
{"NAME.weight": int8 [out,in,k,k], "NAME.scale": float32 [out], by which that is multiplied, "NAME.bias": float32 [out],
"NAME.input": float32 [2], the range that its input is rounded to 256 levels of}.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import hash_of, replacing
from infer.engines.openvino import fold

COMMAND = "python infer/quantize.py --weights {} --data PHOTOGRAPHS"


def quantized_path(weights) -> Path:
    """The file beside a weight file: srgan.int8.npz for srgan.pdparams."""
    return Path(weights).with_suffix(".int8.npz")


def write_quantized(weights, arrays: dict) -> Path:
    """Write the quantized form of the weight file `weights`; return its path."""
    path = quantized_path(weights)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, sha256=hash_of(weights, "sha256"), **arrays)
    return path


def read_quantized(weights, generator: dict) -> dict:
    """The arrays of the quantized form of the weight file `weights`.

    generator: the arrays of `weights`, as `generator_arrays` reads them. Raises InputError naming the file if it is
    missing, damaged or belongs to other weights.
    """
    path = quantized_path(weights)
    make = f"make it with {COMMAND.format(weights)}"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; {make}") from None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged ({error}); {make}") from None
    if str(arrays.pop("sha256", "")) != hash_of(weights, "sha256"):
        raise InputError(f"{path}: it belongs to other weights than {weights}; {make}, or remove it")
    folded = fold(generator)
    for name, array in arrays.items():
        conv, _, part = name.rpartition(".")
        weight, bias = folded.get(conv, (np.empty(0), np.empty(0)))
        expected = {
            "weight": (weight.shape, "int8"),
            "scale": (bias.shape, "float32"),
            "bias": (bias.shape, "float32"),
            "input": ((2,), "float32"),
        }.get(part)
        if (array.shape, str(array.dtype)) != expected or not np.isfinite(array).all():
            raise InputError(f"{path}: {name} is {array.dtype} {list(array.shape)}, expected {expected}; {make}")
    return arrays
