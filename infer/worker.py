"""Upscales a picture for the page, in a process of its own under a limit of memory and of time.

A server that computes in its own process crashes inside the engines' libraries at Ctrl-C, keeps their memory forever,
cannot stop a computation that nobody waits for any more, and is killed with it if memory runs out.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from common import command
from common.device import available_memory
from common.errors import InputError
from data.pictures.picture import Picture
from data.pictures.writing import write_picture
from infer import Upscaler
from infer.cleanness import fitting_weights
from infer.files import RESULT_ENDINGS, Job
from infer.picture import Options, upscale_file
from models.weight_files.shipped import AUTO

LOOK_EVERY = 0.3  # seconds
LONGEST = 1800  # seconds for one picture: the others wait
LONGEST_VIEW = 4096  # pixels a side: the most that browsers and visitors handle well


@dataclass(frozen=True)
class Result:
    """The results of `upscale_in_process`: the PNG, two pictures of the same size to compare, and a report in lines."""

    target: Path
    before: Path  # the bicubic one, JPEG
    after: Path
    report: str


def upscale_in_process(source, folder, settings: dict, options: Options, progress=lambda share: None) -> Result:
    """Upscale the file `source` to a PNG in `folder`, which is created: the same file that `infer/upscale.py` writes.

    settings: the arguments of `Upscaler`, with absolute paths, or AUTO as weights.
    progress: called at least every half second with the share that is done, 0..1. An exception that it raises ends the
    process.

    Raises InputError with a message that names files without their folders. Then, and if `progress` raises, `folder` is
    removed.
    """
    source, folder = Path(source), Path(folder)
    folder.mkdir()
    job = Job(source, folder / f"{source.stem}{options.size.suffix}{RESULT_ENDINGS['png']}")
    try:
        # Forking a process with threads can leave the child with locks that are never released.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(sender, job, settings, options), name="upscale", daemon=True)
        with receiver:
            with sender:
                process.start()
            try:
                return _follow(process, receiver, progress, source.name)
            finally:
                process.kill()
                process.join()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _follow(process, receiver, progress, name: str) -> Result:
    """Pass on the process's messages until the last one, which is returned, or raised as an InputError."""
    share, end = 0.0, time.monotonic() + LONGEST
    while True:
        progress(share)
        if time.monotonic() > end:
            raise InputError(f"{name}: it took over {LONGEST // 60} minutes; use a smaller picture or another engine")
        if not receiver.poll(LOOK_EVERY):
            continue
        try:
            message = receiver.recv()
        except EOFError:
            process.join()
            raise InputError(
                f"{name}: its process was killed (exit status {process.exitcode}), perhaps because memory ran out; "
                "use a smaller picture"
            ) from None
        if isinstance(message, Result):
            return message
        if isinstance(message, str):
            raise InputError(message)
        share = message


def _work(connection, job: Job, settings: dict, options: Options) -> None:
    """The process's main function: sends shares of the work as floats, then a Result or the error as text."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes: the parent ends this one
    _limit_memory()
    done = 0.0

    def advance(share):
        nonlocal done
        done = min(1.0, done + share)
        connection.send(done)

    try:
        connection.send(_upscale(job, settings, options, advance))
    except command.ERRORS as error:
        text = _remove_folders(command.words(error), [job.source, job.target, settings["weights"], settings["blend"]])
        connection.send(f"{job.source.name}: {text}" if isinstance(error, MemoryError) else text)
    except Exception:  # noqa: BLE001  visitors must not see details of this machine
        traceback.print_exc()
        connection.send(f"{job.source.name}: failed for a reason unrelated to the picture; see the server's terminal")


def _remove_folders(text: str, paths: list) -> str:
    for path in map(Path, paths):
        if path.is_absolute():
            text = text.replace(f"{path.parent}{os.sep}", "")
    return text


def _limit_memory() -> None:
    """Let this process allocate no more than what is free now, so that no picture takes the machine down."""
    with contextlib.suppress(ImportError):  # Windows
        import resource

        free = available_memory()
        resource.setrlimit(resource.RLIMIT_DATA, (free, free))


def _upscale(job: Job, settings: dict, options: Options, advance) -> Result:
    def upscaler_for(picture: Picture) -> Upscaler:
        weights = settings["weights"]
        return Upscaler(**{**settings, "weights": fitting_weights(picture) if weights == AUTO else weights})

    upscaled = upscale_file(job, options, upscaler_for, advance)
    upscaler = upscaled.upscaler
    (height, width), (sr_height, sr_width) = (each.colour.shape[:2] for each in (upscaled.lr, upscaled.sr))
    report = (
        f"{Path(upscaler.weights).stem}: {width}×{height} → {sr_width}×{sr_height}: "
        f"{upscaler.engine}, {upscaler.precision}, {upscaler.device}{', deblocked' * upscaled.is_deblocked}"
    )
    report = _remove_folders("\n".join([report, *upscaled.notes]), [job.source, job.target])
    return Result(job.target, *write_views(upscaled.lr, upscaled.sr, job.target.parent), report)


def write_views(lr: Picture, sr: Picture, folder: Path) -> tuple:
    """Write the bicubic enlargement and the result, with sides of at most LONGEST_VIEW, as two JPEG files on white.

    They keep the colour profile, without which a browser shows other colours than those of the result.
    """
    height, width = sr.colour.shape[:2]
    scale = min(1, LONGEST_VIEW / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    paths = folder / "before.jpg", folder / "after.jpg"
    for path, picture, filter_ in zip(paths, (lr, sr), (cv2.INTER_CUBIC, cv2.INTER_AREA)):
        levels = np.float32(np.iinfo(picture.colour.dtype).max)
        colour = cv2.resize(picture.colour, size, interpolation=filter_).reshape(*size[::-1], -1)
        if picture.alpha is not None:
            alpha = cv2.resize(picture.alpha, size, interpolation=filter_)[..., None] / levels
            colour = np.rint(levels - (levels - colour) * alpha).astype(colour.dtype)
        write_picture(path, replace(picture, colour=colour, alpha=None, exif=b"", xmp=b""))
    return paths
