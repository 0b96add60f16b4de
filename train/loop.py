"""One training run: epochs, progress, log lines, samples, weights."""

import dataclasses
import math
import sys
import time
from pathlib import Path
from typing import Callable

from tqdm import tqdm

from data.crops import Crops, standardize
from models import weights
from models.errors import InputError
from train import samples
from train.bn_statistics import re_estimated
from train.recipe import Recipe


@dataclasses.dataclass
class Stage:
    """What the two stages do differently.

    name: of the result's files. prefix: of the samples' files. epochs: the last epoch's number.
    log_line: the article's line, to be filled with the epoch, the last epoch, seconds and the losses' means.
    step: (lr, hr), float [N,3,·,·] in [-1,1], to {loss: scalar tensor}; updates the networks.
    also_saved: {file name: network} saved beside the generator.
    """

    name: str
    prefix: str
    epochs: int
    log_line: str
    step: Callable
    also_saved: dict


def train(stage: Stage, generator, crops: Crops, recipe: Recipe, output, workers: int) -> None:
    """Run a stage to its end. Writes into `output`: weights every epoch, samples, at the end figure and curves.

    Raises InputError at a loss or weights that are not finite numbers; what was saved before stays.
    """
    output = Path(output)
    saved = output / f"{stage.name}.pdparams"
    if saved.exists():
        print(f"{saved} is there already: the first epoch's weights will replace it")
    try:
        history, pictures = _run_epochs(stage, generator, crops, recipe, output, saved, workers)
    except KeyboardInterrupt:
        print(f"\n{_kept(saved)}", file=sys.stderr)
        raise
    samples.write_figure(output / f"{stage.name}_figure.png", *pictures)
    samples.write_curves(output / f"{stage.name}_losses.png", history)
    print(f"done: {saved}, {stage.name}_figure.png and {stage.name}_losses.png beside it")


def _kept(saved: Path) -> str:
    return f"the last saved weights are in {saved}" if saved.exists() else "nothing was saved yet"


def _run_epochs(
    stage: Stage, generator, crops: Crops, recipe: Recipe, output: Path, saved: Path, workers: int
) -> tuple:
    """Every epoch: ([{loss: mean}], the last epoch's sample as LR, HR and SR, uint8)."""
    # The PSNR of a run is that of these crops.
    fixed_lr, fixed_hr = (crop.numpy() for crop in next(iter(crops.batches(0, recipe.batch_size))))
    history = []
    for epoch in range(stage.epochs + 1):
        start = time.time()
        means, lr, hr = _run_epoch(stage, crops, recipe, epoch, workers, saved)
        history.append(means)
        print(stage.log_line.format(epoch=epoch, epochs=stage.epochs, time=time.time() - start, **means), flush=True)

        is_last = epoch == stage.epochs
        is_sample = epoch != 0 and epoch % recipe.sample_every == 0
        shown = generator
        if epoch == 0 or is_sample or is_last:
            shown = re_estimated(generator, crops, epoch, recipe.batch_size)
            psnr = samples.mean_psnr(samples.upscale(shown, fixed_lr), fixed_hr)
            print(f"    sample PSNR: {psnr:.2f} dB (mean of {len(fixed_lr)} crops, epoch {epoch})", flush=True)
        if is_sample or is_last:
            pictures = (lr[0], hr[0], samples.upscale(shown, lr[:1])[0])
        if is_sample:
            samples.write_samples(output, f"{stage.prefix}_{epoch}", *pictures)
        weights.save(shown, saved)
        for file, network in stage.also_saved.items():
            weights.save(network, output / file)
    return history, pictures


def _run_epoch(stage: Stage, crops: Crops, recipe: Recipe, epoch: int, workers: int, saved: Path) -> tuple:
    """All steps of an epoch: ({loss: mean}, lr and hr of the last batch, uint8)."""
    steps = crops.steps(recipe.batch_size)
    totals = {}
    with tqdm(total=steps, desc=f"epoch {epoch}/{stage.epochs}", unit="step") as bar:
        for done, (lr, hr) in enumerate(crops.batches(epoch, recipe.batch_size, workers), 1):
            losses = {name: float(loss) for name, loss in stage.step(standardize(lr), standardize(hr)).items()}
            _check(losses, epoch, done, saved)
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0.0) + loss
            bar.set_postfix({name: f"{total / done:.3g}" for name, total in totals.items()}, refresh=False)
            bar.update()
    return {name: total / steps for name, total in totals.items()}, lr.numpy(), hr.numpy()


def _check(losses: dict, epoch: int, step: int, saved: Path) -> None:
    bad = [name for name, loss in losses.items() if not math.isfinite(loss)]
    if bad:
        raise InputError(
            f"{', '.join(bad)} is no finite number at epoch {epoch}, step {step}: training stopped, {_kept(saved)}. "
            "Try a smaller --learning-rate"
        )
