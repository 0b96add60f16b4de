"""What AI Studio mounts beside a project, or a user names: found in folders and in archives, unpacked once.

AI Studio shows the data sets of a project as `/home/aistudio/data/DATA_SET/`, each file as it was uploaded: a folder of
pictures, or a zip or tar archive with anything in it. That folder may be slow and read-only. An archive is unpacked to
a folder of the project's, and only if its table of contents has what is wanted; an archive in an archive is opened
where nothing else has it. What cannot be read is named and skipped, except an archive that the user names.
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
FEWEST_PICTURES = 10  # in a mounted folder to train on: fewer are a data set's illustrations
BENCHMARKS = ("set5", "set14", "bsd100")

# A folder, by its name, of LR pictures, or of pictures to measure on.
_NOT_TO_TRAIN_ON = re.compile(
    r"(?<![a-z])(lr|(valid(ation)?|val|test|set5|set14|bsd100|urban100|manga109)(?![a-z]))", re.IGNORECASE
)
_LR = re.compile(r"(?<![a-z])(lr|srf|bicubic)", re.IGNORECASE)
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")
_UNPACKED_NAME = re.compile(rf"({'|'.join(map(re.escape, ARCHIVES))})-[0-9a-f]{{12}}(?=/|$)", re.IGNORECASE)

_SAMPLE = 2**20  # bytes at either end of an archive that tell it from another one


def training_pictures(named="", mount=MOUNT, to=UNPACKED):
    """The folder of pictures to train on, a Path: DIV2K_train_HR where there is one, else the one with most pictures.

    named: a folder or archive to look in, the user's; "" looks in `mount`, where a folder needs 10 pictures. to: the
    folder that archives are unpacked to. Folders of LR, validation or test pictures come last; those of Set5, Set14 and
    BSD100, which `benchmark` finds, are taken only from what is named.
    Returns None where `mount` has none. Raises InputError where `named` has none, or is a damaged or harmful archive.
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

    named: a file, whatever it is called, a folder or an archive. The rest is as for `training_pictures`.
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
    """The article's checkpoint folder, a Path for `load_generator`: the one with `n64s1/c.w_0` in it.

    The article's `d_models` has the same variables; `g_models` comes first. The rest is as for `training_pictures`.
    """

    def places(names, title):
        for name in names:
            path = PurePosixPath(name)
            if path.parent.name == "n64s1" and re.fullmatch(r"c\.w_\d+", path.name):
                folder = path.parent.parent
                yield (_shown(title, folder).name == "g_models",), str(folder)

    return _find("a checkpoint folder of the article's (g_models)", places, named, mount, to)


def benchmark(named="", mount=MOUNT, to=UNPACKED):
    """The folder of HR pictures of Set5, else of Set14, else of BSD100, a Path. The rest as for `training_pictures`."""

    def places(names, title):
        for folder, pictures in _by_folder(names).items():
            path = _shown(title, folder)
            known = _benchmarks(path)
            if known and not any(map(_LR.search, [str(path), *pictures])):
                yield (-known[-1], len(pictures)), folder

    return _find("pictures of Set5, Set14 or BSD100", places, named, mount, to)


def _by_folder(names: list) -> dict:
    """{folder: its pictures' names}."""
    folders = {}
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() in EXTENSIONS:
            folders.setdefault(str(path.parent), []).append(path.name)
    return folders


def _shown(title, folder) -> PurePosixPath:
    """The path of a folder as the data set shows it: what an archive was unpacked to has the archive's name."""
    return PurePosixPath(_UNPACKED_NAME.sub("", str(PurePosixPath(title, folder))))


def _benchmarks(path: PurePosixPath) -> list:
    """The places in BENCHMARKS of the parts of a path that are there."""
    return [BENCHMARKS.index(part.lower()) for part in path.parts if part.lower() in BENCHMARKS]


def _find(what: str, places, named, mount, to):
    """The best place in `named` or `mount`, a Path, or None.

    places: called with the files of a folder or an archive, relative paths with slashes, and its path as the data set
    shows it; yields (rank, place) of each place that will do, where the highest rank is the best.
    """
    root = Path(named or mount)
    if not root.exists():
        if named:
            raise InputError(f"{root} is not there; expected a folder or an archive with {what}")
        return None
    if root.is_file() and not _is_archive(root):
        raise InputError(
            f"{root} is another kind of file; expected a folder or a zip or tar archive ({' '.join(ARCHIVES)}) with "
            f"{what}. Name such a one, or the folder that the file is in or was unpacked to"
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
                print(f"{what}: {best / place} taken; also there: {', '.join(sorted(others)[:5])}")
            return folder / place
        ranked = [entry for entry in ranked if entry[1] != best]
        del listings[best]
    for archive, names in listings.items():
        if not nested and any(map(_is_archive, names)):
            with _skip_faulty(root, nested):
                folder = _unpacked(archive, root, to)
                try:
                    found = _best(what, places, folder, folder, titles[archive], nested=True)
                except FileNotFoundError:  # another process has just unpacked an archive in there, and removed it
                    found = _best(what, places, folder, folder, titles[archive], nested=True)
                if found:
                    return found
    return None


@contextlib.contextmanager
def _skip_faulty(root: Path, nested: bool):
    """Say what cannot be read in a search of `root`, and go on: another archive may have what is wanted."""
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
    """The files below `root`, relative paths with slashes, sorted; links are followed, hidden files left out."""
    found, seen = [], set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=lambda error: print(f"skipped: {error}")):
        real = os.path.realpath(folder)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            found += [Path(folder, name).relative_to(root).as_posix() for name in names]
        seen.add(real)
    return sorted(name for name in found if not _HIDDEN.search(name))


def _listing(archive: Path, root: Path, to: Path) -> list:
    """The files in an archive, or in the folder that it is unpacked to: to list a packed tar is to unpack all of it."""
    folder = _folder_of(archive, root, to)
    if folder.is_dir():
        return _files(folder)
    found = archive.stat()
    return [name for name in _members(archive, found.st_size, found.st_mtime_ns) if not _HIDDEN.search(name)]


@functools.lru_cache(maxsize=None)
def _members(archive: Path, size: int, modified: int) -> list:
    """What is in an archive, remembered for one of that size and time of modification."""
    return archives.members(archive, REMEDY)


def _folder_of(archive: Path, root: Path, to: Path) -> Path:
    parent = to / (archive.parent.relative_to(root) if root.is_dir() else "")
    return parent / f"{archive.name}-{_fingerprint(archive)}"


def _unpacked(archive: Path, root: Path, to: Path, nested: bool = False) -> Path:
    """The folder that `archive` is unpacked to; it is unpacked now if it is not, or was another archive then."""
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
        archive.unlink()  # it has just been unpacked itself: once on the disk is enough
    before = re.compile(re.escape(archive.name) + r"-[0-9a-f]{12}")
    for other in folder.parent.iterdir():
        if before.fullmatch(other.name) and other != folder:
            shutil.rmtree(other)
    return folder


def _fingerprint(archive: Path) -> str:
    """12 digits of an archive's size and its first and last MiB, where a zip has the checksums of all its files.

    Not its time of modification: in a new session AI Studio mounts the same file with another one.
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
