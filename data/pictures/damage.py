"""Damage that decoders pass over in silence: wrong checksums, and JPEG data that ends early or lacks parts.

Sources: PNG 1.2; ITU-T T.81 (JPEG), appendix B; TIFF 6.0.
"""

from __future__ import annotations

import re
import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
END_OF_JPEG = b"\xff\xd9"

# PNG 11.3.2 and its third edition, with what a file of sRGB's has.
_COLOUR_CHUNKS = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    **dict.fromkeys((b"sRGB", b"cICP", b"mDCV", b"cLLI")),
}

_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # not those within a scan: 0 is a stuffed byte, D0 to D7 restarts
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_MOST_SCANS = 200  # each goes over all pixels, in a few bytes; encoders write about ten
_PIXELS_A_BYTE = 1000  # a block of 64 takes a bit or more
_STUFFING = bytes(range(1, 255))

# TIFF 6.0: tags of strips and tiles, and compression by deflate.
_COMPRESSION, _OFFSETS, _COUNTS = 259, (273, 324), (279, 325)
_DEFLATE = (8, 32946)


def check_png(content: bytes) -> dict:
    """{name: content} of the chunks in which a PNG says what its colours are, unless it is sRGB; without its profile.

    Raises ValueError if a checksum is wrong or the end is missing.
    """
    place, colour, view = len(PNG_SIGNATURE), {}, memoryview(content)
    while place < len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        name = content[place + 4 : place + 8]
        if zlib.crc32(view[place + 4 : end]).to_bytes(4, "big") != content[end : end + 4]:
            raise ValueError(f"its part {place} to {end} (chunk {name.decode('latin-1')}) is damaged or cut short")
        if name == b"IEND":
            return {} if b"sRGB" in colour and b"cICP" not in colour else colour
        if name in _COLOUR_CHUNKS and content[place + 8 : end] != _COLOUR_CHUNKS[name]:
            colour[name] = content[place + 8 : end]
        place = end + 4
    raise ValueError("it is cut short: its end (chunk IEND) is missing")


def check_deflate(content: bytes, tags) -> None:
    """Raise ValueError or zlib.error if a strip or tile of a TIFF packed by deflate is cut or has the wrong checksum.

    tags: Pillow's `tag_v2`. TIFF's other methods have no checksums.
    """
    if tags.get(_COMPRESSION) not in _DEFLATE:
        return
    offsets, counts = (tags.get(strips, tags.get(tiles, ())) for strips, tiles in (_OFFSETS, _COUNTS))
    for offset, count in set(zip(offsets, counts)):
        inflate, packed = zlib.decompressobj(), content[offset : offset + count]
        while not inflate.eof:
            if not inflate.decompress(packed, 2**20) and not inflate.eof:
                raise ValueError("its compressed data is cut short")
            packed = inflate.unconsumed_tail


def stuffed_jpeg(content: bytes) -> bytes:
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
            if scans > _MOST_SCANS:
                raise ValueError(f"it goes over its pixels more than {_MOST_SCANS} times (JPEG scans); save it again")
    if missing:
        raise ValueError("some of its data (JPEG scans) is missing")
    height, width, count = struct.unpack_from(">HHB", frame, 1)
    if height * width > _PIXELS_A_BYTE * len(content):
        raise ValueError(f"it claims to have {width}x{height} pixels in {len(content)} bytes: it is damaged")
    if interval and scans == 1:  # it counts units of the largest sampling factors, or blocks of a single component
        factors = frame[7::3] if count > 1 else [0x11]
        down, across = 8 * max(each & 15 for each in factors), 8 * max(each >> 4 for each in factors)
        units = -(-height // down) * -(-width // across)
        if restarts < -(-units // interval) - 1:
            raise ValueError("some of its data (between JPEG restart markers) is missing")
    return bytes(result) + END_OF_JPEG
