"""Writing a picture file, whole or not at all; what a format cannot hold is named before."""

from __future__ import annotations

import struct
import types
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from common.errors import InputError
from common.files import check_name, replacing
from data.pictures import metadata
from data.pictures.picture import FORMATS, Picture, rows_per_block, to_8_bits

DEFAULT_QUALITY = 95

# libjpeg's JPEG_MAX_DIMENSION; the 14 bits that WebP has for a side.
_LONGEST_SIDE = {"JPEG": 65500, "WebP": 16383}
# A BMP's header and a TIFF's offsets count bytes in 32 bits, of up to 3 and 8 a pixel.
_MOST_PIXELS = {"BMP": 10**9, "TIFF": 5 * 10**8}
_BYTES_BESIDE = {"JPEG": 4, "BMP": 4, "WebP": 16, "TIFF": 8}  # a pixel, at most

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of planes
_PNG_AVERAGE_FILTER = 3
_LONGEST_EXIF = 65_000  # bytes of a JPEG's segment, and of its XMP data


def check_writable(path, width: int, height: int) -> None:
    """Raise InputError when `write_picture` could not write `width` x `height` pixels to `path`.

    It cannot if the ending is not in FORMATS, the folder does not exist or the picture is too large for the format.
    """
    path = Path(path)
    file_format = _format_of(path)
    check_name(path)
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} does not exist; create it first")
    side, pixels = _LONGEST_SIDE.get(file_format, np.inf), _MOST_PIXELS.get(file_format, np.inf)
    if max(width, height) > side or width * height > pixels:
        limit = f"{side} pixels a side" if side < np.inf else f"{pixels} pixels"
        raise InputError(
            f"{path} cannot be written: it has {width}x{height} pixels, {file_format} ends at {limit}; "
            "use a name ending in .png"
        )


def omissions(path, picture: Picture) -> list:
    """What of `picture` a file named `path` will not hold, in words for a user: [] when it holds everything.

    A plane of alpha that is opaque throughout is no loss. Raises InputError for another ending than those of FORMATS.
    """
    file_format = _format_of(Path(path))
    has_transparency = picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max
    held = _metadata_for(file_format, picture)
    words = {
        "transparency": has_transparency and file_format in ("BMP", "JPEG"),
        "16-bit depth": picture.colour.dtype == np.uint16 and file_format in ("BMP", "JPEG", "WebP"),
        "ICC profile": picture.icc_profile and "icc_profile" not in held,
        "EXIF": picture.exif and "exif" not in held,
        "the camera maker's notes": held.pop("has_notes", False),
        "XMP": picture.xmp and "xmp" not in held,
        "resolution (dpi)": picture.dpi and "dpi" not in held,
    }
    return [word for word, is_omitted in words.items() if is_omitted] + list(picture.omitted)


def write_picture(path, picture: Picture, quality: int | None = None) -> None:
    """Write `picture` in the format that the ending of `path` names (FORMATS), whole or not at all.

    PNG and TIFF keep everything, without loss. WebP is 8-bit RGB, `quality` 1..99, or 100 for no loss. By
    default it is 95, and for what was a WebP without loss 100. JPEG (`quality` 1..100) and BMP are 8-bit without
    transparency. What `omissions` names is left out; 16 bits are rounded to 8.

    Raises InputError as `check_writable` does, OSError naming the file when it cannot be written (disk full, no
    permission).
    """
    path = Path(path)
    file_format = _format_of(path)
    if quality is None:
        quality = 100 if picture.lossless and file_format == "WebP" else DEFAULT_QUALITY
    height, width = picture.colour.shape[:2]
    check_writable(path, width, height)
    held = _metadata_for(file_format, picture)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        if file_format == "PNG":
            _write_png(file, picture, held)
        elif file_format == "TIFF":
            _write_tiff(file, picture, held)
        else:
            try:
                _write_by_pillow(file, picture, held, file_format, quality)
            except ValueError as error:  # WebP's encoder refuses some large pictures
                reason = f"the {file_format} encoder refuses it ({error})"
                raise InputError(f"{path} cannot be written: {reason}; use a name ending in .png") from error


