"""EXIF data in a TIFF: its tags stand among the picture's own, and its own directories anywhere in the file.

Everywhere else EXIF is a TIFF of its own, whose offsets count from its beginning. What is taken over from one to the
other is copied with its types, and in the byte order II. Not taken over are a maker's notes, most of which have offsets
of their own in an order that only the maker knows, and what describes the stored pixels.

Source: EXIF 2.3, 4.6.
"""

from __future__ import annotations

import io
import struct

from data.pictures.containers import EXIF, GPS, INTEROPERABILITY, Directory

_ORIENTATION, _MAKERS_NOTES = 274, 37500
# ImageDescription, Make, Model, Software, DateTime, Artist, Copyright, and Windows' XPTitle to XPSubject.
_DESCRIBING = (270, 271, 272, 305, 306, 315, 33432, *range(40091, 40096))
_BY_PROGRAMS = (270, 305, 306)  # of which some write into every file: by themselves they are no EXIF data
_BELOW = {EXIF: (INTEROPERABILITY,), GPS: (), INTEROPERABILITY: ()}
_SAMPLE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}  # of a value; 5, 10 are two
_MOST_BYTES = 2**20  # of all values: a file may have them point to the same bytes over and over
_SHORT, _LONG = 3, 4


def exif_of_tiff(file) -> tuple:
    """The EXIF data of a TIFF, from a TIFF header of its own on, and whether something of it is left out.

    b"" where it has none: a description, the program that wrote it and the time are none. file: open for reading bytes.
    """
    file.seek(0)
    try:
        directory = Directory(file)
        if not {EXIF, GPS, *_DESCRIBING}.difference(_BY_PROGRAMS) & directory.entries.keys():
            return b"", False
        tree, left_out = _tree(directory, (EXIF, GPS), _DESCRIBING)
    except ValueError:
        return b"", True
    tree[_ORIENTATION] = (_SHORT, struct.pack("<H", 1))  # Pillow has turned the picture
    return b"II*\0" + struct.pack("<I", 8) + _serialized(tree, 8), left_out


def tags_for_tiff(exif: bytes) -> tuple:
    """What `append` adds to a TIFF of this EXIF data, and whether something of it is left out."""
    if not exif:
        return {}, False
    try:
        return _tree(Directory(io.BytesIO(exif)), (EXIF, GPS), _DESCRIBING)
    except ValueError:
        return {}, True


def append(file, tags: dict) -> None:
    """Add tags, {tag: (type, bytes) or such a dict}, to a TIFF of one page and the byte order II, no BigTIFF.

    file: open for reading and writing bytes. Its directory is written once more, behind what is there.
    """
    directory = Directory(file)
    file.seek(directory.place + 2)
    kept = {tag: file.read(12) for tag in directory.entries}  # in the file they are in this order
    place = file.seek(0, io.SEEK_END)
    file.write(bytes(place % 2))
    place += place % 2
    file.write(_serialized({**kept, **tags}, place))
    file.seek(4)
    file.write(struct.pack("<I", place))


def _tree(directory: Directory, below: tuple, wanted: tuple = (), left: list | None = None) -> tuple:
    """{tag: (type, bytes), or such a dict}, and whether anything is left out; `wanted` is all where it is ()."""
    left = [_MOST_BYTES] if left is None else left
    tree, left_out = {}, False
    for tag, (kind, *_) in directory.entries.items():
        if tag in below:
            try:
                inner = Directory(directory.file, place=directory.number(tag, 0))
                tree[tag], inner_left_out = _tree(inner, _BELOW[tag], (), left)
            except ValueError:  # other programs have left it pointing to where it was in another file
                inner_left_out = True
            left_out = left_out or inner_left_out
        elif tag == _MAKERS_NOTES or kind not in _SAMPLE_BYTES:
            left_out = left_out or not wanted or tag in wanted
        elif not wanted or tag in wanted:
            content = directory.content(tag, left[0])
            left[0] -= len(content)
            tree[tag] = kind, _little(content, kind, directory.order)
    return tree, left_out


def _little(content: bytes, kind: int, order: str) -> bytes:
    size = _SAMPLE_BYTES[kind]
    if order == "<" or size == 1:
        return content
    return b"".join(content[i : i + size][::-1] for i in range(0, len(content), size))


def _count(kind: int, content: bytes) -> int:
    return len(content) // (_SAMPLE_BYTES[kind] * (2 if kind in (5, 10) else 1))


def _serialized(tree: dict, place: int) -> bytes:
    """The directory as it is at that even place of a file, with all that it points to; entries in bytes as they are."""
    head, rest = struct.pack("<H", len(tree)), b""
    start = place + 2 + 12 * len(tree) + 4
    for tag, value in sorted(tree.items()):
        where = start + len(rest)
        if isinstance(value, bytes):
            head += value
            continue
        if isinstance(value, dict):
            kind, count, field, more = _LONG, 1, struct.pack("<I", where), _serialized(value, where)
        else:
            kind, content = value
            count = _count(kind, content)
            inline = len(content) <= 4
            field, more = (content.ljust(4, b"\0"), b"") if inline else (struct.pack("<I", where), content)
        head += struct.pack("<HHI", tag, kind, count) + field
        rest += more + bytes(len(more) % 2)
    return head + bytes(4) + rest
