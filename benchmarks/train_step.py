"""Time a training step and its parts, beside Paddle without this project's settings; prints tables.

    python benchmarks/train_step.py                                                          # takes minutes
    python benchmarks/train_step.py --sizes 32 --batch-size 2 --repeats 1                    # a quick look
    python benchmarks/train_step.py --recipe photo                                           # the crops of a recipe

For each stage and crop size, on the CPU, the same step from the same weights with

- Paddle as the commands run it: with the settings of `train/run/cpu.py`, batches prefetched by a thread, norms for the
  log;
- Paddle with --amp, in bf16, if Paddle and the CPU support it;
- Paddle, eager: without the settings of `train/run/cpu.py`.

A step lasts from fetching the batch to the losses as numbers. VGG19 has random weights. Each way runs in its own
process. They take turns, so that a slowdown of the machine affects all of them. The first round is not counted, and the
first step's losses are compared. Stage 2 with 384 crops takes 9 GB of memory.

With `--recipe` other than the article's, both stages compute their recipe's step with its crops, without the last way,
and the ratio of the stages is printed.

With `--device gpu` only the first way runs, and the device is synchronized where a part begins and ends. This has not
been tested, as no GPU was available.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import datetime
import math
import shlex
from functools import partial
from statistics import median

from tqdm import tqdm

from benchmarks.side_by_side import SETTLE, TRAINING_PARTS, cpu_name, rounds, table, version_of, versions, workers
from common import command
from common.device import add_device_flag, choose_device, cores, cpu_bf16
from common.errors import InputError
from data.pictures.images import read_rgb
from data.prepare import sample_sources

OURS, AMP, EAGER = ("Paddle", "as the commands run it"), ("Paddle", "with --amp"), ("Paddle", "eager")
RECIPES = ("article", "paper", "short", "photo")
STAGES = {1: "Stage 1", 2: "Stage 2, with VGG19"}
SIZES = (384, 96)
LARGEST_BATCH = 8
# The allowed relative difference of the first step's losses. D's: batch norm of few values magnifies rounding errors.
TOLERANCES = {"mse": 1e-4, "vgg": 1e-2, "d_loss": 5e-2}


def load_paddle(*arguments, **keywords):
    from benchmarks import paddle_training

    return paddle_training.load(*arguments, **keywords)


def has_amp() -> bool:
    """Whether the commands take --amp on this CPU."""
    return bool(cpu_bf16()) and version_of("Paddle").startswith("3.3.")


def default_batch(hr_size: int) -> int:
    """The number of crops with as many pixels as one of the largest, at most LARGEST_BATCH."""
    return max(1, min(LARGEST_BATCH, (max(SIZES) // hr_size) ** 2))


def ways_of(recipe: str, device: str) -> list:
    """The ways to compute a step."""
    if device != "cpu":
        return [OURS]
    return [OURS, *[AMP] * has_amp(), *[EAGER] * (recipe == "article")]


def prepare(photographs: list, setting: tuple, device: str, recipe: str) -> dict:
    """{way: load} for a setting (stage, HR side, batch size, steps)."""
    call = partial(load_paddle, photographs, *setting, device, recipe)
    return {way: partial(call, amp=way == AMP, eager=way == EAGER) for way in ways_of(recipe, device)}


def measure(loads: dict, repeats: int, bar) -> tuple:
    """({way: [{part: seconds} of each repeat]}, {way: peak MB}). Raises InputError if their losses differ."""
    parts, losses = {way: [] for way in loads}, {way: [] for way in loads}

    def step(way) -> float:
        seconds, terms = running[way].result(None)
        parts[way].append(seconds)
        losses[way].append(terms)
        return seconds["all"]

    with workers(loads) as running:
        rounds({way: partial(step, way) for way in loads}, repeats, bar, SETTLE)
        check_same({way: terms[0] for way, terms in losses.items() if way != AMP})
        memory = {way: worker.peak_memory() for way, worker in running.items()}
    return {way: steps[1:] for way, steps in parts.items()}, memory


def check_same(losses: dict) -> None:
    """{way: the first step's {loss: number}}. Raises InputError if a loss differs from the first way's."""
    expected = next(iter(losses.values()))
    for way, terms in losses.items():
        for name, tolerance in TOLERANCES.items():
            if name in terms and not math.isclose(terms[name], expected[name], rel_tol=tolerance):
                raise InputError(
                    f"{', '.join(way)}: the first step's {name} is {terms[name]:.6g}, and {expected[name]:.6g} as the "
                    "commands run it: the two do not compute the same"
                )


def report(parts: dict, memory: dict) -> str:
    """The table of a setting: a column for each way, a row for each part."""
    medians = {way: {name: median(step[name] for step in steps) for name in steps[0]} for way, steps in parts.items()}
    rows = [
        ("seconds a step", *(f"{times['all']:.3f}" for times in medians.values())),
        ("the least", *(f"{min(step['all'] for step in steps):.3f}" for steps in parts.values())),
    ]
    for part in (*TRAINING_PARTS, "rest"):
        if any(times[part] for times in medians.values()):
            shares = (f"{times[part]:.3f} ({times[part] / times['all']:.0%})" for times in medians.values())
            rows.append((part, *shares))
    rows.append(("peak MB", *(f"{memory[way]:.0f}" for way in parts)))
    return table("|".join(["", *map(", ".join, parts)]), rows)


def read_photographs(largest: int) -> list:
    """The photographs of the installed packages that are large enough. Raises InputError if there are none."""
    photographs = [read_rgb(source) for source in sample_sources()]
    fitting = [rgb for rgb in photographs if min(rgb.shape[:2]) >= largest]
    if not fitting:
        side = max(min(rgb.shape[:2]) for rgb in photographs)
        raise InputError(f"--sizes {largest}: the largest photograph holds crops of up to {side} pixels")
    return fitting


def header(device: str, repeats: int) -> str:
    """The machine and the versions."""
    where = f"{cpu_name()}, {cores()} cores" if device == "cpu" else device
    return (
        f"`python {shlex.join(sys.argv)}`, {datetime.date.today()}: {where}; {versions()}. "
        f"Seconds are medians of {repeats} steps. G, D and VGG are the forward passes."
    )


def settings_of(arguments) -> list:
    """[(stage, HR side, batch size, steps)] of the flags and the recipe."""
    steps = 1 + arguments.repeats
    if arguments.recipe == "article":
        sizes = arguments.sizes or SIZES
        return [
            (n, side, arguments.batch_size or default_batch(side), steps) for n in arguments.stages for side in sizes
        ]
    from train.stages import STAGES as stages  # it loads Paddle

    settings = []
    for number, stage in zip(STAGES, stages.values()):
        recipe = stage.recipes[arguments.recipe]
        sizes = arguments.sizes or [recipe.hr_size]
        if number in arguments.stages:
            settings += [(number, side, arguments.batch_size or recipe.batch_size, steps) for side in sizes]
    return settings


def main(arguments) -> None:
    device = choose_device(arguments.device)
    settings = settings_of(arguments)
    photographs = read_photographs(max(side for _, side, *_ in settings))
    ways = len(ways_of(arguments.recipe, device))
    say = partial(tqdm.write, file=sys.stdout)
    whole = []
    with tqdm(total=len(settings) * ways * settings[0][-1], unit="step") as bar:
        say(header(device, arguments.repeats))
        for setting in settings:
            stage, hr_size, batch_size, _ = setting
            parts, memory = measure(prepare(photographs, setting, device, arguments.recipe), arguments.repeats, bar)
            say(f"\n### {STAGES[stage]}, {batch_size} × {hr_size}×{hr_size}\n\n{report(parts, memory)}")
            whole.append({way: median(step["all"] for step in steps) for way, steps in parts.items()})
    if len(whole) == 2 and list(arguments.stages) == list(STAGES):
        ratios = (f"{', '.join(way)}: {whole[1][way] / whole[0][way]:.2f}" for way in whole[0])
        say(f"\nA step of stage 2 in steps of stage 1: {'; '.join(ratios)}")


def hr_size(text: str) -> int:
    """argparse type: a valid side of crops."""
    size = int(command.positive(text))
    if size % 4:
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of 4")
    return size


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument(
        "--sizes",
        metavar="N",
        type=hr_size,
        nargs="+",
        help="sides of the crops (default: 384 96, or the recipe's)",
    )
    parser.add_argument(
        "--stages", metavar="N", type=int, choices=STAGES, nargs="+", default=tuple(STAGES), help="(default: 1 2)"
    )
    parser.add_argument(
        "--batch-size",
        metavar="N",
        type=command.positive,
        help=f"crops (default: as many as have the pixels of one of {max(SIZES)}, at most {LARGEST_BATCH})",
    )
    parser.add_argument(
        "--repeats", metavar="N", type=command.positive, default=7, help="timed steps of each way (default: 7)"
    )
    parser.add_argument("--recipe", default="article", choices=RECIPES, help="(default: article)")
    add_device_flag(parser)
    command.run(parser.parse_args(), main)
