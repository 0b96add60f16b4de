"""Writing a picture file, whole or not at all; what a format cannot hold is named before."""

from __future__ import annotations

import struct
import types
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import __version__ as _pillow

from common.errors import InputError
from common.files import check_name, replacing
from data.pictures import tiff_exif
from data.pictures.containers import PNG_SIGNATURE
from data.pictures.picture import FORMATS, Picture, rows_per_block

DEFAULT_QUALITY = 95

# libjpeg's JPEG_MAX_DIMENSION; the 14 bits that WebP has for a side.
_LONGEST_SIDE = {"JPEG": 65500, "WebP": 16383}
_MOST_PIXELS = {"BMP": 10**9}  # its header counts the file's bytes in 32 bits: three a pixel, four in a narrow one
_LARGEST_CLASSIC_TIFF = 2**32 - 2**25  # its offsets have 32 bits; the rest is for tags
# TIFF 6.0: tags and types.
_PROFILE_TAG, _UNDEFINED_BYTES = 34675, 7
_XMP_TAG, _BYTES = 700, 1

_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of planes
_PNG_AVERAGE_FILTER = 3

# PNG 11.3.2.5: what a file of sRGB's has in gAMA and cHRM.
_SRGBS_GAMMA = struct.pack(">I", 45455)
_SRGBS_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_LONGEST_EXIF = 65_000  # of a JPEG's segment, and of its XMP data
_WRITES_XMP_TO_JPEG = int(_pillow.partition(".")[0]) >= 11


def check_writable(path, width: int, height: int) -> None:
    """Raise InputError when `write_picture` could not write `width` x `height` pixels to `path`.

    That is another ending than those of FORMATS, a folder that is not there or a picture too large for the format.
    """
    path = Path(path)
    file_format = _format_of(path)
    check_name(path)
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} is not there; create it first")
    limit = None
    if max(width, height) > _LONGEST_SIDE.get(file_format, np.inf):
        limit = f"{file_format} ends at {_LONGEST_SIDE[file_format]} pixels a side"
    if width * height > _MOST_PIXELS.get(file_format, np.inf):
        limit = f"{file_format} ends at {_MOST_PIXELS[file_format]} pixels"
    if limit:
        raise InputError(
            f"{path} cannot be written: it has {width}x{height} pixels, {limit}; use a name ending in .png"
        )


def lost(path, picture: Picture) -> list:
    """What of `picture` a file named `path` cannot hold, in words for a user: [] when it holds everything.

    A plane of alpha that is opaque throughout is no loss. Raises InputError for another ending than those of FORMATS.
    """
    file_format = _format_of(Path(path))
    words = []
    has_transparency = picture.alpha is not None and picture.alpha.min() < np.iinfo(picture.alpha.dtype).max
    if has_transparency and file_format in ("BMP", "JPEG"):
        words.append("transparency")
    if picture.colour.dtype == np.uint16 and file_format in ("BMP", "JPEG", "WebP"):
        words.append("16-bit depth")
    if picture.icc_profile and not _holds_profile(file_format, picture):
        words.append("ICC profile")
    has_no_tags = file_format == "BMP" or file_format == "TIFF" and _is_big(picture)
    if picture.exif and (has_no_tags or file_format == "JPEG" and len(picture.exif) > _LONGEST_EXIF):
        words.append("EXIF")
    elif picture.exif and file_format == "TIFF" and tiff_exif.tags_for_tiff(picture.exif)[1]:
        words.append("parts of EXIF (a maker's notes, or damaged)")
    if picture.xmp and (has_no_tags or file_format == "JPEG" and not _holds_xmp(picture)):
        words.append("XMP")
    if picture.dpi and file_format == "WebP":
        words.append("resolution (dpi)")
    if file_format != "PNG" and _is_not_srgb(picture.png_colour):
        words.append("colour space that PNG's chunks give")
    return words + list(picture.unkept)


def _holds_xmp(picture: Picture) -> bool:
    return _WRITES_XMP_TO_JPEG and len(picture.xmp) <= _LONGEST_EXIF


def _is_not_srgb(png_colour: dict) -> bool:
    if b"sRGB" in png_colour and b"cICP" not in png_colour:
        return False
    srgb = (
        png_colour.get(b"gAMA", _SRGBS_GAMMA) == _SRGBS_GAMMA
        and png_colour.get(b"cHRM", _SRGBS_PRIMARIES) == _SRGBS_PRIMARIES
    )
    is_hdr = b"mDCV" in png_colour or b"cLLI" in png_colour
    return is_hdr or not srgb or png_colour.get(b"cICP", b"\1\15")[:2] != b"\1\15"


