"""Draw 16 examples of the degradation `photo`: LR crops with enlarged pixels and the parameters of each.

    python data/prepare.py --sample samples
    python benchmarks/photo_degradation.py --data samples --to photo-degradation.png

Each is made from a random crop of the pictures in turn, with the recipes' strengths. Its caption names the operations
in their order, with their sizes in pixels, grey levels or JPEG quality.
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
from data.photo import DRAWS, Blur, Jpeg, Noise, Photo, Resize, Sharpen, photo
from data.pictures.images import list_pictures, read_rgb, write_rgb

ROWS, COLUMNS = 4, 4
HR_SIZE = 192  # of a crop; the sheet shows its LR enlarged to the same side
CAPTION, MARGIN = 62, 8  # pixels


def caption(operations: tuple) -> str:
    """The caption of an example, two operations a line."""
    if len(operations) == 1:
        return "clean: MATLAB's bicubic"
    names = [name(operation) for operation in operations]
    return "\n".join(", ".join(names[i : i + 2]) for i in range(0, len(names), 2))


def name(operation) -> str:
    """An operation in a few characters."""
    if isinstance(operation, Blur):
        sizes = operation.across if operation.shape == "sinc" else max(operation.across, operation.down)
        return f"{operation.shape} {sizes:.1f}"
    if isinstance(operation, Resize):
        return f"{operation.method} {SCALE * operation.share:.2g}×"
    if isinstance(operation, Noise):
        kind = ("photon " if operation.photon else "") + ("grey " if operation.grey else "")
        return f"{kind}noise {operation.sigma:.0f}" + (" corr." if operation.correlation else "")
    if isinstance(operation, Sharpen):
        return f"sharpen {operation.amount:.1f}"
    assert isinstance(operation, Jpeg)
    return f"JPEG {operation.quality}"


def examples(pictures: list, seed: int):
    """Yield (LR uint8 [h,w,3], its operations) of ROWS × COLUMNS random crops.

    pictures: uint8 [h,w,3] with sides of HR_SIZE or more.
    """
    rng = np.random.default_rng(seed)
    for i in range(ROWS * COLUMNS):
        rgb = pictures[i % len(pictures)]
        top, left = (rng.integers(side - HR_SIZE + 1) for side in rgb.shape[:2])
        operations = Photo().draw(rng.random(DRAWS))
        yield photo(rgb[top : top + HR_SIZE, left : left + HR_SIZE], operations, SCALE), operations


def sheet(shown) -> np.ndarray:
    """The examples in rows with their captions, RGB uint8."""
    across, down = HR_SIZE + MARGIN, HR_SIZE + CAPTION + MARGIN
    image = Image.new("RGB", (COLUMNS * across + MARGIN, ROWS * down + MARGIN), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 11)
    for i, (lr, operations) in enumerate(shown):
        left, top = MARGIN + i % COLUMNS * across, MARGIN + i // COLUMNS * down
        image.paste(Image.fromarray(lr.repeat(SCALE, 0).repeat(SCALE, 1)), (left, top))
        draw.text((left, top + HR_SIZE + 2), caption(operations), fill="black", font=font, spacing=1)
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
