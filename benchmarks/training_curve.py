"""Plot PSNR against the steps and hours of stage 1, from the log.csv of a run.

    python benchmarks/training_curve.py output/log.csv --steps 464 --to curve.png

Several logs are consecutive runs, each started from the previous one's weights (--init).
--steps is the number of steps per epoch, which the training command prints at its start. The hours count the steps
without the validation between them. PSNR is that of the --valid pictures, in each epoch with a validation.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import csv

from common import command
from common.errors import InputError
from common.plots import plt, write_plot
from train.report import log_csv
from train.stages import PRETRAIN


def points(paths: list, steps: int) -> list:
    """[(steps, hours, dB)] at the end of each stage-1 epoch with a PSNR in its row; the logs are joined.

    steps: per epoch. Raises InputError naming the file if it is not a log or has no such row.
    """
    found, seconds, epochs = [], 0.0, 0
    for path in paths:
        log_csv.check(path)
        with open(path, newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["stage"] == PRETRAIN.result]
        if not any(row["valid_psnr"] for row in rows):
            raise InputError(f"{path}: it has no validation of stage 1; train with --valid DIR")
        for row in rows:
            seconds += float(row["seconds"])
            epochs += 1
            if row["valid_psnr"]:
                found.append((epochs * steps, seconds / 3600, float(row["valid_psnr"])))
    return found


def draw(path, curve: list) -> None:
    """Write the curve as a PNG: dB over steps, and over hours."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True)
    psnr = [value for *_, value in curve]
    for axis, number, name in zip(axes, (0, 1), ("steps", "hours")):
        axis.plot([point[number] for point in curve], psnr, marker=".")
        axis.set_xlabel(name)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("PSNR on Y in dB")
    write_plot(figure, path)


def main(arguments) -> None:
    curve = points(arguments.logs, arguments.steps)
    draw(arguments.to, curve)
    for steps, hours, psnr in curve:
        print(f"{steps:7d} steps  {hours:6.2f} h  {psnr:.2f} dB")
    print(arguments.to)


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument("logs", metavar="log.csv", nargs="+", help="log.csv of a run, in its output folder")
    parser.add_argument("--steps", metavar="N", type=command.positive, required=True, help="steps per epoch")
    parser.add_argument("--to", metavar="FILE.png", required=True, help="the picture to write")
    command.run(parser.parse_args(), main)
