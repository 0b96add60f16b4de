"""Measure generators on LR pictures that were compressed as JPEG; prints a table for each quality.

    python benchmarks/compressed.py --hr Set14/HR --lr Set14/LRbicx4
    python benchmarks/compressed.py --hr photos --weights output/srgan_g.pdparams --quality 60
    python benchmarks/compressed.py --hr photos --quality 60 --figure compressed.png

The LR pictures (without --lr: made from HR by bicubic reduction) are compressed by OpenCV with its default chroma
subsampling, and the results are measured against HR as in infer/evaluate.py. Quality 100 stands for uncompressed LR
pictures. As in infer/upscale.py, srgan_photo gets the compressed ones deblocked, unless --deblock says otherwise.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import datetime
import shlex

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.side_by_side import cpu_name, table, versions
from common import command
from common.device import cores
from common.errors import InputError
from common.files import AnyPath, check_apart
from data.hr_lr_pairs import pairs, read_pair
from data.imresize import enlarge
from data.lpips import COMMAND, WEIGHTS, Lpips, available
from data.pictures.jpeg import of_quality
from infer import Upscaler, generator_flags
from infer.deblocking import deblocked
from infer.generator_flags import labels
from infer.measuring.measure import BICUBIC, figures_of, printable_name
from infer.measuring.plots import IN_FIGURE, write_comparison
from models.weight_files.shipped import PHOTO, SHIPPED, weights_path

CLEAN = 100
PARTS = 2  # a large detail shows the effects of compression
QUALITIES = (CLEAN, 80, 60, 40)
SHOWN = (("lpips", ".4f"), ("psnr_y", ".2f"), ("ssim_y", ".4f"), ("grid", ".2f"))


def compressed(rgb: np.ndarray, quality: int) -> np.ndarray:
    """A picture, RGB uint8 [h,w,3], after JPEG compression with quality 1 to 99; unchanged for 100."""
    if quality == CLEAN:
        return rgb
    _, encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])


def measured(pictures: list, methods: dict, qualities: list, distance) -> dict:
    """{(quality, method): {figure: mean over the pictures}}, with a progress bar.

    pictures: from `data.hr_lr_pairs.pairs`. methods: {name: function from LR, RGB uint8, and its quality to SR}.
    """
    found = {(quality, name): [] for quality in qualities for name in methods}
    with tqdm(total=len(found) * len(pictures), unit="picture") as bar:
        for pair in pictures:
            hr, lr = read_pair(*pair)
            for (quality, name), rows in found.items():
                rows.append(figures_of(methods[name](compressed(lr, quality), quality), hr, distance))
                bar.update()
    return {
        way: {figure: float(np.mean([row[figure] for row in rows])) for figure in rows[0]}
        for way, rows in found.items()
    }


def shown(pictures: list, methods: dict, quality: int) -> list:
    """The input for `infer.measuring.plots`: each LR of that quality, its HR and every method's result."""
    found = []
    for pair in pictures:
        hr, lr = read_pair(*pair)
        lr = compressed(lr, quality)
        srs = {name: method(lr, quality) for name, method in methods.items()}
        figures = {name: figures_of(sr, hr) for name, sr in srs.items()}
        found.append(({"name": printable_name(pair[0]), "methods": figures}, lr, hr, srs))
    return found


def generator(path: AnyPath, deblock):
    """The function from LR, RGB uint8, and its quality to SR. deblock: the value of `--deblock`."""
    upscaler = Upscaler(path, precision="fp32")
    is_deblocked = str(path) == str(SHIPPED[PHOTO]) if deblock is None else deblock == "on"
    return lambda lr, quality: upscaler(deblocked(lr, of_quality(quality)) if is_deblocked and quality < CLEAN else lr)


def main(arguments) -> None:
    if not available():
        raise InputError(f"this command measures LPIPS, but {WEIGHTS} is missing; get it with: {COMMAND}")
    paths = labels(arguments.weights or list(SHIPPED.values()))
    read = [("--weights", path) for path in paths.values()]
    folders = [("--hr", arguments.hr), ("--lr", arguments.lr)]
    check_apart(read, files=[("--figure", arguments.figure)], flat=folders)
    pictures = pairs(arguments.hr, arguments.lr)
    methods = {BICUBIC: lambda lr, quality: enlarge(lr)}
    methods.update((name, generator(path, arguments.deblock)) for name, path in paths.items())
    means = measured(pictures, methods, arguments.quality, Lpips())
    print(f"{cpu_name()}, {cores()} cores; {versions()}; {datetime.date.today()}")
    print(f"python benchmarks/compressed.py {shlex.join(sys.argv[1:])}, mean of {len(pictures)} pictures\n")
    rows = [
        ["clean" if quality == CLEAN else quality, name, *(format(figures[key], spec) for key, spec in SHOWN)]
        for (quality, name), figures in means.items()
    ]
    print(table("JPEG quality|method|LPIPS|PSNR-Y|SSIM-Y|grid", rows))
    if arguments.figure:
        write_comparison(arguments.figure, shown(pictures[:IN_FIGURE], methods, arguments.quality[0]), PARTS)


def parser():
    result = command.parser(__doc__)
    result.add_argument("--hr", metavar="DIR", required=True, help="folder of HR pictures")
    result.add_argument("--lr", metavar="DIR", help="folder of their LR pictures (default: made by bicubic reduction)")
    result.add_argument(
        "--weights",
        metavar=generator_flags.METAVAR,
        nargs="+",
        type=weights_path,
        help=f"{generator_flags.WEIGHTS} (default: all that come with the project)",
    )
    result.add_argument(
        "--quality",
        metavar="N",
        nargs="+",
        type=command.Number(1, CLEAN, whole=True),
        default=list(QUALITIES),
        help=f"JPEG qualities, 1 to 99, and {CLEAN} for no compression (default: {' '.join(map(str, QUALITIES))})",
    )
    generator_flags.add_deblock_flag(result, f"on for {PHOTO}, otherwise off; never at {CLEAN}")
    result.add_argument(
        "--figure",
        metavar="FILE",
        help=f"draw the first {IN_FIGURE} pictures, compressed with the first --quality, and the results to a PNG",
    )
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
