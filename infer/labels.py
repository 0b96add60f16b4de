"""The labels of weights, folders of results and pictures in tables and lists."""

import os
from pathlib import Path

from common.errors import InputError

BICUBIC = "bicubic"


def labels(paths: list) -> dict:
    """{label: path} for paths of weights or SR folders; a label is the shortest end of the path that is unique.

    Raises InputError if a path is given twice.
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
    """The file's name, with bytes that are not UTF-8 escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode("utf-8")