def write_picture(path, picture: Picture, quality: int | None = None) -> None:
    """Write `picture` in the format that the ending of `path` names (FORMATS), whole or not at all.

    PNG and TIFF keep everything, without loss. WebP is 8-bit RGB, `quality` 1..99, or 100 for no loss. By
    default it is 95, and for what was a WebP without loss 100. JPEG (`quality`
    1..100) and BMP are 8-bit without transparency. What `lost` names is left out; 16 bits are rounded to 8.

    Peak memory beside the arrays of `picture`: some MB for PNG and TIFF, for JPEG and BMP 4 bytes a pixel (grey: none),
    for WebP 12 to 15, and 36 without loss. Rounding 16 bits adds the 8-bit copy, and so does an array with gaps for
    these three.

    Raises InputError as `check_writable` does, OSError naming the file when it cannot be written (disk full, no
    permission), ValueError for other arrays or another quality.
    """
    path = Path(path)
    colour, alpha = picture.colour, picture.alpha
    known_type = colour.dtype in (np.uint8, np.uint16)
    if not known_type or colour.ndim != 3 or colour.shape[2] not in (1, 3) or not colour.size:
        raise ValueError(f"expected colour in uint8 or uint16 [h,w,1] or [h,w,3], got {colour.dtype} {colour.shape}")
    if alpha is not None and (alpha.dtype != colour.dtype or alpha.shape != colour.shape[:2]):
        raise ValueError(f"expected alpha in {colour.dtype} {colour.shape[:2]}, got {alpha.dtype} {alpha.shape}")
    if quality is None:
        quality = 100 if picture.lossless and _format_of(path) == "WebP" else DEFAULT_QUALITY
    if not 1 <= quality <= 100:
        raise ValueError(f"expected a quality of 1 to 100, got {quality}")
    check_writable(path, colour.shape[1], colour.shape[0])
    file_format = _format_of(path)
    if file_format in ("PNG", "TIFF"):
        with replacing(path) as temporary, open(temporary, "w+b") as file:
            (_write_png if file_format == "PNG" else _write_tiff)(file, picture)
        return
    image = Image.fromarray(to_8_bits(colour[:, :, 0] if colour.shape[2] == 1 else colour))
    settings = {"icc_profile": picture.icc_profile} if _holds_profile(file_format, picture) else {}
    if picture.exif and "EXIF" not in lost(path, picture):
        settings["exif"] = b"Exif\0\0" + picture.exif
    if picture.xmp and "XMP" not in lost(path, picture):
        settings["xmp"] = picture.xmp
    if picture.dpi and file_format != "WebP":
        settings["dpi"] = picture.dpi
    if file_format == "JPEG":
        # Colour at full resolution: the halved one that is JPEG's habit blurs the coloured edges just computed.
        settings.update(quality=quality, subsampling="4:4:4")
    if file_format == "WebP":
        if alpha is not None:
            image.putalpha(Image.fromarray(to_8_bits(alpha)))
        # Without loss, Pillow's quality is the effort; "exact" keeps the colours of what is transparent.
        settings.update({"lossless": True, "exact": True} if quality == 100 else {"quality": quality})
    save_image(path, image, file_format, **settings)


def writing_memory(path, pixels: int) -> int:
    """Bytes that `write_picture` takes at most, beside the arrays, for a picture of `pixels` to `path`."""
    return {"JPEG": 4, "BMP": 4, "WebP": 16}.get(_format_of(Path(path)), 0) * pixels