def writing_memory(path, pixels: int) -> int:
    """Bytes that `write_picture` takes at most, beside the arrays, for a picture of `pixels` to `path`."""
    return _BYTES_BESIDE.get(_format_of(Path(path)), 0) * pixels


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} cannot be written: its name must end in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def _metadata_for(file_format: str, picture: Picture) -> dict:
    """What of a picture's metadata a format holds, as it will be written: icc_profile, exif, xmp and dpi.

    Of a TIFF `exif` are tags, and `has_notes` says whether a maker's notes are left out of them.
    """
    height, width = picture.colour.shape[:2]
    held = {}
    # WebP has no grey: a profile for grey would not fit what is written.
    if picture.icc_profile and file_format != "BMP" and (file_format != "WebP" or picture.colour.shape[2] == 3):
        held["icc_profile"] = picture.icc_profile
    longest = {"BMP": 0, "JPEG": _LONGEST_EXIF}.get(file_format, np.inf)
    if 0 < len(picture.exif) <= longest:
        held["exif"] = metadata.correct_exif(picture.exif, height, width)
    if 0 < len(picture.xmp) <= longest:
        held["xmp"] = metadata.correct_xmp(picture.xmp, height, width)
    if file_format == "TIFF" and "exif" in held:
        parsed = Image.Exif()
        try:
            parsed.load(held.pop("exif"))
            tags, held["has_notes"] = metadata.tiff_tags(parsed)
            tags.tobytes()
            held["exif"] = tags
        except Exception:  # noqa: BLE001  Pillow raises many kinds on damaged values; the EXIF data is named as omitted
            held.pop("has_notes", None)
    if picture.dpi and file_format != "WebP":
        held["dpi"] = picture.dpi
    return held


def _write_by_pillow(file, picture: Picture, held: dict, file_format: str, quality: int) -> None:
    colour = picture.colour
    image = Image.fromarray(to_8_bits(colour[:, :, 0] if colour.shape[2] == 1 else colour))
    settings = dict(held)
    if "exif" in held:
        settings["exif"] = b"Exif\0\0" + held["exif"]
    if file_format == "JPEG":
        # Colour at full resolution: the halved one that is JPEG's habit blurs the coloured edges just computed.
        settings.update(quality=quality, subsampling="4:4:4")
        xmp = b"http://ns.adobe.com/xap/1.0/\0" + settings.pop("xmp", b"")  # which Pillow writes from version 11 on
        settings["extra"] = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp if "xmp" in held else b""
    if file_format == "WebP":
        if picture.alpha is not None:
            image.putalpha(Image.fromarray(to_8_bits(picture.alpha)))
        # Without loss, Pillow's quality is the effort; "exact" keeps the colours of what is transparent.
        if quality == 100:
            settings.update(lossless=True, exact=True)
        else:
            settings["quality"] = quality
    # Not the file itself: Pillow would write to its descriptor, and not notice that a nearly full disk wrote only a
    # part. The JPEG would be cut short without an error.
    image.save(types.SimpleNamespace(write=file.write), format=file_format, **settings)


def _blocks(picture: Picture, order: str):
    """The rows of `picture` from the top, some at a time: colour and alpha as [rows,w,1..4] in that byte order."""
    rows = rows_per_block(picture.colour)
    for top in range(0, len(picture.colour), rows):
        block = picture.colour[top : top + rows]
        if picture.alpha is not None:
            block = np.concatenate([block, picture.alpha[top : top + rows, :, np.newaxis]], axis=2)
        yield np.ascontiguousarray(block, dtype=block.dtype.newbyteorder(order))


def _compressor():
    """For differences of a photograph's pixels: a tenth of the default's time, and no larger (zlib's manual: Z_RLE)."""
    return zlib.compressobj(strategy=zlib.Z_RLE)


