"""Finds data that AI Studio mounts beside a project or that the user names, in folders and archives, unpacked once.

AI Studio shows a project's data sets as `/home/aistudio/data/DATA_SET/`, each file as it was uploaded: a folder of
pictures, or a zip or tar archive with any content. That folder may be slow and read-only. An archive is unpacked to one
of the project's folders, and only if its table of contents has the wanted data; an archive inside an archive is opened
only if nothing else has them. Unreadable files are reported and skipped, except an archive that the user names.
"""

import contextlib
import functools
import hashlib
import os
import re
import shutil
from pathlib import Path, PurePosixPath

from common.errors import InputError
from data import archives
from data.pictures.images import EXTENSIONS

MOUNT = "/home/aistudio/data"
UNPACKED = "data/mounted"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2")
REMEDY = "Upload or mount it again, or unpack it yourself and name the folder"
NO_ROOM = "Make room, or unpack it yourself elsewhere and name the folder"
FEWEST_PICTURES = 10  # pictures in a mounted folder to train on: fewer are a data set's illustrations
BENCHMARKS = ("set5", "set14", "bsd100")

# Names of folders of LR pictures, or of pictures to measure on.
_NOT_TO_TRAIN_ON = re.compile(
    r"(?<![a-z])(lr|(valid(ation)?|val|test|set5|set14|bsd100|urban100|manga109)(?![a-z]))", re.IGNORECASE
)
_LR = re.compile(r"(?<![a-z])(lr|srf|bicubic)", re.IGNORECASE)
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")
_UNPACKED_NAME = re.compile(rf"({'|'.join(map(re.escape, ARCHIVES))})-[0-9a-f]{{12}}(?=/|$)", re.IGNORECASE)

_SAMPLE = 2**20  # bytes at each end of an archive by which it is identified


def training_pictures(named="", mount=MOUNT, to=UNPACKED):
    """The folder of pictures to train on, a Path: DIV2K_train_HR if there is one, else the one with the most pictures.

    named: the user's folder or archive to search; "" searches `mount`, where a folder needs 10 pictures. to: the folder
    that archives are unpacked to. Folders of LR, validation or test pictures rank last; those of Set5, Set14 and
    BSD100, which `benchmark` finds, are used only if they are in `named`.
    Returns None if `mount` has none. Raises InputError if `named` has none, or is a damaged or harmful archive.
    """
    fewest = 1 if named else FEWEST_PICTURES

    def places(names, title):
        for folder, pictures in _by_folder(names).items():
            path = _shown(title, folder)
            if len(pictures) >= fewest and (named or not _benchmarks(path)):
                is_div2k = path.name == "DIV2K_train_HR"
                yield (is_div2k, not _NOT_TO_TRAIN_ON.search(str(path)), len(pictures)), folder

    return _find("pictures", places, named, mount, to)


def vgg19(named="", mount=MOUNT, to=UNPACKED):
    """VGG19's weights, a Path for `load_vgg19`: `*vgg19*.pdparams` or a folder of fluid variables.

    named: a file of any name, a folder or an archive. Otherwise as `training_pictures`.
    """
    if named and Path(named).is_file() and not _is_archive(named):
        return Path(named)

    def places(names, _):
        for name in names:
            path = PurePosixPath(name)
            if path.suffix == ".pdparams" and re.search(r"vgg_?19", path.name, re.IGNORECASE):
                yield (True,), name
            elif re.fullmatch(r"(vgg19_)?conv1_1_weights", path.name):
                yield (False,), str(path.parent)

    return _find("VGG19's weights", places, named, mount, to)


def g_models(named="", mount=MOUNT, to=UNPACKED):
    """The article's checkpoint folder, a Path for `load_generator`: the one that contains `n64s1/c.w_0`.

    The article's `d_models` has the same variables; `g_models` is preferred. Otherwise as `training_pictures`.
    """

    def places(names, title):
        for name in names:
            path = PurePosixPath(name)
            if path.parent.name == "n64s1" and re.fullmatch(r"c\.w_\d+", path.name):
                folder = path.parent.parent
                yield (_shown(title, folder).name == "g_models",), str(folder)

    return _find("article checkpoints (g_models)", places, named, mount, to)


def benchmark(named="", mount=MOUNT, to=UNPACKED):
    """The folder of HR pictures of Set5, else Set14, else BSD100, a Path. Otherwise as `training_pictures`."""

    def places(names, title):
        for folder, pictures in _by_folder(names).items():
            path = _shown(title, folder)
            known = _benchmarks(path)
            if known and not any(map(_LR.search, [str(path), *pictures])):
                yield (-known[-1], len(pictures)), folder

    return _find("pictures of Set5, Set14 or BSD100", places, named, mount, to)


def _by_folder(names: list) -> dict:
    """{folder: names of its pictures}."""
    folders = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in EXTENSIONS:
            folders.setdefault(str(path.parent), []).append(path.name)
    return folders


def _shown(title, folder) -> PurePosixPath:
    """The path of a folder in the data set, in which the folder of an unpacked archive has the archive's name."""
    return PurePosixPath(_UNPACKED_NAME.sub("", str(PurePosixPath(title, folder))))


def _benchmarks(path: PurePosixPath) -> list:
    """The positions in BENCHMARKS of those parts of a path that are in it."""
    return [BENCHMARKS.index(part.lower()) for part in path.parts if part.lower() in BENCHMARKS]


