"""A picture with everything that comes with it, upscaled: transparency, size, what its format can hold."""

import contextlib
from dataclasses import replace

import cv2
import numpy as np

from common.errors import InputError
from data.imresize import imresize
from data.pictures.picture import Picture
from data.pictures.writing import check_writable, writing_memory
from infer.batch_jobs import Job
from infer.size import FULL, Size


def hidden_filled(picture: Picture) -> np.ndarray:
    """The colour, [h,w,1 or 3], that of transparent pixels replaced by that of the nearest visible one.

    What is stored under transparency, mostly black, would bleed into the edge of what is seen.
    """
    if picture.alpha is None or picture.alpha.all() or not picture.alpha.any():
        return picture.colour
    hidden = picture.alpha == 0
    # Each visible pixel has a label of its own, and each hidden one that of the nearest visible one.
    _, labels = cv2.distanceTransformWithLabels(hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(labels.max() + 1, np.intp)
    places[labels[~hidden]] = np.flatnonzero(~hidden)
    filled = picture.colour.copy()
    filled[hidden] = picture.colour.reshape(-1, picture.colour.shape[2])[places[labels[hidden]]]
    return filled


@contextlib.contextmanager
def naming(source):
    """An InputError in the block says whose it is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def upscale_picture(upscaler, picture: Picture, job: Job, progress, size: Size = FULL) -> Picture:
    """The picture that was read from the job's source at the size wanted, as it is to be written to the job's target.

    Raises InputError naming the file where it cannot become so large, or the target cannot hold it, or the memory.
    """
    with naming(job.source):
        height, width = size.of(*picture.colour.shape[:2])
    check_writable(job.target, width, height)
    with naming(job.source):
        beside = writing_memory(job.target, height * width)
        colour = upscaler.upscale(hidden_filled(picture), progress, beside, (height, width))
    alpha = None if picture.alpha is None else imresize(picture.alpha, height, width)
    return replace(picture, colour=colour, alpha=alpha)
