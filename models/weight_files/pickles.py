"""Reads the pickle of a weight file: names, numbers, dicts and NumPy arrays. No code is ever run.

This is Python's own unpickler in its readable form, without the operations that weights do not need. Whatever function
a file asks for, only those below are called; only texts may be names; only arrays and data types have a state.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
from typing import Any, BinaryIO, ClassVar

import numpy as np

from common.errors import InputError

PLAIN_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
DIMENSIONS = 32  # NumPy 1's limit
# What Paddle and NumPy write in protocols 2 to 4, Python 2's strings included.
OPERATIONS = (
    "PROTO FRAME STOP MARK POP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINUNICODE BINUNICODE "
    "BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 SHORT_BINSTRING BINSTRING EMPTY_DICT SETITEM SETITEMS EMPTY_TUPLE "
    "TUPLE1 TUPLE2 TUPLE3 TUPLE BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD"
)
_CODES = {operation.name: ord(operation.code) for operation in pickletools.opcodes}


def read(file: BinaryIO) -> Any:
    """The content of a pickle. file: a regular file, whose size limits time and memory.

    Raises InputError, which does not name the file, for anything that weights do not need and for a damaged file.
    """
    try:
        return _Unpickler(file).load()
    except InputError:
        raise
    except (pickle.UnpicklingError, AttributeError, EOFError, LookupError, OverflowError, TypeError, ValueError,
            struct.error) as error:  # fmt: skip
        what = "cut off" if isinstance(error, EOFError) else f"{type(error).__name__}: {str(error)[:100]!r}"
        way_out = "Expected a .pdparams file, as paddle.save writes: fetch or copy it again"
        raise InputError(f"not a weight file, or damaged ({what}). {way_out}") from None


class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[Any] = {_CODES[name]: pickle._Unpickler.dispatch[_CODES[name]] for name in OPERATIONS.split()}
    stack: list[Any]

    def __init__(self, file: BinaryIO):
        super().__init__(file, encoding="latin1")
        self.encodable = os.fstat(file.fileno()).st_size

    def find_class(self, module: str, name: str) -> Any:
        functions: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): None,  # an argument of _reconstruct; never called
            ("numpy", "dtype"): _dtype,
            ("numpy.core.multiarray", "_reconstruct"): lambda *of_what: np.empty(0, "u1"),  # NumPy 1's name
            ("numpy._core.multiarray", "_reconstruct"): lambda *of_what: np.empty(0, "u1"),  # NumPy 2's
            ("_codecs", "encode"): self.encode,
            ("collections", "OrderedDict"): _ordered_dict,
        }
        if (module, name) not in functions:
            asked = repr(f"{module}.{name}"[:60])[1:-1]
            raise InputError(f"it asks for {asked}, which weights do not need; refused, nothing was run")
        return functions[module, name]

    def encode(self, text: str, encoding: Any) -> bytes:
        """`_codecs.encode`, with which protocol 2 writes bytes. Not more than the file has: each is needed once."""
        self.encodable -= len(text)
        if encoding != "latin1" or self.encodable < 0:
            raise ValueError("_codecs.encode to another encoding, or to more bytes than the file has")
        return text.encode("latin1")

    def set_item(self) -> None:
        value = self.stack.pop()
        self._set([self.stack.pop(), value])

    def set_items(self) -> None:
        self._set(self.pop_mark())  # type: ignore[attr-defined]

    def _set(self, items: list) -> None:
        target = self.stack[-1]
        for name, value in zip(items[::2], items[1::2]):
            if not isinstance(target, dict) or not isinstance(name, str):  # a crafted tuple's hash takes forever
                raise TypeError(f"expected a dict of arrays, found {type(name).__name__} as a name")
            target[name] = value

    def build(self) -> None:
        """Set the state of an array, or of a data type: nothing but its byte order, little-endian."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, np.ndarray):
            _, shape, dtype, fortran, data = state
            if not (isinstance(dtype, np.dtype) and isinstance(shape, tuple) and len(shape) <= DIMENSIONS):
                raise ValueError("an array with a damaged state")
            if isinstance(data, str):  # Python 2's
                data = self.encode(data, "latin1")
            # NumPy's `__setstate__` trusts what it is given, so functions that do not are asked first.
            shape = np.frombuffer(data, dtype).reshape(shape).shape
            target.__setstate__((1, shape, dtype, bool(fortran), data))
            target.flags.writeable = False
        elif not isinstance(target, np.dtype) or state not in [
            (3, order, None, None, None, -1, -1, 0) for order in "<|"
        ]:
            raise ValueError("expected the state of an array or of a plain little-endian number")

    dispatch[_CODES["SETITEM"]], dispatch[_CODES["SETITEMS"]], dispatch[_CODES["BUILD"]] = set_item, set_items, build


def _ordered_dict() -> dict:
    """Without arguments, with which a crafted file could copy one again and again."""
    return {}


def _dtype(code: Any, align: Any = False, copy: Any = False) -> np.dtype:
    if code not in PLAIN_DTYPES:
        raise ValueError("a data type that is no plain number")
    return np.dtype(code)
