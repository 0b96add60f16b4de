"""Finds data that AI Studio mounts beside a project or that the user names, in folders and archives, unpacked once.

AI Studio shows a project's data sets as `/home/aistudio/data/DATA_SET/`, each file as it was uploaded: a folder of
pictures, or a zip or tar archive with any content. That folder may be slow and read-only. Archives are unpacked to one
of the project's folders. Unreadable ones are reported and skipped, unless the user names them.
"""

import os
import re
from pathlib import Path

from common.errors import InputError
from data import archives
from data.pictures.images import EXTENSIONS

MOUNT = "/home/aistudio/data"
UNPACKED = "data/mounted"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
REMEDY = "Upload or mount it again, or unpack it yourself and name the folder"
FEWEST_PICTURES = 10  # pictures in a mounted folder to train on: fewer are a data set's illustrations

# Names of folders of LR pictures, or of pictures to measure on.
_NOT_TO_TRAIN_ON = re.compile(
    r"(?<![a-z])(lr|(valid(ation)?|val|test|set5|set14|bsd100|urban100|manga109)(?![a-z]))", re.IGNORECASE
)
_LR = re.compile(r"(?<![a-z])(lr|srf|bicubic)", re.IGNORECASE)


def training_pictures(named="", mount=MOUNT, to=UNPACKED):
    """The folder of pictures to train on, a Path: DIV2K_train_HR if there is one, else the one with the most pictures.

    named: the user's folder or archive to search; "" searches `mount`, where a folder needs 10 pictures. to: the folder
    that archives are unpacked to. Folders of LR, validation or test pictures rank last.
    Returns None if `mount` has none. Raises InputError if `named` has none, or is a damaged archive.
    """

    def rank(files):
        for folder, names in _pictures(files).items():
            if len(names) >= (1 if named else FEWEST_PICTURES):
                is_div2k = folder.name == "DIV2K_train_HR"
                yield (is_div2k, not _NOT_TO_TRAIN_ON.search(str(folder)), len(names)), folder

    return _find("pictures", rank, named, mount, to)


def vgg19(named="", mount=MOUNT, to=UNPACKED):
    """VGG19's weights, a Path for `load_vgg19`: `*vgg19*.pdparams` or a folder of fluid variables.

    named: a file of any name, a folder or an archive. Otherwise as `training_pictures`.
    """
    if named and Path(named).is_file() and not _ending(named):
        return Path(named)

    def rank(files):
        for path in files:
            if path.suffix == ".pdparams" and re.search(r"vgg_?19", path.name, re.IGNORECASE):
                yield (True,), path
            elif re.fullmatch(r"(vgg19_)?conv1_1_weights", path.name):
                yield (False,), path.parent

    return _find("VGG19's weights", rank, named, mount, to)


def g_models(named="", mount=MOUNT, to=UNPACKED):
    """The article's checkpoint folder, a Path for `load_generator`: the one that contains `n64s1/c.w_0`.

    The article's `d_models` has the same variables; `g_models` is preferred. Otherwise as `training_pictures`.
    """

    def rank(files):
        for path in files:
            if path.parent.name == "n64s1" and re.fullmatch(r"c\.w_\d+", path.name):
                folder = path.parent.parent
                yield (folder.name == "g_models",), folder

    return _find("article checkpoints (g_models)", rank, named, mount, to)


def _pictures(files) -> dict:
    """{folder: names of its pictures}."""
    folders = {}
    for path in files:
        if path.suffix.lower() in EXTENSIONS:
            folders.setdefault(path.parent, []).append(path.name)
    return folders


def _find(what: str, rank, named, mount, to):
    """The best place in `named` or `mount`, a Path, or None; archives are unpacked to `to`.

    rank: called with the files of a folder, as paths that begin with its name, or with the place of its archive; yields
    (rank, path) for each suitable place. The highest rank is the best.
    """
    root, to = Path(named or mount), Path(to)
    if not root.exists():
        if named:
            raise InputError(f"{root} does not exist; expected a folder or an archive with {what}")
        return None
    kinds = f"a zip or tar archive ({' '.join(ARCHIVES)})"
    if root.is_file() and not _ending(root):
        raise InputError(f"{root} is another kind of file; expected a folder or {kinds} with {what}")
    folders = [(root, root.parent)] if root.is_dir() else []
    for archive in filter(_ending, [root] if root.is_file() else _files(root)):
        if archive != root and _LR.search(archive.name):
            continue  # a data set's LR pictures, of several GB
        try:
            folders.append((_unpack(archive, root, to), to))
        except (InputError, OSError) as error:  # the data may be in another
            if named:
                raise
            print(f"skipped: {error}")
    places = []
    for folder, base in folders:
        places += [(value, base / path) for value, path in rank([file.relative_to(base) for file in _files(folder)])]
    if not places:
        if named:
            raise InputError(f"{root}: no {what} in it, nor in {kinds} in it")
        return None
    best, *others = [str(path) for _, path in sorted(places, key=lambda place: place[0], reverse=True)]
    others = sorted({*others} - {best})
    if others:
        print(f"{what}: using {best}; also there: {', '.join(others[:5])}")
    return Path(best)


def _ending(name) -> str:
    """The archive's ending, or "" for another file."""
    return next((ending for ending in ARCHIVES if str(name).lower().endswith(ending)), "")


def _files(root: Path) -> list:
    """The files below a folder, sorted; links are followed, hidden files skipped."""
    files = []
    for folder, folders, names in os.walk(root, followlinks=True, onerror=lambda error: print(f"skipped: {error}")):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        files += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(files)


def _unpack(archive: Path, root: Path, to: Path) -> Path:
    """Unpack an archive, unless it has been, to a folder of its name without the ending; return the folder.

    That is in a folder for its size: another one if the archive was changed. The time of its modification would not do,
    which is another one whenever AI Studio mounts the archive.
    """
    parent = to / (archive.parent.relative_to(root) if root.is_dir() else "") / str(archive.stat().st_size)
    folder = parent / archive.name[: -len(_ending(archive))]
    if not folder.is_dir():
        parent.mkdir(parents=True, exist_ok=True)
        print(f"unpacking {archive} to {folder}")
        archives.unpack(archive, folder, remedy=REMEDY)
    return folder
