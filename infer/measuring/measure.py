"""Compares the results of methods with the original pictures; the figures as text and CSV, beside published ones."""

import csv
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from common.device import cores
from common.files import replacing
from common.scale import SCALE
from data.degrade import bicubic
from data.hr_lr_pairs import SHAVE, read_pair, read_sr
from data.imresize import enlarge
from data.metrics import grid, luma, psnr_rgb, psnr_y, ssim_y

BICUBIC = "bicubic"
DETAIL = 6  # default: the detail's side is a sixth of the picture's shorter side

# The measures: key, title in the table and format in the table.
COLUMNS = (
    ("psnr_y", "PSNR-Y", ".2f"),
    ("ssim_y", "SSIM-Y", ".4f"),
    ("lpips", "LPIPS", ".4f"),
    ("psnr_rgb", "PSNR-RGB", ".2f"),
    ("grid", "grid", ".2f"),
    ("seconds", "seconds", ".3f"),
    ("mp_per_s", "MP/s", ".2f"),
)

# Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", 2017, table 2.
PAPER = {
    "set5": {"SRResNet": (32.05, 0.9019), "SRGAN": (29.40, 0.8472)},
    "set14": {"SRResNet": (28.49, 0.8184), "SRGAN": (26.02, 0.7397)},
    "bsd100": {"SRResNet": (27.58, 0.7620), "SRGAN": (25.16, 0.6688)},
}

# LPIPS and, where given, PSNR on Y from the README of SPSR (Ma et al., "Structure-preserving super resolution with
# gradient guidance", CVPR 2020). Its SRGAN was trained by a third party.
PERCEPTUAL = {
    "set5": {"bicubic": (0.3407, None), "SRGAN": (0.0882, 29.17), "ESRGAN": (0.0748, None)},
    "set14": {"bicubic": (0.4393, None), "SRGAN": (0.1663, 26.17), "ESRGAN": (0.1329, None)},
    "bsd100": {"bicubic": (0.5249, None), "SRGAN": (0.1980, 25.46), "ESRGAN": (0.1614, None)},
}


