"""One training run: its epochs and steps, weights and checkpoints. `train.report` reports on it."""

import contextlib
import math
import signal
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Callable

from common.errors import InputError
from data.crops import Crops
from data.standardize import standardize
from models.weight_files import weights
from train.ema import Ema
from train.report.reporter import Reporter
from train.run import checkpoint, parallel, run_json
from train.run.resume import Saver
from train.run.stop import Stop, Stopped
from train.schedule import learning_rate
from train.stages import GAN, Stage

START = -1  # the "epoch" of the generator that a run starts from, in its progress


def train(stage: Stage, step, crops: Crops, options: Namespace) -> None:
    """Run a stage to its end: from the beginning or, with `--resume`, from its newest checkpoint.

    step: a `train.steps.PretrainStep` or `GanStep`. options: the command's flags, from `train.training_flags.parser`.
    Writes to `--output`: every epoch the weights, a row of log.csv and usually a checkpoint; samples; at the end a
    figure and curves. Raises InputError if a loss or a weight is not finite; earlier results are kept. SIGINT, SIGTERM
    and SIGHUP end the process after the current step, with a checkpoint and exit status 130, 143 or 129.
    """
    folder = checkpoint.folder_of(options.output, stage.result)
    with checkpoint.lock(folder) if parallel.is_main() else contextlib.nullcontext():
        run = _Run(stage, step, crops, options)
        if run.progress.epoch > run.epochs:
            print(f"this run is complete: {run.saved}. A larger --epochs continues it")
            return
        if parallel.is_main():
            run_json.write(stage, options, step.recipe)
        with Stop(alone=parallel.count() == 1) as stop:
            try:
                run.run_to_end(stop)
            except Stopped as stopped:
                run.saver.save(run.progress)
                parallel.barrier()  # the launcher kills all processes when one has ended
                by = "Ctrl-C" if stopped.signum == signal.SIGINT else signal.Signals(stopped.signum).name
                print(f"stopped by {by} {run.where()}; saved in {folder}: continue with --resume", file=sys.stderr)
                sys.exit(128 + stopped.signum)
            except NotFinite:
                raise
            except (InputError, OSError):  # such as a removed picture or a full disk: save the steps so far
                with contextlib.suppress(InputError, OSError):
                    run.saver.save(run.progress)
                raise
    if run.progress.best.get("epoch") == START:
        print(f"no epoch was better than the start on --valid: {run.best_path()} are the weights it started from")
    print(f"done: {run.saved}, {stage.result}_figure.png and {stage.result}_losses.png beside it")


class NotFinite(InputError):
    """A loss is not finite, so the weights may not be either: nothing is saved."""


