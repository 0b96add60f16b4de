"""Reading a picture file with everything that an upscaler must keep, whole or not at all; the file is not trusted."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import re
import struct
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, TiffImagePlugin, UnidentifiedImageError

from common.errors import InputError
from data.pictures import containers, tiff_exif
from data.pictures.containers import PNG_SIGNATURE, check_layout, describe_picture, orientation, pages
from data.pictures.jpeg import quantization
from data.pictures.picture import FORMATS, MAX_PIXELS, Picture, rows_per_block

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
_RESOLUTION_TAG = 282
_PLANAR_TAG, _PLANE_BY_PLANE = 284, 2
_SAMPLE_FORMAT_TAG, _UNSIGNED = 339, 1
_EXTRA_SAMPLES_TAG, _UNSPECIFIED = 338, 0
_IPTC_TAG = 33723
_IPTC_OF_PHOTOSHOP = 0x0404  # Adobe Photoshop File Formats: among the image resources that a JPEG has

# Texts of a PNG that are carried elsewhere, or say no more than which program wrote the file, and when.
_OTHER_TEXTS = re.compile("XML:com.adobe.xmp|Raw profile type exif|Software|date:.*", re.IGNORECASE)
_NO_PROFILE = "ICC profile (damaged, above 1 MB or for other colours)"

_ORIENTATION_IN_XMP = re.compile(rb"(tiff:Orientation(?:=[\"']|>))([1-8])\b")

_COUNTING = threading.Lock()
_readers, _pillows_limit = 0, None


def read_picture(path, max_pixels: int | None = MAX_PIXELS, limit_flag: str = " (--max-megapixels)") -> Picture:
    """The picture in a PNG, JPEG, BMP, WebP or TIFF file, whatever its ending, upright.

    Grey of 1 to 16 bits stays grey, 16-bit samples stay uint16, all others become uint8. Palette, CMYK (of 16 bits
    too) and YCbCr become RGB. Transparency, as a plane, in a palette or as one colour, becomes the alpha plane. The
    ICC profile is kept where it describes the result: a CMYK picture's is not. EXIF orientation is applied; of several
    frames or pages the first is read. What else is not kept is named in the picture's `unkept`.

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
    if not os.path.isfile(path):  # to open a pipe is to wait for somebody to write to it
        return 0
    with contextlib.suppress(Exception), open(path, "rb") as file:
        check_layout(file, max_pixels=0)
        with Image.open(file, formats=sorted(set(FORMATS.values()))) as image:
            return image.width * image.height
    return 0


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
        picture = _decode(without_profile, max_pixels)
        return dataclasses.replace(picture, unkept=(*picture.unkept, _NO_PROFILE))


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
    image, raw_mode, white_is_zero, frames, unkept, jpeg = _load(source, max_pixels)
    info, exif = image.info, containers.upright(_exif(image))
    if image.format == "TIFF":
        exif, is_cut = tiff_exif.exif_of_tiff(source)
        unkept += ("parts of EXIF (a maker's notes, or damaged)",) if is_cut else ()
    profile = info.get("icc_profile")
    space = profile[16:20] if isinstance(profile, bytes) else b""  # ICC.1, 7.2: the colour space of the data
    is_cmyk = image.mode == "CMYK"
    by_profile = is_cmyk and space == b"CMYK"
    if by_profile:
        image, unkept = _by_profile(image, profile, unkept)
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
    fits = not is_cmyk and space == (b"RGB " if planes >= 3 else b"GRAY")
    if "icc_profile" in info and not fits and not by_profile:
        unkept += (_NO_PROFILE,)
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
        jpeg,
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
    rows = rows_per_block(samples)  # Pillow makes arrays by way of two copies
    for top in range(0, len(samples), rows):
        block = image.crop((0, top, image.width, min(top + rows, image.height)))
        samples[top : top + rows] |= np.asarray(block)


def _divided(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    # TIFF's "associated alpha": 16-bit colour is stored multiplied by it. Of 8 bits Pillow undoes that.
    divisor = np.maximum(alpha, 1).astype(np.uint32)[:, :, np.newaxis]
    return np.minimum((colour.astype(np.uint32) * 65535 + divisor // 2) // divisor, 65535).astype(np.uint16)


def _load(source, max_pixels: int | None, low_bytes: bool = False):
    """The decoded, upright image, the raw mode it was stored in and whether its 16-bit zero means white; the pages of
    its file, what of that is not kept, and Picture's `jpeg`.

    With `low_bytes` 16-bit colour is decoded to its low bytes instead of its high ones.
    """
    with Image.open(source, formats=sorted(set(FORMATS.values()))) as image:
        if max_pixels is not None and image.width * image.height > max_pixels:
            raise _TooLargeError(*image.size)
        tags = getattr(image, "tag_v2", {})  # TIFF's only
        _refuse_misread(tags)
        if tags and _RESOLUTION_TAG not in tags:
            image.info.pop("dpi", None)  # Pillow makes it 1
        white_is_zero = tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
        # Read before `load`, which empties the list of tiles.
        stored = _raw_mode(image.tile[0]) if image.tile else image.mode
        decoded_as = _decoded_as(stored, low_bytes)
        if decoded_as != stored:
            image.tile = [_with_raw_mode(tile, decoded_as) for tile in image.tile]
        image.load()
        unkept, turned = _unkept(image, stored), _orientation(image)
        jpeg = quantization(image, turned)
        return _upright(image, turned), stored, white_is_zero, _pages(image, source), unkept, jpeg


def _pages(image, source) -> int:
    if image.format == "TIFF":
        return pages(source)  # where Pillow would read every page's tags
    # Not JPEG: the further frames of those are previews and depth maps that cameras add.
    return getattr(image, "n_frames", 1) if image.format in ("PNG", "WEBP") else 1


def _unkept(image, stored: str) -> tuple:
    """What an open file holds and a Picture does not, but for profiles and EXIF, in words for a user."""
    info, tags = image.info, getattr(image, "tag_v2", {})
    photoshop = info.get("photoshop")
    texts = [name for name, value in info.items() if isinstance(value, str)] if image.format == "PNG" else []
    found = {
        "16-bit depth (of CMYK)": stored.startswith("CMYK;16"),
        "a band that is not said to be alpha": _UNSPECIFIED in tags.get(_EXTRA_SAMPLES_TAG, ()),
        "text (PNG's chunks)": not all(_OTHER_TEXTS.fullmatch(name) for name in texts),
        "comment": isinstance(info.get("comment"), bytes),
        "IPTC data": _IPTC_TAG in tags or isinstance(photoshop, dict) and _IPTC_OF_PHOTOSHOP in photoshop,
    }
    return tuple(words for words, is_there in found.items() if is_there)


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


def _upright(image, turned: int):
    # `ImageOps.exif_transpose` would do, but fails on some EXIF that it tries to write back.
    method = _TO_UPRIGHT.get(turned)
    return image if method is None else image.transpose(method)


def _orientation(image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow's TIFF reader has turned it, and before Pillow 10.1 leaves the tag as it was.
    return orientation(_exif(image)) or _orientation_in_xmp(image)


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
    if "MAX_TEXT" in text:  # Pillow's own limits
        return "its texts (zTXt and iTXt chunks) unpack to too many bytes; save it without them"
    if isinstance(error, zlib.error):
        return f"its compressed data is damaged ({text})"
    if isinstance(error, MemoryError):
        return "there is not enough memory for its pixels"
    if text and isinstance(error, (OSError, ValueError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
