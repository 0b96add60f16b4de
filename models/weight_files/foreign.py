"""Recognises files and folders that are not weights, by their first bytes or their contents, for error messages."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from common.files import AnyPath

HEAD = 512  # bytes at each end by which a file is recognised
_NOT_PADDLES = (
    "; its variables have other names and shapes. Give a .pdparams file of this project, or a folder of the article's"
)
_UNPACK = ": unpack it and give the .pdparams file or the folder that is in it"
_GIVE = ". Give a .pdparams file"
_NOT_WEIGHTS = f", not weights{_GIVE}"
_IN_OUTPUT = ": continue it with --resume. Weights are in that run's --output: srgan_g.pdparams or pretrain_g.pdparams"
_PYTORCH = ("a file of PyTorch's (.pth, .pt)", _NOT_PADDLES)
ZIP, NPZ = "a zip archive", "a NumPy archive (.npz)"
# {first bytes: what the file is, and what to do}: the formats' magic numbers, as `file` knows them.
_BEGINNINGS = {
    b"version https://git-lfs.github.com/spec/": (
        "a Git LFS pointer, not the file",
        ": fetch the file with `git lfs pull`",
    ),
    # PyTorch's magic number 0x1950a86a20f9469cfc6c, a pickled long at the very beginning.
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": _PYTORCH,
    b"\x93NUMPY": ("a single NumPy array (.npy)", f", not the weights of a network{_GIVE}"),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file, as Keras writes", _NOT_PADDLES),
    b"GGUF": ("a GGUF file", _NOT_PADDLES),
    b"\x1f\x8b": ("an archive packed with gzip", _UNPACK),
    b"BZh": ("an archive packed with bzip2", _UNPACK),
    b"\xfd7zXZ\0": ("an archive packed with xz", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
    b"Rar!": ("a RAR archive", _UNPACK),
    b"\x89PNG": ("a picture (PNG)", _NOT_WEIGHTS),
    b"\xff\xd8\xff": ("a picture (JPEG)", _NOT_WEIGHTS),
    b"%PDF-": ("a PDF document", _NOT_WEIGHTS),
    # A version and the number of LoD levels, both 0, as fluid writes each variable.
    bytes(16): (
        "variables in fluid's format, one or all of an exported program (.pdiparams)",
        ". Give the whole folder of fluid.io.save_persistables (models/g_models), or a .pdparams file",
    ),
}
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<body")
_CONTROLS = {*range(32), 127} - set(b"\t\n\r\f\x1b")  # those that do not occur in texts
# The fields of onnx.proto's ModelProto that may follow the first one, ir_version: tags of 2 to 8, and 14.
_ONNX_SECOND = b"\x12\x1a\x22\x28\x32\x3a\x42\x72"


def describe_file(path: AnyPath) -> str:
    """What the file is and what to do, if it is not a Paddle weight file; "" if it may be one.

    Only its first and last bytes are read. Raises OSError if it cannot be read.
    """
    return "".join(recognise_file(path))


def recognise_file(path: AnyPath) -> tuple[str, str]:
    """What the file is, and what makes it `describe_file`'s sentence. Raises as that does."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(HEAD)
        file.seek(max(0, size - HEAD))
        tail = file.read(HEAD)
    if not head:
        return "an empty file", ": the download or the copy was interrupted. Fetch it again"
    for beginning, what in _BEGINNINGS.items():
        if head.startswith(beginning):
            return what
    if head.startswith(b"PK\3\4"):
        return _recognise_zip(head + tail)
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return (
            "a web page (HTML)",
            ", not weights: the link leads to a page about the file. Download the file itself",
        )
    if len(head) > 8 and struct.unpack("<Q", head[:8])[0] <= size - 8 and head[8:9] == b"{":
        return "a safetensors file", _NOT_PADDLES
    # ir_version is 1 to 13 by now.
    if len(head) > 2 and head[0] == 0x08 and 0 < head[1] < 32 and head[2] in _ONNX_SECOND:
        return "an ONNX program", _NOT_PADDLES
    # A pickle begins with 0x80, which no text does, not even in UTF-8. One in the first, obsolete protocol is a text
    # that ends with its last operation, a full stop; the pickle reader then reports the operation that it refuses.
    if head[0] != 0x80 and not tail.endswith(b".") and not set(head) & _CONTROLS:
        return "a text file", _NOT_WEIGHTS
    return "", ""


def _recognise_zip(content: bytes) -> tuple[str, str]:
    """content: a zip archive's first and last bytes. Its directory may be huge and is not read just for a message."""
    if b"data.pkl" in content:
        return _PYTORCH
    if b"note.npy" in content:
        return "a checkpoint of a training run", _IN_OUTPUT
    if b".npy" in content:
        return NPZ, _NOT_PADDLES
    return ZIP, _UNPACK


def describe_folder(folder: AnyPath, wanted: str) -> str:
    """What a folder without the article's variables is and what to do; "" if it is not recognised.

    wanted: the ending of the wanted files' names, such as "_g.pdparams".
    """
    folder = Path(folder)
    weights = sorted(path.name for path in folder.glob("*.pdparams"))
    if weights:
        fitting = [name for name in weights if name.endswith(wanted)] or weights
        best = fitting[-1]  # srgan_g comes after pretrain_g
        kind = (
            "the output folder of a training run" if (folder / "checkpoints").is_dir() else "a folder of weight files"
        )
        return f"{kind}: give the file in it, {folder / best}"
    if (folder / "checkpoints").is_dir() or any(folder.glob("epoch_*_step_*.npz")):
        return f"it holds the checkpoints of a training run{_IN_OUTPUT}"
    if any(True for ending in ("pdmodel", "pdiparams", "onnx") for _ in folder.glob(f"*.{ending}")):
        return "it holds an exported program; its README.md says how to run it. Give the weights it was exported from"
    return ""
