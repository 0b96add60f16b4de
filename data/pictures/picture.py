"""A picture file, read and written with everything that an upscaler must keep: depth, grey, transparency, profile."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import struct
import sys
import threading
import types
import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin, UnidentifiedImageError
from PIL import __version__ as _pillow

from common.errors import InputError
from common.files import check_name, replacing
from data.pictures import containers, tiff_exif
from data.pictures.containers import PNG_SIGNATURE, check_layout, describe_picture, orientation, pages

MAX_PIXELS = 50_000_000
DEFAULT_QUALITY = 95

# Pictures are untrusted: of Pillow's forty formats (one of them starts Ghostscript) these alone are tried, whatever a
# file's ending says. A JPEG of several frames (MPO) comes through the JPEG reader.
FORMATS = {
    ".bmp": "BMP",
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WebP",
}
# libjpeg's JPEG_MAX_DIMENSION; the 14 bits that WebP has for a side.
_LONGEST_SIDE = {"JPEG": 65500, "WebP": 16383}
_MOST_PIXELS = {"BMP": 10**9}  # its header counts the file's bytes in 32 bits: three a pixel, four in a narrow one
_LARGEST_CLASSIC_TIFF = 2**32 - 2**25  # its offsets have 32 bits; the rest is for tags

# Pillow's modes of 8 bits. 16-bit colour comes in the first ones too: see `_samples`.
_KEPT_MODES = ("L", "LA", "RGB", "RGBA")
_CONVERTED_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}

# Pillow's names for how the samples lie in a file ("raw modes"; B and L are the byte orders, N the machine's own).
_GREY_16 = re.compile(r"I;16[BLNR]?")
_GREY_ALPHA_16 = re.compile(r"LA;16([BLN])")
_COLOUR_16 = re.compile(r"(RGB|RGBX|RGBA|RGBa);16([BLN])")
_OPPOSITE_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_NUMPYS_ORDER = {"B": ">", "L": "<", "N": "="}
# Pillow scales grey of few bits to 0..255, but not the grey that a PNG declares transparent (of 1 bit by version).
_LARGEST_GREY = {"1": 1, "L;2": 3, "L;4": 15}

# Pillow reads 16-bit grey with transparency from PNG and not from TIFF, whose reader lacks no more than these entries.
for _prefix, _order in ((b"II", "L"), (b"MM", "B")):
    TiffImagePlugin.OPEN_INFO[(_prefix, 1, (1,), 1, (16, 16), (2,))] = ("RGBA", f"LA;16{_order}")

# EXIF 2.3, tag 0x0112: what turns a stored picture of that orientation upright.
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# TIFF 6.0: tags, and the values of them that matter here.
_BITS_TAG = 258
_PHOTOMETRIC_TAG, _WHITE_IS_ZERO = 262, 0
_PLANAR_TAG, _PLANE_BY_PLANE = 284, 2
_SAMPLE_FORMAT_TAG, _UNSIGNED = 339, 1
_PROFILE_TAG, _UNDEFINED_BYTES = 34675, 7
_XMP_TAG, _BYTES = 700, 1

_PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of planes
_PNG_AVERAGE_FILTER = 3

# PNG 11.3.2.5: what a file of sRGB's has in gAMA and cHRM.
_SRGBS_GAMMA = struct.pack(">I", 45455)
_SRGBS_PRIMARIES = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
_LONGEST_EXIF = 65_000  # of a JPEG's segment, and of its XMP data
_WRITES_XMP_TO_JPEG = int(_pillow.partition(".")[0]) >= 11
_ORIENTATION_IN_XMP = re.compile(rb"(tiff:Orientation(?:=[\"']|>))([1-8])\b")

_BLOCK_BYTES = 2**20

# Pillow warns of odd metadata in pictures that decode well; what matters is raised. Filtered once for the process and
# not around each read, because `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())

_COUNTING = threading.Lock()
_readers, _pillows_limit = 0, None


@dataclass(eq=False)
class Picture:
    """A picture in memory, of full range: 0..255 in uint8 or 0..65535 in uint16.

    colour: [h,w,1] (grey) or [h,w,3] (RGB). alpha: [h,w] of the same dtype, 0 is transparent, the colour is not
    multiplied by it; or None. icc_profile: the bytes of an ICC profile for this colour (grey or RGB), or None.
    exif, xmp: its EXIF data from the TIFF header on, and its XMP data, saying that it is upright; b"" without.
    dpi: across and down, or None. png_colour: {name: content} of a PNG's own chunks about colour. lossless: whether it
    is from a WebP without loss. unkept: what could not be read or converted, in words for a user.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    pages: int = 1  # of the file it is the first of
    exif: bytes = b""
    dpi: tuple | None = None
    png_colour: dict = field(default_factory=dict)
    lossless: bool = False
    unkept: tuple = ()
    xmp: bytes = b""


