"""What a picture's file says of its own layout: checked before a decoder believes it, and against its checksums after.

A few bytes can have a decoder take gigabytes or minutes, by numbers that have nothing to do with the picture's size;
and Pillow leaves the checksums at the end of a PNG unread. Everything here takes time in proportion to the file and to
the pixels allowed, and a few MB.

Sources: PNG 1.2 and RFC 1950; ITU-T T.81, appendix B; TIFF 6.0 and BigTIFF; EXIF 2.3; Microsoft's BITMAPINFOHEADER.
"""

from __future__ import annotations

import io
import lzma
import mmap
import os
import re
import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_NONE = "it is not a PNG, JPEG, BMP, WebP or TIFF picture but "
_SAVE = "; save it as PNG or JPEG"
# {how a file begins: what it is}: the formats' own marks, as `file` knows them.
_OTHERS = {
    b"GIF8": "a GIF" + _SAVE,
    b"\0\0\0\x0cjP  \r\n\x87\n": "a JPEG 2000" + _SAVE,
    b"\xff\x4f\xff\x51": "a JPEG 2000" + _SAVE,
    b"\0\0\0\x0cJXL ": "a JPEG XL" + _SAVE,
    b"\xff\x0a": "a JPEG XL" + _SAVE,
    b"8BPS": "a Photoshop document" + _SAVE,
    b"%PDF-": "a PDF document" + _SAVE,
    b"version https://git-lfs": "a Git LFS pointer; fetch the picture itself with `git lfs pull`",
}
_BRANDS = {b"avif": "an AVIF", b"avis": "an AVIF", b"heic": "a HEIC", b"heix": "a HEIC", b"hevc": "a HEIC"}
_BRANDS |= {b"hevx": "a HEIC", b"mif1": "a HEIF", b"msf1": "a HEIF"}
_PAGES = (b"<!doctype html", b"<html", b"<head")

# PNG 11.3.2 and, for the last three, its third edition: the chunks of fixed length about colour.
PNG_COLOUR_CHUNKS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"mDCV": 24, b"cLLI": 8}

_BLOCK = 2**20
_MOST_CHUNKS = 10_000  # of a PNG, and one more for each KB: libpng's own have 8 KB
_LONGEST_CHUNK = 2**31 - 1
_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
# PNG 8.2: x0, y0, dx, dy of Adam7's passes.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

# A scan goes over all the picture, and may be three bytes. What encoders write are 14 of one component each, or fewer.
_MOST_SCANS = 500
_SCANNED_PIXELS = 2_000_000_000
_ALWAYS_SCANNED = 40
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")  # not those within a scan: 0 is a stuffed byte, D0 to D7 restarts
_STANDALONE = (0x01, 0xD8)
_EOI, _SOS = 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}

_RUN_LENGTHS = {1: 8, 2: 4}  # bits a pixel by a BMP's compression
_MOST_RUN_LENGTH_PIXELS = 10_000_000  # Pillow decodes them in Python

# TIFF 6.0: tags, and the bytes of a value by its type.
WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES = 256, 257, 258, 259, 273, 277
ROWS_A_STRIP, COUNTS, PLANAR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 278, 279, 284, 322, 323, 324, 325
PHOTOMETRIC, EXTRA_SAMPLES, SAMPLE_FORMAT = 262, 338, 339
_LAYOUT = {WIDTH, HEIGHT, BITS, COMPRESSION, OFFSETS, SAMPLES, ROWS_A_STRIP, COUNTS, PLANAR, TILE_WIDTH, TILE_HEIGHT}
_LAYOUT |= {TILE_OFFSETS, TILE_COUNTS}
EXIF, GPS, INTEROPERABILITY = 34665, 34853, 40965  # the directories of EXIF data
_COMPRESSIONS = {*range(1, 9), 32771, 32773, 32809, 32946, 34676, 34677, 34925, 50000, 50001}  # that Pillow knows
# By photometric interpretation, what it is and its bands; by kind of extra sample, what that is.
_COLOURS = {0: ("grey", 1), 1: ("grey", 1), 2: ("RGB", 3), 3: ("a palette", 1), 4: ("a mask", 1), 5: ("CMYK", 4)}
_COLOURS |= {6: ("YCbCr", 3), 8: ("CIE Lab", 3), 9: ("ICC Lab", 3), 32803: ("a camera's raw data", 1)}
_EXTRA = {0: "a band that is not said to be alpha", 1: "alpha multiplied into it", 2: "alpha"}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_DEFLATE, _LZMA = (8, 32946), 34925
_LZMA_MEMORY = 2**27  # bytes: those of the highest level, twice
_MOST_PIECES = 100_000  # strips or tiles: Pillow makes an object of each
_LARGE_PIECE = 2**24  # bytes: a tile may be larger than its picture, within reason
_SPARE_PIXELS = 2**25  # tiles stick out of their picture, by many times its own pixels where that is narrow
_SLACK = 2**16
_ORIENTATION = 0x0112
MOST_PAGES = 10_000  # that are counted


