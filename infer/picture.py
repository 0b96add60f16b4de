"""One picture, from file to file: what is read, checked, upscaled, written and reported, for the command and the page.

The rung between `infer.files`, which finds and names files, and `infer.upscaler`, which takes and returns an array.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Callable

import cv2
import numpy as np

from common.errors import InputError
from common.scale import SCALE
from data.imresize import imresize
from data.pictures.picture import MAX_PIXELS, Picture
from data.pictures.reading import read_picture
from data.pictures.writing import check_writable, omissions, write_picture, writing_memory
from infer.deblocking import deblocked
from infer.files import Job
from infer.upscaler import Upscaler
from models.weight_files.shipped import PHOTO, SHIPPED

SIDES = ("width", "height", "longest")  # the side that is given in pixels


@dataclass(frozen=True)
class Size:
    """The requested size of every result; the aspect ratio is kept.

    name: `outscale`, with value the factor for the picture's sides, above 1 and up to 4; or one of SIDES, with value
    that side of the result in pixels.
    """

    name: str = "outscale"
    value: float = SCALE

    @property
    def suffix(self) -> str:
        """The suffix of a result's name: `_x4`, `_x2`, `_x1.5`, `_width1920`, …

        It is the same for all pictures of a command, so that earlier results are recognised by their names.
        """
        return f"_x{self.value:g}" if self.name == "outscale" else f"_{self.name}{self.value}"

    def of(self, height: int, width: int) -> tuple:
        """(height, width) of the result for a picture with these sides, rounded, halves up, to 1 or more.

        Raises InputError, naming the largest possible value, for more than 4 times the sides.
        """
        if self.name == "outscale":
            return tuple(max(1, int(self.value * side + 0.5)) for side in (height, width))
        given = {"width": width, "height": height, "longest": max(height, width)}[self.name]
        if self.value > SCALE * given:
            raise InputError(
                f"its {width}x{height} pixels can become at most {SCALE * width}x{SCALE * height}, {SCALE} times "
                f"the sides: give --{self.name} {SCALE * given} or less"
            )
        return tuple(max(1, (2 * side * self.value + given) // (2 * given)) for side in (height, width))


@dataclass(frozen=True)
class Options:
    """What is asked of every picture. deblock: None for JPEGs that `srgan_photo` upscales. quality: of JPEG and WebP,
    None for the writer's default.
    """

    size: Size = Size()
    max_pixels: int | None = MAX_PIXELS
    deblock: bool | None = None
    quality: int | None = None


@dataclass(frozen=True)
class Upscaled:
    """lr: the picture read. sr: the one written, None if it was left out as large enough, and upscaler: what made it.
    is_deblocked: whether it was deblocked before. notes: sentences for the user: what the result lacks, and why.
    """

    lr: Picture
    sr: Picture | None
    upscaler: Upscaler | None
    is_deblocked: bool
    notes: list


def upscale_file(job: Job, options: Options, upscaler_for: Callable, progress=lambda share: None) -> Upscaled:
    """Read the job's source, upscale it and write its target, whose folder is created.

    upscaler_for: a function from the Picture to the Upscaler for it. progress: as in `Upscaler.upscale`.
    Raises InputError or OSError naming the file: it cannot be read, is too large, or too small for the requested size;
    or the target's format, the memory or the disk cannot hold the result.
    """
    if job.problem:
        raise InputError(job.problem)
    picture = read_picture(job.source, max_pixels=options.max_pixels)
    lr_size = picture.colour.shape[:2]
    with _naming(job.source):
        size = options.size.of(*lr_size)
    if size[0] <= lr_size[0] and size[1] <= lr_size[1]:
        note = f"{job.source}: skipped, its {lr_size[1]}x{lr_size[0]} pixels are as many as asked for, or more"
        return Upscaled(picture, None, None, False, [note])
    job.target.parent.mkdir(parents=True, exist_ok=True)
    check_writable(job.target, size[1], size[0])
    missing = omissions(job.target, picture)
    notes = [f"{job.target}: the result lacks {', '.join(missing)}"] if missing else []
    upscaler = upscaler_for(picture)
    is_deblocked = options.deblock
    if is_deblocked is None:
        is_deblocked = picture.jpeg is not None and upscaler.weights == str(SHIPPED[PHOTO])
    lr = fill_hidden(picture)
    if is_deblocked:
        lr = deblocked(lr, picture.jpeg)
    with _naming(job.source):
        colour = upscaler.upscale(lr, progress, writing_memory(job.target, size[0] * size[1]), size)
    alpha = None if picture.alpha is None else imresize(picture.alpha, *size)
    sr = replace(picture, colour=colour, alpha=alpha, jpeg=None)
    write_picture(job.target, sr, options.quality)
    return Upscaled(picture, sr, upscaler, is_deblocked, notes)


def fill_hidden(picture: Picture) -> np.ndarray:
    """The colour, [h,w,1 or 3], with that of each transparent pixel replaced by that of the nearest visible one.

    The hidden colour, mostly black, would otherwise bleed into the edges of the visible parts.
    """
    if picture.alpha is None or picture.alpha.all() or not picture.alpha.any():
        return picture.colour
    hidden = picture.alpha == 0
    # Each visible pixel has its own label, and each hidden one the label of the nearest visible one.
    _, labels = cv2.distanceTransformWithLabels(hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(labels.max() + 1, np.intp)
    places[labels[~hidden]] = np.flatnonzero(~hidden)
    filled = picture.colour.copy()
    filled[hidden] = picture.colour.reshape(-1, picture.colour.shape[2])[places[labels[hidden]]]
    return filled


@contextlib.contextmanager
def _naming(source):
    """Make an InputError in the block name the source."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
