"""Reads the pickle of a weight file: strings, numbers, lists, dicts and NumPy arrays. No code is ever run.

Python's unpickler executes whatever a file asks for. This reader takes the operations one by one, carries out those
that Paddle and NumPy write (protocols 2 to 4, Python 2's too) on plain values, and refuses all others. The cost of each
operation is either bounded by the bytes that it reads or counted, so the file's size limits time and memory, whatever
the file contains. Python's `pickletools` describes the operations.
"""

from __future__ import annotations

import math
import os
import pickletools
import struct
from typing import Any, BinaryIO, Callable

import numpy as np

from common.errors import InputError

OPERATIONS = 300_000  # at most, each about 100 bytes of memory; the generator's 210 arrays take 9,000
LONGEST_NAME = 1000  # characters in a key
LONGEST_LINE = 200  # bytes in the name of a module or function
DIMENSIONS = 32  # NumPy 1's limit
PLAIN_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
DAMAGED = "not a weight file, or damaged"
WAY_OUT = "Expected a .pdparams file, as paddle.save writes: fetch or copy it again"

# Everything that the pickle of a dict of arrays may ask for, under NumPy 1's and 2's module names.
_NDARRAY, _DTYPE, _RECONSTRUCT, _ENCODE, _ORDERED_DICT = "ndarray", "dtype", "_reconstruct", "encode", "OrderedDict"
_ALLOWED = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("_codecs", "encode"): _ENCODE,
    ("collections", "OrderedDict"): _ORDERED_DICT,
}
_LENGTHS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}
_NAMES = {operation.code.encode("latin1"): operation.name for operation in pickletools.opcodes}


class _Damaged(ValueError):
    """The file is not a valid pickle of weights."""


class Global:
    """A function or class that the file names; `name` is a value in `_ALLOWED`."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name


class Dtype:
    """A data type of plain numbers."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype


class Array:
    """An array, which is empty until its state is set."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array = np.empty(0, "u1")


def read(file: BinaryIO) -> Any:
    """The content of a pickle; arrays (the content itself or the values of a dict) become read-only numpy.ndarrays.

    file: a regular file opened in binary mode, at its start; its size limits the cost. More deeply nested arrays stay
    `Array` objects.
    Raises InputError, which does not name the file, for any operation that weights do not need and for a damaged file.
    """
    reader = _Reader(file)
    try:
        content = reader.run()
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, struct.error) as error:
        if isinstance(error, InputError):
            raise
        reason = f"{error}" if isinstance(error, ValueError) else "an operation has unexpected operands"
        raise InputError(f"{DAMAGED} (at byte {reader.position}: {reason}). {WAY_OUT}") from None
    if isinstance(content, dict):
        return {name: _plain(value) for name, value in content.items()}
    return _plain(content)


def _plain(value: Any) -> Any:
    return value.array if isinstance(value, Array) else value


class _Reader:
    """The virtual machine that runs a pickle: a stack with marks, and a memo of values for reuse."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.position = 0  # of the current operation
        self.read = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.operations = 0
        self.made = 0  # bytes that operations have derived from bytes already read

    def run(self) -> Any:
        while True:
            self.position = self.read
            code = self.take(1)
            self.count(1)
            if code == b".":
                return self.stack.pop()
            carry_out = _OPERATIONS.get(code)
            if carry_out is None:
                if code not in _NAMES:
                    raise _Damaged(f"0x{code[0]:02x} is not an operation of a pickle")
                if code == b"i":  # INST, which names the class to instantiate
                    self.global_(self.line(), self.line())
                raise _refused(f"holds the pickle operation {_NAMES[code]}")
            carry_out(self)

    def take(self, length: int) -> bytes:
        if length > self.size - self.read:
            raise _Damaged(f"{length} bytes expected, {self.size - self.read} left: cut off or damaged")
        self.read += length
        content = self.file.read(length)
        if len(content) != length:
            raise _Damaged("the file became shorter while being read")
        return content

    def number(self, length: int) -> int:
        return struct.unpack(_LENGTHS[length], self.take(length))[0]

    def line(self) -> str:
        line = self.file.readline(LONGEST_LINE)
        self.read += len(line)
        if not line.endswith(b"\n"):
            raise _Damaged("an unterminated line")
        return line[:-1].decode("utf-8")

    def count(self, operations: int) -> None:
        self.operations += operations
        if self.operations > OPERATIONS:
            raise InputError(
                f"{DAMAGED}: more than {OPERATIONS:,} operations, 30 times as many as a network's weights. {WAY_OUT}"
            )

    def charge(self, made: int) -> None:
        """Count bytes derived from others: a weight file derives each byte once, so never more than the file has."""
        self.made += made
        if self.made > self.size:
            raise InputError(f"{DAMAGED}: it expands to more bytes than it has. {WAY_OUT}")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list:
        """The values pushed since the last mark."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def push_text(self, length: int) -> None:
        self.push(self.take(self.number(length)).decode("utf-8"))

    def push_bytes(self, length: int) -> None:
        self.push(self.take(self.number(length)))

    def push_python2s_string(self, length: int) -> None:
        self.push(self.take(self.number(length)).decode("latin1"))

    def push_tuple(self, length: int) -> None:
        values = [self.stack.pop() for _ in range(length)]
        self.push(tuple(reversed(values)))

    def push_decimal(self) -> None:
        """INT, with which Python 2 also writes booleans: 00 and 01."""
        text = self.line()
        if len(text) > 20:
            raise _Damaged("a number of more than 20 digits")
        self.push(int(text))

    def push_long(self) -> None:
        length = self.number(1)
        if length > 8:
            raise _Damaged("a number of more than 64 bits")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def global_(self, module: Any, name: Any) -> None:
        if (module, name) not in _ALLOWED:
            if not (isinstance(module, str) and isinstance(name, str)):
                raise _Damaged("a function without a name")
            raise _refused(f"asks for {_shown(f'{module}.{name}')[1:-1]}")
        self.push(Global(_ALLOWED[module, name]))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise _Damaged("a function without a name")
        self.global_(module, name)

    def append(self, values: list) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise _Damaged("values appended to something other than a list")
        target.extend(values)

    def set_items(self, pairs: list) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise _Damaged("items set in something other than a dict")
        for name, value in zip(pairs[::2], pairs[1::2]):
            _set(target, name, value)

    def reduce(self) -> None:
        """Call one of the functions that weights need, with the arguments that they need."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise _Damaged("a call of something other than a function")
        self.push(_CALLS[function.name](self, *arguments))

    def dtype(self, code: Any, align: Any = False, copy: Any = True) -> Dtype:
        if not isinstance(code, str) or code not in PLAIN_DTYPES:
            raise _Damaged(f"data type {_shown(code)}; weights are plain numbers")
        return Dtype(np.dtype(code))

    def reconstruct(self, class_: Any, shape: Any, kind: Any) -> Array:
        return Array()

    def encode(self, text: Any, encoding: Any) -> bytes:
        """`_codecs.encode`, with which protocol 2 writes bytes."""
        if not isinstance(text, str) or encoding != "latin1":
            raise _Damaged(f"_codecs.encode to {_shown(encoding)}; weights need latin1")
        self.charge(len(text))
        return text.encode("latin1")

    def ordered_dict(self, pairs: Any = ()) -> dict[str, Any]:
        """Python 2 passes the pairs as an argument, Python 3 sets them later."""
        result: dict[str, Any] = {}
        if not isinstance(pairs, (list, tuple)):
            raise _Damaged("an OrderedDict of something other than pairs")
        self.count(len(pairs))
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                raise _Damaged("an OrderedDict of something other than pairs")
            _set(result, *pair)
        return result

    def call_ndarray(self, *arguments: Any) -> None:
        raise _Damaged("a call of numpy.ndarray")

    def build(self) -> None:
        """Set the state of a data type or an array; no other object in a weight file has a state."""
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(state, tuple):
            raise _Damaged("a state that is not a tuple")
        if isinstance(target, Dtype):
            target.dtype = _ordered(target.dtype, state)
        elif isinstance(target, Array):
            target.array = self.filled(*state)
        else:
            raise _Damaged("a state for an object that has none")

    def filled(self, version: Any, shape: Any, dtype: Any, fortran: Any, data: Any) -> np.ndarray:
        """The array for NumPy's state, read-only and in this machine's byte order."""
        if version != 1 or not isinstance(dtype, Dtype) or not isinstance(shape, tuple) or len(shape) > DIMENSIONS:
            raise _Damaged("an array with an unknown state")
        if not all(type(dim) is int and 0 <= dim < 2**63 for dim in shape):
            raise _Damaged("an array with a damaged shape")
        if isinstance(data, str):
            data = self.encode(data, "latin1")
        if not isinstance(data, bytes) or math.prod(shape) * dtype.dtype.itemsize != len(data):
            raise _Damaged(f"an array of shape {list(shape)} with a wrong number of bytes")
        array: np.ndarray = np.ndarray(shape, dtype.dtype, data, order="F" if fortran else "C")
        if not array.dtype.isnative:
            self.charge(array.nbytes)
            array = array.astype(array.dtype.newbyteorder("="))
            array.flags.writeable = False
        return array