def printable_name(path: Path) -> str:
    """The file's name, with bytes that are not UTF-8 escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode("utf-8")


def measure(pictures: list, methods: dict, ready=None, distance=None):
    """Upscale every picture by every method, with a progress bar; yields (measured, LR, HR, {label: SR}) for each.

    pictures: from `pairs`. methods: {label: function from LR to SR, RGB uint8}; nothing else is computed while one is
    timed. ready: {label: value of `sr_files`}: results to be read, without seconds. distance: a `data.lpips.Lpips`, or
    None to leave LPIPS out.
    measured: {"name": of the file, "width", "height": of the cropped HR, "methods": {label: {key of COLUMNS: value}}}.
    """
    ready = ready or {}
    count = len(pictures) * (len(methods) + len(ready))
    with ThreadPoolExecutor(cores()) as pool, tqdm(total=count, unit="picture") as bar:
        for number, (hr_path, lr_path) in enumerate(pictures):
            hr, lr = read_pair(hr_path, lr_path)
            height, width = hr.shape[:2]
            srs, times = {}, {}
            for label, method in methods.items():
                if number == 0:
                    method(lr)  # warms up
                start = time.perf_counter()
                srs[label] = method(lr)
                seconds = time.perf_counter() - start
                times[label] = {"seconds": seconds, "mp_per_s": height * width / 1e6 / seconds}
                bar.update()
            for label, files in ready.items():
                srs[label] = read_sr(files[hr_path], hr)
                bar.update()
            measures = pool.map(lambda sr, hr=hr: figures_of(sr, hr, distance), srs.values())
            figures = {label: {**each, **times.get(label, {})} for label, each in zip(srs, measures)}
            yield {"name": printable_name(hr_path), "width": width, "height": height, "methods": figures}, lr, hr, srs


def figures_of(sr: np.ndarray, hr: np.ndarray, distance=None) -> dict:
    """{key of COLUMNS: value} of one result, without its times. distance: as in `measure`."""
    return {
        "psnr_y": psnr_y(sr, hr, SHAVE),
        "ssim_y": ssim_y(sr, hr, SHAVE),
        **({"lpips": distance(sr, hr)} if distance else {}),
        "psnr_rgb": psnr_rgb(sr, hr, SHAVE),
        "grid": grid(sr),
    }


def detail(hr: np.ndarray, parts: int = DETAIL) -> tuple:
    """(top, left, side) of the most detailed square of `hr`: the one whose Y loses most when shrunk.

    hr: uint8 [h,w,3] with sides that are multiples of 4. side: the picture's shorter side divided by `parts`.
    """
    side = min(hr.shape[:2]) // parts
    loss = cv2.absdiff(luma(hr), luma(enlarge(bicubic(hr, SCALE)))).astype(np.float64)
    mean = cv2.blur(loss, (side, side))
    before = side // 2  # pixels of a window before the pixel that gets its mean from `blur`
    height, width = (length - side + 1 for length in hr.shape[:2])
    inside = mean[before : before + height, before : before + width]
    top, left = np.unravel_index(np.argmax(inside), inside.shape)
    return int(top), int(left), side


def columns(results: list) -> list:
    """The COLUMNS that were measured for at least one method. results: from `measure`."""
    rows = results[0]["methods"].values()
    return [column for column in COLUMNS if any(column[0] in row for row in rows)]


def means(results: list) -> dict:
    """{label: {key of COLUMNS: mean}} of results from `measure`; megapixels per second are over all pictures."""
    megapixels = sum(result["width"] * result["height"] for result in results) / 1e6
    total = {}
    for label, first in results[0]["methods"].items():
        rows = [result["methods"][label] for result in results]
        total[label] = {key: float(np.mean([row[key] for row in rows])) for key, _, _ in COLUMNS if key in first}
        if "seconds" in first:
            total[label]["mp_per_s"] = megapixels / sum(row["seconds"] for row in rows)
    return total


def paper_figures(hr_folder, with_lpips: bool = False) -> dict:
    """{label: {key of COLUMNS: value}}, the paper's figures for Set5, Set14 and BSD100; {} for any other folder.

    with_lpips: also published LPIPS figures, which are more recent than the paper.
    """
    known = [part.lower() for part in Path(hr_folder).resolve().parts if part.lower() in PAPER]
    if not known:
        return {}
    rows = {f"{name} (paper)": {"psnr_y": psnr, "ssim_y": ssim} for name, (psnr, ssim) in PAPER[known[-1]].items()}
    for name, (value, psnr) in PERCEPTUAL[known[-1]].items() if with_lpips else ():
        rows[f"{name} (SPSR)"] = {"lpips": value, **({"psnr_y": psnr} if psnr else {})}
    return rows


def table(rows: dict, columns=COLUMNS) -> str:
    """{label: {key of COLUMNS: value}} as text, one row per label; `-` for missing values."""
    lines = [["method", *(title for _, title, _ in columns)]]
    for label, figures in rows.items():
        lines.append([label, *(format(figures[key], spec) if key in figures else "-" for key, _, spec in columns)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    aligned = (
        [line[0].ljust(widths[0])] + [c.rjust(width) for c, width in zip(line[1:], widths[1:])] for line in lines
    )
    return "\n".join("  ".join(line) for line in aligned)


def report(results: list, paper: dict) -> str:
    """A table for each picture and one of the means, with the paper's figures at its end."""
    shown = columns(results)
    blocks = [f"{r['name']}, {r['width']}x{r['height']}\n{table(r['methods'], shown)}" for r in results]
    blocks.append(f"mean of {len(results)} pictures\n{table({**means(results), **paper}, shown)}")
    return "\n\n".join(blocks)


def write_csv(path, results: list) -> None:
    """A row for each picture and method, then a row of means for each method, with `mean` as the picture.

    A measure is empty if a method lacks it, and left out if all methods lack it.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    keys = [key for key, _, _ in columns(results)]
    writer.writerow(["picture", "method", *keys])
    for result in [*results, {"name": "mean", "methods": means(results)}]:
        for label, figures in result["methods"].items():
            writer.writerow([result["name"], label, *(figures.get(key, "") for key in keys)])
    with replacing(path) as temporary:
        temporary.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))