class _Run:
    """A run in progress: its networks, its data and its progress."""

    def __init__(self, stage: Stage, step, crops: Crops, options: Namespace):
        self.stage, self.step, self.crops, self.options = stage, step, crops, options
        self.recipe = recipe = step.recipe
        self.saved = options.output / f"{stage.result}.pdparams"
        self.epochs, self.steps = stage.epochs(recipe), crops.steps(recipe.batch_size)
        self.generator = step.networks["generator"]
        self.report = Reporter(stage, crops, recipe, options)
        self.ema = Ema(self.generator, recipe.ema) if recipe.ema else None
        valid = [path for pair in self.report.valid for path in pair if path]
        self.saver = Saver(stage, step, self.ema, crops, valid, options)
        self.progress = self.saver.resume() if options.resume else self.saver.begin()
        if self.saved.exists() and not self.progress.history:
            print(f"{self.saved} exists already: the first epoch's weights will replace it")
        self.report.begin(self.progress, self.ema.generator if self.ema else self.generator)

    def where(self) -> str:
        return f"in epoch {self.progress.epoch}, after {self.progress.step} of {self.steps} steps"

    def run_to_end(self, stop: Stop) -> None:
        is_trained = self.stage is GAN or (self.options.init and self.report.valid and not self.progress.history)
        if is_trained and not self.progress.start and parallel.is_main():
            self._measure_start(stop)
        while self.progress.epoch <= self.epochs:
            self._run_steps(stop)
            self._end_epoch(stop)
        stop.check()  # so that a script does not continue with its next command

    def _measure_start(self, stop: Stop) -> None:
        """Measure the generator that the run starts from; it counts as a candidate for the best weights."""
        start = self.report.measure_start(self.generator, _check_stop(stop))
        self.progress.start = start
        if not self.progress.history and self.report.is_best(start):
            self.progress.best = {"epoch": START, **start}
            weights.save(self.generator, self.best_path())

    def best_path(self) -> Path:
        return self.options.output / f"{self.stage.result}_best.pdparams"

    def _run_steps(self, stop: Stop) -> None:
        """The remaining steps of the current epoch."""
        progress = self.progress
        share = (parallel.rank(), parallel.count())
        batches = self.crops.batches(
            progress.epoch, self.recipe.batch_size, self.options.workers, start=progress.step, share=share
        )
        parallel.barrier()
        start = time.monotonic() - progress.seconds
        with contextlib.closing(batches), self.report.bar() as bar:
            for lr, hr in batches:
                number = progress.epoch * self.steps + progress.step
                for name, optimizer in self.step.optimizers.items():
                    of_d = self.recipe.d_rate if name == "discriminator" else 1
                    optimizer.set_lr(self._learning_rate(number) * of_d)
                losses = self.step(standardize(lr), standardize(hr), number)
                flags = {"stop": float(stop.signum > 0), "save": float(self.saver.is_due_within_epoch())}
                means = parallel.mean({**{name: float(loss) for name, loss in losses.items()}, **flags})
                is_asked_to_stop, is_save_due = (means.pop(name) > 0 for name in flags)  # in this process or another
                progress.step += 1
                self._check(means)
                if self.ema:
                    self.ema.update(self.generator)
                for name, value in means.items():
                    progress.totals[name] = progress.totals.get(name, 0.0) + value
                progress.seconds = time.monotonic() - start
                self.report.advance(bar)
                if is_asked_to_stop:
                    raise Stopped(stop.signum or signal.SIGTERM)
                if is_save_due:
                    self.saver.save(progress)
                    parallel.barrier()

    def _learning_rate(self, number: int) -> float:
        """The learning rate of step `number` of the run."""
        schedule, steps = self.stage.schedule(self.recipe), self.steps * (self.epochs + 1)
        return learning_rate(schedule, self.recipe.learning_rate, number, steps)

    def _check(self, means: dict) -> None:
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            saved = f"the last saved weights are in {self.saved}" if self.saved.exists() else "no weights are saved yet"
            raise NotFinite(
                f"{', '.join(bad)} is not finite at epoch {self.progress.epoch}, step {self.progress.step}: "
                f"training stopped, {saved}. Try a smaller --learning-rate (from the last checkpoint: --resume "
                "--new-recipe)"
            )

    def _end_epoch(self, stop: Stop) -> None:
        """Report on a finished epoch, save weights and a checkpoint, and move on to the next."""
        progress = self.progress
        rate = self._learning_rate((progress.epoch + 1) * self.steps - 1)
        row = {"epoch": progress.epoch, "seconds": progress.seconds, "learning_rate": rate}
        row.update({name: total / self.steps for name, total in progress.totals.items()})
        self.report.print_losses(row)
        is_last = progress.epoch == self.epochs
        is_best = parallel.is_main() and self._save_generator(row, is_last, stop)
        progress.history.append(row)
        progress.epoch, progress.step, progress.seconds, progress.totals = progress.epoch + 1, 0, 0.0, {}
        if parallel.is_main():
            self.report.write_history(is_last)
        if is_best or is_last or self.saver.is_due_after_epoch():
            self.saver.save(self.progress, after_epoch=True)

    def _save_generator(self, row: dict, is_last: bool, stop: Stop) -> bool:
        """Save the generator's weights, and samples if they are due; return whether the weights are the best yet."""
        generator = self.report.generator_to_save(row, is_last, _check_stop(stop))
        weights.save(generator, self.saved)
        self.report.write_pictures(is_last)
        if not self.report.is_best(row):
            return False
        self.progress.best = row
        weights.save(generator, self.best_path())
        return True


def _check_stop(stop: Stop) -> Callable:
    """The function that a long computation calls regularly so it can be stopped; a no-op with several processes."""
    return stop.check if parallel.count() == 1 else lambda: None
