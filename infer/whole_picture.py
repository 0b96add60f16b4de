"""Upscales a complete picture: handles transparency, the requested size and the limits of the file format."""

import contextlib
from dataclasses import replace

import cv2
import numpy as np

from common.errors import InputError
from common.files import AnyPath
from data.imresize import imresize
from data.pictures.picture import Picture
from data.pictures.writing import check_writable, writing_memory
from infer.batch_jobs import Job
from infer.deblocking import deblocked
from infer.size import FULL, Size
from models.weight_files.shipped import PHOTO, SHIPPED


def hidden_filled(picture: Picture) -> np.ndarray:
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
def naming(source):
    """Make an InputError in the block name the source."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def needs_deblocking(weights: AnyPath, picture: Picture) -> bool:
    """Whether a picture is deblocked first unless the user decides: one from a JPEG file, that PHOTO upscales."""
    return str(weights) == str(SHIPPED[PHOTO]) and picture.jpeg is not None


def upscale_picture(
    upscaler, picture: Picture, job: Job, progress, size: Size = FULL, deblock: bool = False
) -> Picture:
    """The picture read from the job's source, upscaled to the requested size and ready to be written to its target.

    deblock: whether it is smoothed first and gets grain, see `infer.deblocking`.
    Raises InputError naming the file if it is too small for that size, or if the target's format or the memory cannot
    hold the result.
    """
    with naming(job.source):
        height, width = size.of(*picture.colour.shape[:2])
    check_writable(job.target, width, height)
    with naming(job.source):
        beside = writing_memory(job.target, height * width)
        lr = hidden_filled(picture)
        lr = deblocked(lr, picture.jpeg) if deblock else lr
        colour = upscaler.upscale(lr, progress, beside, (height, width))
    alpha = None if picture.alpha is None else imresize(picture.alpha, height, width)
    return replace(picture, colour=colour, alpha=alpha, jpeg=None)
