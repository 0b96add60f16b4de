"""Finds the pictures that a command works on, and names each result."""

import os
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.files import remove_leftovers
from data.pictures.images import EXTENSIONS

RESULT_ENDINGS = {"png": ".png", "jpg": ".jpg", "webp": ".webp", "tiff": ".tiff", "bmp": ".bmp"}  # by --format


@dataclass(frozen=True)
class Job:
    """A picture and the file for its result, or the reason why there is none."""

    source: Path
    target: Path
    problem: str = ""


def find_jobs(inputs, output, recursive: bool, suffix: str, ending: str = "") -> tuple:
    """The jobs for files and folders, and the files in folders whose endings are not those of pictures.

    A file's result is `output`/NAME`suffix`.EXT; those of a folder keep the folder's structure under `output`. EXT is
    the picture's own ending or `ending`. Hidden files and results of an earlier run in a folder are skipped.
    """
    output = Path(output)
    pictures, others, problems = [], [], []  # pictures with their results' folder below `output`
    for name in map(Path, inputs):
        if not os.path.isdir(name):  # Path.is_dir raises OSError for a name that is too long
            pictures.append((name, Path()))
            continue
        inside, rest, errors = _in_folder(name, output, recursive, suffix)
        pictures += [(path, path.relative_to(name).parent) for path in inside]
        others += rest
        problems += [
            Job(Path(error.filename), output, f"{error.filename} cannot be searched ({error.strerror})")
            for error in errors
        ]
        if not inside and not errors:
            hint = "" if recursive else "; with -r its sub-folders are searched too"
            problems.append(Job(name, output, f"{name} holds no picture ({' '.join(EXTENSIONS)}){hint}"))
    sources = {os.path.realpath(path) for path, _ in pictures}
    jobs, first_with = [], {}
    for path, below in pictures:
        own_ending = path.suffix if path.suffix.lower() in EXTENSIONS else ".png"
        target = output / below / f"{path.stem}{suffix}{ending or own_ending}"
        first = first_with.setdefault(target, path)
        problem = ""
        if first is not path:
            if os.path.abspath(first) == os.path.abspath(path):
                continue  # given twice
            remedy = "upscale it separately with another -o"
            if ending and first.suffix.lower() != path.suffix.lower():
                remedy = f"leave out --format, or {remedy}"
            problem = f"{path}: its result would be {target}, like that of {first}; {remedy}"
        elif os.path.realpath(target) in sources:
            problem = f"{path}: its result would replace {target}, an input picture; give another -o or --suffix"
        jobs.append(Job(path, target, problem))
    return jobs + problems, others


def _in_folder(folder: Path, output: Path, recursive: bool, suffix: str) -> tuple:
    """The pictures of a folder, sorted, its other files, and the OSErrors of folders that cannot be searched."""
    pictures, others, errors = [], [], []
    results, searched = Path(os.path.realpath(output)), Path(os.path.realpath(folder))
    for path in _files(folder, recursive, errors):
        if results == searched:
            is_result = bool(suffix) and path.stem.endswith(suffix)
        else:
            # Not `Path.resolve`, which raises RuntimeError for a link to itself.
            is_result = results in Path(os.path.realpath(path)).parents and searched in results.parents
        if not is_result:
            (pictures if path.suffix.lower() in EXTENSIONS else others).append(path)
    return pictures, others, errors


def _files(folder: Path, recursive: bool, errors: list) -> list:
    """The files of a folder that are not hidden, sorted; links to folders are not followed."""
    files = []
    for place, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        files += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(files)


def check_output(output) -> None:
    """Create the folder for the results, and remove the half-written files of killed commands from it.

    Raises InputError if the path is not a folder, or cannot be created as one.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: it is a file; expected a folder for the results")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{output}: this folder cannot be created ({error.strerror}); give another one") from None
    if not os.access(output, os.W_OK | os.X_OK):
        raise InputError(f"{output}: this folder is not writable; give another folder or change its permissions")
    remove_leftovers(output)