def read_picture(path, max_pixels: int | None = MAX_PIXELS, limit_flag: str = " (--max-megapixels)") -> Picture:
    """The picture in a PNG, JPEG, BMP, WebP or TIFF file, whatever its ending, upright.

    Grey of 1 to 16 bits stays grey, 16-bit samples stay uint16, all others become uint8. Palette, CMYK (of 16 bits
    too) and YCbCr become RGB. Transparency, as a plane, in a palette or as one colour, becomes the alpha plane. The
    ICC profile is kept where it describes the result: a CMYK picture's is not. EXIF orientation is applied; of several
    frames or pages the first is read.

    max_pixels: a picture of more is refused by its header, before it is decoded; None leaves it to Pillow's own limit.
    limit_flag: where a user may change that, for the message.
    Raises InputError, naming the file and the reason, for that and for whatever cannot be decoded whole.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} is not there; expected a picture")
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected a picture")
    try:
        with open(path, "rb") as file:
            check_layout(file, max_pixels)
        with contextlib.nullcontext() if max_pixels is None else _without_pillows_limit():
            return _decode_despite_profile(path, max_pixels)
    except _TooLargeError as error:
        width, height = error.args
        raise InputError(
            f"{path} has {width}x{height} pixels ({width * height / 1e6:g} megapixels), the limit is"
            f" {max_pixels / 1e6:g} megapixels{limit_flag}; give a smaller picture"
        ) from error
    except Exception as error:
        # Everything: on damaged or hostile bytes Pillow's decoders raise OSError, SyntaxError, ValueError, KeyError,
        # EOFError, struct.error, zlib.error, DecompressionBombError, MemoryError and more, by version.
        reason = _reason(path, error)
        remedy = "" if "; " in reason else "; replace or remove it"
        raise InputError(f"{path} cannot be read as a picture: {reason}{remedy}") from error


def pixels_of(path) -> int:
    """The pixels that a picture's header says it has; 0 where it cannot be read."""
    with contextlib.suppress(Exception), open(path, "rb") as file:
        check_layout(file, max_pixels=0)
        with Image.open(file, formats=sorted(set(FORMATS.values()))) as image:
            return image.width * image.height
    return 0


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


def taken(picture: Picture) -> str:
    """What is said where a file holds more than the picture that was read; "" where it does not."""
    return f"of its {picture.pages} pages or pictures the first alone is taken" if picture.pages > 1 else ""


def _holds_xmp(picture: Picture) -> bool:
    return _WRITES_XMP_TO_JPEG and len(picture.xmp) <= _LONGEST_EXIF


def _is_not_srgb(png_colour: dict) -> bool:
    if b"sRGB" in png_colour and b"cICP" not in png_colour:
        return False
    srgb = (
        png_colour.get(b"gAMA", _SRGBS_GAMMA) == _SRGBS_GAMMA
        and png_colour.get(b"cHRM", _SRGBS_PRIMARIES) == _SRGBS_PRIMARIES
    )
    return not srgb or png_colour.get(b"cICP", b"\1\15")[:2] != b"\1\15"


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
    rows = _rows_per_block(samples)  # not to have the whole picture in 32 bits
    for top in range(0, len(samples), rows):
        # 65535 = 257 * 255, and 257 is odd: there are no halves to decide, this is the nearest level.
        levels[top : top + rows] = (samples[top : top + rows].astype(np.uint32) + 128) // 257
    return levels


