"""Measure trained generators on a set of pictures, beside bicubic enlargement.

    python infer/evaluate.py --hr Set5 --weights output/srgan_g.pdparams
    python infer/evaluate.py --hr Set5/HR --lr Set5/LRbicx4 --weights output/pretrain_g.pdparams output/srgan_g.pdparams
    python infer/evaluate.py --hr photos --weights models/g_models --figure comparison.png --csv figures.csv

Prints for each picture, and as the mean of all: PSNR in dB and SSIM on the Y of BT.601, PSNR on RGB, all three without
4 pixels along each border; the seconds a picture took; and megapixels (of the result) per second. HR pictures are cut
at the right and the bottom to multiples of 4. The seconds are those of upscaling alone, not of reading and measuring,
after one call on the first picture to warm up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import csv
import io
import json
import math
import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from tqdm import tqdm

from data import command
from data.imresize import enlarge
from data.metrics import psnr_rgb, psnr_y, ssim_y
from data.pairs import SHAVE, pairs, read_pair
from infer import flags
from infer.figure import write_figure
from infer.upscaler import Upscaler
from models.errors import InputError
from models.files import remove_leftovers, replacing
from models.scale import SCALE

BICUBIC = "bicubic"

# What is measured: its key, its title in the table and how it is printed there.
COLUMNS = (
    ("psnr_y", "PSNR-Y", ".2f"),
    ("ssim_y", "SSIM-Y", ".4f"),
    ("psnr_rgb", "PSNR-RGB", ".2f"),
    ("seconds", "seconds", ".3f"),
    ("mp_per_s", "MP/s", ".2f"),
)

# Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network", 2017, table 2.
PAPER = {
    "set5": {"SRResNet": (32.05, 0.9019), "SRGAN": (29.40, 0.8472)},
    "set14": {"SRResNet": (28.49, 0.8184), "SRGAN": (26.02, 0.7397)},
    "bsd100": {"SRResNet": (27.58, 0.7620), "SRGAN": (25.16, 0.6688)},
}

VERSIONS_OF = ("paddlepaddle", "paddlepaddle-gpu", "openvino", "numpy", "scikit-image", "Pillow", "opencv-python")

IN_FIGURE = 3  # pictures, where --pictures does not choose them


def labels(paths: list) -> dict:
    """{label: path} with a short label for each path of weights: as much of its end as tells them apart.

    Raises InputError if one is given twice.
    """
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if len(set(absolute)) < len(absolute):
        twice = next(path for path in absolute if absolute.count(path) > 1)
        raise InputError(f"--weights: {twice} is given twice")
    names = [path.with_suffix("") if path.suffix == ".pdparams" else path for path in absolute]
    if len(set(names)) < len(names):
        names = absolute
    return {_label(name, names): path for name, path in zip(names, paths)}


def _label(name: Path, names: list) -> str:
    for count in range(1, len(name.parts) + 1):
        end = name.parts[-count:]
        if end != (BICUBIC,) and sum(other.parts[-count:] == end for other in names) == 1:
            break
    return "/".join(end)


def measure(pictures: list, methods: dict):
    """Upscale every picture by every method, with a progress bar; yields (measured, HR, {label: SR}) for a picture.

    pictures: what `pairs` gives. methods: {label: function from LR to SR, RGB uint8}. measured: {"name": the file's,
    "width", "height": of HR as cut, "methods": {label: {key of COLUMNS: value}}}.
    """
    _, first_lr = read_pair(*pictures[0])
    for method in methods.values():
        method(first_lr)
    with tqdm(total=len(pictures) * len(methods), unit="picture") as bar:
        for hr_path, lr_path in pictures:
            hr, lr = read_pair(hr_path, lr_path)
            height, width = hr.shape[:2]
            srs, figures = {}, {}
            for label, method in methods.items():
                start = time.perf_counter()
                sr = method(lr)
                seconds = time.perf_counter() - start
                srs[label] = sr
                figures[label] = {
                    "psnr_y": psnr_y(sr, hr, SHAVE),
                    "ssim_y": ssim_y(sr, hr, SHAVE),
                    "psnr_rgb": psnr_rgb(sr, hr, SHAVE),
                    "seconds": seconds,
                    "mp_per_s": height * width / 1e6 / seconds,
                }
                bar.update()
            yield {"name": printable(hr_path), "width": width, "height": height, "methods": figures}, hr, srs


def printable(path: Path) -> str:
    """The file's name; bytes in it that are no UTF-8 are escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode("utf-8")


