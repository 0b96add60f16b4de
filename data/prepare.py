"""Prepare pictures for training:

    python data/prepare.py DIR            # decode the pictures in DIR once, as training would do
    python data/prepare.py --sample DIR   # write a few photographs to DIR, to try the project without a download

The decoded pictures go to DIR/.decoded, 3 bytes per pixel (800 pictures of DIV2K: about 7 GB), or to output/decoded if
DIR is read-only. Only new and changed pictures are decoded. The folder can be removed at any time.

The photographs come from installed packages: astronaut, coffee, chelsea and rocket from scikit-image, grace_hopper from
Matplotlib. They are written to DIR as PNG; DIR is created, and files of the same names in it are replaced.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import command
from common.errors import InputError
from data.pictures.images import read_rgb, write_rgb
from data.store import open_store

# In every wheel of scikit-image 0.21 to 0.26 and of Matplotlib 3.7 to 3.11.
SAMPLES = {
    "scikit-image": ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg"),
    "matplotlib": ("grace_hopper.jpg",),
}


def sample_sources() -> list:
    """The photographs' files inside the installed packages, as Paths.

    Raises InputError naming the package that is not installed or lacks one.
    """
    sources = []
    for package, names in SAMPLES.items():
        folder = _data_folder(package)
        for name in names:
            if not (folder / name).is_file():
                raise InputError(
                    f"the installed {package} lacks {folder / name}: pip install --force-reinstall {package}"
                )
            sources.append(folder / name)
    return sources


def _data_folder(package: str) -> Path:
    # The files are read in place: `skimage.data.astronaut()` and its like may ask pooch to download.
    try:
        if package == "scikit-image":
            import skimage

            return Path(skimage.data_dir)  # type: ignore[attr-defined]  # its stub leaves it out
        import matplotlib

        return Path(matplotlib.get_data_path()) / "sample_data"
    except ImportError as error:
        raise InputError(f"the sample needs the package {package} ({error}): pip install {package}") from error


def write_sample(folder: Path) -> None:
    """Write the photographs to `folder` as PNG; print the folder, then each one's name and size, width x height.

    Raises InputError when a package lacks a photograph or `folder` is a file, OSError when it cannot be written.
    """
    pictures = {f"{source.stem}.png": read_rgb(source) for source in sample_sources()}
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; --sample expects a folder, existing or new")
    folder.mkdir(parents=True, exist_ok=True)
    print(folder)
    for name, rgb in pictures.items():
        write_rgb(folder / name, rgb)
        print(f"{name} {rgb.shape[1]}x{rgb.shape[0]}")


def decode(folder: Path) -> None:
    """Decode the pictures of `folder` into its store; print how many there are, their bytes and where they are.

    Raises InputError that lists every picture that cannot be decoded (the others are stored), and OSError when the
    store cannot be written.
    """
    store = open_store(folder, min_side=1, remedy="fix or remove them; all others are decoded")
    print(f"{len(store)} pictures, {store.nbytes} bytes decoded, in {store.folder}")


def main(arguments) -> None:
    if arguments.sample:
        write_sample(arguments.sample)
    else:
        decode(arguments.folder)


def parser():
    result = command.parser(__doc__)
    folder = result.add_mutually_exclusive_group(required=True)
    folder.add_argument("folder", metavar="DIR", type=Path, nargs="?", help="folder of pictures to decode")
    folder.add_argument("--sample", metavar="DIR", type=Path, help="folder to write the photographs to")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
