"""Recognises files and folders that are not weights, by their first bytes or their contents, for error messages."""

from __future__ import annotations

from pathlib import Path

from common.files import AnyPath

_OTHER = ": give a .pdparams file of this project, or a folder of the article's"
_UNPACK = ": unpack it and give the .pdparams file or the folder that is in it"
_IN_OUTPUT = ": continue it with --resume. Weights are in that run's --output: srgan_g.pdparams or pretrain_g.pdparams"
# (first bytes, what the file is, what to do)
_MAGIC = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file", ": fetch the file with `git lfs pull`"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a file of PyTorch's (.pth, .pt)", _OTHER),  # before 1.6
    (b"\x1f\x8b", "an archive packed with gzip", _UNPACK),
    # A version and the number of LoD levels, both 0, as fluid writes each variable.
    (bytes(16), "a variable in fluid's format, or an exported program's (.pdiparams)", ". Give the whole folder"),
)


def describe_file(path: AnyPath) -> str:
    """What the file is and what to do, if it is not a pickle, as weights are; "" if it may be one.

    Raises OSError if it cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(100_000)
    if not head:
        return "an empty file: the download or the copy was interrupted. Fetch it again"
    if head.startswith(b"PK\3\4"):
        if b"/data.pkl" in head:
            return "a file of PyTorch's (.pth, .pt)" + _OTHER
        if b".npy" in head:
            return "a NumPy archive, such as a checkpoint of a training run" + _IN_OUTPUT
        return "a zip archive" + _UNPACK
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "a web page (HTML): the link leads to a page. Download the file itself"
    for magic, what, remedy in _MAGIC:
        if head.startswith(magic):
            return what + remedy
    return "" if head[0] == 0x80 else "not a weight file" + _OTHER  # a pickle begins so


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
    return ""
