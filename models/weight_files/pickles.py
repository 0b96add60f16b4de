"""Reads the pickle of a weight file: names, numbers, dicts and NumPy arrays. No code is ever run.

Whatever function a file asks for, only this module's are called. NumPy's own would trust the file: a crafted data type
can crash Python.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import numpy as np

from common.errors import InputError

PLAIN_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def read(file: BinaryIO) -> Any:
    """The content of a pickle that Paddle 1.8 to 3.x or NumPy 1 or 2 wrote, Python 2's included; arrays are read-only.

    Raises InputError, which does not name the file, for anything that weights do not need and for a damaged file.
    """
    try:
        return _with_arrays(_Unpickler(file, encoding="latin1").load())
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged pickle can raise anything
        what = "cut off" if isinstance(error, EOFError) else f"{type(error).__name__}: {str(error)[:100]!r}"
        way_out = "Expected a .pdparams file, as paddle.save writes: fetch or copy it again"
        raise InputError(f"not a weight file, or damaged ({what}). {way_out}") from None


class _Unpickler(pickle._Unpickler):  # in C it would reserve memory for whatever number a damaged file names
    def find_class(self, module: str, name: str) -> Any:
        functions = {
            ("numpy", "ndarray"): lambda: None,  # an argument of _reconstruct; never called
            ("numpy", "dtype"): lambda code, *_: _Dtype(code),
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),  # NumPy 1's name
            ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),  # NumPy 2's
            ("_codecs", "encode"): lambda text, _: text.encode("latin1"),  # with which protocol 2 writes bytes
            ("collections", "OrderedDict"): dict,
        }
        if (module, name) not in functions:
            asked = repr(f"{module}.{name}"[:60])[1:-1]
            raise InputError(f"it asks for {asked}, which weights do not need; refused, nothing was run")
        return functions[module, name]


class _Dtype:
    """A data type in the file: a plain little-endian number."""

    def __init__(self, code: Any):
        if code not in PLAIN_DTYPES:
            raise ValueError("a data type that is no plain number")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state not in [(3, order, None, None, None, -1, -1, 0) for order in "<|"]:
            raise ValueError("a number that is not little-endian, or a data type with parts")


class _Array:
    """An array in the file."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, is_fortran, data = state
        if isinstance(data, str):  # Python 2's
            data = data.encode("latin1")
        self.array = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if is_fortran else "C")


def _with_arrays(content: Any) -> Any:
    """The content, a dict or a dict of dicts, with arrays in place of `_Array`."""
    if isinstance(content, dict):
        return {name: _with_arrays(value) for name, value in content.items()}
    return content.array if isinstance(content, _Array) else content