def _set(target: dict[str, Any], name: Any, value: Any) -> None:
    if not isinstance(name, str):
        raise InputError(f"expected a dict of arrays, found {type(name).__name__} as a name. {WAY_OUT}")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"expected a dict of arrays, found the name {_shown(name)}. {WAY_OUT}")
    if name in target:
        raise InputError(f"{DAMAGED}: it has {_shown(name)} twice. {WAY_OUT}")
    target[name] = value


def _ordered(dtype: np.dtype, state: tuple) -> np.dtype:
    if (
        len(state) != 8
        or state[0] != 3
        or state[1] not in ("<", ">", "|")
        or state[2:] != (None, None, None, -1, -1, 0)
    ):
        raise _Damaged("a data type with an unknown state")
    return dtype.newbyteorder(state[1])


def _shown(value: Any) -> str:
    """The part of a value of unknown size that a message shows."""
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    return repr(value if len(value) <= 60 else f"{value[:60]}…")


def _refused(what: str) -> InputError:
    return InputError(f"it {what}, which weights do not need; refused, nothing was run")


_CALLS: dict[str, Callable[..., Any]] = {
    _NDARRAY: _Reader.call_ndarray,
    _DTYPE: _Reader.dtype,
    _RECONSTRUCT: _Reader.reconstruct,
    _ENCODE: _Reader.encode,
    _ORDERED_DICT: _Reader.ordered_dict,
}
_OPERATIONS = {
    b"\x80": lambda reader: reader.take(1),  # PROTO
    b"\x95": lambda reader: reader.take(8),  # FRAME: how much to read ahead
    b"(": _Reader.mark,
    b"0": lambda reader: reader.stack.pop(),
    b"N": lambda reader: reader.push(None),
    b"\x88": lambda reader: reader.push(True),
    b"\x89": lambda reader: reader.push(False),
    b"K": lambda reader: reader.push(reader.number(1)),
    b"M": lambda reader: reader.push(reader.number(2)),
    b"J": lambda reader: reader.push(struct.unpack("<i", reader.take(4))[0]),
    b"I": _Reader.push_decimal,
    b"\x8a": _Reader.push_long,
    b"G": lambda reader: reader.push(struct.unpack(">d", reader.take(8))[0]),
    b"\x8c": lambda reader: reader.push_text(1),
    b"X": lambda reader: reader.push_text(4),
    b"\x8d": lambda reader: reader.push_text(8),
    b"C": lambda reader: reader.push_bytes(1),
    b"B": lambda reader: reader.push_bytes(4),
    b"\x8e": lambda reader: reader.push_bytes(8),
    b"U": lambda reader: reader.push_python2s_string(1),
    b"T": lambda reader: reader.push_python2s_string(4),
    b"}": lambda reader: reader.push({}),
    b"]": lambda reader: reader.push([]),
    b")": lambda reader: reader.push(()),
    b"\x85": lambda reader: reader.push_tuple(1),
    b"\x86": lambda reader: reader.push_tuple(2),
    b"\x87": lambda reader: reader.push_tuple(3),
    b"t": lambda reader: reader.push(tuple(reader.pop_mark())),
    b"a": lambda reader: reader.append([reader.stack.pop()]),
    b"e": lambda reader: reader.append(reader.pop_mark()),
    b"s": lambda reader: reader.set_items([reader.stack.pop(-2), reader.stack.pop()]),
    b"u": lambda reader: reader.set_items(reader.pop_mark()),
    b"q": lambda reader: reader.memo.__setitem__(reader.number(1), reader.stack[-1]),
    b"r": lambda reader: reader.memo.__setitem__(reader.number(4), reader.stack[-1]),
    b"\x94": lambda reader: reader.memo.__setitem__(len(reader.memo), reader.stack[-1]),
    b"h": lambda reader: reader.push(reader.memo[reader.number(1)]),
    b"j": lambda reader: reader.push(reader.memo[reader.number(4)]),
    b"c": lambda reader: reader.global_(reader.line(), reader.line()),
    b"\x93": _Reader.stack_global,
    b"R": _Reader.reduce,
    b"b": _Reader.build,
}
