"""Draw the README's result picture: details of the sample photographs as LR, bicubic, the generator's, and HR.

    python benchmarks/result_picture.py --weights output/pretrain_g.pdparams --to docs/result.png

LR is made with --degradation (default: bilinear, as the article trains); PSNR in dB is over the whole photograph, RGB.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import matplotlib
import numpy as np

from data import command
from data.degrade import DEGRADATIONS
from data.images import read_rgb
from data.prepare import sample_sources
from models.scale import SCALE
from models.weights import load_generator
from train.samples import mean_psnr, upscale, write_plot

matplotlib.use("Agg")
from matplotlib import pyplot as plt

SIDE = 96  # HR pixels of the detail that is shown
DETAILS = {"astronaut": (70, 170), "chelsea": (90, 130), "coffee": (130, 300)}  # top and left corner in HR pixels


def whole_multiple(rgb: np.ndarray) -> np.ndarray:
    """The picture cut at the right and the bottom to multiples of 4."""
    height, width = (side // SCALE * SCALE for side in rgb.shape[:2])
    return rgb[:height, :width]


def draw(generator, degrade, path) -> None:
    figure, axes = plt.subplots(len(DETAILS), 4, figsize=(6, 1.7 * len(DETAILS)))
    sources = {source.stem: source for source in sample_sources()}
    for row, (name, (top, left)) in zip(axes, DETAILS.items()):
        hr = whole_multiple(read_rgb(sources[name]))
        lr = degrade(hr, SCALE)
        bicubic = cv2.resize(lr, hr.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        sr = upscale(generator, lr[None])[0]
        nearest = lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1)
        shown = {"LR": nearest, "bicubic": bicubic, "generator": sr, "HR": hr}
        for axis, (title, rgb) in zip(row, shown.items()):
            psnr = f", {mean_psnr(rgb[None], hr[None]):.2f} dB" if title in ("bicubic", "generator") else ""
            print(f"{name} {title}{psnr}")
            axis.imshow(rgb[top : top + SIDE, left : left + SIDE], interpolation="nearest")
            axis.set_title(f"{title}{psnr}", fontsize="x-small")
            axis.axis("off")
    write_plot(figure, path)


def main(arguments) -> None:
    generator = load_generator(arguments.weights)
    generator.eval()
    draw(generator, DEGRADATIONS[arguments.degradation], arguments.to)


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument("--weights", metavar="FILE|FOLDER", required=True, help="the generator's weights")
    parser.add_argument("--to", metavar="FILE", default="docs/result.png", help="the PNG (default: docs/result.png)")
    parser.add_argument("--degradation", choices=DEGRADATIONS, default="bilinear", help="(default: bilinear)")
    command.run(parser.parse_args(), main)
