"""Upscales a picture in a separate process.

A server that computes in its own process crashes inside the engines' libraries at Ctrl-C, keeps their memory forever,
cannot stop a computation that nobody waits for any more, and is killed with it if memory runs out.
"""

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
from PIL import Image

from common.errors import InputError
from data.pictures.images import write_rgb
from data.pictures.picture import Picture, taken
from data.pictures.reading import read_picture
from data.pictures.writing import lost, to_8_bits, write_picture
from infer import Upscaler, batch_jobs
from infer.size import FULL, Size
from infer.whole_picture import needs_deblocking, upscale_picture

LOOK_EVERY = 0.3  # seconds
LONGEST_VIEW = 4096  # pixels a side: the most that browsers and visitors handle well


@dataclass(frozen=True)
class Upscaled:
    """The results of `upscale_in_process`: the PNG, two pictures of the same size to compare, and a report in lines."""

    target: Path
    before: Path  # the bicubic one, JPEG
    after: Path
    report: str


def upscale_in_process(
    source, folder, settings: dict, max_pixels: int, progress=lambda share: None, size: Size = FULL
) -> Upscaled:
    """Upscale the file `source` to a PNG in `folder`, which is created: the same file that `infer/upscale.py` writes.

    settings: the arguments of `Upscaler`, with absolute paths.
    progress: called at least every half second with the share that is done, 0..1. An exception that it raises ends the
    process.
    size: an `infer.size.Size`, the size of the result.

    Raises InputError with a message that names files without their folders. Then, and if `progress` raises, `folder` is
    removed.
    """
    source, folder = Path(source), Path(folder)
    folder.mkdir()
    try:
        # Forking a process with threads can leave the child with locks that are never released.
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(sender, source, folder, settings, max_pixels, size), name="upscale", daemon=True
        )
        with receiver:
            with sender, _without_interrupts():
                process.start()
            try:
                return _followed(process, receiver, progress, source.name)
            finally:
                process.kill()
                process.join()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextlib.contextmanager
def _without_interrupts():
    """Processes started in the block ignore Ctrl-C, which a terminal sends to all processes: the parent ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _followed(process, receiver, progress, name: str) -> Upscaled:
    share = 0.0
    progress(share)
    while True:
        if receiver.poll(LOOK_EVERY):
            try:
                message = receiver.recv()
            except EOFError:
                process.join()
                raise InputError(
                    f"{name}: its process was killed (exit status {process.exitcode}), perhaps because memory ran out; "
                    "use a smaller picture"
                ) from None
            if isinstance(message, Upscaled):
                process.join()
                return message
            if isinstance(message, str):
                raise InputError(message)
            share = message
        progress(share)


def _work(connection, source: Path, folder: Path, settings: dict, max_pixels: int, size: Size) -> None:
    """The process's main function: sends shares of the work as floats, then an Upscaled or the error as text."""
    done = 0.0

    def advance(share):
        nonlocal done
        done = min(1.0, done + share)
        connection.send(done)

    try:
        connection.send(_upscaled(source, folder, settings, max_pixels, size, advance))
    except InputError as error:
        connection.send(_without_folders(str(error), [source, folder, settings["weights"], settings["blend"]]))
    except Exception:  # noqa: BLE001  visitors must not see details of this machine
        traceback.print_exc()
        connection.send(f"{source.name}: failed for a reason unrelated to the picture; see the server's terminal")


def _without_folders(message: str, paths: list) -> str:
    for path in filter(None, paths):
        message = message.replace(f"{Path(path).parent}{os.sep}", "")
    return message


def _upscaled(source: Path, folder: Path, settings: dict, max_pixels: int, size: Size, advance) -> Upscaled:
    start = time.perf_counter()
    picture = read_picture(source, max_pixels)  # before the network is loaded, so that errors are reported at once
    (job,), _ = batch_jobs.find_jobs(
        [source], folder, recursive=False, suffix=size.suffix, ending=batch_jobs.RESULT_ENDINGS["png"]
    )
    upscaler = Upscaler(**settings)
    deblock = needs_deblocking(settings["weights"], picture)
    sr = upscale_picture(upscaler, picture, job, advance, size, deblock)
    write_picture(job.target, sr)
    seconds = time.perf_counter() - start
    (height, width), (sr_height, sr_width) = picture.colour.shape[:2], sr.colour.shape[:2]
    report = (
        f"{width}×{height} → {sr_width}×{sr_height}, {seconds:.1f} s: "
        f"{upscaler.engine}, {upscaler.precision}, {upscaler.device}"
    )
    if deblock:
        report += ", deblocked"
    missing = lost(job.target, picture)
    if missing:
        report += f"\nthe result lacks {', '.join(missing)}"
    if taken(picture):
        report += f"\nthe file {taken(picture)}"
    return Upscaled(job.target, *_views(picture, sr, folder), report)


def _views(picture: Picture, sr: Picture, folder: Path) -> tuple:
    """Write the bicubic enlargement and the result, with sides of at most LONGEST_VIEW, as two JPEG files."""
    height, width = sr.colour.shape[:2]
    scale = max(1, max(height, width) / LONGEST_VIEW)
    size = max(1, round(width / scale)), max(1, round(height / scale))
    if scale > 1:  # plane by plane, as the picture may be 100 times a screen: OpenCV needs no copy of it
        shrunk = cv2.resize(sr.colour, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
        alpha = None if sr.alpha is None else cv2.resize(sr.alpha, size, interpolation=cv2.INTER_AREA)
        sr = replace(sr, colour=shrunk, alpha=alpha)
    before, after = folder / "before.jpg", folder / "after.jpg"
    write_rgb(before, np.asarray(_on_white(picture).resize(size, Image.Resampling.BICUBIC)))
    write_rgb(after, np.asarray(_on_white(sr)))
    return before, after


def _on_white(picture: Picture):
    """An 8-bit RGB Pillow picture, composited on white."""
    colour = to_8_bits(picture.colour)
    image = Image.fromarray(colour[:, :, 0] if colour.shape[2] == 1 else colour).convert("RGB")
    if picture.alpha is None:
        return image
    return Image.composite(image, Image.new("RGB", image.size, "white"), Image.fromarray(to_8_bits(picture.alpha)))
