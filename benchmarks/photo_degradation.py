"""Draw 16 examples of the degradation `photo`: LR crops with enlarged pixels and the parameters of each.

    python data/prepare.py --sample samples
    python benchmarks/photo_degradation.py --data samples --to photo-degradation.png

Each is made from a random crop of the pictures in turn, with the recipes' strengths. Its caption gives the standard
deviations of the blur (horizontal and vertical, in HR pixels), the reduction method, the standard deviation of the
noise in grey levels and the JPEG quality.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common import command
from common.errors import InputError
from common.files import check_apart
from common.scale import SCALE
from data.degrade import DRAWS, Drawn, Photo, photo
from data.pictures.images import list_pictures, read_rgb, write_rgb

ROWS, COLUMNS = 4, 4
HR_SIZE = 192  # of a crop; the sheet shows its LR enlarged to the same side
CAPTION, MARGIN = 34, 8  # pixels


def caption(drawn: Drawn) -> str:
    """The caption of an example, in two lines."""
    if drawn.clean:
        return "clean: MATLAB's bicubic"
    compression = f"JPEG {drawn.jpeg}" if drawn.jpeg < 100 else "no JPEG"
    return "blur {:.1f} × {:.1f}, {}\nnoise {:.1f}, {}".format(*drawn.blur, drawn.shrinking, drawn.noise, compression)


def examples(pictures: list, seed: int):
    """Yield (LR uint8 [h,w,3], Drawn) of ROWS × COLUMNS random crops. pictures: uint8 [h,w,3] of HR_SIZE or more."""
    luck = np.random.default_rng(seed)
    for i in range(ROWS * COLUMNS):
        rgb = pictures[i % len(pictures)]
        top, left = (luck.integers(side - HR_SIZE + 1) for side in rgb.shape[:2])
        drawn = Photo().drawn(luck.random(DRAWS))
        yield photo(rgb[top : top + HR_SIZE, left : left + HR_SIZE], drawn, SCALE), drawn


def sheet(shown) -> np.ndarray:
    """The examples in rows with their captions, RGB uint8."""
    across, down = HR_SIZE + MARGIN, HR_SIZE + CAPTION + MARGIN
    image = Image.new("RGB", (COLUMNS * across + MARGIN, ROWS * down + MARGIN), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 12)
    for i, (lr, drawn) in enumerate(shown):
        left, top = MARGIN + i % COLUMNS * across, MARGIN + i // COLUMNS * down
        image.paste(Image.fromarray(lr.repeat(SCALE, 0).repeat(SCALE, 1)), (left, top))
        draw.text((left, top + HR_SIZE + 2), caption(drawn), fill="black", font=font)
    return np.asarray(image)


def main(arguments) -> None:
    paths = list_pictures(arguments.data)
    check_apart([], files=[("--to", arguments.to)], flat=[("--data", arguments.data)])
    pictures = [read_rgb(path) for path in paths[: ROWS * COLUMNS]]
    for path, rgb in zip(paths, pictures):
        if min(rgb.shape[:2]) < HR_SIZE:
            found = f"{rgb.shape[1]}x{rgb.shape[0]} pixels"
            raise InputError(
                f"{path} is too small: {found}; expected {HR_SIZE} or more a side. Remove it from the folder"
            )
    write_rgb(arguments.to, sheet(examples(pictures, arguments.seed)))


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument(
        "--data", metavar="DIR", required=True, help="folder of photographs with sides of at least 192 pixels"
    )
    parser.add_argument("--to", metavar="FILE", required=True, help="the PNG or JPEG to draw")
    parser.add_argument(
        "--seed", metavar="N", type=command.count, default=0, help="seed of the random draws (default: 0)"
    )
    command.run(parser.parse_args(), main)
