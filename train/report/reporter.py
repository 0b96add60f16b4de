"""What a run shows, and when: losses, PSNR, validation, sample pictures, log.csv, warnings, VisualDL, curves."""

import contextlib
import sys
import time
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
from train.run.options import Options
from train.stages import GAN, Stage

LOG = "log.csv"
BEST_BY = {"psnr": ("valid_psnr", 1), "lpips": ("valid_lpips", -1)}  # of --best-by: a column, and the better direction
LOG_PAUSE = 50  # times what writing it took, until it is written again


class Reporter:
    """The reports of one run.

    Raises InputError for validation pictures that cannot be measured on, and for a log.csv that is not this project's.
    The attribute `valid` has the (HR, LR) files of the validation pictures. Call `begin` before anything else; of the
    processes of a run only the main one calls more than `begin`, `bar`, `advance` and `losses`.
    """

    def __init__(self, stage: Stage, crops: Crops, recipe: Recipe, options: Options):
        self.stage, self.crops, self.recipe, self.options = stage, crops, recipe, options
        self.steps, self.epochs = crops.steps(recipe.batch_size), stage.epochs(recipe)
        self.best_by, self.distance = _measures(stage, options)
        self.valid = validation.pictures(options.valid, bool(self.distance)) if options.valid else []
        log_csv.check(options.output / LOG)

    def begin(self, progress: Progress, trained: Generator) -> None:
        """Report on `progress` from now on: where a new run is, or a resumed one.

        trained: the generator that is shown and saved, the moving average where there is one.
        """
        self.progress, self.trained = progress, trained
        # A copy, whose batch norm statistics are estimated anew.
        self.shown = Generator(*trained.sizes)
        cpu.speed_up_frozen(self.shown)
        self.visualdl = self._open_visualdl()
        self.logged_at, self.log_took = time.monotonic(), 0.0
        # The PSNR of a run's samples is that of these crops.
        self.fixed_lr, self.fixed_hr = self._batch(0, 0)

    def _open_visualdl(self):
        if not (self.options.visualdl and parallel.is_main()):
            return None
        from train.report.visualdl_log import VisualDL  # an optional package

        return VisualDL(self.options.output / "visualdl" / self.stage.result, self.progress.epoch)

    def _batch(self, epoch: int, step: int) -> tuple:
        """One batch of an epoch: (lr, hr), uint8 [N,·,·,3]."""
        with contextlib.closing(self.crops.batches(epoch, self.recipe.batch_size, workers=0, start=step)) as batches:
            return next(batches)

    def bar(self) -> tqdm:
        """The progress bar of the current epoch."""
        title = f"epoch {self.progress.epoch}/{self.epochs}"
        return tqdm(
            total=self.steps, initial=self.progress.step, desc=title, unit="step", disable=not parallel.is_main()
        )

    def advance(self, bar: tqdm) -> None:
        """Move the bar by a step; it shows the losses' means so far."""
        means = {name: f"{total / self.progress.step:.3g}" for name, total in self.progress.totals.items()}
        bar.set_postfix({name: means[name] for name in means if "gradient" not in name}, refresh=False)
        bar.update()

    def losses(self, row: dict) -> None:
        """Print the article's line of an epoch, in stage 2 also one on D. row: as of log.csv."""
        print(self.stage.log_line.format(epochs=self.epochs, time=row["seconds"], **row), flush=True)
        if "d_hr" in row:
            print(
                "    judged real: {d_hr:.3f} of HR, {d_sr:.3f} of SR; gradient norms: G {g_gradient:.3g}, D "
                "{d_gradient:.3g}".format(**row),
                flush=True,
            )

    def start(self, generator: Generator, check_stop: Callable) -> dict:
        """The figures of stage 1's generator, with the statistics it came with: what stage 2 starts from.

        check_stop: called now and then; what it raises ends the measuring.
        """
        self._copy(generator)
        return self._measure(bool(self.valid), "stage 1's generator", check_stop)

    def measured(self, row: dict, is_last: bool, check_stop: Callable) -> Generator:
        """The generator to save after an epoch; where it is time to measure it, the figures go into `row`.

        Then it is a copy in eval mode whose batch norm statistics are estimated anew. check_stop: as in `start`.
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
        """PSNR of the run's sample crops and, if asked for, what `validation.measure` says."""
        psnr = samples.mean_psnr(samples.sample_sr(self.shown, self.fixed_lr), self.fixed_hr)
        print(f"    sample PSNR: {psnr:.2f} dB (mean of {len(self.fixed_lr)} crops, {of})", flush=True)
        figures = {"sample_psnr": psnr}
        if is_valid:
            figures.update(validation.measure(self.shown, self.valid, check_stop, self.distance))
            line = "    valid: {valid_psnr:.2f} dB, SSIM {valid_ssim:.4f} on Y, "
            line += "LPIPS {valid_lpips:.4f}, " if self.distance else ""
            line += "grid {valid_grid:.2f} (mean of {0} pictures)"
            print(line.format(len(self.valid), **figures), flush=True)
        return figures

    def is_best(self, row: dict) -> bool:
        """Whether a validation in `row` is the best of the run so far."""
        name, sign = BEST_BY[self.best_by]
        if name not in row:
            return False
        return name not in self.progress.best or sign * row[name] > sign * self.progress.best[name]

    def pictures(self, is_last: bool) -> None:
        """The sample pictures of the current epoch, if it has some, and the figure of the last one."""
        epoch = self.progress.epoch
        if not (self._has_samples(epoch) or is_last):
            return
        lr, hr = self._batch(epoch, self.steps - 1)
        pictures = (lr[0], hr[0], samples.sample_sr(self.shown, lr[:1])[0])
        if self._has_samples(epoch):
            samples.write_samples(self.options.output, f"{self.stage.samples}_{epoch}", *pictures)
            if self.visualdl:
                self.visualdl.pictures(dict(zip(("lr", "hr", "sr"), pictures)), epoch)
        if is_last:
            samples.write_figure(self.options.output / f"{self.stage.result}_figure.png", *pictures)

    def history(self, is_last: bool) -> None:
        """What the finished epochs give: log.csv, warnings, VisualDL, curves."""
        history = self.progress.history
        self._write_log(is_last)
        warmed_up = history[-(-self.recipe.d_warmup // self.steps) :]  # until then D is meant to win
        for text in gan_health.warnings(warmed_up, self.progress.start):
            _warn(text)
        if self.visualdl:
            self.visualdl.scalars(history[-1], history[-1]["epoch"])
        if is_last or "sample_psnr" in history[-1]:
            samples.write_curves(self.options.output / f"{self.stage.result}_losses.png", history)

    def _write_log(self, is_last: bool) -> None:
        """Write log.csv, which is rewritten each time; in runs of thousands of epochs not after every one."""
        start = time.monotonic()
        if not is_last and start - self.logged_at < LOG_PAUSE * self.log_took:
            return
        try:
            log_csv.write(self.options.output / LOG, self.stage.result, self.progress.history)
        except InputError as error:  # somebody has edited it: no reason to end a run of days
            _warn(str(error))
        self.logged_at = time.monotonic()
        self.log_took = self.logged_at - start


def _measures(stage: Stage, options: Options) -> tuple:
    """By what the best epoch is chosen, `psnr` or `lpips`, and the `Lpips` to measure with, None without."""
    if not options.valid or not (stage is GAN or options.best_by == "lpips"):
        return "psnr", None
    if options.best_by != "lpips" and not lpips.available():
        print(f"LPIPS is not measured: {lpips.WEIGHTS} is not there; get it with: {lpips.COMMAND}")
        return "psnr", None
    return options.best_by or "lpips", lpips.Lpips()


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)
