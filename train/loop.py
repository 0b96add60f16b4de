"""One training run: epochs, progress, log lines, samples, validation, checkpoints."""

import contextlib
import math
import signal
import sys
import time
from pathlib import Path
from typing import Callable

from tqdm import tqdm

from common.errors import InputError
from data import lpips
from data.crops import Crops, standardize
from models.generator import Generator
from models.weight_files import weights
from train.bn_statistics import re_estimate
from train.ema import Ema
from train.report import gan_health, log_csv, samples, validation
from train.run import checkpoint, cpu, parallel, run_json
from train.run.resume import Saver
from train.run.stop import Stop, Stopped
from train.schedule import learning_rate
from train.stages import GAN, Stage

LOG = "log.csv"
BEST_BY = {"psnr": ("valid_psnr", 1), "lpips": ("valid_lpips", -1)}  # of --best-by: a column, and the better direction
LOG_PAUSE = 50  # times what writing it took, until it is written again


def train(stage: Stage, step, crops: Crops, arguments) -> None:
    """Run a stage to its end: from its beginning or, with `--resume`, from where it was.

    step: a `train.steps.PretrainStep` or `GanStep`. arguments: what `train.flags.parser` parsed.
    Writes into `--output`: weights, a row of log.csv and mostly a checkpoint every epoch, samples, at the end figure
    and curves. Raises InputError at a loss or weights that are not finite numbers; what was saved before stays. SIGINT,
    SIGTERM and SIGHUP end the process after the step under way, with a checkpoint and exit status 130, 143 or 129.
    """
    folder = checkpoint.folder_of(arguments.output, stage.result)
    with checkpoint.locked(folder) if parallel.is_main() else contextlib.nullcontext():
        run = _Run(stage, step, crops, arguments)
        if run.progress.epoch > run.epochs:
            print(f"this run is complete: {run.saved}. A larger --epochs continues it")
            return
        if parallel.is_main():
            run_json.write(stage, arguments, step.recipe)
        with Stop(alone=parallel.count() == 1) as stop:
            try:
                run.to_the_end(stop)
            except Stopped as stopped:
                run.saver.save(run.progress)
                parallel.barrier()  # the launcher ends all of them when one has ended
                by = "Ctrl-C" if stopped.signum == signal.SIGINT else signal.Signals(stopped.signum).name
                print(f"stopped by {by} {run.where()}; saved in {folder}: continue with --resume", file=sys.stderr)
                sys.exit(128 + stopped.signum)
            except NotFinite:
                raise
            except (InputError, OSError):  # a picture that has gone, a full disk: the steps so far need not be lost
                with contextlib.suppress(InputError, OSError):
                    run.saver.save(run.progress)
                raise
    print(f"done: {run.saved}, {stage.result}_figure.png and {stage.result}_losses.png beside it")


class NotFinite(InputError):
    """A loss is no finite number, and so may the weights be: nothing may be saved."""


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


