"""Zip archives of pictures, sound and spoilt."""

import io
import struct
import warnings
import zipfile

from tests.helpers.file_server import CONTENT, OTHER

PICTURES = {"top/0001.png": CONTENT[:70_000], "top/0002.png": OTHER[:50_000], "top/empty.png": b""}


def member(name, kind=0, system=3):
    info = zipfile.ZipInfo("x")
    # Set after the construction, which cleans a name up.
    info.filename = info.orig_filename = name
    info.external_attr = (kind | 0o644) << 16
    info.create_system = system
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def packed(members):
    """The bytes of a zip archive; members: (ZipInfo or name, bytes) in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names
        for name, content in members:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else member(name), content)
    return buffer.getvalue()


def edited(archive, name, offset, layout, change):
    """The archive with one field of a member's central header changed; offset and layout as in APPNOTE 4.3.12."""
    archive = bytearray(archive)
    at = archive.rindex(name.encode()) - 46
    assert archive[at : at + 4] == b"PK\1\2"
    (value,) = struct.unpack_from(layout, archive, at + offset)
    struct.pack_into(layout, archive, at + offset, change(value))
    return bytes(archive)


FLAGS, METHOD, CRC, UNPACKED_SIZE = (8, "<H"), (10, "<H"), (16, "<L"), (24, "<L")
GOOD = packed([("top/", b""), *PICTURES.items()])


def contents(folder):
    return {
        file.relative_to(folder.parent).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
