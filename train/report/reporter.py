"""A run's reports: losses, PSNR, validation, sample pictures, log.csv, warnings, VisualDL, curves."""

import contextlib
import sys
from argparse import Namespace
from typing import Callable

from tqdm import tqdm

from common.errors import InputError
from data import lpips
from data.crops import Crops
from models.generator import Generator
from train.bn_statistics import re_estimate
from train.recipe import Recipe
from train.report import gan_health, log_csv, samples, validation
from train.run import cpu, parallel
from train.run.checkpoint import Progress
from train.stages import GAN, Stage

LOG = "log.csv"
# {--best-by: (column, 1 if higher is better or -1 if lower is)}
BEST_BY = {"psnr": ("valid_psnr", 1), "lpips": ("valid_lpips", -1)}


class Reporter:
    """The reports of one run.

    Raises InputError for unusable validation pictures, and for a log.csv that is not this project's.
    The attribute `valid` holds the (HR, LR) files of the validation pictures. Call `begin` before anything else; only
    the main process of a run calls methods other than `begin`, `bar`, `advance` and `print_losses`.
    """

    def __init__(self, stage: Stage, crops: Crops, recipe: Recipe, options: Namespace):
        self.stage, self.crops, self.recipe, self.options = stage, crops, recipe, options
        self.steps, self.epochs = crops.steps(recipe.batch_size), stage.epochs(recipe)
        self.best_by, self.distance = _measures(stage, options)
        self.valid = []
        if options.valid:
            self.valid = validation.find_pictures(options.valid, options.valid_lr, bool(self.distance))
        # What --valid measures on without --valid-lr: LR made as the run's is, else bicubic.
        self.lr_of = None if crops.lr_pictures else crops.lr_of
        if self.valid and crops.lr_pictures and not options.valid_lr and parallel.is_main():
            _warn("--valid measures on bicubic LR, not on LR like --lr-data's: give --valid-lr DIR")
        log_csv.check(options.output / LOG)

    def begin(self, progress: Progress, trained: Generator) -> None:
        """Report on `progress`, that of a new or a resumed run, from now on.

        trained: the generator that is shown and saved: the moving average if there is one.
        """
        self.progress, self.trained = progress, trained
        # A copy whose batch norm statistics are re-estimated.
        self.shown = Generator(*trained.sizes)
        cpu.speed_up_frozen(self.shown)
        self.visualdl = None
        if self.options.visualdl and parallel.is_main():
            from train.report.visualdl_log import VisualDL  # an optional package

            self.visualdl = VisualDL(self.options.output / "visualdl" / self.stage.result, progress.epoch)
        # A run's samples are these crops, so that its progress is seen.
        with contextlib.closing(self.crops.batches(0, self.recipe.batch_size, workers=0)) as batches:
            self.fixed_lr, self.fixed_hr = next(batches)

    def bar(self) -> tqdm:
        """The progress bar of the current epoch."""
        title = f"epoch {self.progress.epoch}/{self.epochs}"
        return tqdm(
            total=self.steps, initial=self.progress.step, desc=title, unit="step", disable=not parallel.is_main()
        )

    def advance(self, bar: tqdm) -> None:
        """Advance the bar by one step; it shows the losses' means so far."""
        means = {name: f"{total / self.progress.step:.3g}" for name, total in self.progress.totals.items()}
        bar.set_postfix({name: means[name] for name in means if "gradient" not in name}, refresh=False)
        bar.update()

    def print_losses(self, row: dict) -> None:
        """Print the article's line for an epoch, in stage 2 also a line about D. row: as in log.csv."""
        print(self.stage.log_line.format(epochs=self.epochs, time=row["seconds"], **row), flush=True)
        if "d_hr" in row:
            print(
                "    judged real: {d_hr:.3f} of HR, {d_sr:.3f} of SR; gradient norms: G {g_gradient:.3g}, D "
                "{d_gradient:.3g}".format(**row),
                flush=True,
            )

    def measure_start(self, generator: Generator, check_stop: Callable) -> dict:
        """The figures of the generator that the run starts from, with its own batch norm statistics.

        check_stop: called regularly; an exception that it raises ends the measurement.
        """
        self._copy(generator)
        return self._measure(bool(self.valid), "the start", check_stop)

    def generator_to_save(self, row: dict, is_last: bool, check_stop: Callable) -> Generator:
        """The generator to save after an epoch; if a measurement is due, its figures are added to `row`.

        It is then a copy in eval mode with re-estimated batch norm statistics. check_stop: as in `measure_start`.
        """
        epoch = row["epoch"]
        is_valid = self.valid and (epoch % (self.options.valid_every or self.recipe.sample_every) == 0 or is_last)
        if not (epoch == 0 or self._has_samples(epoch) or is_valid or is_last):
            return self.trained
        if self.stage is GAN and self.recipe.freeze_bn:
            self._copy(self.trained)
        else:
            batch_size = self.recipe.batch_size // self.recipe.grad_accumulate
            re_estimate(self.shown, self.trained, self.crops, epoch, batch_size, check_stop)
        row.update(self._measure(is_valid, f"epoch {epoch}", check_stop))
        return self.shown

    def _has_samples(self, epoch: int) -> bool:
        return epoch != 0 and epoch % self.recipe.sample_every == 0

    def _copy(self, generator: Generator) -> None:
        self.shown.set_state_dict(generator.state_dict())
        self.shown.eval()

    def _measure(self, is_valid: bool, of: str, check_stop: Callable) -> dict:
        """The PSNR of the run's sample crops and, if `is_valid`, the figures of `validation.measure`."""
        psnr = samples.mean_psnr(samples.sample_sr(self.shown, self.fixed_lr), self.fixed_hr)
        print(f"    sample PSNR: {psnr:.2f} dB (mean of {len(self.fixed_lr)} crops, {of})", flush=True)
        figures = {"sample_psnr": psnr}
        if is_valid:
            figures.update(validation.measure(self.shown, self.valid, self.lr_of, check_stop, self.distance))
            line = "    valid: {valid_psnr:.2f} dB, SSIM {valid_ssim:.4f} on Y, "
            line += "LPIPS {valid_lpips:.4f}, " if self.distance else ""
            line += "grid {valid_grid:.2f} (mean of {0} pictures)"
            print(line.format(len(self.valid), **figures), flush=True)
        return figures

    def is_best(self, row: dict) -> bool:
        """Whether `row` has a validation and it is the best of the run so far."""
        name, sign = BEST_BY[self.best_by]
        if name not in row:
            return False
        return name not in self.progress.best or sign * row[name] > sign * self.progress.best[name]

    def write_pictures(self, is_last: bool) -> None:
        """Write the sample pictures of the current epoch if they are due, and the figure after the last epoch."""
        epoch = self.progress.epoch
        if not (self._has_samples(epoch) or is_last):
            return
        pictures = (self.fixed_lr[0], self.fixed_hr[0], samples.sample_sr(self.shown, self.fixed_lr[:1])[0])
        if self._has_samples(epoch):
            samples.write_samples(self.options.output, f"{self.stage.samples}_{epoch}", *pictures)
            if self.visualdl:
                self.visualdl.pictures(dict(zip(("lr", "hr", "sr"), pictures)), epoch)
        if is_last:
            samples.write_figure(self.options.output / f"{self.stage.result}_figure.png", *pictures)

    def write_history(self, is_last: bool) -> None:
        """Report on the finished epochs: log.csv, warnings, VisualDL, curves."""
        history = self.progress.history
        try:
            log_csv.write(self.options.output / LOG, self.stage.result, history)
        except InputError as error:  # a user has edited it: no reason to end a run of days
            _warn(str(error))
        warmed_up = history[-(-self.recipe.d_warmup // self.steps) :]  # during the warm-up D is meant to win
        for text in gan_health.warnings(warmed_up, self.progress.start):
            _warn(text)
        if self.visualdl:
            row = dict(history[-1])
            self.visualdl.scalars(row, row.pop("epoch"))
        if is_last or "sample_psnr" in history[-1]:
            samples.write_curves(self.options.output / f"{self.stage.result}_losses.png", history)


def _measures(stage: Stage, options: Namespace) -> tuple:
    """The measure that selects the best epoch, `psnr` or `lpips`, and the `Lpips` to measure with, or None."""
    if not options.valid or not (stage is GAN or options.best_by == "lpips"):
        return "psnr", None
    if options.best_by != "lpips" and not lpips.available():
        print(f"LPIPS is not measured: {lpips.WEIGHTS} is missing; get it with: {lpips.COMMAND}")
        return "psnr", None
    return options.best_by or "lpips", lpips.Lpips()


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)
