"""Saves a run's checkpoints when they are due, and resumes the run from the newest one."""

import dataclasses
import time
import zlib
from argparse import Namespace

from common.errors import InputError
from common.files import remove_leftovers
from models.weight_files import weights
from train.recipe import Recipe
from train.run import checkpoint, parallel, run_json
from train.run.checkpoint import Progress
from train.stages import Stage

SHARE = 0.1  # of the time, at most, for checkpoints at the ends of epochs
SHOWN = 4  # how many differing pictures of each list a message names


class Saver:
    """The checkpoints of one run of a stage.

    step: a `train.steps.PretrainStep` or `GanStep`, whose networks, optimizers and precision are saved and restored.
    ema: a `train.ema.Ema` or None. crops: the run's; valid: the validation pictures' files.
    """

    def __init__(self, stage: Stage, step, ema, crops, valid: list, options: Namespace):
        self.stage, self.step, self.ema = stage, step, ema
        self.recipe, self.options = step.recipe, options
        self.folder = checkpoint.folder_of(options.output, stage.result)
        self.pictures = [
            f"{name} {rgb.shape[1]}x{rgb.shape[0]}" for name, rgb in zip(crops.pictures.names, crops.pictures)
        ]
        # The inputs of the steps, besides the recipe.
        self.data = {**step.inputs, "pictures": len(self.pictures)}
        self.steps = crops.steps(step.recipe.batch_size)
        self.pairs = _pairs(crops) if crops.lr_pictures else []
        self.valid_pictures = [f"{path.name} {path.stat().st_size}" for path in valid]
        # Paddle creates an optimizer's moments at its first step; until then the checkpoint's are kept here.
        self.moments = {}
        self.saved_at = time.monotonic()
        self.took = 0.0  # seconds, for the last checkpoint
        if parallel.is_main():
            remove_leftovers(self.folder, abandoned=0)  # no other run is writing there: it is locked
            remove_leftovers(options.output)

    def begin(self) -> Progress:
        """The progress of a new run. Raises InputError if the folder has the checkpoints of an earlier one."""
        there = checkpoint.list_checkpoints(self.folder)
        if there:
            raise InputError(
                f"{there[0]} belongs to an earlier run. Continue it with --resume, name another folder with "
                f"--output, or remove {self.folder} to start over"
            )
        return Progress()

    def resume(self) -> Progress:
        """Restore the newest valid checkpoint; if there is none, say so and start a new run.

        Raises InputError if it has another recipe or other pictures (unless `--new-recipe`), or other networks.
        """
        with parallel.main_first():  # process 0 sets damaged ones aside, so that the others find the same
            newest = checkpoint.load_newest(self.folder)
        if not newest:
            print(f"no checkpoint in {self.folder} yet: starting from the beginning")
            return Progress()
        path, arrays, note = newest
        try:
            progress = Progress(**note["progress"])
            self._compare(path, note)
            self._restore(path, arrays, note)
            self._adapt(progress, note)
        except InputError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a checkpoint of this project ({type(error).__name__}: {error})") from None
        print(f"resuming from {path}: epoch {progress.epoch}, {progress.step} of its steps done")
        return progress

    def _compare(self, path, note: dict) -> None:
        if note["stage"] != self.stage.result:
            raise InputError(f"{path} belongs to {note['stage']}, not to {self.stage.result}")
        theirs, ours = {**note["recipe"], **note["data"]}, {**dataclasses.asdict(self.recipe), **self.data}
        changes = [
            f"{name.replace('_', '-')} {theirs.get(name)} there, {value} here"
            for name, value in ours.items()
            if theirs.get(name) != value and not self._may_change(name)
        ]
        for what, here in (("pictures", self.pictures), ("pairs", self.pairs)):
            there = note.get(what, [])
            if there != here:
                changes.append(f"the {what}: {_differences(there, here)}")
        if not changes:
            return
        if not self.options.new_recipe:
            raise InputError(
                f"{path} has another recipe: {'; '.join(changes)}. Give the same flags, or --new-recipe to use "
                "this command line's"
            )
        print(f"continuing with another recipe: {'; '.join(changes)}")

    def _may_change(self, name: str) -> bool:
        """Whether the recipe's `name` may change without changing what this stage computes from here on."""
        if name == f"{self.stage.key}_epochs":
            return self.stage.schedule(self.recipe) == "constant"
        metadata = {field.name: field.metadata for field in dataclasses.fields(Recipe)}.get(name, {})
        return (
            metadata.get("is_shown_only")
            or metadata.get("stage") not in (None, self.stage.key)
            or metadata.get("degradation") not in (None, self.recipe.degradation)
        )

    def _restore(self, path, arrays: dict, note: dict) -> None:
        for name, network in self.step.networks.items():
            checkpoint.restore_network(name, network, arrays, path)
        for name, optimizer in self.step.optimizers.items():
            checkpoint.restore_optimizer(name, optimizer, self.step.networks[name], arrays, path)
            self.moments[name] = {key: arrays[key] for key in arrays if key.startswith(f"optimizer/{name}/")}
        if self.ema:
            # If the average begins with this run, it starts from the current weights.
            checkpoint.restore_network("ema" if note["ema"] else "generator", self.ema.generator, arrays, path)
            self.ema.updates = int(note["ema"])
        self.step.precision.load_state(note["precision"])

    def _adapt(self, progress: Progress, note: dict) -> None:
        """Remove from `progress` everything that another command line invalidates."""
        if not (isinstance(progress.epoch, int) and isinstance(progress.step, int) and progress.epoch >= 0):
            raise ValueError(f"epoch {progress.epoch!r}, step {progress.step!r}")
        if note["steps"] != self.steps and progress.step:
            print(f"an epoch had {note['steps']} steps and has {self.steps} now: epoch {progress.epoch} restarts")
            progress.step, progress.totals, progress.seconds = 0, {}, 0.0
        if note["valid pictures"] != self.valid_pictures:
            if note["valid pictures"]:
                differences = _differences(note["valid pictures"], self.valid_pictures)
                print(f"the pictures of --valid have changed ({differences}): the best epoch so far no longer counts")
            progress.best = {}
            progress.start = {name: value for name, value in progress.start.items() if not name.startswith("valid")}

    def save(self, progress: Progress, after_epoch: bool = False) -> None:
        """Write a checkpoint, after an epoch D's weights too, and remove old ones, in the main process only."""
        if parallel.is_main():
            start = time.monotonic()
            for name, file in self.stage.also_saved.items() if after_epoch else ():
                weights.save(self.step.networks[name], self.options.output / file)
            path = checkpoint.path_of(self.folder, progress.epoch, progress.step)
            checkpoint.save(path, self._variables(), self._note(progress))
            best = checkpoint.path_of(self.folder, progress.best["epoch"] + 1, 0) if progress.best else None
            checkpoint.prune(self.folder, best)
            self.took = time.monotonic() - start
        self.saved_at = time.monotonic()

    def _variables(self) -> dict:
        variables = {}
        for name, network in self.step.networks.items():
            variables.update(checkpoint.network_variables(name, network))
        for name, optimizer in self.step.optimizers.items():
            moments = checkpoint.optimizer_variables(name, optimizer, self.step.networks[name])
            if moments:
                self.moments.pop(name, None)
            variables.update(moments or self.moments.get(name, {}))
        if self.ema:
            variables.update(checkpoint.network_variables("ema", self.ema.generator))
        return variables

    def _note(self, progress: Progress) -> dict:
        return {
            "stage": self.stage.result,
            "progress": vars(progress),
            "steps": self.steps,
            "recipe": dataclasses.asdict(self.recipe),
            "data": self.data,
            "pictures": self.pictures,
            "pairs": self.pairs,
            "valid pictures": self.valid_pictures,
            "ema": self.ema.updates if self.ema else 0,
            "precision": self.step.precision.state(),
            "versions": run_json.versions(),
        }

    def is_due_within_epoch(self) -> bool:
        return time.monotonic() - self.saved_at >= 60 * self.options.save_every_minutes

    def is_due_after_epoch(self) -> bool:
        """Whether checkpoints after each epoch would take at most SHARE of the time, or one is due anyway."""
        return self.took <= SHARE * (time.monotonic() - self.saved_at) or self.is_due_within_epoch()


def _pairs(crops) -> list:
    """ "HR and LR BYTES+CHECKSUM" of each pair: the size of HR's file and the checksum of LR's pixels.

    LR's sides follow from HR's, and a different LR of the same HR is a different task.
    """
    files = zip(crops.pictures.sources, crops.lr_pictures.sources, crops.lr_pictures)
    return [f"{hr.name} and {lr.name} {hr.stat().st_size}+{zlib.crc32(rgb):08x}" for hr, lr, rgb in files]


def _differences(there: list, here: list) -> str:
    """What only one of two lists of "NAME SIZE" has."""
    parts = []
    for where, texts in (("there", set(there) - set(here)), ("here", set(here) - set(there))):
        if texts:
            parts.append(f"only {where}: {', '.join(sorted(texts)[:SHOWN])}{', …' * (len(texts) > SHOWN)}")
    return "; ".join(parts) or "another order"
