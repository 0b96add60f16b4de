"""The options of a run: everything on its command line except the recipe and the data."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that the loop, the reports and the checkpoints use; made by `train.training_flags.options_of`.

    output: the folder for the results. workers: threads that prefetch crops.
    resume: whether to resume from the newest checkpoint; new_recipe: even with another recipe. save_every_minutes: time
    between checkpoints within an epoch.
    valid, valid_lr: the folders of the validation pictures and of their LR; valid_every: epochs between two
    validations, None for those of the samples; best_by: `psnr`, `lpips` or None for the stage's own. visualdl: write a
    log for VisualDL.
    recipe_name, flags: for `run.json`: the name of the recipe, and {flag: value} of all flags outside the recipe.
    """

    output: Path
    workers: int
    resume: bool
    new_recipe: bool
    save_every_minutes: float
    valid: str | None
    valid_lr: str | None
    valid_every: int | None
    best_by: str | None
    visualdl: bool
    recipe_name: str
    flags: dict
