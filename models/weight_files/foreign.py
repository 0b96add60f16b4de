"""Recognises files and folders that are not weights, by their first bytes or their contents, for error messages."""

from __future__ import annotations

import os
from pathlib import Path

from common.files import AnyPath

HEAD = 512  # bytes at each end by which a file is recognised
_OTHER = (
    "; its variables have other names and shapes. Give a .pdparams file of this project, or a folder of the article's"
)
_UNPACK = ": unpack it and give the .pdparams file or the folder that is in it"
_NOT_WEIGHTS = ", not weights. Give a .pdparams file"
_IN_OUTPUT = ": continue it with --resume. Weights are in that run's --output: srgan_g.pdparams or pretrain_g.pdparams"
_PYTORCH = ("a file of PyTorch's (.pth, .pt)", _OTHER)
ZIP, NPZ = "a zip archive", "a NumPy archive (.npz)"
# (position, bytes, what the file is, what to do): the formats' magic numbers, as `file` knows them.
_MAGIC = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file", ": fetch the file with `git lfs pull`"),
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", *_PYTORCH),  # before PyTorch 1.6
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes", _OTHER),
    (8, b'{"', "a safetensors file", _OTHER),
    (0, b"\x1f\x8b", "an archive packed with gzip", _UNPACK),
    (0, b"BZh", "an archive packed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ\0", "an archive packed with xz", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x89PNG", "a picture (PNG)", _NOT_WEIGHTS),
    (0, b"\xff\xd8\xff", "a picture (JPEG)", _NOT_WEIGHTS),
    # A version and the number of LoD levels, both 0, as fluid writes each variable.
    (0, bytes(16), "a variable in fluid's format, or an exported program's (.pdiparams)", ". Give the whole folder"),
)
# By what a zip archive has near its beginning or its end.
_ZIPS = ((b"data.pkl", *_PYTORCH), (b"note.npy", "a checkpoint of a training run", _IN_OUTPUT), (b".npy", NPZ, _OTHER))


def describe_file(path: AnyPath) -> str:
    """What the file is and what to do, if it is not a Paddle weight file; "" if it may be one.

    Only its first and last bytes are read. Raises OSError if it cannot be read.
    """
    return "".join(recognise_file(path))


def recognise_file(path: AnyPath) -> tuple[str, str]:
    """What the file is, and what makes it `describe_file`'s sentence. Raises as that does."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, os.path.getsize(path) - HEAD))
        both = head + file.read(HEAD)
    if not head:
        return "an empty file", ": the download or the copy was interrupted. Fetch it again"
    if head.startswith(b"PK\3\4"):
        return next(((what, remedy) for content, what, remedy in _ZIPS if content in both), (ZIP, _UNPACK))
    for position, magic, what, remedy in _MAGIC:
        if head[position:].startswith(magic):
            return what, remedy
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page (HTML)", ", not weights: the link leads to a page. Download the file itself"
    if head[0] == 0x08:  # the tag of ModelProto's first field, ir_version
        return "an ONNX program", _OTHER
    if head[0] != 0x80 and b"\0" not in both:  # a pickle begins with 0x80, which no text does
        return "a text file", _NOT_WEIGHTS
    return "", ""


def describe_folder(folder: AnyPath, wanted: str) -> str:
    """What a folder without the article's variables is and what to do; "" if it is not recognised.

    wanted: the ending of the wanted files' names, such as "_g.pdparams".
    """
    folder = Path(folder)
    weights = sorted(path.name for path in folder.glob("*.pdparams"))
    if weights:
        fitting = [name for name in weights if name.endswith(wanted)] or weights
        return f"it has weight files: give the file in it, {folder / fitting[-1]}"  # srgan_g comes after pretrain_g
    if (folder / "checkpoints").is_dir() or any(folder.glob("epoch_*_step_*.npz")):
        return f"it holds the checkpoints of a training run{_IN_OUTPUT}"
    if any(folder.glob("*.pdmodel")) or any(folder.glob("*.onnx")):
        return "it holds an exported program; its README.md says how to run it. Give the weights it was exported from"
    return ""
