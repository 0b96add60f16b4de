"""Damage that decoders pass over in silence: wrong checksums, and JPEG data that ends early or lacks parts.

Sources: ITU-T T.81 (JPEG), appendix B; TIFF 6.0.
"""

from __future__ import annotations

import io
import re
import struct
import zlib

from PIL import Image

END_OF_JPEG = b"\xff\xd9"
MOST_SCANS = 100  # of a JPEG; encoders write about 10

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # not those within a scan: 0 is a stuffed byte, D0 to D7 restarts
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_STUFFING = bytes(range(254, 0, -1))  # not of zeros at first, with which decoders go on

# TIFF 6.0: tags of strips and tiles, and compression by deflate.
_COMPRESSION, _OFFSETS, _COUNTS = 259, (273, 324), (279, 325)
_DEFLATE = (8, 32946)


def check_png(content: bytes) -> None:
    """Raise what Pillow does if a checksum of a PNG is wrong or its end is missing: decoding does not look at all."""
    with Image.open(io.BytesIO(content)) as image:
        image.verify()


def check_deflate(content: bytes, tags) -> None:
    """Raise ValueError or zlib.error if a strip or tile of a TIFF packed by deflate is cut or has the wrong checksum.

    tags: Pillow's `tag_v2`. TIFF's other methods have no checksums.
    """
    if tags.get(_COMPRESSION) not in _DEFLATE:
        return
    offsets, counts = (tags.get(strips, tags.get(tiles, ())) for strips, tiles in (_OFFSETS, _COUNTS))
    for offset, count in set(zip(offsets, counts)):
        zlib.decompress(content[offset : offset + count])


def stuff_jpeg(content: bytes) -> bytes:
    """A JPEG with meaningless bytes at the end of its compressed data, of each part that is decoded by itself.

    A decoder that has all its pixels passes over them. One that lacks some, where data was cut out, fills in grey
    without an error, and here something else: the pixels tell. Raises ValueError if whole scans or parts are missing.
    """
    result, place = bytearray(content[:2]), 2
    frame, scans, restarts, interval, missing = b"", 0, 0, 0, set()
    progressive = follows_scan = False
    while found := _MARKER.search(content, place):
        data, marker = content[place : found.start()], found[1][0]
        if follows_scan:
            restarts += len(_RESTART.findall(data))
            result += _RESTART.sub(lambda restart: _STUFFING + restart[0], data) + _STUFFING
        if bytes([0xFF, marker]) == END_OF_JPEG:
            break
        place = found.end() + int.from_bytes(content[found.end() : found.end() + 2], "big")
        result += content[found.start() : place]
        segment = content[found.end() + 2 : place]
        if marker in _FRAMES:
            frame, progressive = segment, marker in _PROGRESSIVE
            missing = {(component, k) for component in frame[6::3] for k in range(64)}
        elif marker == 0xDD:
            interval = int.from_bytes(segment, "big")
        follows_scan = marker == 0xDA
        if follows_scan:
            scans += 1
            first, last, bits = segment[-3:] if progressive else (0, 63, 0)
            if not bits & 15:  # else the lowest bits follow in another scan
                missing -= {(component, k) for component in segment[1:-3:2] for k in range(first, last + 1)}
    if missing:
        raise ValueError("some of its data (JPEG scans) is missing")
    if scans > MOST_SCANS:
        raise ValueError(f"it has {scans} scans, each of which is decoded over all pixels")
    if interval and scans == 1:  # it counts units of the largest sampling factors, or blocks of a single component
        height, width, count = struct.unpack_from(">HHB", frame, 1)
        factors = frame[7::3] if count > 1 else [0x11]
        down, across = 8 * max(each & 15 for each in factors), 8 * max(each >> 4 for each in factors)
        units = -(-height // down) * -(-width // across)
        if restarts < -(-units // interval) - 1:
            raise ValueError("some of its data (between JPEG restart markers) is missing")
    return bytes(result) + END_OF_JPEG