def check_layout(file, max_pixels: int | None = None) -> None:
    """Raise ValueError saying why the picture in `file` must not be decoded; leave `file` at its beginning.

    That is: a wrong checksum (of a PNG's critical chunks and of its pixels, of a TIFF's packed by deflate or LZMA),
    pixels missing or too many in either, and whatever costs memory or time out of all proportion to the picture.
    Of a TIFF packed by zstd libtiff checks the sums itself; most programs, libtiff among them, write none there, nor
    with LZMA, and TIFF's other methods have none: wrong pixels cannot be told from right ones then.
    file: open for reading bytes. max_pixels: a picture of more is left alone, as it will not be decoded.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(30)
    if head.startswith(PNG_SIGNATURE):
        _check_png(file, size, max_pixels)
    elif head.startswith(b"\xff\xd8"):
        _check_jpeg(file)
    elif head.startswith(b"BM"):
        _check_bmp(file, max_pixels)
    elif directories_begin(head):
        _check_tiff(file, size, max_pixels)
    file.seek(0)


def describe_picture(path) -> str:
    """What a file is that is none of the pictures read, for a user and with the way out; "" if that is not known."""
    with open(path, "rb") as file:
        head = file.read(64)
        if directories_begin(head):
            return _describe_tiff(file)
    found = [what for beginning, what in _OTHERS.items() if head.startswith(beginning)]
    if head[4:8] == b"ftyp":  # ISO/IEC 14496-12: the brands that the file is of
        found = [what + _SAVE for brand, what in _BRANDS.items() if brand in head[8:]]
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        found = ["a web page (HTML); download the picture itself"]
    return _NONE + found[0] if found else ""


def _describe_tiff(file) -> str:
    try:
        directory = Directory(file)
    except ValueError:
        return ""
    if _odd_samples(directory) or not {WIDTH, HEIGHT} <= directory.entries.keys():
        return _odd_samples(directory)
    compression = directory.number(COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        return f"it is a TIFF whose compression ({compression}) is not read; save it with deflate (zip) or LZW"
    colours, bands = _COLOURS.get(directory.number(PHOTOMETRIC, 0), ("unknown colours", 1))
    extra = directory.numbers(EXTRA_SAMPLES) or (0,) * (directory.number(SAMPLES, 1) - bands)
    names = " and ".join(_EXTRA.get(kind, _EXTRA[0]) for kind in extra[:4])
    return (
        f"it is a TIFF of {max(directory.numbers(BITS, (1,)))}-bit {colours}{' with ' * bool(names)}{names},"
        " which is not read; save it as grey or RGB of 8 or 16 bits, with or without alpha"
    )


def _odd_samples(directory) -> str:
    samples = directory.number(SAMPLES, 1)
    if samples > 4:
        return (
            f"it is a TIFF of {samples} bands, expected 1 to 4: grey or RGB, with or without alpha, or CMYK;"
            " save it as those"
        )
    bits, kind = max(directory.numbers(BITS, (1,))), directory.number(SAMPLE_FORMAT, 1)
    if kind not in (2, 3) and bits <= 16:
        return ""
    words = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}.get(kind, "whole")
    return f"its samples are {words} numbers of {bits} bits, expected 8 or 16 bits from 0 (black) on; save it as those"


# ---------------------------------------------------------------------------------------------------------------- PNG


def _check_png(file, size: int, max_pixels: int | None) -> None:
    file.seek(len(PNG_SIGNATURE))
    pixels, chunks, begun = None, 0, False
    while True:
        header = file.read(8)
        if len(header) < 8 and not chunks:
            return  # Pillow says that it is none
        if len(header) < 8:
            raise ValueError("it is truncated: its last chunk (IEND) is missing")
        length, name = struct.unpack(">I4s", header)
        chunks += 1
        if length > _LONGEST_CHUNK or not name.isalpha() or (chunks == 1) != (name == b"IHDR"):
            raise ValueError(f"its chunk {chunks} is damaged: {name!r} of {length} bytes")
        if chunks > _MOST_CHUNKS + size // 1024:
            raise ValueError(f"it has more than {_MOST_CHUNKS} chunks, most of them empty; save it again")
        # PNG 5.4: of the others, a capital letter less, a decoder can do without.
        if not name[:1].isupper() and name != b"tRNS":
            file.seek(length + 4, os.SEEK_CUR)
            continue
        if name == b"IDAT" and not pixels:
            return  # Pillow says that it is too large, or that its header is wrong
        content = _chunk(file, name, length)
        if name == b"IHDR":
            pixels = _pixels_of(next(content, b""), max_pixels)
        for block in content:
            if name == b"IDAT":
                pixels.add(block)
        begun = begun or name == b"IDAT"
        if name == b"IEND":
            break
    if pixels and begun:
        pixels.end()


def _chunk(file, name: bytes, length: int):
    """The chunk's content in blocks; ValueError after the last one where its checksum is another."""
    checksum, left = zlib.crc32(name), length
    while left:
        block = file.read(min(_BLOCK, left))
        if not block:
            raise ValueError(f"it is truncated: its chunk {name.decode()} ends too early")
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
        yield block
    if file.read(4) != struct.pack(">I", checksum):
        raise ValueError(f"its chunk {name.decode()} has the wrong checksum: it is damaged")