class _Run:
    """A run under way: what is trained on what, and how far it is."""

    def __init__(self, stage: Stage, step, crops: Crops, arguments):
        self.stage, self.step, self.crops, self.arguments = stage, step, crops, arguments
        self.recipe = recipe = step.recipe
        self.output = Path(arguments.output)
        self.saved = self.output / f"{stage.result}.pdparams"
        self.generator = step.networks["generator"]
        self.epochs = stage.epochs(recipe)
        self.schedule = stage.schedule(recipe)
        self.steps = crops.steps(recipe.batch_size)
        self.best_by, self.distance = self._measures()
        self.valid = validation.pictures(arguments.valid, bool(self.distance)) if arguments.valid else []
        log_csv.check(self.output / LOG)
        self.shown = Generator()  # what is measured, drawn and saved
        cpu.speed_up_frozen(self.shown)
        self.keeps_statistics = stage is GAN and recipe.freeze_bn
        self.ema = Ema(self.generator, recipe.ema) if recipe.ema else None
        hr_files = [hr for hr, _ in self.valid]
        self.saver = Saver(stage, step, self.ema, crops, hr_files, arguments)
        self.progress = self.saver.resume() if arguments.resume else self.saver.begin()
        if self.saved.exists() and not self.progress.history:
            print(f"{self.saved} exists already: the first epoch's weights will replace it")
        self.visualdl = self._open_visualdl()
        self.logged_at, self.log_took = time.monotonic(), 0.0
        # The PSNR of a run's samples is that of these crops.
        self.fixed_lr, self.fixed_hr = self._batch(0, 0)

    def _measures(self) -> tuple:
        """By what the best epoch is chosen, `psnr` or `lpips`, and the `Lpips` to measure with, None without."""
        best_by, is_gan = self.arguments.best_by, self.stage is GAN
        if not self.arguments.valid or not (is_gan or best_by == "lpips"):
            return "psnr", None
        if best_by != "lpips" and not lpips.available():
            print(f"LPIPS is not measured: {lpips.WEIGHTS} is not there; get it with: {lpips.COMMAND}")
            return "psnr", None
        return best_by or "lpips", lpips.Lpips()

    def _open_visualdl(self):
        if not (self.arguments.visualdl and parallel.is_main()):
            return None
        from train.report.visualdl_log import VisualDL  # an optional package

        return VisualDL(self.output / "visualdl" / self.stage.result, self.progress.epoch)

    def _batch(self, epoch: int, step: int) -> tuple:
        """One batch of an epoch: (lr, hr), uint8 [N,·,·,3]."""
        with contextlib.closing(self.crops.batches(epoch, self.recipe.batch_size, workers=0, start=step)) as batches:
            return next(batches)

    def where(self) -> str:
        return f"in epoch {self.progress.epoch}, after {self.progress.step} of {self.steps} steps"

    def to_the_end(self, stop: Stop) -> None:
        if self.stage is GAN and not self.progress.start:
            self._measure_start(stop)
        while self.progress.epoch <= self.epochs:
            self._run_steps(stop)
            self._end_epoch(stop)
        stop.check()  # what follows this command is not to begin

    def _run_steps(self, stop: Stop) -> None:
        """The steps of the present epoch that are not done yet."""
        progress = self.progress
        share = (parallel.rank(), parallel.count())
        batches = self.crops.batches(
            progress.epoch, self.recipe.batch_size, self.arguments.workers, start=progress.step, share=share
        )
        start = time.monotonic() - progress.seconds
        with contextlib.closing(batches), self._bar() as bar:
            for lr, hr in batches:
                asked = self._run_step(lr, hr, stop)
                progress.seconds = time.monotonic() - start
                means = {name: f"{total / progress.step:.3g}" for name, total in progress.totals.items()}
                bar.set_postfix({name: means[name] for name in means if "gradient" not in name}, refresh=False)
                bar.update()
                if asked:
                    raise Stopped(asked)
                if self.saver.is_due_within_epoch():
                    self.saver.save(progress)

    def _bar(self) -> tqdm:
        title = f"epoch {self.progress.epoch}/{self.epochs}"
        return tqdm(
            total=self.steps, initial=self.progress.step, desc=title, unit="step", disable=not parallel.is_main()
        )

    def _learning_rate(self, number: int) -> float:
        """That of step `number` of the run."""
        return learning_rate(self.schedule, self.recipe.learning_rate, number, self.steps * (self.epochs + 1))

    def _run_step(self, lr, hr, stop: Stop) -> int:
        """One step on uint8 crops; returns the signal by which this process or another was asked to stop, else 0."""
        progress = self.progress
        number = progress.epoch * self.steps + progress.step
        for name, optimizer in self.step.optimizers.items():
            optimizer.set_lr(self._learning_rate(number) * (self.recipe.d_rate if name == "discriminator" else 1))
        losses = self.step(standardize(lr), standardize(hr), number)
        means = parallel.mean({**{name: float(loss) for name, loss in losses.items()}, "stop": float(stop.signum > 0)})
        asked = means.pop("stop") > 0
        progress.step += 1
        self._check(means)
        if self.ema:
            self.ema.update(self.generator)
        for name, value in means.items():
            progress.totals[name] = progress.totals.get(name, 0.0) + value
        return (stop.signum or signal.SIGTERM) if asked else 0

    def _check(self, means: dict) -> None:
        bad = [name for name, value in means.items() if not math.isfinite(value)]
        if bad:
            kept = f"the last saved weights are in {self.saved}" if self.saved.exists() else "nothing was saved yet"
            raise NotFinite(
                f"{', '.join(bad)} is no finite number at epoch {self.progress.epoch}, step {self.progress.step}: "
                f"training stopped, {kept}. Try a smaller --learning-rate (from the last checkpoint: --resume "
                "--new-recipe)"
            )

    def _end_epoch(self, stop: Stop) -> None:
        """The figures, pictures, weights and checkpoint of an epoch whose steps are done; then the next one is due."""
        progress = self.progress
        for network in self.step.networks.values():
            parallel.average_statistics(network)
        parallel.check_identical(self.step.networks)
        rate = self._learning_rate((progress.epoch + 1) * self.steps - 1)
        row = {"epoch": progress.epoch, "seconds": progress.seconds, "learning_rate": rate}
        row.update({name: total / self.steps for name, total in progress.totals.items()})
        self._print_losses(row)
        is_last = progress.epoch == self.epochs
        is_best = parallel.is_main() and self._show(row, is_last, stop)
        progress.history.append(row)
        progress.epoch, progress.step, progress.seconds, progress.totals = progress.epoch + 1, 0, 0.0, {}
        if parallel.is_main():
            self._report(is_last)
        if is_best or is_last or self.saver.is_due_after_epoch():
            self._save()

    def _print_losses(self, row: dict) -> None:
        print(self.stage.log_line.format(epochs=self.epochs, time=row["seconds"], **row), flush=True)
        if "d_hr" in row:
            print(
                "    judged real: {d_hr:.3f} of HR, {d_sr:.3f} of SR; gradient norms: G {g_gradient:.3g}, D "
                "{d_gradient:.3g}".format(**row),
                flush=True,
            )

    def _show(self, row: dict, is_last: bool, stop: Stop) -> bool:
        """Save the generator's weights, where it is time measure them and write samples; whether they are the best yet.

        What is measured goes into `row`.
        """
        epoch, trained = self.progress.epoch, self.ema.generator if self.ema else self.generator
        is_sample = epoch != 0 and epoch % self.recipe.sample_every == 0
        is_valid = self.valid and (epoch % (self.arguments.valid_every or self.recipe.sample_every) == 0 or is_last)
        if not (epoch == 0 or is_sample or is_valid or is_last):
            weights.save(trained, self.saved)
            return False
        shown = self.shown
        if self.keeps_statistics:
            self._show_as_it_is(trained)
        else:
            batch_size = self.recipe.batch_size // self.recipe.grad_accumulate
            re_estimate(shown, trained, self.crops, epoch, batch_size, self._between(stop))
        row.update(self._measure(shown, is_valid, f"epoch {epoch}", stop))
        weights.save(shown, self.saved)
        if is_sample or is_last:
            self._write_pictures(shown, is_sample, is_last)
        if not self._is_best(row):
            return False
        self.progress.best = row
        weights.save(shown, self.output / f"{self.stage.result}_best.pdparams")
        return True

    def _is_best(self, row: dict) -> bool:
        name, sign = BEST_BY[self.best_by]
        if name not in row:
            return False
        return name not in self.progress.best or sign * row[name] > sign * self.progress.best[name]

    def _measure(self, generator: Generator, is_valid: bool, of: str, stop: Stop) -> dict:
        """PSNR of the run's sample crops and, if asked for, what `validation.measure` says."""
        psnr = samples.mean_psnr(samples.upscale(generator, self.fixed_lr), self.fixed_hr)
        print(f"    sample PSNR: {psnr:.2f} dB (mean of {len(self.fixed_lr)} crops, {of})", flush=True)
        measured = {"sample_psnr": psnr}
        if is_valid:
            measured.update(validation.measure(generator, self.valid, self._between(stop), self.distance))
            line = "    valid: {valid_psnr:.2f} dB, SSIM {valid_ssim:.4f} on Y, "
            line += "LPIPS {valid_lpips:.4f}, " if self.distance else ""
            line += "grid {valid_grid:.2f} (mean of {0} pictures)"
            print(line.format(len(self.valid), **measured), flush=True)
        return measured

    def _between(self, stop: Stop) -> Callable:
        """To be called now and then in what takes long. Only alone: others cannot be asked to stop there too."""
        return stop.check if parallel.count() == 1 else lambda: None

    def _measure_start(self, stop: Stop) -> None:
        """What stage 2 starts from, with the statistics it came with."""
        if parallel.is_main():
            self._show_as_it_is(self.generator)
            self.progress.start = self._measure(self.shown, bool(self.valid), "stage 1's generator", stop)

    def _show_as_it_is(self, generator: Generator) -> None:
        self.shown.set_state_dict(generator.state_dict())
        self.shown.eval()

    def _write_pictures(self, generator: Generator, is_sample: bool, is_last: bool) -> None:
        lr, hr = self._batch(self.progress.epoch, self.steps - 1)
        pictures = (lr[0], hr[0], samples.upscale(generator, lr[:1])[0])
        if is_sample:
            samples.write_samples(self.output, f"{self.stage.samples}_{self.progress.epoch}", *pictures)
            if self.visualdl:
                self.visualdl.pictures(dict(zip(("lr", "hr", "sr"), pictures)), self.progress.epoch)
        if is_last:
            samples.write_figure(self.output / f"{self.stage.result}_figure.png", *pictures)

    def _report(self, is_last: bool) -> None:
        """The history so far: log.csv, warnings, VisualDL, curves."""
        history = self.progress.history
        self._write_log(is_last)
        warmed_up = history[-(-self.recipe.d_warmup // self.steps) :]  # until then D is to win
        for text in gan_health.warnings(warmed_up, self.progress.start):
            _warn(text)
        if self.visualdl:
            self.visualdl.scalars(history[-1], history[-1]["epoch"])
        if is_last or "sample_psnr" in history[-1]:
            samples.write_curves(self.output / f"{self.stage.result}_losses.png", history)

    def _write_log(self, is_last: bool) -> None:
        """log.csv, which is written anew each time; in runs of thousands of epochs not after every one."""
        start = time.monotonic()
        if not is_last and start - self.logged_at < LOG_PAUSE * self.log_took:
            return
        try:
            log_csv.write(self.output / LOG, self.stage.result, self.progress.history)
        except InputError as error:  # somebody has changed it: no reason to end a run of days
            _warn(str(error))
        self.logged_at = time.monotonic()
        self.log_took = self.logged_at - start

    def _save(self) -> None:
        if parallel.is_main():
            for name, file in self.stage.also_saved.items():
                weights.save(self.step.networks[name], self.output / file)
        self.saver.save(self.progress)
