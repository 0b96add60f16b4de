"""What weights, folders of results and pictures are called in tables and lists."""

import os
from pathlib import Path

from common.errors import InputError

BICUBIC = "bicubic"


def labels(paths: list) -> dict:
    """{label: path} with a short label for each path of weights or SR folder: as much of its end as tells them apart.

    Raises InputError if one is given twice.
    """
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if len(set(absolute)) < len(absolute):
        twice = next(path for path in absolute if absolute.count(path) > 1)
        raise InputError(f"{twice} is given twice")
    names = [path.with_suffix("") if path.suffix == ".pdparams" else path for path in absolute]
    if len(set(names)) < len(names):
        names = absolute
    return {_label(name, names): path for name, path in zip(names, paths)}


def _label(name: Path, names: list) -> str:
    for count in range(1, len(name.parts) + 1):
        end = name.parts[-count:]
        if end != (BICUBIC,) and sum(other.parts[-count:] == end for other in names) == 1:
            break
    return "/".join(end)


def printable(path: Path) -> str:
    """The file's name; bytes in it that are no UTF-8 are escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode("utf-8")
