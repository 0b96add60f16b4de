"""Files as `fluid.io.save_persistables` writes them, built byte by byte from Paddle's definition of the format.

Nothing of the port is used here.
"""

import struct

CODES = {  # framework.proto, VarType.Type
    "bool": 0,
    "int16": 1,
    "int32": 2,
    "int64": 3,
    "float16": 4,
    "float32": 5,
    "float64": 6,
    "uint8": 20,
    "int8": 21,
}


def varint(number: int) -> bytes:
    """Protobuf's base 128; a negative int64 takes ten bytes."""
    number %= 1 << 64
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes(digits + [number])


def tensor_desc(code, dims) -> bytes:
    return b"\x08" + varint(code) + b"".join(b"\x10" + varint(dim) for dim in dims)


def stream(desc: bytes, data: bytes, lod=(), version=0, tensor_version=0) -> bytes:
    levels = b"".join(struct.pack("<Q", 8 * len(level)) + struct.pack(f"<{len(level)}Q", *level) for level in lod)
    head = struct.pack("<IQ", version, len(lod)) + levels
    return head + struct.pack("<Ii", tensor_version, len(desc)) + desc + data


def variable(array, lod=()) -> bytes:
    """The bytes that fluid.io.save_persistables writes for an array."""
    desc = tensor_desc(CODES[array.dtype.name], array.shape)
    return stream(desc, array.astype(array.dtype.newbyteorder("<")).tobytes(), lod)


def write_folder(folder, variables: dict):
    """The folder that fluid.io.save_persistables writes for {variable: array}."""
    for name, array in variables.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(variable(array))
    return folder
