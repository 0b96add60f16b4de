"""Pictures on disk, to and from RGB uint8 [h,w,3]. Nothing here knows of networks, crops or scales."""

import contextlib
import io
import logging
import re
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from models.errors import InputError
from models.files import replacing

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

# Pictures are untrusted: of Pillow's forty formats (one of them starts Ghostscript) these alone are tried, whatever the
# file's ending says. A JPEG of several frames (MPO) comes through the JPEG reader.
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_WRITTEN_AS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
_JPEG_LONGEST_SIDE = 65500  # libjpeg's JPEG_MAX_DIMENSION

_MODES_OF_8_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")

# Pillow's names for how the samples lie in a file ("raw modes"; B and L are the byte orders, N the machine's own).
_GREY_16 = re.compile(r"I;16[BLNR]?")
# Pillow opens 16-bit colour as 8-bit by dropping the low bytes; reading in the opposite byte order drops the high ones.
_OPPOSITE_ORDER = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if sys.byteorder == "little" else "RGBA;16L",
}

# EXIF 2.3, tag 0x0112: what turns a stored picture of that orientation upright.
_ORIENTATION_TAG = 0x0112
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

# Pillow warns of odd metadata in pictures that decode well; what matters is raised. Filtered once for the process and
# not around each read, because `warnings.catch_warnings` is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())


def list_pictures(folder) -> list:
    """The pictures of `folder` itself (no sub-folders, no hidden files), as Paths sorted by name.

    A picture is what ends in one of EXTENSIONS, in any case. Raises InputError when `folder` is not there, is not a
    folder or holds no picture.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(f"{folder} is not there; expected a folder of pictures")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected a folder of pictures")
    pictures = sorted((entry for entry in folder.iterdir() if _is_picture(entry)), key=lambda entry: entry.name)
    if not pictures:
        endings = " ".join(EXTENSIONS)
        raise InputError(f"{folder} holds no picture (no file ending in {endings}){_hint_at_sub_folder(folder)}")
    return pictures


def read_rgb(path) -> np.ndarray:
    """The picture in a PNG, JPEG, BMP, WebP or TIFF file, upright, as uint8 [h,w,3] in RGB order, 0..255.

    Grey, 1-bit, palette and CMYK become RGB; 16-bit samples are scaled from 0..65535 to 0..255 and rounded; an alpha
    plane is dropped, the colours kept as stored; EXIF orientation is applied; of several frames or pages the first is
    read. Raises InputError, naming the file and the reason, for whatever cannot be decoded whole.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} is not there; expected a picture")
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected a picture")
    try:
        return _decode(path)
    except Exception as error:
        # Everything: on damaged or hostile bytes Pillow's decoders raise OSError, SyntaxError, ValueError, KeyError,
        # EOFError, struct.error, zlib.error, DecompressionBombError, MemoryError and more, by version.
        raise InputError(f"{path} cannot be read as a picture: {_reason(path, error)}; replace or remove it") from error