class _TooLargeError(Exception):
    """Width and height of a picture of too many pixels."""


@contextlib.contextmanager
def _without_pillows_limit():
    # It is one variable for the whole process: the first of several threads sets it, the last one restores it.
    global _readers, _pillows_limit
    with _COUNTING:
        if not _readers:
            _pillows_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _readers += 1
    try:
        yield
    finally:
        with _COUNTING:
            _readers -= 1
            if not _readers:
                Image.MAX_IMAGE_PIXELS = _pillows_limit


def _decode_despite_profile(path: Path, max_pixels: int | None) -> Picture:
    try:
        # Given a path Pillow maps uncompressed TIFF into memory, and scrambles it where EXIF turns it by 90 degrees.
        with open(path, "rb") as file:
            return _decode(file, max_pixels)
    except _TooLargeError:
        raise
    except Exception:
        # A profile that is damaged keeps Pillow from reading a PNG, and only a PNG.
        without_profile = _png_without_profile(path)
        if without_profile is None:
            raise
        return _decode(without_profile, max_pixels)


def _png_without_profile(path: Path) -> io.BytesIO | None:
    """The file's bytes without its profile, or None where it is no PNG or has none."""
    with open(path, "rb") as file:
        if file.read(len(PNG_SIGNATURE)) != PNG_SIGNATURE:
            return None
        while True:
            place = file.tell()
            header = file.read(8)
            # A chunk's name is four letters; a profile comes before the pixels.
            if len(header) < 8 or not header[4:].isalpha() or header[4:] == b"IDAT":
                return None
            file.seek(struct.unpack(">I", header[:4])[0] + 4, os.SEEK_CUR)
            if header[4:] == b"iCCP":
                break
        following = file.read()
        file.seek(0)
        return io.BytesIO(file.read(place) + following)


