"""Pictures, and files of them written by hand."""

import struct
import zlib

import cv2
import numpy as np

# How a file of each EXIF orientation stores the upright picture (EXIF 2.3, tag 0x0112).
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def picture(height=26, width=37):
    """A smooth RGB picture (JPEG keeps it to a few levels) that differs from all its turned and mirrored forms."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([40 + 5 * columns, 250 - 6 * rows, 20 + 2 * rows + 3 * columns], axis=2).astype(np.uint8)


def samples_of_16_bits(*shape):
    """Noise of 16-bit samples that begins with the extremes and the values around which roundings differ."""
    samples = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    edges = [0, 1, 128, 129, 255, 256, 257, 385, 386, 32767, 32768, 65150, 65279, 65280, 65406, 65407, 65534, 65535]
    samples.reshape(-1)[: len(edges)] = edges
    return samples


def png_bytes(width, height, depth, colour_type, rows, extra=b""):
    """A PNG written by hand; `rows` are the bytes of each row."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(planes, extra=b""):
    """A PNG by hand of uint8 or uint16 [h,w,1..4]."""
    height, width, count = planes.shape
    rows = [row.tobytes() for row in planes.astype(planes.dtype.newbyteorder(">"))]
    return png_bytes(width, height, 8 * planes.itemsize, {1: 0, 2: 4, 3: 2, 4: 6}[count], rows, extra)


def exif_of(orientation):
    """EXIF data that says no more than the orientation."""
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*\0\0\0\x08\0\x01" + tag + b"\0\0\0\0"


def read_with_opencv(path):
    """RGB uint8 [h,w,3] of a file that OpenCV reads."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def write_with_opencv(path, rgb):
    """Write RGB uint8 [h,w,3] to a path of any characters."""
    path.write_bytes(cv2.imencode(path.suffix, rgb[:, :, ::-1])[1].tobytes())