def _pixels_of(header: bytes, max_pixels: int | None):
    """The _Packed of a PNG's pixels by its header, or None where Pillow will refuse that; ValueError for no pixels."""
    if len(header) != 13:
        return None
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if not width or not height:
        raise ValueError(f"it claims to have {width}x{height} pixels: it is damaged")
    samples = _PNG_SAMPLES.get(colour_type)
    if samples is None or (max_pixels is not None and width * height > max_pixels):
        return None
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    length = 0
    for x, y, dx, dy in passes:
        columns, rows = -(-(width - x) // dx), -(-(height - y) // dy)
        if columns > 0 and rows > 0:
            length += rows * (1 + -(-columns * samples * depth // 8))
    return _Packed(length)


class _Packed:
    """Deflated data (zlib's format, RFC 1950) that is to hold `length` bytes, or `least`: unpacked block by block."""

    def __init__(self, length: int, least: int | None = None):
        self._most, self._least = length, length if least is None else least
        self._length, self._inflate = 0, zlib.decompressobj()

    def add(self, block: bytes) -> None:
        while block and not self._inflate.eof:
            self._count(self._inflate.decompress(block, _BLOCK))  # raises zlib.error on another checksum
            block = self._inflate.unconsumed_tail

    def end(self) -> None:
        self._count(self._inflate.flush())
        if self._length < self._least or not self._inflate.eof:
            raise ValueError("its compressed data is truncated")

    def _count(self, unpacked: bytes) -> None:
        self._length += len(unpacked)
        if self._length > self._most:
            raise ValueError("its compressed data holds more than its pixels")


class _PackedByLzma(_Packed):
    """The same of LZMA in the format of xz, of which libtiff reads no checksum."""

    def __init__(self, length: int):
        super().__init__(length, least=0)
        self._inflate = lzma.LZMADecompressor(lzma.FORMAT_XZ, _LZMA_MEMORY)

    def add(self, block: bytes) -> None:
        while not self._inflate.eof and (block or not self._inflate.needs_input):
            try:
                unpacked = self._inflate.decompress(block, _BLOCK)
            except lzma.LZMAError as error:
                raise ValueError(f"its compressed data is damaged ({error})") from error
            self._count(unpacked)
            block = b""

    def end(self) -> None:
        if not self._inflate.eof:
            raise ValueError("its compressed data is truncated")


def _content_of(file):
    """All bytes of a file, without reading them where it is one of the disk."""
    file.seek(0)
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError:
        return file.read()


# --------------------------------------------------------------------------------------------------------------- JPEG


def _check_jpeg(file) -> None:
    content = _content_of(file)
    scans, pixels, place, exif, mpf = 0, 0, 2, b"", b""
    while found := _MARKER.search(content, place):
        marker, place = found.group(1)[0], found.end()
        if marker == _EOI:
            break
        if marker in _STANDALONE:
            continue
        segment = content[place + 2 : place + max(2, int.from_bytes(content[place : place + 2], "big"))]
        place += 2 + len(segment)
        if marker in _FRAMES and len(segment) > 5:
            pixels = max(pixels, int.from_bytes(segment[1:3], "big") * int.from_bytes(segment[3:5], "big"))
        elif marker == _SOS:
            scans += segment[0] if segment else 1
            most = min(_MOST_SCANS, max(_ALWAYS_SCANNED, _SCANNED_PIXELS // max(pixels, 1)))
            if scans > most:
                raise ValueError(f"it goes over its pixels more than {most} times (JPEG scans); save it again")
        elif marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            exif += segment[6:]
        elif marker == 0xE2 and segment.startswith(b"MPF\0"):
            mpf = segment[4:]
    for metadata in (exif, mpf):
        check_metadata(metadata)


# ---------------------------------------------------------------------------------------------------------------- BMP


def _check_bmp(file, max_pixels: int | None) -> None:
    file.seek(0)
    head = file.read(54)
    if len(head) < 54:
        return  # of OS/2's short headers, which have no run lengths; or Pillow says that it is none
    start, size, width, height, _, bits, compression, colours = struct.unpack("<10xIIiiHHI12xI4x", head)
    if size < 40 or compression not in _RUN_LENGTHS:
        return
    width, height = abs(width), abs(height)  # rows from the top down have a negative height
    if width * height > _MOST_RUN_LENGTH_PIXELS:
        raise ValueError(
            f"it is a BMP of run lengths with {width}x{height} pixels, more than"
            f" {_MOST_RUN_LENGTH_PIXELS / 1e6:g} megapixels; save it as PNG"
        )
    if max_pixels is not None and width * height > max_pixels:
        return
    if bits != _RUN_LENGTHS[compression]:
        raise ValueError(f"it is a BMP of run lengths of {_RUN_LENGTHS[compression]} bits, but of {bits} bits a pixel")
    # Where Pillow looks for them, which believes that offset only where there is room for the palette.
    behind = 14 + size + 4 * (colours or 2**bits)
    _check_run_lengths(_content_of(file), behind if start in (0, 14 + size) else start, width, height, bits)


def _check_run_lengths(content, place: int, width: int, height: int, bits: int) -> None:
    """Raise ValueError where the run lengths from `place` on leave the picture, or are misread by Pillow.

    What its decoder makes is not held to the picture: a jump of 255 rows, in four bytes, is as many bytes as pixels.
    """
    x, y, first = 0, 0, place
    while (x, y) != (0, height) and (x, y) != (width, height - 1):
        pair = content[place : place + 2]
        if len(pair) < 2 or pair == b"\0\1":
            return  # the end; Pillow says that pixels are missing
        place += 2
        count, value = pair
        absolute = not count and value > 2
        if count or absolute:
            count = count or value
            # The last half of a byte of two pixels may be too much.
            fits = x < width and x + count <= width + (bits == 4 and not absolute)
            x = min(width, x + count)
        elif value == 2:
            right, up = content[place : place + 2].ljust(2, b"\0")
            place += 2
            x, y = x + right, y + up
            fits = (right or up) and x <= width and y < height
        else:  # the end of a row
            fits = x > 0  # Pillow would not leave out a row
            x, y = 0, y + 1
        if not fits:
            raise ValueError(f"its run lengths leave its {width}x{height} pixels, or leave out rows; save it as PNG")
        if absolute:
            if first % 2 or bits == 4 and value % 2:  # Pillow goes on at another byte
                raise ValueError("its run lengths hold single pixels in a way that Pillow misreads; save it as PNG")
            place += (value * bits // 8 + 1) // 2 * 2


# --------------------------------------------------------------------------------------------------------------- TIFF


def directories_begin(head: bytes) -> bool:
    """Whether a file that begins so is a TIFF, or a BigTIFF; to Pillow it is one with its number turned round, too."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II\0*", b"MM*\0", b"II+\0", b"MM\0+")


class Directory:
    """A directory of a TIFF or of EXIF data: {tag: (type, count, where the value is, its bytes
    where it does not lie in the directory)}, of those that are `repeated` the last.

    file: open for reading bytes; start: where its TIFF header lies in it; place: where the directory is, from there on,
    the first without. ValueError where there is none.
    """

    def __init__(self, file, start: int = 0, place: int | None = None):
        self.file, self._start = file, start
        file.seek(start)
        head = file.read(16)
        if not directories_begin(head):
            raise ValueError("it has no TIFF header")
        self.order = "<" if head[:2] == b"II" else ">"
        self.big = b"+" in head[2:4]
        where = head[8:16] if self.big else head[4:8]
        if len(where) < (8 if self.big else 4):
            raise ValueError("its TIFF header is truncated")
        (self.place,) = struct.unpack(self.order + ("Q" if self.big else "I"), where)
        self.place = self.place if place is None else place
        count_bytes, entry_bytes, offset = self._sizes = (8, 20, "Q") if self.big else (2, 12, "I")
        content = file.read(self._count(self.place) * entry_bytes)
        self.entries, self.repeated = {}, set()
        for i in range(len(content) // entry_bytes):
            at = i * entry_bytes
            tag, kind, values = struct.unpack_from(f"{self.order}HH{offset}", content, at)
            length = values * _TYPE_BYTES.get(kind, 0)
            inline = length <= struct.calcsize(offset)
            place = self.place + count_bytes + at + entry_bytes - struct.calcsize(offset)
            if not inline:
                (place,) = struct.unpack_from(
                    f"{self.order}{offset}", content, at + entry_bytes - struct.calcsize(offset)
                )
            if tag in self.entries:
                self.repeated.add(tag)
            self.entries[tag] = (kind, values, place, 0 if inline else length)

    def _count(self, place: int) -> int:
        """The number of entries of the directory there, where the file is then."""
        _seek(self.file, self._start + place)
        counted = self.file.read(self._sizes[0])
        if len(counted) < self._sizes[0]:
            raise ValueError("its TIFF directory is not in the file")
        return min(65536, int.from_bytes(counted, "little" if self.order == "<" else "big"))

    def next_after(self, place: int) -> int:
        """Where the directory after the one at `place` is; 0 where it is the last."""
        _, entry_bytes, offset = self._sizes
        self.file.seek(self._count(place) * entry_bytes, os.SEEK_CUR)
        following = self.file.read(struct.calcsize(offset))
        return struct.unpack(self.order + offset, following)[0] if len(following) == struct.calcsize(offset) else 0

    def numbers(self, tag: int, default=()) -> tuple:
        """The whole numbers of a tag; `default` where it is not there, of another type or not whole."""
        kind, count, place, _ = self.entries.get(tag, (0, 0, 0, 0))
        if kind not in _WHOLE_NUMBERS or not 0 < count <= _MOST_PIECES:
            return default
        _seek(self.file, self._start + place)
        content = self.file.read(count * _TYPE_BYTES[kind])
        if len(content) < count * _TYPE_BYTES[kind]:
            return default
        return struct.unpack(f"{self.order}{count}{_WHOLE_NUMBERS[kind]}", content)

    def content(self, tag: int, most: int) -> bytes:
        """The bytes of a tag's value as they are in the file. Raises ValueError where they are not, or over `most`."""
        kind, count, place, _ = self.entries[tag]
        length = count * _TYPE_BYTES[kind]
        _seek(self.file, self._start + place)
        content = self.file.read(length) if length <= most else b""
        if len(content) < length:
            raise ValueError(f"its TIFF tag {tag} is not in the file, or too long")
        return content

    def number(self, tag: int, default: int) -> int:
        return self.numbers(tag, (default,))[0]

    @property
    def outside(self) -> int:
        """Bytes of all values that do not lie in the directory itself, as they are claimed."""
        return sum(length for *_, length in self.entries.values())


def _seek(file, place: int) -> None:
    if place >= 2**63:
        raise ValueError("its TIFF directory is not in the file")
    file.seek(place)


def check_metadata(exif: bytes) -> None:
    """Raise ValueError where a reader of this EXIF data would copy the same bytes over and over. b"" is fine."""
    try:
        outside = Directory(io.BytesIO(exif)).outside
    except ValueError:
        return  # no reader gets further
    if outside > 2 * len(exif) + _SLACK:
        raise ValueError(f"its metadata claims to hold {outside} bytes in {len(exif)}; remove it, or save it again")


def orientation(exif: bytes) -> int:
    """EXIF's tag 0x0112, 1 to 8; 0 where there is none or it is damaged."""
    try:
        found = Directory(io.BytesIO(exif)).number(_ORIENTATION, 0)
    except ValueError:
        return 0
    return found if found <= 8 else 0


def upright(exif: bytes) -> bytes:
    """The same EXIF data, saying that the picture is upright."""
    try:
        directory = Directory(io.BytesIO(exif))
    except ValueError:
        return exif
    kind, count, place, _ = directory.entries.get(_ORIENTATION, (0, 0, 0, 0))
    if kind != 3 or count != 1:
        return exif
    return exif[:place] + struct.pack(directory.order + "H", 1) + exif[place + 2 :]


def png_colour_chunks(file) -> dict:
    """{name: content} of the chunks, but a profile, in which a PNG says what its colours are; {} for another file."""
    file.seek(0)
    found = {}
    if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
        return found
    while len(header := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", header)
        if name == b"IDAT":
            break
        if name in PNG_COLOUR_CHUNKS and length == PNG_COLOUR_CHUNKS[name]:
            found[name] = file.read(length)
            file.seek(4, os.SEEK_CUR)
        else:
            file.seek(length + 4, os.SEEK_CUR)
    return found


def is_lossless_webp(file) -> bool:
    """Whether the pixels of a WebP, of an animation's first picture, are kept without loss (a chunk VP8L)."""
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        return False
    while len(header := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", header)
        if name in (b"VP8 ", b"VP8L"):
            return name == b"VP8L"
        # An animation's picture is a chunk that holds 16 bytes of its own, then chunks.
        file.seek(16 if name == b"ANMF" else length + length % 2, os.SEEK_CUR)
    return False


def _check_tiff(file, size: int, max_pixels: int | None) -> None:
    directory = Directory(file)
    if directory.big and directory.order == ">":  # Pillow looks for its directory elsewhere
        raise ValueError("it is a BigTIFF in the byte order MM, which is not read; save it in the order II")
    if directory.outside > 2 * size + _SLACK:
        raise ValueError(f"its tags claim to hold {directory.outside} bytes in a file of {size}")
    _check_below(directory, size, (EXIF, GPS))
    odd = _odd_samples(directory)
    if odd:
        raise ValueError(odd)
    width, height = directory.number(WIDTH, 0), directory.number(HEIGHT, 0)
    pieces = max(directory.entries.get(tag, (0, 0))[1] for tag in (OFFSETS, TILE_OFFSETS, COUNTS, TILE_COUNTS))
    if pieces > _MOST_PIECES:
        raise ValueError(f"it is cut into {pieces} strips or tiles, at most {_MOST_PIECES} are read; save it again")
    for tag in _LAYOUT & directory.entries.keys():
        # libtiff would take the first of two and other types of number, and so have a layout other than this one.
        if tag in directory.repeated or not directory.numbers(tag):
            raise ValueError(f"its TIFF tag {tag} is there twice, or is no whole number in the file; save it again")
    if not width or not height or (max_pixels is not None and width * height > max_pixels):
        return
    bits, samples = directory.numbers(BITS, (1,)), max(1, directory.number(SAMPLES, 1))
    planes = samples if directory.number(PLANAR, 1) == 2 else 1
    pixel_bits = max(bits) * samples // planes
    tiled = TILE_WIDTH in directory.entries
    columns = directory.number(TILE_WIDTH, width) if tiled else width
    rows = directory.number(TILE_HEIGHT, height) if tiled else min(height, directory.number(ROWS_A_STRIP, height))
    whole = height * -(-width * pixel_bits * planes // 8)
    piece = rows * -(-columns * pixel_bits // 8)
    name = "tile" if tiled else "strip"
    if not piece or piece > max(_LARGE_PIECE, 2 * whole):
        raise ValueError(f"it claims a {name} of {columns}x{rows} in {width}x{height} pixels")
    needed = -(-height // rows) * -(-width // columns) * planes
    # All of them may be the same few bytes of the file.
    if max(pieces, needed) * columns * rows > planes * (2 * width * height + _SPARE_PIXELS):
        raise ValueError(
            f"it claims {max(pieces, needed)} {name}s of {columns}x{rows} in {width}x{height} pixels; save it again"
        )
    packed = _packed_pieces(directory, tiled)[:needed]
    held = sum(min(count, max(0, size - offset)) for offset, count in packed)
    compression = directory.number(COMPRESSION, 1)
    if compression != 1 and held > 2 * (size + needed * piece) + _SLACK:  # plain ones are as long as their pixels
        raise ValueError(f"its {name}s claim to hold {held} bytes in a file of {size}; save it again")
    if compression in (*_DEFLATE, _LZMA):
        # Too little is found by libtiff, which knows the last strip's rows and how far colour is subsampled.
        begin = (lambda: _PackedByLzma(piece)) if compression == _LZMA else (lambda: _Packed(piece, least=0))
        _check_packed(file, packed, begin)


def _check_below(directory: Directory, size: int, tags: tuple) -> None:
    """The same of the directories that Pillow reads besides; one that points out of the file costs nothing."""
    for tag in directory.entries.keys() & set(tags):
        if not directory.numbers(tag):
            raise ValueError(f"its TIFF tag {tag} is no whole number in the file; save it again")
        try:
            below = Directory(directory.file, place=directory.number(tag, 0))
        except ValueError:
            continue
        held = sum(min(length, max(0, size - place)) for *_, place, length in below.entries.values())
        if held > 2 * size + _SLACK:
            raise ValueError(
                f"its EXIF data claims to hold {held} bytes in a file of {size}; remove it, or save it again"
            )
        _check_below(below, size, (INTEROPERABILITY,) if tag == EXIF else ())


def _packed_pieces(directory: Directory, tiled: bool) -> list:
    """Where each strip or tile is in the file, and its bytes there."""
    offsets = directory.numbers(TILE_OFFSETS if tiled else OFFSETS)
    counts = directory.numbers(TILE_COUNTS if tiled else COUNTS)
    return list(zip(offsets, counts))


def _check_packed(file, pieces: list, begin) -> None:
    """ValueError or zlib.error where a strip or tile of these has another checksum, or more than its pixels."""
    for offset, count in dict.fromkeys(pieces):
        packed = begin()
        _seek(file, offset)
        while count:
            block = file.read(min(_BLOCK, count))
            if not block:
                raise ValueError("it is truncated: a strip or tile is not in the file")
            packed.add(block)
            count -= len(block)
        packed.end()


def pages(file) -> int:
    """The pages of a TIFF, as many as can be gone through and MOST_PAGES at most."""
    seen = set()
    try:
        directory = Directory(file)
        place = directory.place
        while place and place not in seen and len(seen) < MOST_PAGES:
            following = directory.next_after(place)
            seen.add(place)
            place = following
    except ValueError:
        pass
    return max(1, len(seen))