def _decode(source, max_pixels: int | None) -> Picture:
    image, raw_mode, white_is_zero = _load(source, max_pixels)
    info, frames = image.info, _pages(image, source)
    exif, unkept = containers.upright(_exif(image)), ()
    if image.format == "TIFF":
        exif, is_cut = tiff_exif.exif_of_tiff(source)
        unkept = ("parts of EXIF (a maker's notes, or damaged)",) if is_cut else ()
    if image.mode == "CMYK" and info.get("icc_profile"):
        image, unkept = _by_profile(image, info["icc_profile"], unkept)
    samples = _samples(image, raw_mode)
    del image  # before another is decoded
    if _COLOUR_16.fullmatch(raw_mode):
        # Pillow opens 16-bit colour as 8-bit by dropping the low bytes; in the opposite byte order it drops the high.
        samples = samples.astype(np.uint16)
        samples <<= 8
        _add_low_bytes(samples, _load(source, max_pixels, low_bytes=True)[0])
    if white_is_zero and samples.dtype == np.uint16:  # Pillow inverts such pictures of 1 to 8 bits, but not of 16
        samples = 65535 - samples
    planes = samples.shape[2]
    colour = np.require(samples[:, :, : 3 if planes >= 3 else 1], requirements=["C", "W"])
    alpha = np.ascontiguousarray(samples[:, :, -1]) if planes in (2, 4) else None
    key = info.get("transparency")
    if key is not None and alpha is None:
        full = np.iinfo(colour.dtype).max
        largest = _LARGEST_GREY.get(raw_mode, full)
        # PNG 11.3.2.1: of a key with more bits than the picture the lowest ones count.
        key = ((np.array(key) & largest) * (full // largest)).astype(colour.dtype)
        alpha = np.where((colour == key).all(axis=2), colour.dtype.type(0), colour.dtype.type(full))
    if raw_mode.startswith("RGBa;16"):
        colour = _divided(colour, alpha)
    profile = info.get("icc_profile")
    # ICC.1, 7.2: bytes 16 to 19 are the colour space of the data.
    fits = isinstance(profile, bytes) and profile[16:20] == (b"RGB " if planes >= 3 else b"GRAY")
    return Picture(
        colour,
        alpha,
        profile if fits else None,
        frames,
        exif,
        _dpi(info),
        containers.png_colour_chunks(source),
        containers.is_lossless_webp(source),
        unkept,
        _ORIENTATION_IN_XMP.sub(rb"\g<1>1", _xmp(info)),
    )


def _by_profile(image, profile: bytes, unkept: tuple) -> tuple:
    """A CMYK picture as the sRGB one that it looks like, by its profile; or as it is, and what is to be said."""
    try:
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb, outputMode="RGB"
        ), unkept
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image, (*unkept, "CMYK profile, which is damaged")


def _dpi(info: dict):
    """Dots per inch across and down, where the file says so and it can be written."""
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        across, down = (float(value) for value in info.get("dpi", ()))
        if 1 <= across < 65535 and 1 <= down < 65535:
            return across, down
    return None


def _samples(image, raw_mode: str) -> np.ndarray:
    """uint8 or uint16 [h,w,1..4], as `image` has them: of 16-bit colour the high bytes."""
    if _GREY_16.fullmatch(raw_mode):
        return np.asarray(image).astype(np.uint16)[:, :, np.newaxis]
    if image.mode not in _KEPT_MODES and image.mode not in _CONVERTED_MODES:
        raise ValueError(f"its samples ({raw_mode}) are not 8-bit or 16-bit grey or colour")
    grey_alpha = _GREY_ALPHA_16.fullmatch(raw_mode)
    if grey_alpha:
        return np.asarray(image).view(_NUMPYS_ORDER[grey_alpha.group(1)] + "u2").astype(np.uint16)
    if image.mode in _CONVERTED_MODES:
        clear_colours = image.mode == "P" and "transparency" in image.info
        image = image.convert("RGBA" if clear_colours else _CONVERTED_MODES[image.mode])
    samples = np.asarray(image)
    return samples if samples.ndim == 3 else samples[:, :, np.newaxis]


def _add_low_bytes(samples: np.ndarray, image) -> None:
    rows = _rows_per_block(samples)  # Pillow makes arrays by way of two copies
    for top in range(0, len(samples), rows):
        block = image.crop((0, top, image.width, min(top + rows, image.height)))
        samples[top : top + rows] |= np.asarray(block)


def _divided(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    # TIFF's "associated alpha": 16-bit colour is stored multiplied by it. Of 8 bits Pillow undoes that.
    divisor = np.maximum(alpha, 1).astype(np.uint32)[:, :, np.newaxis]
    return np.minimum((colour.astype(np.uint32) * 65535 + divisor // 2) // divisor, 65535).astype(np.uint16)


def _load(source, max_pixels: int | None, low_bytes: bool = False):
    """The decoded, upright image, the raw mode it was stored in and whether its 16-bit zero means white.

    With `low_bytes` 16-bit colour is decoded to its low bytes instead of its high ones.
    """
    with Image.open(source, formats=sorted(set(FORMATS.values()))) as image:
        if max_pixels is not None and image.width * image.height > max_pixels:
            raise _TooLargeError(*image.size)
        tags = getattr(image, "tag_v2", {})  # TIFF's only
        _refuse_misread(tags)
        white_is_zero = tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
        # Read before `load`, which empties the list of tiles.
        stored = _raw_mode(image.tile[0]) if image.tile else image.mode
        decoded_as = _decoded_as(stored, low_bytes)
        if decoded_as != stored:
            image.tile = [_with_raw_mode(tile, decoded_as) for tile in image.tile]
        image.load()
        return _upright(image), stored, white_is_zero


def _pages(image, source) -> int:
    if image.format == "TIFF":
        return pages(source)  # where Pillow would read every page's tags
    # Not JPEG: the further frames of those are previews and depth maps that cameras add.
    return getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP") else 1


def _refuse_misread(tags) -> None:
    # What Pillow opens without complaint and gets wrong: signed 8-bit samples as unsigned, 16-bit planes as 8-bit ones.
    if any(sample_format != _UNSIGNED for sample_format in tags.get(_SAMPLE_FORMAT_TAG, (_UNSIGNED,))):
        raise ValueError("its samples are signed or floating-point numbers")
    if tags.get(_PLANAR_TAG) == _PLANE_BY_PLANE and max(tags.get(_BITS_TAG, (1,))) > 8:
        raise ValueError("its 16-bit samples are stored plane by plane")


def _decoded_as(stored: str, low_bytes: bool) -> str:
    if _GREY_ALPHA_16.fullmatch(stored):
        return "RGBA"  # the four bytes of a pixel as they are, where Pillow would drop the low ones
    colour = _COLOUR_16.fullmatch(stored)
    if not colour:
        return stored
    layout, order = colour.groups()
    return f"{layout.replace('a', 'A')};16{_OPPOSITE_ORDER[order] if low_bytes else order}"


def _raw_mode(tile) -> str:
    arguments = tile[3]
    return arguments if isinstance(arguments, str) else str(arguments[0])


def _with_raw_mode(tile, raw_mode: str):
    arguments = raw_mode if isinstance(tile[3], str) else (raw_mode,) + tuple(tile[3][1:])
    # A plain tuple before Pillow 11, a named one since.
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else tuple(tile[:3]) + (arguments,)


def _upright(image):
    if image.format == "TIFF":
        return image  # Pillow's TIFF reader has turned it, and before Pillow 10.1 leaves the tag as it was.
    # `ImageOps.exif_transpose` would do, but fails on some EXIF that it tries to write back.
    method = _TO_UPRIGHT.get(orientation(_exif(image)) or _orientation_in_xmp(image))
    return image if method is None else image.transpose(method)


def _exif(image) -> bytes:
    """The picture's EXIF data, from its TIFF header on; b"" where there is none."""
    exif = image.info.get("exif")
    if exif is None and "Raw profile type exif" in image.info:  # ImageMagick's way, before PNG had a chunk for it
        with contextlib.suppress(ValueError):
            exif = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
    exif = exif if isinstance(exif, bytes) else b""
    return exif[6:] if exif.startswith(b"Exif\0\0") else exif


def _xmp(info: dict) -> bytes:
    """The picture's XMP data; b"" where there is none."""
    xmp = info.get("xmp", info.get("XML:com.adobe.xmp", b""))
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return xmp if isinstance(xmp, bytes) else b""  # of a TIFF it may be a number


def _orientation_in_xmp(image) -> int:
    found = _ORIENTATION_IN_XMP.search(_xmp(image.info))
    return int(found.group(2)) if found else 1


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        what = describe_picture(path)
        if what:
            return what
        return "it is not a PNG, JPEG, BMP, WebP or TIFF picture, or is damaged at its beginning"
    text = " ".join(str(error).split())
    if re.fullmatch(r"(decoder error )?-\d+", text):  # what Pillow makes of a failure inside libtiff
        return "its compressed data is damaged or truncated"
    if isinstance(error, zlib.error):
        return f"its compressed data is damaged ({text})"
    if isinstance(error, MemoryError):
        return "there is not enough memory for its pixels"
    if text and isinstance(error, (OSError, ValueError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _format_of(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"{path} cannot be written: its name must end in {', '.join(FORMATS)}")
    return FORMATS[path.suffix.lower()]


def _holds_profile(file_format: str, picture: Picture) -> bool:
    # WebP has no grey: a profile for grey would not fit what is written.
    return file_format != "BMP" and not (file_format == "WebP" and picture.colour.shape[2] == 1)


def _rows_per_block(samples: np.ndarray) -> int:
    return max(1, _BLOCK_BYTES * len(samples) // samples.nbytes)


def _blocks(picture: Picture, order: str):
    """The rows of `picture` from the top, some at a time: colour and alpha as [rows,w,1..4] in that byte order."""
    rows = _rows_per_block(picture.colour)
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
        rowsperstrip=min(height, _rows_per_block(picture.colour)),
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
