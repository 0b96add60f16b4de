"""The flags shared by the commands that use a trained generator."""

import argparse
import os
from pathlib import Path

from common import command
from common.device import add_device_flag
from common.errors import InputError
from infer.engines import ENGINES, PRECISIONS
from models.weight_files.shipped import AUTO, DEFAULT, NAMES, PHOTO, PURPOSES, weights_path

WEIGHTS = f"{NAMES} (included), a .pdparams file, or one of the article's folders (models/g_models)"
METAVAR = "NAME|FILE|FOLDER"


def add_generator_flags(parser: argparse.ArgumentParser, default: str = DEFAULT) -> None:
    """Add the flags that choose the generator: `--weights`, and `--blend` with `--alpha` for a mixture of two.

    default: of `--weights`; with AUTO that is a choice, too.
    """
    automatic = f"{AUTO}: {DEFAULT} for clean pictures, otherwise {PHOTO}; " if default == AUTO else ""
    purposes = automatic + "; ".join(f"{name}: {purpose}" for name, purpose in PURPOSES.items())
    parser.add_argument(
        "--weights",
        metavar=METAVAR,
        type=weights_path,
        default=default,
        help=f"{WEIGHTS} (default: {default}). {purposes}",
    )
    parser.add_argument(
        "--blend", metavar=METAVAR, type=weights_path, help="mix these weights in: a GAN's into a PSNR-trained one's"
    )
    parser.add_argument(
        "--alpha", metavar="A", type=command.Number(0, 1), help="their share of the mixture, 0 to 1 (default: 0.5)"
    )


def generator_settings(arguments: argparse.Namespace) -> dict:
    """The values of the flags of `add_generator_flags`, as arguments for `infer.combine.mix` and `Upscaler`."""
    if arguments.alpha is not None and not arguments.blend:
        raise InputError("--alpha is the share of --blend: give --blend FILE|FOLDER too")
    if arguments.blend and arguments.weights == AUTO:
        raise InputError("--blend is mixed into the generator of --weights: give --weights too")
    alpha = 0.5 if arguments.alpha is None else arguments.alpha
    return {"weights": arguments.weights, "blend": arguments.blend or "", "alpha": alpha}


def add_deblock_flag(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--deblock`, whose value is None unless it is given. default: what then happens, in words."""
    parser.add_argument(
        "--deblock",
        choices=("on", "off"),
        help=f"first smooth the blocks and rings of JPEG compression and add a little grain (default: {default})",
    )


def add_size_flag(parser: argparse.ArgumentParser, megapixels: int) -> None:
    """Add `--max-megapixels`, with the command's default."""
    parser.add_argument(
        "--max-megapixels",
        metavar="N",
        type=command.positive,
        default=megapixels,
        help=f"refuse larger pictures; the result has 16 times as many (default: {megapixels})",
    )


def add_engine_flags(parser: argparse.ArgumentParser, precision: str) -> None:
    """Add `--engine`, `--precision` (with the command's default), `--device`, `--tile`, `--self-ensemble`."""
    parser.add_argument(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help="the engine that computes the network (default: auto, the fastest installed for the device)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=precision,
        help="auto uses int8 for 8-bit pictures if the weights have a quantized form (infer/quantize.py), else bf16, "
        "each if the CPU has instructions for it; both are exact to about one level of 8 bits, bf16 to about 11 bits "
        f"of 16 (default: {precision})",
    )
    add_device_flag(parser)
    parser.add_argument(
        "--tile",
        metavar="N",
        type=command.positive,
        help="side of the tiles in LR pixels: smaller tiles take less memory and more time, with the same result "
        "(default: set by the free memory)",
    )
    parser.add_argument(
        "--self-ensemble",
        action="store_true",
        help="mean over the 8 flips and turns: slightly better, 8 times slower",
    )


def engine_settings(arguments: argparse.Namespace) -> dict:
    """The values of the flags of `add_engine_flags`, as arguments for `Upscaler`."""
    return {name: getattr(arguments, name) for name in ("engine", "precision", "device", "tile", "self_ensemble")}


def named_weights(arguments) -> list:
    """The values of the flags of `add_generator_flags`, as an argument for `check_apart`."""
    return [("--weights", arguments.weights if arguments.weights != AUTO else None), ("--blend", arguments.blend)]


def labels(paths: list) -> dict:
    """{label: path} for paths of weights or SR folders; a label is the shortest end of the path that is unique.

    Raises InputError if a path is given twice.
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
        if end != ("bicubic",) and sum(other.parts[-count:] == end for other in names) == 1:
            break
    return "/".join(end)
