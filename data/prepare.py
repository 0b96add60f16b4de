"""Write a few photographs to a folder, to try the project without a download:

    python data/prepare.py --sample DIR

They come from installed packages: astronaut, coffee, chelsea and rocket from scikit-image, grace_hopper from
Matplotlib. They are written to DIR as PNG; DIR is created, and files of the same names in it are replaced.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import command
from common.errors import InputError
from data.pictures.images import read_rgb, write_rgb


def sample_sources() -> list:
    """The photographs' files inside the installed packages, as Paths; raises InputError naming what is not installed.

    They are in every wheel of scikit-image 0.21 to 0.26 and of Matplotlib 3.7 to 3.11.
    """
    try:
        import matplotlib
        import skimage
    except ImportError as error:
        what = f"the sample photographs need scikit-image and Matplotlib ({error})"
        raise InputError(f"{what}: pip install scikit-image matplotlib") from error
    # In place: `skimage.data.astronaut()` and its like may ask pooch to download.
    of_skimage = Path(skimage.data_dir)  # type: ignore[attr-defined]  # its stub leaves it out
    names = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
    hopper = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    return [*(of_skimage / name for name in names), hopper]


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


def main(arguments) -> None:
    write_sample(arguments.sample)


def parser():
    result = command.parser(__doc__)
    result.add_argument("--sample", metavar="DIR", type=Path, required=True, help="folder to write the photographs to")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
