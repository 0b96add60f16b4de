"""Compares the results of methods with the original pictures, and times the methods."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.device import cores
from data.hr_lr_pairs import SHAVE, read_pair, read_sr
from data.metrics import grid, psnr_rgb, psnr_y, ssim_y

BICUBIC = "bicubic"


def printable(path: Path) -> str:
    """The file's name, with bytes that are not UTF-8 escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode("utf-8")


def measure(pictures: list, methods: dict, ready=None, distance=None):
    """Upscale every picture by every method, with a progress bar; yields (measured, LR, HR, {label: SR}) for each.

    pictures: from `pairs`. methods: {label: function from LR to SR, RGB uint8}. ready: {label: value of `sr_files`}:
    results to be read, without seconds. distance: a `data.lpips.Lpips`, or None to leave LPIPS out.
    Measuring a picture and reading the next one run in parallel, but both wait while a method is timed.
    measured: {"name": of the file, "width", "height": of the cropped HR, "methods": {label: {key of `tables.COLUMNS`:
    value}}}.
    """
    ready = ready or {}
    count = len(pictures) * (len(methods) + len(ready))
    with ThreadPoolExecutor(cores()) as pool, tqdm(total=count, unit="picture") as bar:
        following = pool.submit(read_pair, *pictures[0])
        for method in methods.values():
            method(following.result()[1])
        for i, (hr_path, _) in enumerate(pictures):
            hr, lr = following.result()
            height, width = hr.shape[:2]
            srs, timed = {}, {}
            for label, method in methods.items():  # nothing else is computed while a method is timed
                start = time.perf_counter()
                srs[label] = method(lr)
                seconds = time.perf_counter() - start
                timed[label] = {"seconds": seconds, "mp_per_s": height * width / 1e6 / seconds}
                bar.update()
            for label, files in ready.items():
                srs[label] = read_sr(files[hr_path], hr)
                bar.update()
            comparing = {label: pool.submit(figures_of, sr, hr, distance) for label, sr in srs.items()}
            if i + 1 < len(pictures):
                following = pool.submit(read_pair, *pictures[i + 1])
            figures = {label: {**future.result(), **timed.get(label, {})} for label, future in comparing.items()}
            yield {"name": printable(hr_path), "width": width, "height": height, "methods": figures}, lr, hr, srs


def figures_of(sr: np.ndarray, hr: np.ndarray, distance=None) -> dict:
    """{key of `tables.COLUMNS`: value} of one result, without its times. distance: as in `measure`."""
    return {
        "psnr_y": psnr_y(sr, hr, SHAVE),
        "ssim_y": ssim_y(sr, hr, SHAVE),
        **({"lpips": distance(sr, hr)} if distance else {}),
        "psnr_rgb": psnr_rgb(sr, hr, SHAVE),
        "grid": grid(sr),
    }
