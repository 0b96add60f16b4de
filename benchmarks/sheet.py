"""Draw crops of pictures, as they are, enlarged by bicubic, by generators and by Real-ESRGAN, beside each other.

    python benchmarks/sheet.py photo.jpg holiday/old.jpg@210,95 --to sheet.png
    python benchmarks/sheet.py photos/*.jpg --weights srgan output/srgan_g.pdparams --crop 90x70 --zoom 2 --to sheet.png
    python benchmarks/sheet.py photo.jpg --real-esrgan realesrgan --to sheet.png

A row for each picture. FILE@X,Y puts the crop's centre at that pixel; otherwise it is the picture's. Nothing is reduced
before, and a result's pixel is a pixel of the sheet, or a square of --zoom. srgan_photo gets JPEGs deblocked, as in
infer/upscale.py.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import re

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks.methods import add_method_flags, methods, read_lr
from common import command
from common.errors import InputError
from common.files import check_apart, check_name
from common.scale import SCALE
from data.pictures.images import write_rgb
from data.pictures.jpeg import BLOCK
from infer.measuring.measure import printable_name

CROP = (180, 140)  # LR pixels, across and down
MARGIN = 2 * BLOCK  # LR pixels around a crop that are computed with it; what lies further changes next to nothing
GAP, TITLE, LETTERS = 8, 28, 18  # pixels of the sheet: between cells, for a line of text, of its letters


def picture(text: str) -> tuple:
    """argparse type: (file, (x, y) of the crop's centre or None) of FILE or FILE@X,Y."""
    found = re.fullmatch(r"(.+)@(\d+),(\d+)", text)
    return (found[1], (int(found[2]), int(found[3]))) if found else (text, None)


def sides(text: str) -> tuple:
    """argparse type: (width, height) of WIDTHxHEIGHT."""
    found = re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 180x140")
    return int(found[1]), int(found[2])


def span(length: int, side: int, centre) -> tuple:
    """(start of the window that is computed, its end, start of the crop in it) along a side of a picture.

    length: the crop's, at most `side`, which is the picture's. The window begins between JPEG's blocks of the picture,
    so that deblocking finds them.
    """
    start = min(max((side if centre is None else 2 * centre) // 2 - length // 2, 0), side - length)
    first = max(start - MARGIN, 0) // BLOCK * BLOCK
    return first, min(start + length + MARGIN, side), start - first


def cells(file, centre, crop: tuple, ways: dict) -> dict:
    """{label: SR of the crop, uint8 [h,w,3]}. ways: from `methods`. crop: at most its LR width and height."""
    try:
        lr, jpeg = read_lr(file)
    except OSError as error:
        raise InputError(f"{file}: cannot be read as a picture ({error})") from error
    x, y = centre or (None, None)
    height, width = min(crop[1], lr.shape[0]), min(crop[0], lr.shape[1])
    top, bottom, down = span(height, lr.shape[0], y)
    left, right, across = span(width, lr.shape[1], x)
    window = np.ascontiguousarray(lr[top:bottom, left:right])
    rows, columns = (
        slice(SCALE * start, SCALE * (start + length)) for start, length in ((down, height), (across, width))
    )
    return {label: way(window, jpeg)[rows, columns] for label, way in ways.items()}


def sheet(shown: list, crop: tuple, zoom: int) -> np.ndarray:
    """The sheet, RGB uint8. shown: (title of a row, value of `cells`) of each."""
    across = SCALE * zoom * crop[0] + GAP
    heights = [TITLE + zoom * next(iter(each.values())).shape[0] + GAP for _, each in shown]
    image = Image.new("RGB", (GAP + len(shown[0][1]) * across, TITLE + sum(heights)), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), LETTERS)
    for column, label in enumerate(shown[0][1]):
        draw.text((GAP + column * across, 4), label, fill="black", font=font)
    top = TITLE
    for (title, each), height in zip(shown, heights):
        draw.text((GAP, top + 4), title, fill="dimgrey", font=font)
        for column, sr in enumerate(each.values()):
            image.paste(Image.fromarray(sr.repeat(zoom, 0).repeat(zoom, 1)), (GAP + column * across, top + TITLE))
        top += height
    return np.asarray(image)


def main(arguments) -> None:
    read = [("--weights", path) for path in arguments.weights] + [("FILE", file) for file, _ in arguments.pictures]
    check_apart(read, files=[("--to", arguments.to)], folders=[("--real-esrgan", arguments.real_esrgan)])
    check_name(arguments.to)
    ways = methods(arguments)
    pictures = tqdm(arguments.pictures, unit="picture")
    shown = [(printable_name(Path(file)), cells(file, centre, arguments.crop, ways)) for file, centre in pictures]
    write_rgb(arguments.to, sheet(shown, arguments.crop, arguments.zoom))


def parser():
    result = command.parser(__doc__)
    result.add_argument("pictures", metavar="FILE[@X,Y]", nargs="+", type=picture, help="pictures to enlarge")
    result.add_argument("--to", metavar="FILE", required=True, help="the PNG to draw")
    text = "size of the crops in the pictures' pixels (default: {}x{})".format(*CROP)
    result.add_argument("--crop", metavar="WIDTHxHEIGHT", type=sides, default=CROP, help=text)
    text = "side of the square that a pixel of a result becomes (default: 1)"
    result.add_argument("--zoom", metavar="N", type=command.Number(1, 8, whole=True), default=1, help=text)
    add_method_flags(result)
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