def _write_png(file, picture: Picture, held: dict) -> None:
    # By hand: no library here writes 16-bit grey with alpha. OpenCV writes 16-bit colour, but without metadata, and
    # needs a second copy of the picture and the whole file in memory.
    height, width, planes = picture.colour.shape
    planes += picture.alpha is not None
    pixel_bytes = planes * picture.colour.itemsize

    def write_chunk(name: bytes, content: bytes) -> None:
        checksum = zlib.crc32(content, zlib.crc32(name))
        file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum))

    file.write(PNG_SIGNATURE)
    depth = 8 * picture.colour.itemsize
    write_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _PNG_COLOUR_TYPES[planes], 0, 0, 0))
    if "icc_profile" in held:
        write_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(held["icc_profile"]))
    if "dpi" in held:
        write_chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in held["dpi"]), 1))  # a metre
    if "exif" in held:
        write_chunk(b"eXIf", held["exif"])
    if "xmp" in held:
        write_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + held["xmp"])
    compressor = _compressor()
    above = np.zeros((1, width * pixel_bytes), np.uint8)
    for block in _blocks(picture, ">"):
        rows = block.view(np.uint8).reshape(len(block), -1)
        over = np.concatenate([above, rows[:-1]])
        left = np.zeros_like(rows)
        left[:, pixel_bytes:] = rows[:, :-pixel_bytes]
        # One filter for all rows: on photographs this one comes within some percent of choosing by row.
        filtered = np.full((len(rows), rows.shape[1] + 1), _PNG_AVERAGE_FILTER, np.uint8)
        filtered[:, 1:] = rows - ((left & over) + ((left ^ over) >> 1))  # their mean, which needs no ninth bit
        write_chunk(b"IDAT", compressor.compress(filtered))
        above = rows[-1:]
    write_chunk(b"IDAT", compressor.flush())
    write_chunk(b"IEND", b"")


def _write_tiff(file, picture: Picture, held: dict) -> None:
    # Pillow writes the tags, but no 16-bit colour.
    height, width, planes = picture.colour.shape
    planes += picture.alpha is not None
    # TIFF 6.0, section 14: predictor 2 stores of each sample the difference to the pixel before.
    strips = []
    for block in _blocks(picture, "<"):
        compressor = _compressor()
        differences = np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1)
        strips.append(compressor.compress(differences) + compressor.flush())
    count = len(strips)
    tags = held.get("exif", ImageFileDirectory_v2())
    tags.tagtype.update({273: 4, 279: 4, 700: 1, 34675: 7})  # LONG; XMP: BYTE; ICC profile: UNDEFINED
    tags.update(
        {
            256: width,
            257: height,
            258: (8 * picture.colour.itemsize,) * planes,  # BitsPerSample
            259: 8,  # Compression: deflate
            262: 1 if planes < 3 else 2,  # PhotometricInterpretation: grey, RGB
            273: 0,  # StripOffsets: see below
            274: 1,  # Orientation
            277: planes,
            278: min(height, rows_per_block(picture.colour)),  # RowsPerStrip
            279: tuple(map(len, strips)),
            317: 2,  # Predictor
            **({338: 2} if picture.alpha is not None else {}),  # ExtraSamples: alpha, not multiplied into the colours
        }
    )
    if "dpi" in held:
        tags.update({282: held["dpi"][0], 283: held["dpi"][1], 296: 2})  # per inch
    if "xmp" in held:
        tags[700] = held["xmp"]
    if "icc_profile" in held:
        tags[34675] = held["icc_profile"]
    # Pillow before 11 writes no more than one offset: their table comes behind the tags, and the strips behind it.
    content = tags.tobytes(8)
    end = 8 + len(content)
    offsets = end + 4 * count + np.cumsum([0, *map(len, strips)], dtype=np.uint32)[:-1]
    entry = content.index(struct.pack("<HHI", 273, 4, 1))
    moved = struct.pack("<HHII", 273, 4, count, end if count > 1 else end + 4)
    file.write(b"II*\0" + struct.pack("<I", 8) + content[:entry] + moved + content[entry + 12 :])
    file.write(offsets.astype("<u4").tobytes())
    file.writelines(strips)
