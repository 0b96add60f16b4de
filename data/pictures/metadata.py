"""What a picture's EXIF and XMP data say of the picture itself, made true of a result; EXIF data in a TIFF.

Source: EXIF 2.3.
"""

from __future__ import annotations

import contextlib
import re
import struct

from PIL.TiffImagePlugin import ImageFileDirectory_v2

ORIENTATION, EXIF_DIRECTORY, GPS_DIRECTORY, INTEROPERABILITY, MAKERS_NOTES = 0x0112, 0x8769, 0x8825, 0xA005, 0x927C
# Of a TIFF's own tags: ImageDescription, Make, Model, Software, DateTime, Artist, Copyright, XPTitle to XPSubject.
_DESCRIBING = (270, 271, 272, 305, 306, 315, 33432, *range(40091, 40096))
_BY_PROGRAMS = (270, 305, 306)  # some programs write these into every file: by themselves they are no EXIF data

# XMP that names parts of the file beside the picture: gain map, video, depth, the other half of a stereo picture.
_NAMES_PARTS = re.compile(
    rb"hdrgm:|HDRGainMap|GDepth:|GImage:|Container:Directory|(MotionPhoto|MicroVideo)(\s*=\s*[\"']|>)\s*1"
)


def correct_exif(exif: bytes, height: int, width: int) -> bytes:
    """The same EXIF data, in place, of an upright picture of [height,width], without its thumbnail.

    exif: from its TIFF header on. Raises struct.error if it is damaged.
    """
    result, order = bytearray(exif), "<" if exif[:2] == b"II" else ">"

    def number(place: int) -> int:
        return struct.unpack_from(order + "I", result, place)[0]

    def entries(place: int) -> tuple:
        """{tag: offset of its entry after the tag} of the directory at `place`, and the offset of its end."""
        (count,) = struct.unpack_from(order + "H", result, place)
        end = place + 2 + 12 * count
        tags = struct.unpack_from(order + "H10x" * count, result, place + 2)
        return dict(zip(tags, range(place + 4, end, 12))), end

    first, end = entries(number(4))
    below = entries(number(first[EXIF_DIRECTORY] + 6))[0] if EXIF_DIRECTORY in first else {}
    # ImageWidth, ImageLength, PixelXDimension, PixelYDimension.
    for tag, value in {ORIENTATION: 1, 0x0100: width, 0x0101: height, 0xA002: width, 0xA003: height}.items():
        entry = first.get(tag) or below.get(tag)
        if entry and value < 2**16:  # of type SHORT, else LONG
            struct.pack_into(order + "HIHH", result, entry, 3, 1, value, 0)
        elif entry:
            struct.pack_into(order + "HII", result, entry, 4, 1, value)
    if end + 4 <= len(result) and number(end):  # the thumbnail's directory
        thumbnail = entries(number(end))[0]
        if {0x0201, 0x0202} <= thumbnail.keys():
            begin, length = number(thumbnail[0x0201] + 6), number(thumbnail[0x0202] + 6)
            result[begin : begin + length] = bytes(len(result[begin : begin + length]))
        struct.pack_into(order + "I", result, end, 0)
    return bytes(result)


def correct_xmp(xmp: bytes, height: int, width: int) -> bytes:
    """The same XMP data of an upright picture of [height,width]."""
    numbers = {b"tiff:Orientation": 1, b"tiff:ImageWidth": width, b"tiff:ImageLength": height}
    numbers.update({b"exif:PixelXDimension": width, b"exif:PixelYDimension": height})
    for name, value in numbers.items():
        xmp = re.sub(rb"(" + name + rb"(?:\s*=\s*[\"']|>))\d+", rb"\g<1>%d" % value, xmp)
    return xmp


def read_exif(image) -> tuple:
    """(EXIF data of Pillow's open image from its TIFF header on, b"" without; its orientation; what is omitted)."""
    orientation = 1
    try:
        parsed = image.getexif()  # ImageMagick's PNG texts and XMP's orientation are in it too
        orientation = parsed.get(ORIENTATION, 1)
        exif, omitted = image.info.get("exif"), ()
        if image.format == "TIFF" or not isinstance(exif, bytes):
            tags, has_notes = tiff_tags(parsed)
            exif = b"II*\0" + struct.pack("<I", 8) + tags.tobytes(8) if set(tags).difference(_BY_PROGRAMS) else b""
            omitted = ("the camera maker's notes",) if has_notes else ()
        exif = exif[6:] if exif.startswith(b"Exif\0\0") else exif
        return correct_exif(exif, image.height, image.width) if exif else b"", orientation, omitted
    except Exception:  # noqa: BLE001  Pillow's parser raises many kinds on damaged data
        return b"", orientation, ("EXIF, which is damaged",)


def tiff_tags(parsed) -> tuple:
    """(what of Pillow's Exif is told among the tags of a TIFF; whether it has a maker's notes, which are left out).

    These have offsets of their own, which would be wrong at another place. Raises what Pillow does for damaged data.
    """
    tags, has_notes = ImageFileDirectory_v2(), False
    for tag in {EXIF_DIRECTORY, GPS_DIRECTORY, *_DESCRIBING}.intersection(parsed):
        value = parsed[tag]
        if tag in (EXIF_DIRECTORY, GPS_DIRECTORY):
            value = dict(parsed.get_ifd(tag))
            has_notes = value.pop(MAKERS_NOTES, None) is not None or has_notes
            if INTEROPERABILITY in value:
                value[INTEROPERABILITY] = parsed.get_ifd(INTEROPERABILITY)
        tags[tag] = value
    return tags, has_notes


def read_xmp(info: dict) -> tuple:
    """(XMP data in Pillow's `info`, b"" without; what is omitted)."""
    xmp = info.get("xmp", info.get("XML:com.adobe.xmp", b""))
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    if not isinstance(xmp, bytes):  # of a TIFF it may be a number
        return b"", ()
    if _NAMES_PARTS.search(xmp):
        return b"", ("the gain map, video, depth or second view beside the picture, and the XMP that names it",)
    return xmp, ()


def read_dpi(image) -> tuple | None:
    """Dots per inch across and down, where the file says so and it can be written."""
    with contextlib.suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        across, down = (float(value) for value in image.info.get("dpi", ()))
        # A TIFF without the tag (XResolution) has 1 in Pillow.
        if 1 <= across < 65535 and 1 <= down < 65535 and 282 in getattr(image, "tag_v2", {282: 0}):
            return across, down
    return None
