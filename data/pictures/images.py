"""Pictures on disk, to and from RGB uint8 [h,w,3]. Nothing here knows of networks, crops or scales."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from common.errors import InputError
from data.pictures.picture import FORMATS, Picture, to_8_bits
from data.pictures.reading import read_picture
from data.pictures.writing import write_picture

EXTENSIONS = tuple(FORMATS)
SHOWN = 5  # how many skipped files are named


def list_pictures(folder) -> list:
    """The pictures of `folder` itself (no sub-folders, no hidden files), as Paths sorted by name.

    A picture is what ends in one of EXTENSIONS, in any case. Raises InputError when `folder` does not exist, is
    not a folder or holds no picture.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(f"{folder} does not exist; expected a folder of pictures")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; expected a folder of pictures")
    pictures = sorted((entry for entry in folder.iterdir() if _is_picture(entry)), key=lambda entry: entry.name)
    if not pictures:
        endings = " ".join(EXTENSIONS)
        raise InputError(f"{folder} holds no picture (no file ending in {endings}; sub-folders are not searched)")
    return pictures


def list_and_report(folder) -> list:
    """What `list_pictures` finds; a line on standard error names what else is there and not hidden."""
    pictures = list_pictures(folder)
    rest = sorted({*Path(folder).iterdir()} - {*pictures})
    others = [f"{entry.name}{'/' * entry.is_dir()}" for entry in rest if not entry.name.startswith(".")]
    if others:
        print(f"{folder}: {not_pictures(others)}", file=sys.stderr)
    return pictures


def not_pictures(names: list) -> str:
    """The line about skipped files and folders."""
    return f"skipped, as their names do not end like those of pictures: {some_of(names)}"


def some_of(names: list) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(str, names[:SHOWN])) + more


def all_of(items, use) -> None:
    """Call `use` with each item; raise one InputError, once all had their turn, of all that were raised.

    Equal messages are shown once.
    """
    messages = {}
    for item in items:
        try:
            use(item)
        except InputError as error:
            messages[str(error)] = error
    if len(messages) == 1:
        raise next(iter(messages.values()))
    if messages:
        raise InputError("\n  ".join([f"{len(messages)} pictures cannot be used:", *messages]))


def read_rgb(path, max_pixels: int | None = None) -> np.ndarray:
    """The picture in a PNG, JPEG, BMP, WebP or TIFF file, upright, as uint8 [h,w,3] in RGB order, 0..255.

    What `data.pictures.reading.read_picture` reads, reduced: grey becomes RGB; 16-bit samples are scaled from 0..65535
    to 0..255 and rounded; an alpha plane is dropped, the colours kept as stored. Raises InputError, naming the file and
    the reason, for whatever cannot be decoded whole or has more than `max_pixels`.
    """
    rgb = to_8_bits(read_picture(path, max_pixels).colour)
    return np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else rgb


def write_rgb(path, rgb_uint8: np.ndarray) -> None:
    """Write uint8 [h,w,3] (RGB, 0..255) to a new file; format and errors are those of `write_picture`."""
    write_picture(path, Picture(rgb_uint8))


def _is_picture(entry: Path) -> bool:
    # A broken link counts, so that reading names it instead of a picture being missed in silence.
    return not entry.name.startswith(".") and entry.suffix.lower() in EXTENSIONS and not entry.is_dir()
