"""Reading a picture file with everything that an upscaler must keep, whole or not at all."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin, UnidentifiedImageError

from common.errors import InputError, reason
from data.pictures import damage, metadata
from data.pictures.jpeg import quantization
from data.pictures.picture import Picture

# The callers' limits count: one's own pictures are trained on whatever their size.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = 2**26  # bytes; some profiles are larger than Pillow's 1 MB
# Pillow lacks 16-bit grey with alpha in a TIFF: this gives a pixel's four bytes as they are.
for _prefix in (b"II", b"MM"):
    TiffImagePlugin.OPEN_INFO[(_prefix, 1, (1,), 1, (16, 16), (2,))] = ("RGBA", "RGBA")

_TRIED = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
_FORMATS = {"MPO": "JPEG", "WEBP": "WebP"}  # Pillow's names; an MPO is a JPEG with further pictures behind it
_CONVERTED = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB"}
# EXIF 2.3, tag 0x0112: the orientations whose stored rows and columns are turned round, and then its axes.
_ROWS_REVERSED, _COLUMNS_REVERSED, _TRANSPOSED = (3, 4, 6, 7), (2, 3, 7, 8), (5, 6, 7, 8)

_PIXELS_A_BYTE = 1000  # of a JPEG, at most: a block of 64 takes a bit or more

# TIFF 6.0: tags.
_REDUCED, _BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR, _EXTRA, _SAMPLE_FORMAT = 254, 258, 259, 262, 284, 338, 339
_DNG_VERSION = 50706


def read_picture(path, max_pixels: int | None = None) -> Picture:
    """The picture in a PNG, JPEG, BMP, WebP or TIFF file, whatever its ending, upright.

    Grey of 1 to 16 bits stays grey, 16-bit samples stay uint16, all others become uint8. Palette, CMYK and YCbCr become
    RGB. Transparency, as a plane, in a palette or as one colour, becomes the alpha plane. The ICC profile is kept where
    it describes the result; a CMYK picture's is applied. Of several frames or pages the first is read. What of these is
    not kept is named in the picture's `omitted`; texts, comments and IPTC data are left out.

    max_pixels: a picture of more is refused by its header, before it is decoded; None: no limit.
    Raises InputError, naming the file and the reason, for that and for whatever cannot be decoded whole.
    """
    path, content = Path(path), b""
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a picture")
    if not path.is_file():
        raise InputError(f"{path} is not a file; expected a picture")
    try:
        content = path.read_bytes()
        if content.startswith(b"\xff\xd8"):
            content += damage.END_OF_JPEG  # which some programs leave out; a second one does nothing
        with Image.open(io.BytesIO(content), formats=_TRIED) as image:
            width, height = image.size
            if max_pixels is None or width * height <= max_pixels:
                return _decode(image, content)
    except Exception as error:
        # Everything: on damaged bytes Pillow's decoders raise OSError, SyntaxError, ValueError, KeyError, EOFError,
        # struct.error, zlib.error, MemoryError and more, by version.
        raise InputError(f"{path} cannot be read as a picture: {_reason(content, error)}") from error
    raise InputError(
        f"{path} has {width}x{height} pixels ({width * height / 1e6:g} megapixels), the limit is"
        f" {max_pixels / 1e6:g} megapixels (--max-megapixels); give a smaller picture"
    )


def _decode(image, content: bytes) -> Picture:
    tags, file_format = _tags(image), _FORMATS.get(image.format, image.format)
    _refuse_misread(tags, content)
    if file_format == "PNG":
        damage.check_png(content)
    if file_format == "TIFF":
        damage.check_deflate(content, tags)
    stuffed_jpeg = b""
    if file_format == "JPEG":
        if image.width * image.height > _PIXELS_A_BYTE * len(content):  # which would fill the memory
            raise ValueError(f"it claims to have {image.width}x{image.height} pixels in {len(content)} bytes")
        stuffed_jpeg = damage.stuff_jpeg(content)
    exif, orientation, exif_omitted = metadata.read_exif(image)
    xmp, xmp_omitted = metadata.read_xmp(image.info)
    dpi, omitted = metadata.read_dpi(image), (*exif_omitted, *xmp_omitted, *_further_pages(image))
    profile = image.info.get("icc_profile")
    samples = _samples(image, content)
    if stuffed_jpeg:
        with Image.open(io.BytesIO(stuffed_jpeg), formats=_TRIED) as stuffed:
            if not np.array_equal(np.asarray(stuffed), np.asarray(image)):
                raise ValueError("it is cut short, or data in its middle is missing")
    if file_format != "TIFF":  # Pillow and OpenCV turn these by themselves
        samples = samples[::-1] if orientation in _ROWS_REVERSED else samples
        samples = samples[:, ::-1] if orientation in _COLUMNS_REVERSED else samples
        samples = samples.swapaxes(0, 1) if orientation in _TRANSPOSED else samples
    planes = samples.shape[2]
    space = profile[16:20] if isinstance(profile, bytes) else b""  # ICC.1, 7.2: the colour space of the data
    if profile and (image.mode == "CMYK" or space != (b"GRAY" if planes < 3 else b"RGB ")):
        if space != b"CMYK" or image.mode != "CMYK":  # else it has been applied
            omitted += ("ICC profile (damaged, or for other colours)",)
        profile = None
    return Picture(
        np.require(samples[:, :, : 3 if planes > 2 else 1], requirements=["C", "W"]),
        np.ascontiguousarray(samples[:, :, -1]) if planes in (2, 4) else None,
        profile,
        file_format,
        exif,
        xmp,
        dpi,
        file_format == "WebP" and b"VP8L" in content,  # the chunk of lossless pixels
        omitted,
        quantization(image, orientation),
    )


def _refuse_misread(tags, content: bytes) -> None:
    """Raise ValueError for what opens without complaint and would not be the picture that the file holds."""
    if tags and (tags.get(_REDUCED, 0) & 1 or _DNG_VERSION in tags or content[8:10] == b"CR"):
        raise ValueError("it is a camera's raw file, of which only a preview can be read; develop it to a TIFF or PNG")
    if any(kind != 1 for kind in tags.get(_SAMPLE_FORMAT, ())):
        raise ValueError("its samples are signed or floating-point numbers; save it with 8 or 16 bits from 0 on")
    if max(tags.get(_BITS, (1,))) > 8 and (tags.get(_PLANAR) == 2 or tags.get(_EXTRA) == (1,)):
        raise ValueError("its 16-bit samples are stored plane by plane or multiplied by alpha; save it as a PNG")


def _samples(image, content: bytes) -> np.ndarray:
    """uint8 or uint16 [h,w,1..4], grey or RGB and alpha, of Pillow's open image, as it is stored (a TIFF: upright)."""
    tags, bands = _tags(image), image.getbands()
    depth = content[24] if image.format == "PNG" else max(tags.get(_BITS, (8,)))  # bits a sample
    if depth != 16 or image.mode == "CMYK":
        samples = _samples_of_8_bits(image)
    elif len(bands) == 1:
        samples = np.asarray(image).astype(np.uint16)[:, :, np.newaxis]
    elif len(tags.get(_BITS, ())) == 2:
        native = "<" if sys.byteorder == "little" else ">"
        order = native if tags.get(_COMPRESSION, 1) != 1 else "<" if content.startswith(b"II") else ">"
        samples = np.asarray(image).view(f"{order}u2").astype(np.uint16)
    else:  # colour, of which Pillow has 8 bits
        samples = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if samples is None or samples.dtype != np.uint16:
            raise ValueError("its compressed data is damaged or cut short")
        samples[:, :, :3] = samples[:, :, 2::-1].copy()
        # A PNG's grey with alpha comes as colour with alpha.
        samples = samples[:, :, 2:] if image.format == "PNG" and content[25] == 4 else samples[:, :, : len(bands)]
    if depth == 16 and tags.get(_PHOTOMETRIC) == 0:  # zero is white; of 8 bits Pillow turns that round
        samples = 65535 - samples
    key = image.info.get("transparency")
    if key is None or samples.shape[2] in (2, 4):
        return samples
    full, largest = np.iinfo(samples.dtype).max, 2**depth - 1
    # PNG 11.3.2.1: of a key with more bits than the picture the lowest ones count.
    key = ((np.array(key) & largest) * (full // largest)).astype(samples.dtype)
    return np.dstack([samples, np.where((samples == key).all(axis=2), 0, full).astype(samples.dtype)])


def _samples_of_8_bits(image) -> np.ndarray:
    mode = _CONVERTED.get(image.mode, image.mode)
    if image.mode == "P" and "transparency" in image.info:
        mode = "RGBA"
    if mode not in ("L", "LA", "RGB", "RGBA"):
        raise ValueError(f"its samples ({image.mode}) are not grey or colour of 8 or 16 bits")
    profile = image.info.get("icc_profile") or b""
    if image.mode == "CMYK" and profile[16:20] == b"CMYK":
        image = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"), outputMode=mode)
    samples = np.asarray(image if image.mode == mode else image.convert(mode))
    return samples if samples.ndim == 3 else samples[:, :, np.newaxis]


def _further_pages(image) -> tuple:
    """That an open file holds further pages or frames, in words for a user; () if it does not."""
    pages = getattr(image, "n_frames", 1)
    if image.format == "MPO":  # whose further pictures may be previews of this one
        pages -= sum("Thumbnail" in each["Attribute"]["MPType"] for each in image.mpinfo[0xB002][1:])
    return (f"all but the first of {pages} pages or frames",) if pages > 1 else ()


def _tags(image):
    return getattr(image, "tag_v2", {})  # TIFF's only


def _reason(content: bytes, error: Exception) -> str:
    text = " ".join(reason(error).split())
    if not content and isinstance(error, UnidentifiedImageError):
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        kinds = "a PNG, JPEG, BMP, WebP or TIFF (grey, RGB or CMYK of 8 or 16 bits)"
        return f"it is not {kinds}, or is damaged at its beginning; save it as PNG or JPEG"
    if re.fullmatch(r"(decoder error )?-\d+", text):  # what Pillow makes of a failure inside libtiff
        return "its compressed data is damaged or cut short"
    return text if isinstance(error, (OSError, ValueError)) else f"{type(error).__name__}: {text}"