def means(results: list) -> dict:
    """{label: {key of COLUMNS: mean}} of what `measure` says; megapixels per second are of all pictures together."""
    megapixels = sum(result["width"] * result["height"] for result in results) / 1e6
    total = {}
    for label in results[0]["methods"]:
        rows = [result["methods"][label] for result in results]
        total[label] = {key: float(np.mean([row[key] for row in rows])) for key, _, _ in COLUMNS}
        total[label]["mp_per_s"] = megapixels / sum(row["seconds"] for row in rows)
    return total


def paper_figures(hr_folder) -> dict:
    """{label: {key of COLUMNS: value}}, the paper's own for Set5, Set14 and BSD100; {} for any other folder."""
    known = [part.lower() for part in Path(hr_folder).resolve().parts if part.lower() in PAPER]
    if not known:
        return {}
    return {f"{name} (paper)": {"psnr_y": psnr, "ssim_y": ssim} for name, (psnr, ssim) in PAPER[known[-1]].items()}


def table(rows: dict) -> str:
    """{label: {key of COLUMNS: value}} as text, a row a label; `-` for what it lacks."""
    lines = [["method", *(title for _, title, _ in COLUMNS)]]
    for label, figures in rows.items():
        lines.append([label, *(format(figures[key], spec) if key in figures else "-" for key, _, spec in COLUMNS)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    aligned = (
        [line[0].ljust(widths[0])] + [c.rjust(width) for c, width in zip(line[1:], widths[1:])] for line in lines
    )
    return "\n".join("  ".join(line) for line in aligned)


def report(results: list, paper: dict) -> str:
    """A table for each picture and one of the means, the paper's figures below."""
    blocks = [f"{r['name']}, {r['width']}x{r['height']}\n{table(r['methods'])}" for r in results]
    blocks.append(f"mean of {len(results)} pictures\n{table({**means(results), **paper})}")
    return "\n\n".join(blocks)


def write_csv(path, results: list) -> None:
    """A row for each picture and method, then one for each method's means, where the picture is called `mean`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    keys = [key for key, _, _ in COLUMNS]
    writer.writerow(["picture", "method", *keys])
    for result in [*results, {"name": "mean", "methods": means(results)}]:
        for label, figures in result["methods"].items():
            writer.writerow([result["name"], label, *(figures[key] for key in keys)])
    with replacing(path) as temporary:
        temporary.write_bytes(text.getvalue().encode("utf-8", "backslashreplace"))


def write_json(path, results: list, settings: dict, paper: dict) -> None:
    """The settings, every picture's figures, their means and the paper's; an infinite PSNR is the text "inf"."""
    content = {"settings": settings, "pictures": results, "means": means(results), "paper": paper}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_standard(content), indent=2) + "\n", encoding="utf-8")


def _standard(value):
    """`value` without the infinities that standard JSON has no way to write."""
    if isinstance(value, dict):
        return {key: _standard(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_standard(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def settings_of(arguments, weights: dict, upscaler) -> dict:
    """What the figures and the seconds depend on, for the JSON."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for name in VERSIONS_OF:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "hr": arguments.hr,
        "lr": arguments.lr or "made from hr, bicubic",
        "weights": weights,
        **flags.engine_settings(arguments),
        "engine": upscaler.engine,
        "precision": upscaler.precision,
        "device": upscaler.device,
        "scale": SCALE,
        "shave": SHAVE,
        "versions": versions,
    }


def for_figure(pictures: list, names: list) -> list:
    """The printable names of the pictures to draw: those of `--pictures`, with or without their endings, or the first.

    pictures: what `pairs` gives. Raises InputError for a name that none of them has.
    """
    if not names:
        return [printable(hr_path) for hr_path, _ in pictures[:IN_FIGURE]]
    found = {}
    for hr_path, _ in pictures:
        found[hr_path.stem] = found[hr_path.name] = printable(hr_path)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise InputError(f"--pictures {unknown[0]}: {pictures[0][0].parent} has no picture of that name")
    return [found[name] for name in names]


def check_targets(arguments) -> None:
    """Make the folders of the files to write; raise InputError or OSError now for what could not be written later."""
    targets = [path for path in (arguments.csv, arguments.json, arguments.figure) if path]
    for path in targets:
        folder = Path(path).resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(path) or not os.access(folder, os.W_OK):
            raise InputError(f"{path} cannot be written: it is a folder, or in one that may not be written to")
    if len({os.path.abspath(path) for path in targets}) < len(targets):
        raise InputError("--csv, --json and --figure are different files: two of them have one name")
    if arguments.figure and not arguments.figure.lower().endswith(".png"):
        raise InputError(f"--figure {arguments.figure}: it is a PNG; give a name ending in .png")


def main(arguments) -> None:
    if arguments.pictures and not arguments.figure:
        raise InputError("--pictures chooses what --figure draws: give --figure FILE too")
    check_targets(arguments)
    pictures = pairs(arguments.hr, arguments.lr)
    wanted = for_figure(pictures, arguments.pictures) if arguments.figure else []
    for pair in pictures:
        read_pair(*pair)  # what cannot be used is named now, not when the pictures before it have been measured
    with command.exit_status(2):
        weights = labels(arguments.weights)
        upscalers = {label: Upscaler(path, **flags.engine_settings(arguments)) for label, path in weights.items()}

    results, shown = [], {}
    for measured, hr, srs in measure(pictures, {BICUBIC: enlarge, **upscalers}):
        results.append(measured)
        if measured["name"] in wanted:
            shown[measured["name"]] = (measured, hr, srs)

    settings = settings_of(arguments, weights, next(iter(upscalers.values())))
    paper = paper_figures(arguments.hr)
    ensemble = ", self-ensemble" if arguments.self_ensemble else ""
    print("engine {engine}, precision {precision}, device {device}{0}; LR {lr}\n".format(ensemble, **settings))
    print(report(results, paper))
    for path in filter(None, (arguments.csv, arguments.json, arguments.figure)):
        remove_leftovers(Path(path).parent)
    if arguments.csv:
        write_csv(arguments.csv, results)
    if arguments.json:
        write_json(arguments.json, results, settings, paper)
    if arguments.figure:
        write_figure(arguments.figure, [shown[name] for name in wanted])


def parser():
    result = command.parser(__doc__)
    result.add_argument("--hr", metavar="DIR", required=True, help="folder of high-resolution pictures")
    result.add_argument(
        "--lr",
        metavar="DIR",
        help="folder of their LR pictures, called the same or NAMEx4.EXT (default: made from HR as MATLAB's imresize "
        "does)",
    )
    result.add_argument(
        "--weights",
        metavar="FILE|FOLDER",
        nargs="+",
        required=True,
        help=f"the generators to measure, each {flags.WEIGHTS}",
    )
    flags.add_engine_flags(result, precision="fp32")
    result.add_argument("--csv", metavar="FILE", help="write every picture's figures and the means to FILE")
    result.add_argument("--json", metavar="FILE", help="the same with the settings and versions")
    result.add_argument(
        "--figure", metavar="FILE", help="draw a comparison to FILE, a PNG: HR, bicubic and each result, with a detail"
    )
    result.add_argument(
        "--pictures",
        metavar="NAME",
        nargs="+",
        help=f"the pictures of --figure, by name (default: the first {IN_FIGURE})",
    )
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