def _find(what: str, places, named, mount, to):
    """The best place in `named` or `mount`, a Path, or None.

    places: called with the files of a folder or an archive, as relative paths with slashes, and its path in the data
    set; yields (rank, place) for each suitable place; the highest rank is the best.
    """
    root = Path(named or mount)
    if not root.exists():
        if named:
            raise InputError(f"{root} does not exist; expected a folder or an archive with {what}")
        return None
    if root.is_file() and not _is_archive(root):
        raise InputError(
            f"{root} is another kind of file; expected a folder or a zip or tar archive ({' '.join(ARCHIVES)}) with "
            f"{what}. Name one, or the folder that contains the file or its unpacked contents"
        )
    found = _best(what, places, root, Path(to), PurePosixPath(_without_ending(root) if root.is_file() else root.name))
    if named and found is None:
        raise InputError(f"{root}: no {what} in it, nor in an archive ({' '.join(ARCHIVES)}) in it")
    return found


def _best(what: str, places, root: Path, to: Path, title: PurePosixPath, nested: bool = False):
    files = [] if root.is_file() else _files(root)
    packed = [root] if root.is_file() else [root / name for name in files if _is_archive(name)]
    listings = {}
    ranked = [((rank, True), root, place) for rank, place in places(files, title)]
    titles = {root: title}
    for archive in packed:
        if archive != root:
            titles[archive] = title / archive.relative_to(root).with_name(_without_ending(archive)).as_posix()
        with _skip_faulty(root, nested):
            listings[archive] = _listing(archive, root, to)
            ranked += [((rank, False), archive, place) for rank, place in places(listings[archive], titles[archive])]
    ranked.sort(key=lambda entry: entry[0], reverse=True)
    while ranked:
        _, best, place = ranked[0]
        with _skip_faulty(root, nested):
            folder = best if best.is_dir() else _unpacked(best, root, to, nested)
            others = {str(holder / place) for _, holder, place in ranked[1:]} - {str(best / place)}
            if others:
                print(f"{what}: using {best / place}; also found: {', '.join(sorted(others)[:5])}")
            return folder / place
        ranked = [entry for entry in ranked if entry[1] != best]
        del listings[best]
    for archive, names in listings.items():
        if not nested and any(map(_is_archive, names)):
            with _skip_faulty(root, nested):
                folder = _unpacked(archive, root, to)
                try:
                    found = _best(what, places, folder, folder, titles[archive], nested=True)
                except FileNotFoundError:  # another process has just unpacked and removed an archive in it
                    found = _best(what, places, folder, folder, titles[archive], nested=True)
                if found:
                    return found
    return None


@contextlib.contextmanager
def _skip_faulty(root: Path, nested: bool):
    """Report what cannot be read while searching `root` and continue: another archive may have the wanted data."""
    try:
        yield
    except (InputError, OSError) as error:
        if root.is_file() or (nested and isinstance(error, FileNotFoundError)):
            raise
        print(f"skipped: {' '.join(str(error).split())}")  # tarfile's messages have several lines


def _is_archive(name) -> str:
    """The archive's ending, or "" for another file."""
    return next((ending for ending in ARCHIVES if str(name).lower().endswith(ending)), "")


def _without_ending(archive: Path) -> str:
    return archive.name[: -len(_is_archive(archive))]


def _files(root: Path) -> list:
    """The files below `root`, as relative paths with slashes, sorted; links are followed, hidden files skipped."""
    found, seen = [], set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=lambda error: print(f"skipped: {error}")):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            found += [Path(folder, name).relative_to(root).as_posix() for name in names]
        seen.add(real)
    return sorted(name for name in found if not _HIDDEN.search(name))


def _listing(archive: Path, root: Path, to: Path) -> list:
    """The files in an archive, or in its unpacked folder: listing a compressed tar means decompressing all of it."""
    folder = _folder_of(archive, root, to)
    if folder.is_dir():
        return _files(folder)
    found = archive.stat()
    return [name for name in _members(archive, found.st_size, found.st_mtime_ns) if not _HIDDEN.search(name)]


@functools.lru_cache(maxsize=None)
def _members(archive: Path, size: int, modified: int) -> list:
    """The contents of an archive, cached for its size and modification time."""
    return archives.members(archive, REMEDY)


def _folder_of(archive: Path, root: Path, to: Path) -> Path:
    parent = to / (archive.parent.relative_to(root) if root.is_dir() else "")
    return parent / f"{archive.name}-{_fingerprint(archive)}"


def _unpacked(archive: Path, root: Path, to: Path, nested: bool = False) -> Path:
    """The folder that `archive` is unpacked to; it is unpacked now if it has not been, or has changed since."""
    folder = _folder_of(archive, root, to)
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"unpacking {archive} to {folder}")
    try:
        archives.unpack(archive, folder, one_folder=False, remedy=REMEDY, no_room=NO_ROOM)
    except (InputError, OSError):
        if folder.is_dir():  # another process has unpacked it meanwhile
            return folder
        raise
    if nested:
        archive.unlink()  # it was itself just unpacked from an archive: do not keep it twice on the disk
    before = re.compile(re.escape(archive.name) + r"-[0-9a-f]{12}")
    for other in folder.parent.iterdir():
        if before.fullmatch(other.name) and other != folder:
            shutil.rmtree(other)
    return folder


def _fingerprint(archive: Path) -> str:
    """12 hash digits of an archive's size and its first and last MiB, where a zip has the checksums of all its files.

    They do not include its modification time, which changes when AI Studio mounts the same file in a new session.
    """
    if not archive.is_file():  # to open a pipe is to wait for somebody to write to it
        raise InputError(f"{archive} is not a file; expected a zip or tar archive")
    size = archive.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=6)
    with open(archive, "rb") as file:
        digest.update(file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
