"""Pickles written opcode by opcode: Python's own pickler writes only the harmless half of what its unpickler obeys."""

import struct


def text(string: str) -> bytes:
    content = string.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def global_(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def stack_global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def a_dict(value: bytes) -> bytes:
    return b"}" + text("weight") + value + b"s."


NONE, FALSE, TRUE, ZERO, ONE, MINUS = b"N", b"\x89", b"\x88", b"K\x00", b"K\x01", b"J\xff\xff\xff\xff"
LITTLE = text("<")
F4 = call(global_("numpy", "dtype"), text("f4"), FALSE, TRUE)
EMPTY = call(global_("numpy.core.multiarray", "_reconstruct"), global_("numpy", "ndarray"), b"K\x00\x85", text("b"))


def state(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"tb"


def dtype_state(order=LITTLE, subarray=NONE, names=NONE, fields=NONE, flags=ZERO) -> bytes:
    return state(b"K\x03", order, subarray, names, fields, MINUS, MINUS, flags)


PLAIN, TWO = F4 + dtype_state(), b"U\x08" + struct.pack("<2f", 1.5, -2)


def array(dtype=PLAIN, shape=b"K\x02\x85", data=TWO) -> bytes:
    return EMPTY + state(ONE, shape, dtype, FALSE, data)