def save_image(path, image, file_format: str, **settings) -> None:
    """Write Pillow's `image` with Pillow's `settings`, whole or not at all.

    Raises OSError naming `path` when it cannot be written (disk full, no permission), InputError when the encoder
    refuses the picture (WebP's may, of large ones).
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        try:
            # Given a true file Pillow writes to its descriptor, and there takes no notice when the disk, nearly full,
            # takes less than all: a JPEG is cut short without an error.
            image.save(types.SimpleNamespace(write=file.write), format=file_format, **settings)
        except ValueError as error:
            reason = f"the {file_format} encoder refuses it ({error})"
            raise InputError(f"{path} cannot be written: {reason}; use a name ending in .png") from error


def to_8_bits(samples: np.ndarray) -> np.ndarray:
    """uint16 0..65535 of any shape as uint8 0..255, rounded; uint8 as it is, not copied."""
    if samples.dtype == np.uint8:
        return samples
    levels = np.empty(samples.shape, np.uint8)
    rows = rows_per_block(samples)  # not to have the whole picture in 32 bits
    for top in range(0, len(samples), rows):
        # 65535 = 257 * 255, and 257 is odd: there are no halves to decide, this is the nearest level.
        levels[top : top + rows] = (samples[top : top + rows].astype(np.uint32) + 128) // 257
    return levels


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} cannot be written: its name must end in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def _holds_profile(file_format: str, picture: Picture) -> bool:
    # WebP has no grey: a profile for grey would not fit what is written.
    return file_format != "BMP" and not (file_format == "WebP" and picture.colour.shape[2] == 1)


def _blocks(picture: Picture, order: str):
    """The rows of `picture` from the top, some at a time: colour and alpha as [rows,w,1..4] in that byte order."""
    rows = rows_per_block(picture.colour)
    for top in range(0, len(picture.colour), rows):
        block = picture.colour[top : top + rows]
        if picture.alpha is not None:
            block = np.concatenate([block, picture.alpha[top : top + rows, :, np.newaxis]], axis=2)
        yield np.ascontiguousarray(block, dtype=block.dtype.newbyteorder(order))


def _write_png(file, picture: Picture) -> None:
    # By hand, because no library here writes 16-bit grey with alpha, and OpenCV, which writes 16-bit colour, wants a
    # second copy of the picture, in its own order, and the whole file in memory.
    height, width, planes = picture.colour.shape
    planes += picture.alpha is not None
    pixel_bytes = planes * picture.colour.itemsize

    def write_chunk(name: bytes, content: bytes) -> None:
        checksum = zlib.crc32(content, zlib.crc32(name))
        file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum))

    file.write(PNG_SIGNATURE)
    depth = 8 * picture.colour.itemsize
    write_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, _PNG_COLOUR_TYPES[planes], 0, 0, 0))
    if picture.icc_profile:
        write_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.icc_profile))
    for name, content in picture.png_colour.items():
        if not (picture.icc_profile and name == b"sRGB"):  # PNG 11.3.2.5: one of the two
            write_chunk(name, content)
    if picture.dpi:
        write_chunk(b"pHYs", struct.pack(">IIB", *(round(value / 0.0254) for value in picture.dpi), 1))  # a metre
    if picture.exif:
        write_chunk(b"eXIf", picture.exif)
    if picture.xmp:
        write_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + picture.xmp)
    compressor = zlib.compressobj()
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


def _is_big(picture: Picture) -> bool:
    """Whether as a TIFF it needs offsets of 64 bits."""
    planes = picture.colour.shape[2] + (picture.alpha is not None)
    return picture.colour[:, :, :1].nbytes * planes > _LARGEST_CLASSIC_TIFF


def _write_tiff(file, picture: Picture) -> None:
    import tifffile  # scikit-image brings it; here, because it takes long to load and few write a TIFF

    height, width, planes = picture.colour.shape
    planes += picture.alpha is not None
    profile = picture.icc_profile
    tifffile.imwrite(
        file,
        # Strips that are compressed already: by itself tifffile would want the whole picture in one array.
        (zlib.compress(_differences(block)) for block in _blocks(picture, "<")),
        shape=(height, width, planes) if planes > 1 else (height, width),
        dtype=picture.colour.dtype,
        byteorder="<",
        bigtiff=_is_big(picture),
        rowsperstrip=min(height, rows_per_block(picture.colour)),
        photometric="minisblack" if planes < 3 else "rgb",
        planarconfig="contig" if planes > 1 else None,
        extrasamples=["unassalpha"] if picture.alpha is not None else None,
        compression="zlib",
        predictor=2,
        metadata=None,
        **({"resolution": picture.dpi, "resolutionunit": 2} if picture.dpi else {}),  # inch
        extratags=[(_PROFILE_TAG, _UNDEFINED_BYTES, len(profile), profile, True)] if profile else [],
    )
    tags = tiff_exif.tags_for_tiff(picture.exif)[0]
    if picture.xmp:
        tags = {**tags, _XMP_TAG: (_BYTES, picture.xmp)}
    if tags and not _is_big(picture):
        tiff_exif.append(file, tags)


def _differences(block: np.ndarray) -> np.ndarray:
    # TIFF 6.0, section 14: predictor 2 stores of each sample the difference to the pixel before.
    return np.concatenate([block[:, :1], np.diff(block, axis=1)], axis=1)
