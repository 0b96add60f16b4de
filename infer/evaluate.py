"""Measure trained generators on a set of pictures, beside bicubic enlargement.

    python infer/evaluate.py --hr Set5
    python infer/evaluate.py --hr Set5/HR --lr Set5/LRbicx4 --weights output/pretrain_g.pdparams output/srgan_g.pdparams
    python infer/evaluate.py --hr photos --weights models/g_models --figure comparison.png --csv figures.csv
    python infer/evaluate.py --hr Set5/HR --sr results/theirs --sr results/others     ready-made results
    python infer/evaluate.py --hr Set5/HR --tradeoff plot.png

Prints for each picture, and as the mean of all: PSNR in dB and SSIM on the Y of BT.601 and PSNR on RGB, all three
without 4 pixels along each border; LPIPS (v0.1, AlexNet; lower is better) on RGB, for the whole picture; the strength
of a 4-pixel grid in grey levels, without 8 pixels along each border; the seconds per picture; and megapixels (of the
result) per second. docs/measuring.md says which figure answers which question. Without --weights and --sr, `srresnet`
and `srgan` are measured. HR pictures are cropped at the right and the bottom to multiples of 4. The seconds cover only
upscaling, not reading and measuring, after one warm-up call on the first picture. With --tradeoff the methods are
mixtures of two generators, from all of --weights (srresnet by default) to all of --blend (srgan).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common.full_set  # noqa: F401
from common import command
from common.errors import InputError
from common.files import check_apart, check_name
from common.plots import write_plot
from data import lpips
from data.hr_lr_pairs import pairs, read_pair, read_sr, sr_files
from data.imresize import enlarge
from data.pictures.images import all_of
from infer import generator_flags
from infer.generator_flags import labels
from infer.measuring.measure import BICUBIC, means, measure, paper_figures, printable_name, report, write_csv
from infer.measuring.plots import IN_FIGURE, draw_tradeoff, write_comparison
from infer.upscaler import Upscaler
from models.weight_files.shipped import DEFAULT, SHIPPED, weights_path

SHARES = tuple(tenth / 10 for tenth in range(11))  # of --blend, with --tradeoff
WRITTEN = ("csv", "figure", "tradeoff")  # the flags that name a file to write


def lpips_weights(flag) -> str:
    """The file given with `--lpips`, or the default one; "" for `off` and if the default one is missing."""
    if flag:
        return "" if flag == "off" else flag
    return lpips.WEIGHTS if lpips.available() else ""


def check_pictures(pictures: list, ready: dict, with_lpips: bool) -> None:
    """Read all pictures, so that unusable ones are reported now and not after others have been measured."""

    def check(pair):
        hr_path, lr_path = pair
        hr, _ = read_pair(hr_path, lr_path)
        if with_lpips:
            lpips.check_size(hr, hr_path, ", or --lpips off")
        all_of(ready.values(), lambda files: read_sr(files[hr_path], hr))

    all_of(pictures, check)


def choose_pictures(pictures: list, names: list) -> list:
    """The printable names of the pictures to draw: those of `--pictures`, with or without endings, or the first ones.

    pictures: from `pairs`. Raises InputError for a name that none of them has.
    """
    if not names:
        return [printable_name(hr_path) for hr_path, _ in pictures[:IN_FIGURE]]
    by_name = {name: printable_name(path) for path, _ in pictures for name in (path.stem, path.name)}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise InputError(f"--pictures {unknown[0]}: {pictures[0][0].parent} has no picture of that name")
    return [by_name[name] for name in names]


def check_flags(arguments) -> None:
    """Set the generators of `--tradeoff`; raise InputError for flags that do not go together or cannot be written."""
    if arguments.pictures and not arguments.figure:
        raise InputError("--pictures chooses what --figure draws: give --figure FILE too")
    for name in filter(None, (getattr(arguments, flag) for flag in WRITTEN)):
        check_name(name)
    for flag, path in (("--figure", arguments.figure), ("--tradeoff", arguments.tradeoff)):
        if path and not path.lower().endswith(".png"):
            raise InputError(f"{flag} {path}: a PNG is written; give a name ending in .png")
    if arguments.tradeoff:
        arguments.weights = arguments.weights or [str(SHIPPED["srresnet"])]
        arguments.blend = arguments.blend or str(SHIPPED[DEFAULT])
        if len(arguments.weights) != 1:
            raise InputError(f"--tradeoff mixes --blend into one of --weights, not {len(arguments.weights)}")
        if not lpips_weights(arguments.lpips):
            raise InputError(f"--tradeoff measures LPIPS, which is off or has no weights: {lpips.COMMAND}")
    elif arguments.blend:
        raise InputError("--blend is the second generator of --tradeoff: give --tradeoff PLOT.png too")
    elif not (arguments.weights or arguments.sr):
        arguments.weights = [str(SHIPPED["srresnet"]), str(SHIPPED[DEFAULT])]


def main(arguments) -> None:
    check_flags(arguments)
    blend = [arguments.blend] if arguments.blend else []
    with command.exit_status(2):
        paths = labels(arguments.weights + blend + arguments.sr)
    weights = {label: path for label, path in paths.items() if path not in arguments.sr}
    pictures = pairs(arguments.hr, arguments.lr)
    hr_paths = [hr_path for hr_path, _ in pictures]
    drawn = choose_pictures(pictures, arguments.pictures)
    ready = {label: sr_files(hr_paths, path) for label, path in paths.items() if label not in weights}
    distance_of = lpips_weights(arguments.lpips)
    folders = [("--hr", arguments.hr), ("--lr", arguments.lr), *(("--sr", path) for path in arguments.sr)]
    read = [("--lpips", distance_of), *(("--weights", path) for path in weights.values())]
    read += [(flag, path) for pair in pictures for flag, path in zip(("--hr", "--lr"), pair)]
    read += [("--sr", path) for files in ready.values() for path in files.values()]
    check_apart(read, files=[(f"--{name}", getattr(arguments, name)) for name in WRITTEN], flat=folders)
    check_pictures(pictures, ready, bool(distance_of))
    with command.exit_status(2):
        settings = generator_flags.engine_settings(arguments)
        if blend:
            second = list(weights)[1]
            shares = {f"{share:.1f} of {second}": share for share in SHARES}
            mixture = {"weights": arguments.weights[0], "blend": blend[0], **settings}
            upscalers = {label: Upscaler(**mixture, alpha=share) for label, share in shares.items()}
        else:
            upscalers = {label: Upscaler(path, **settings) for label, path in weights.items()}
        distance = lpips.Lpips(distance_of) if distance_of else None

    if not (distance or arguments.lpips):
        print(f"LPIPS is left out: {lpips.WEIGHTS} is missing; get it with: {lpips.COMMAND}", file=sys.stderr)
    results, shown = [], {}
    for result, *arrays in measure(pictures, {BICUBIC: enlarge, **upscalers}, ready, distance):
        results.append(result)
        if arguments.figure and result["name"] in drawn:
            shown[result["name"]] = (result, *arrays)

    paper = paper_figures(arguments.hr, bool(distance))
    for upscaler in [*upscalers.values()][:1]:
        ensemble = ", self-ensemble" * arguments.self_ensemble
        print(f"engine {upscaler.engine}, precision {upscaler.precision}, device {upscaler.device}{ensemble}; ", end="")
    print(f"LR {arguments.lr or 'made from hr, bicubic'}\n\n{report(results, paper)}")
    if arguments.csv:
        write_csv(arguments.csv, results)
    if arguments.figure:
        write_comparison(arguments.figure, [shown[name] for name in drawn])
    if arguments.tradeoff:
        rows = means(results)
        blends = {share: rows.pop(label) for label, share in shares.items()}
        write_plot(draw_tradeoff(blends, {**rows, **paper}, second), arguments.tradeoff)


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
        metavar=generator_flags.METAVAR,
        nargs="+",
        type=weights_path,
        default=[],
        help=f"the generators to measure, each {generator_flags.WEIGHTS} (default, without --sr: srresnet and srgan)",
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
        help=f"LPIPS's weights; off leaves its column out, which is faster (default: {lpips.WEIGHTS} if it exists)",
    )
    generator_flags.add_engine_flags(result, precision="fp32")
    result.add_argument("--csv", metavar="FILE", help="write every picture's figures and the means to FILE")
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
        metavar=generator_flags.METAVAR,
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
