"""Upscale pictures to 4 times their sides, or to any smaller size.

    python infer/upscale.py photo.jpg
    python infer/upscale.py photo.jpg --outscale 2
    python infer/upscale.py holiday --longest 3840
    python infer/upscale.py holiday more/*.png -r --weights models/g_models -o upscaled --format png

Takes files and folders of PNG, JPEG, BMP, WebP and TIFF, in any mix. Grey stays grey, 16 bits stay 16, alpha and colour
profile are kept. Results are named NAME_x4.EXT, or after the requested size: NAME_x2.EXT with --outscale 2,
NAME_width1920.EXT with --width 1920; for these the network computes 4 times the sides, and an antialiased filter
reduces the result. Pictures that cannot be used are reported and the others are still upscaled; the exit status is then
1. It is 2, and nothing is written, if the weights or a setting cannot be used.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import errno
import functools
import os
import time

from tqdm import tqdm

from common import command
from common.errors import InputError
from common.files import check_apart, remove_leftovers
from common.scale import SCALE
from data.pictures.images import not_pictures
from infer import Upscaler, generator_flags
from infer.cleanness import fitting_weights
from infer.files import RESULT_ENDINGS, check_output, find_jobs
from infer.picture import SIDES, Options, Size, upscale_file
from models.weight_files.shipped import AUTO, DEFAULT, PHOTO, SHIPPED

OUTPUT = "upscaled"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # which would fail for all following pictures too
BAR = "{desc}{percentage:3.0f}%|{bar}| {n:.1f}/{total} pictures [{elapsed}<{remaining}]"


def main(arguments: argparse.Namespace) -> None:
    with command.exit_status(2):
        check_apart(generator_flags.named_weights(arguments), folders=[("-o", arguments.output)])
        settings = {**generator_flags.generator_settings(arguments), **generator_flags.engine_settings(arguments)}
        is_auto = settings.pop("weights") == AUTO
        load = functools.lru_cache(maxsize=None)(lambda weights: Upscaler(weights, **settings))
        # Now, so that whatever is wrong with the weights and settings is said before anything is written.
        upscaler = load(PHOTO if is_auto else arguments.weights)
        check_output(arguments.output)
    options = options_of(arguments)
    suffix = options.size.suffix if arguments.suffix is None else arguments.suffix
    ending = RESULT_ENDINGS.get(arguments.format, "")
    jobs, others = find_jobs(arguments.inputs, arguments.output, arguments.recursive, suffix, ending)
    for folder in {job.target.parent for job in jobs if not job.problem}:
        remove_leftovers(folder)
    if others:
        print(not_pictures(others), file=sys.stderr)
    engine = f"{upscaler.engine} in {upscaler.precision} on {upscaler.device}"
    print(f"--weights {arguments.weights}: {engine}", file=sys.stderr)
    start = time.perf_counter()
    upscaler_for = (lambda picture: load(fitting_weights(picture))) if is_auto else (lambda picture: upscaler)
    counts = upscale_all(upscaler_for, jobs, options, arguments)
    seconds = time.perf_counter() - start
    done, megapixels = counts["done"], counts["pixels"] / 1e6
    print(
        f"{done} picture{'' if done == 1 else 's'}, {megapixels:.1f} megapixels in {seconds:.1f} s, "
        f"{megapixels / seconds:.2f} MP/s: {arguments.output}"
    )
    if counts["present"]:
        print(f"skipped, as their results exist: {counts['present']}; --overwrite replaces them", file=sys.stderr)
    if is_auto and done:
        chosen = f"{PHOTO} for {done - counts['clean']}, {DEFAULT} for {counts['clean']} clean"
        print(f"--weights {AUTO}: {chosen}", file=sys.stderr)
    if counts["deblocked"] and arguments.deblock is None:
        print(f"deblocked first: {counts['deblocked']} JPEGs; --deblock off leaves them as they are", file=sys.stderr)
    if counts["failed"]:
        raise InputError(f"{counts['failed']} of {len(jobs)} could not be upscaled; the reasons are above")


def options_of(arguments: argparse.Namespace) -> Options:
    """What the flags ask of every picture; by default 4 times its sides."""
    sizes = [Size(name, getattr(arguments, name)) for name in ("outscale", *SIDES) if getattr(arguments, name)]
    return Options(
        size=sizes[0] if sizes else Size(),
        max_pixels=arguments.max_megapixels * 10**6,
        deblock=None if arguments.deblock is None else arguments.deblock == "on",
        quality=arguments.quality,
    )


def upscale_all(upscaler_for, jobs: list, options: Options, arguments: argparse.Namespace) -> dict:
    """Upscale the pictures and say on standard error what is to be said of them.

    upscaler_for: a function from a Picture to its Upscaler. Returns counts of pictures: `done`, `failed`, `present`
    (their results exist), `clean` (DEFAULT's) and `deblocked`; and `pixels`, of the results.
    """
    counts = dict.fromkeys(("done", "failed", "present", "clean", "deblocked", "pixels"), 0)
    with tqdm(total=len(jobs), bar_format=BAR) as bar:
        for number, job in enumerate(jobs, 1):

            def advance(share, end=number):
                bar.update(min(share, end - bar.n))  # shares are rounded and may add up to more than their picture

            bar.set_description_str(f"{job.source.name} ")
            try:
                # Checked now, not for all at the start: another command may be working on the same folder.
                if not job.problem and not arguments.overwrite and os.path.isfile(job.target):
                    counts["present"] += 1
                else:
                    upscaled = upscale_file(job, options, upscaler_for, advance)
                    for note in upscaled.notes:
                        tqdm.write(note, file=sys.stderr)
                    if upscaled.sr:
                        counts["done"] += 1
                        counts["clean"] += upscaled.upscaler.weights == str(SHIPPED[DEFAULT])
                        counts["deblocked"] += upscaled.is_deblocked
                        counts["pixels"] += upscaled.sr.colour.shape[0] * upscaled.sr.colour.shape[1]
            except command.ERRORS as error:
                if arguments.debug or getattr(error, "errno", None) in DISK:
                    raise
                where = f"{job.source}: " if isinstance(error, MemoryError) else ""
                tqdm.write(f"error: {where}{command.words(error)}", file=sys.stderr)
                counts["failed"] += 1
            bar.update(number - bar.n)
    return counts


def _path(text: str) -> str:
    """argparse type: a path, which must not be empty: an unset variable would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _suffix(text: str) -> str:
    """argparse type: a part of a file name."""
    if "/" in text or os.sep in text:
        raise argparse.ArgumentTypeError(f"{text!r} names a folder; give it with -o")
    return text


def _add_size_flags(parser: argparse.ArgumentParser) -> None:
    """Add `--outscale`, `--width`, `--height` and `--longest`, of which only one may be given."""
    group = parser.add_argument_group(
        "size of the results",
        f"give at most one; up to {SCALE} times the sides; the aspect ratio is kept; larger pictures are skipped",
    ).add_mutually_exclusive_group()
    group.add_argument(
        "--outscale",
        metavar="S",
        type=command.Number(1, SCALE, above=True),
        help=f"times the picture's sides, above 1 and up to {SCALE} (default: {SCALE})",
    )
    for name, side in zip(SIDES, ("width", "height", "longer side")):
        group.add_argument(
            f"--{name}", metavar="N", type=command.positive, help=f"pixels of the result's {side} (default: as above)"
        )


def parser() -> argparse.ArgumentParser:
    result = command.parser(__doc__)
    result.add_argument("inputs", metavar="INPUT", nargs="+", type=_path, help="pictures and folders of pictures")
    result.add_argument(
        "-o", "--output", metavar="OUT", type=_path, default=OUTPUT, help=f"folder for the results (default: {OUTPUT})"
    )
    generator_flags.add_generator_flags(result, default=AUTO)
    generator_flags.add_deblock_flag(result, f"on for JPEGs with {PHOTO}, otherwise off")
    _add_size_flags(result)
    result.add_argument("-r", "--recursive", action="store_true", help="search sub-folders too, not links to them")
    result.add_argument(
        "--format", choices=RESULT_ENDINGS, help="file format of the results (default: each picture's own)"
    )
    result.add_argument(
        "--quality",
        metavar="N",
        type=command.Number(1, 100, whole=True),
        help="quality of JPEG and lossy WebP, 1 to 100; 100 makes WebP lossless "
        "(default: 95; 100 if the picture is a lossless WebP)",
    )
    result.add_argument(
        "--suffix",
        metavar="TEXT",
        type=_suffix,
        help="appended to each name (default: the size, _x4, _x2 or _width1920 for example)",
    )
    result.add_argument("--overwrite", action="store_true", help="replace existing results (default: skip them)")
    generator_flags.add_size_flag(result, megapixels=50)
    generator_flags.add_engine_flags(result, precision="auto")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
    sys.stderr.flush()
    os._exit(0)  # all is written, and unloading the libraries would take as long as a tenth of a small picture
