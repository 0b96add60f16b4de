"""Measure trained generators on a set of pictures, beside bicubic enlargement.

    python infer/evaluate.py --hr Set5
    python infer/evaluate.py --hr Set5/HR --lr Set5/LRbicx4 --weights output/pretrain_g.pdparams output/srgan_g.pdparams
    python infer/evaluate.py --hr photos --weights models/g_models --figure comparison.png --csv figures.csv
    python infer/evaluate.py --hr Set5/HR --sr results/theirs --sr results/others     pictures that are ready
    python infer/evaluate.py --hr Set5/HR --tradeoff plot.png

Prints for each picture, and as the mean of all: PSNR in dB and SSIM on the Y of BT.601, PSNR on RGB, all three without
4 pixels along each border; LPIPS (v0.1, AlexNet; lower is better) on RGB and how much of a grid of 4 pixels the result
has in grey levels, both of whole pictures; the seconds a picture took; and megapixels (of the result) per second.
docs/measuring.md says which figure answers which question. Without --weights and --sr the two generators that come
with the project are measured. HR pictures are cut at the right and the bottom to multiples of 4. The seconds are those
of upscaling alone, not of reading and measuring, after one call on the first picture to warm up. With --tradeoff the
methods are mixtures of two generators, from all of --weights (srresnet by default) to all of --blend (srgan).
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
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from tqdm import tqdm

from common import command
from common.device import cores
from common.errors import InputError
from common.files import check_apart, check_name, remove_leftovers, replacing
from common.scale import SCALE
from data import lpips
from data.hr_lr_pairs import SHAVE, pairs, read_pair, read_sr, sr_files
from data.imresize import enlarge
from data.metrics import grid, psnr_rgb, psnr_y, ssim_y
from data.pictures.images import all_of
from infer import flags
from infer.comparison import write_figure
from infer.tradeoff import write_tradeoff
from infer.upscaler import Upscaler
from models.weight_files.shipped import DEFAULT, SHIPPED, weights_path

BICUBIC = "bicubic"

# What can be measured: its key, its title in the table and how it is printed there.
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

# LPIPS and, where it is given, PSNR on Y by the README of SPSR (Ma et al., "Structure-preserving super resolution with
# gradient guidance", CVPR 2020). Its SRGAN is a third party's training.
PERCEPTUAL = {
    "set5": {"bicubic": (0.3407, None), "SRGAN": (0.0882, 29.17), "ESRGAN": (0.0748, None)},
    "set14": {"bicubic": (0.4393, None), "SRGAN": (0.1663, 26.17), "ESRGAN": (0.1329, None)},
    "bsd100": {"bicubic": (0.5249, None), "SRGAN": (0.1980, 25.46), "ESRGAN": (0.1614, None)},
}

VERSIONS_OF = ("paddlepaddle", "paddlepaddle-gpu", "openvino", "numpy", "scikit-image", "Pillow", "opencv-python")

SHARES = tuple(tenth / 10 for tenth in range(11))  # of --blend, with --tradeoff
WRITTEN = ("csv", "json", "figure", "tradeoff")  # the flags that name a file to write
IN_FIGURE = 3  # pictures, where --pictures does not choose them


def labels(paths: list) -> dict:
    """{label: path} with a short label for each path of weights or SR folder: as much of its end as tells them apart.

    Raises InputError if one is given twice.
    """
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if len(set(absolute)) < len(absolute):
        twice = next(path for path in absolute if absolute.count(path) > 1)
        raise InputError(f"{twice} is given twice")
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


def measure(pictures: list, methods: dict, ready=None, distance=None):
    """Upscale every picture by every method, with a progress bar; yields (measured, LR, HR, {label: SR}) for one.

    pictures: what `pairs` gives. methods: {label: function from LR to SR, RGB uint8}. ready: {label: what `sr_files`
    gives}, results to be read, which took no seconds. distance: a `data.lpips.Lpips`, or None to leave LPIPS out.
    The figures of a picture and the reading of the next share the cores, but while a method is timed they wait.
    measured: {"name": the file's, "width", "height": of HR as cut, "methods": {label: {key of COLUMNS: value}}}.
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
            for label, method in methods.items():  # while they are timed, nothing else is computed
                start = time.perf_counter()
                srs[label] = method(lr)
                seconds = time.perf_counter() - start
                timed[label] = {"seconds": seconds, "mp_per_s": height * width / 1e6 / seconds}
                bar.update()
            for label, files in ready.items():
                srs[label] = read_sr(files[hr_path], hr)
                bar.update()
            comparing = {label: pool.submit(compared, sr, hr, distance) for label, sr in srs.items()}
            if i + 1 < len(pictures):
                following = pool.submit(read_pair, *pictures[i + 1])
            figures = {label: {**found.result(), **timed.get(label, {})} for label, found in comparing.items()}
            yield {"name": printable(hr_path), "width": width, "height": height, "methods": figures}, lr, hr, srs


def compared(sr: np.ndarray, hr: np.ndarray, distance=None) -> dict:
    """{key of COLUMNS: value} of one result, without what it took. distance: as in `measure`."""
    return {
        "psnr_y": psnr_y(sr, hr, SHAVE),
        "ssim_y": ssim_y(sr, hr, SHAVE),
        **({"lpips": distance(sr, hr)} if distance else {}),
        "psnr_rgb": psnr_rgb(sr, hr, SHAVE),
        "grid": grid(sr),
    }


def printable(path: Path) -> str:
    """The file's name; bytes in it that are no UTF-8 are escaped."""
    return path.name.encode("utf-8", "backslashreplace").decode("utf-8")


def columns(results: list) -> list:
    """The COLUMNS that any method was measured for. results: what `measure` says."""
    rows = results[0]["methods"].values()
    return [column for column in COLUMNS if any(column[0] in row for row in rows)]


def means(results: list) -> dict:
    """{label: {key of COLUMNS: mean}} of what `measure` says; megapixels per second are of all pictures together."""
    megapixels = sum(result["width"] * result["height"] for result in results) / 1e6
    total = {}
    for label, first in results[0]["methods"].items():
        rows = [result["methods"][label] for result in results]
        total[label] = {key: float(np.mean([row[key] for row in rows])) for key, _, _ in COLUMNS if key in first}
        if "seconds" in first:
            total[label]["mp_per_s"] = megapixels / sum(row["seconds"] for row in rows)
    return total


def paper_figures(hr_folder, with_lpips: bool = False) -> dict:
    """{label: {key of COLUMNS: value}}, the paper's own for Set5, Set14 and BSD100; {} for any other folder.

    with_lpips: also the published ones of LPIPS, which came after the paper.
    """
    known = [part.lower() for part in Path(hr_folder).resolve().parts if part.lower() in PAPER]
    if not known:
        return {}
    rows = {f"{name} (paper)": {"psnr_y": psnr, "ssim_y": ssim} for name, (psnr, ssim) in PAPER[known[-1]].items()}
    for name, (value, psnr) in PERCEPTUAL[known[-1]].items() if with_lpips else ():
        rows[f"{name} (SPSR)"] = {"lpips": value, **({"psnr_y": psnr} if psnr else {})}
    return rows


def table(rows: dict, columns=COLUMNS) -> str:
    """{label: {key of COLUMNS: value}} as text, a row a label; `-` for what it lacks."""
    lines = [["method", *(title for _, title, _ in columns)]]
    for label, figures in rows.items():
        lines.append([label, *(format(figures[key], spec) if key in figures else "-" for key, _, spec in columns)])
    widths = [max(map(len, column)) for column in zip(*lines)]
    aligned = (
        [line[0].ljust(widths[0])] + [c.rjust(width) for c, width in zip(line[1:], widths[1:])] for line in lines
    )
    return "\n".join("  ".join(line) for line in aligned)


def report(results: list, paper: dict) -> str:
    """A table for each picture and one of the means, the paper's figures below."""
    shown = columns(results)
    blocks = [f"{r['name']}, {r['width']}x{r['height']}\n{table(r['methods'], shown)}" for r in results]
    blocks.append(f"mean of {len(results)} pictures\n{table({**means(results), **paper}, shown)}")
    return "\n\n".join(blocks)


def write_csv(path, results: list) -> None:
    """A row for each picture and method, then one for each method's means, where the picture is called `mean`.

    What was not measured of a method is empty, of all methods left out.
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


def settings_of(arguments, weights: dict, sr: dict, upscaler, distance_of: str) -> dict:
    """What the figures and the seconds depend on, for the JSON.

    weights, sr: {label: path}. upscaler: one of those measured, None without any. distance_of: LPIPS's weights, ""
    without.
    """
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
        "sr": sr,
        "lpips": distance_of or "off",
        **(_engine_of(arguments, upscaler) if upscaler else {}),
        "scale": SCALE,
        "shave": SHAVE,
        "versions": versions,
    }


def _engine_of(arguments, upscaler) -> dict:
    chosen = {name: getattr(upscaler, name) for name in ("engine", "precision", "device")}
    return {**flags.engine_settings(arguments), **chosen}


def lpips_weights(flag) -> str:
    """The file that `--lpips` names, or the usual one; "" for `off` and where that is not there."""
    if flag:
        return "" if flag == "off" else flag
    return lpips.WEIGHTS if lpips.available() else ""


def check_sizes(pictures: list, ready: dict, with_lpips: bool) -> None:
    """Read all pictures: whatever cannot be used is named now, not when those before it have been measured."""

    def check(pair):
        hr_path, lr_path = pair
        hr, _ = read_pair(hr_path, lr_path)
        if with_lpips:
            lpips.check_size(hr, hr_path, ", or --lpips off")
        all_of(ready.values(), lambda files: read_sr(files[hr_path], hr))

    all_of(pictures, check)


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
    targets = [getattr(arguments, name) for name in WRITTEN if getattr(arguments, name)]
    for path in targets:
        check_name(path)
        folder = Path(path).resolve().parent
        folder.mkdir(parents=True, exist_ok=True)
        if os.path.isdir(path) or not os.access(folder, os.W_OK):
            raise InputError(f"{path} cannot be written: it is a folder, or the folder it would be in is not writable")
    if len({os.path.abspath(path) for path in targets}) < len(targets):
        raise InputError("--csv, --json, --figure and --tradeoff must name different files")
    for flag, path in (("--figure", arguments.figure), ("--tradeoff", arguments.tradeoff)):
        if path and not path.lower().endswith(".png"):
            raise InputError(f"{flag} {path}: a PNG is written; give a name ending in .png")


def check_tradeoff(arguments) -> None:
    """Fill in the generators of `--tradeoff`; raise InputError if it lacks what it needs, or `--blend` stands alone."""
    if not arguments.tradeoff:
        if arguments.blend:
            raise InputError("--blend is the second generator of --tradeoff: give --tradeoff PLOT.png too")
        return
    arguments.weights = arguments.weights or [str(SHIPPED["srresnet"])]
    arguments.blend = arguments.blend or str(SHIPPED[DEFAULT])
    if len(arguments.weights) != 1:
        raise InputError(
            f"--tradeoff mixes --blend into one generator: give one of --weights, not {len(arguments.weights)}"
        )
    if not lpips_weights(arguments.lpips):
        raise InputError(f"--tradeoff requires LPIPS, which is off or has no weights; get them with: {lpips.COMMAND}")


def main(arguments) -> None:
    if arguments.pictures and not arguments.figure:
        raise InputError("--pictures chooses what --figure draws: give --figure FILE too")
    check_targets(arguments)
    check_tradeoff(arguments)
    with command.exit_status(2):
        if not (arguments.weights or arguments.sr):
            arguments.weights = [str(SHIPPED["srresnet"]), str(SHIPPED[DEFAULT])]
        blend = [arguments.blend] if arguments.blend else []
        paths = labels(arguments.weights + blend + arguments.sr)
    weights, sr = (
        {label: path for label, path in paths.items() if path in given}
        for given in (arguments.weights + blend, arguments.sr)
    )
    mixtures = {f"{share:.1f} of {list(weights)[1]}": share for share in SHARES} if blend else {}
    pictures = pairs(arguments.hr, arguments.lr)
    wanted = for_figure(pictures, arguments.pictures) if arguments.figure else []
    ready = {label: sr_files([hr_path for hr_path, _ in pictures], folder) for label, folder in sr.items()}
    distance_of = lpips_weights(arguments.lpips)
    read = [("--hr", arguments.hr), ("--lr", arguments.lr), ("--lpips", distance_of), ("--blend", arguments.blend)]
    read += [("--weights", path) for path in arguments.weights] + [("--sr", path) for path in arguments.sr]
    read += [(flag, path) for pair in pictures for flag, path in zip(("--hr", "--lr"), pair)]
    read += [("--sr", path) for files in ready.values() for path in files.values()]
    check_apart(read, files=[(f"--{name}", getattr(arguments, name)) for name in WRITTEN])
    check_sizes(pictures, ready, bool(distance_of))
    with command.exit_status(2):
        chosen = flags.engine_settings(arguments)
        if blend:
            pair = {"weights": arguments.weights[0], "blend": arguments.blend}
            upscalers = {label: Upscaler(**pair, alpha=share, **chosen) for label, share in mixtures.items()}
        else:
            upscalers = {label: Upscaler(path, **chosen) for label, path in weights.items()}
        distance = lpips.Lpips(distance_of) if distance_of else None

    if not (distance or arguments.lpips):
        print(f"LPIPS is left out: {lpips.WEIGHTS} is not there; get it with: {lpips.COMMAND}", file=sys.stderr)
    results, shown = [], {}
    for measured, *pictures_of in measure(pictures, {BICUBIC: enlarge, **upscalers}, ready, distance):
        results.append(measured)
        if measured["name"] in wanted:
            shown[measured["name"]] = (measured, *pictures_of)

    settings = settings_of(arguments, weights, sr, next(iter(upscalers.values()), None), distance_of)
    paper = paper_figures(arguments.hr, bool(distance))
    ensemble = ", self-ensemble" if arguments.self_ensemble else ""
    engine = "engine {engine}, precision {precision}, device {device}{0}; " if upscalers else ""
    print((engine + "LR {lr}\n").format(ensemble, **settings))
    print(report(results, paper))
    for path in filter(None, (getattr(arguments, name) for name in WRITTEN)):
        remove_leftovers(Path(path).parent)
    if arguments.csv:
        write_csv(arguments.csv, results)
    if arguments.json:
        write_json(arguments.json, results, settings, paper)
    if arguments.figure:
        write_figure(arguments.figure, [shown[name] for name in wanted])
    if arguments.tradeoff:
        rows = means(results)
        blends = {share: rows.pop(label) for label, share in mixtures.items()}
        write_tradeoff(arguments.tradeoff, blends, {**rows, **paper}, list(weights)[1])


def parser():
    result = command.parser(__doc__)
    result.add_argument("--hr", metavar="DIR", required=True, help="folder of high-resolution pictures")
    result.add_argument(
        "--lr",
        metavar="DIR",
        help="folder of their LR pictures, with the same name or NAMEx4.EXT (default: made from HR as MATLAB's "
        "imresize does)",
    )
    result.add_argument(
        "--weights",
        metavar=flags.METAVAR,
        nargs="+",
        type=weights_path,
        default=[],
        help=f"the generators to measure, each {flags.WEIGHTS} (default, without --sr: the shipped ones)",
    )
    result.add_argument(
        "--sr",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder of ready-made results to measure, named like the LR pictures; may be given several times",
    )
    result.add_argument(
        "--lpips",
        metavar="FILE|off",
        help="LPIPS's weights; off leaves its column out, which is faster "
        f"(default: {lpips.WEIGHTS} where it is there)",
    )
    flags.add_engine_flags(result, precision="fp32")
    result.add_argument("--csv", metavar="FILE", help="write every picture's figures and the means to FILE")
    result.add_argument("--json", metavar="FILE", help="the same with the settings and versions")
    result.add_argument(
        "--figure",
        metavar="FILE",
        help="draw a comparison to FILE, a PNG: the same detail of LR, bicubic, each result and HR",
    )
    result.add_argument(
        "--tradeoff",
        metavar="FILE",
        help="measure mixtures of --weights with 0, 0.1 … 1 of --blend, and plot their LPIPS over their PSNR to FILE, "
        "a PNG",
    )
    result.add_argument(
        "--blend",
        metavar=flags.METAVAR,
        type=weights_path,
        help=f"the second generator of --tradeoff: a GAN's (default: {DEFAULT})",
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