def write_rgb(path, rgb_uint8: np.ndarray, quality: int = 95) -> None:
    """Write uint8 [h,w,3] (RGB, 0..255) as PNG or JPEG, by the ending of `path`; `quality` (1..100) is for JPEG.

    The file appears whole or not at all. Raises InputError for another ending, a folder that is not there or a picture
    too large for JPEG, OSError when it cannot be written (disk full, no permission), ValueError for another type or
    shape of array.
    """
    path = Path(path)
    if rgb_uint8.dtype != np.uint8 or rgb_uint8.ndim != 3 or rgb_uint8.shape[2] != 3 or not rgb_uint8.size:
        raise ValueError(f"expected uint8 [h,w,3], got {rgb_uint8.dtype} {list(rgb_uint8.shape)}")
    if path.suffix.lower() not in _WRITTEN_AS:
        raise InputError(f"{path} cannot be written: its name must end in {', '.join(_WRITTEN_AS)}")
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: the folder {path.parent} is not there; create it first")
    file_format = _WRITTEN_AS[path.suffix.lower()]
    height, width = rgb_uint8.shape[:2]
    if file_format == "JPEG" and max(height, width) > _JPEG_LONGEST_SIDE:
        limit = f"JPEG ends at {_JPEG_LONGEST_SIDE} pixels a side"
        raise InputError(
            f"{path} cannot be written: it has {width}x{height} pixels, {limit}; use a name ending in .png"
        )
    # Encoded in memory first: writing to a file itself, Pillow reports a full disk as "encoder error -2".
    encoded = io.BytesIO()
    Image.fromarray(rgb_uint8).save(encoded, format=file_format, quality=quality)
    with replacing(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _is_picture(entry: Path) -> bool:
    # A broken link counts, so that reading names it instead of a picture being missed in silence.
    return not entry.name.startswith(".") and entry.suffix.lower() in EXTENSIONS and not entry.is_dir()


def _hint_at_sub_folder(folder: Path) -> str:
    # Two levels: data sets unpack into a folder of their own name. No deeper, not to walk a whole disk for a hint.
    for pattern in ("*/*", "*/*/*"):
        for entry in sorted(folder.glob(pattern)):
            hidden = any(part.startswith(".") for part in entry.relative_to(folder).parts)
            if not hidden and _is_picture(entry):
                return f"; its sub-folder {entry.parent} does: give that one"
    return "; give a folder that does"


def _decode(path: Path) -> np.ndarray:
    image, raw_mode, white_is_zero = _load(path)
    if _GREY_16.fullmatch(raw_mode):
        grey = np.asarray(image).astype(np.uint16)
        if white_is_zero:  # Pillow inverts such pictures of 1 to 8 bits, but not of 16
            grey = 65535 - grey
        return np.repeat(_to_8_bits(grey)[:, :, np.newaxis], 3, axis=2)
    if image.mode not in _MODES_OF_8_BITS:
        raise ValueError(f"its samples ({raw_mode}) are not 8-bit or 16-bit grey or colour")
    rgb = np.array(image.convert("RGB"))
    if raw_mode in _OPPOSITE_ORDER:
        low_bytes = np.asarray(_load(path, _OPPOSITE_ORDER[raw_mode])[0].convert("RGB"))
        rgb = _to_8_bits(rgb.astype(np.uint16) * 256 + low_bytes)
    return rgb


def _load(path: Path, raw_mode: str = ""):
    """The decoded, upright image, the raw mode it was stored in and whether its 16-bit zero means white.

    A `raw_mode` given is used for decoding instead of the file's own.
    """
    with Image.open(path, formats=_FORMATS) as image:
        tags = getattr(image, "tag_v2", {})  # TIFF's only
        _refuse_misread(tags)
        white_is_zero = tags.get(_PHOTOMETRIC_TAG) == _WHITE_IS_ZERO
        # Read before `load`, which empties the list of tiles.
        stored = _raw_mode(image.tile[0]) if image.tile else image.mode
        if raw_mode:
            image.tile = [_with_raw_mode(tile, raw_mode) for tile in image.tile]
        image.load()
        return _upright(image), stored, white_is_zero


def _refuse_misread(tags) -> None:
    # What Pillow opens without complaint and gets wrong: signed 8-bit samples as unsigned, 16-bit planes as 8-bit ones.
    if any(sample_format != _UNSIGNED for sample_format in tags.get(_SAMPLE_FORMAT_TAG, (_UNSIGNED,))):
        raise ValueError("its samples are signed or floating-point numbers")
    if tags.get(_PLANAR_TAG) == _PLANE_BY_PLANE and max(tags.get(_BITS_TAG, (1,))) > 8:
        raise ValueError("its 16-bit samples are stored plane by plane")


def _raw_mode(tile) -> str:
    arguments = tile[3]
    return arguments if isinstance(arguments, str) else str(arguments[0])


def _with_raw_mode(tile, raw_mode: str):
    arguments = raw_mode if isinstance(tile[3], str) else (raw_mode,) + tuple(tile[3][1:])
    # A plain tuple before Pillow 11, a named one since.
    return tile._replace(args=arguments) if hasattr(tile, "_replace") else tuple(tile[:3]) + (arguments,)


def _upright(image):
    # `ImageOps.exif_transpose` would do, but fails on some EXIF that it tries to write back.
    if image.format == "TIFF":
        return image  # Pillow's TIFF reader has turned it, and before Pillow 10.1 leaves the tag as it was.
    orientation = None
    with contextlib.suppress(Exception):  # Damaged metadata, which Pillow may fail on in any way, spares the pixels.
        orientation = image.getexif().get(_ORIENTATION_TAG)
    method = _TO_UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _to_8_bits(samples: np.ndarray) -> np.ndarray:
    # 65535 = 257 * 255, and 257 is odd: there are no halves to decide, this is the nearest level.
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "it is not a PNG, JPEG, BMP, WebP or TIFF picture, or is damaged at its beginning"
    text = " ".join(str(error).split())
    if re.fullmatch(r"(decoder error )?-\d+", text):  # what Pillow makes of a failure inside libtiff
        return "its compressed data is damaged or truncated"
    if text and isinstance(error, (OSError, ValueError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
