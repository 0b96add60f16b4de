"""The two stages as data: their names in every context, and their other differences."""

import dataclasses

from train.recipe import GAN_RECIPES, RECIPES, Recipe


@dataclasses.dataclass(frozen=True)
class Stage:
    """The names of a stage.

    key: in the recipe: its epochs and schedule are the fields KEY_epochs and KEY_schedule, and the fields that only
    this stage reads have this key as `stage`.
    command: train/COMMAND.py starts it, and `run.json` stores its settings under this name.
    result: its files are RESULT.pdparams, RESULT_best.pdparams, RESULT_figure.png and RESULT_losses.png, its
    checkpoints are in checkpoints/RESULT, and its rows in log.csv are marked RESULT.
    samples: the prefix of its sample pictures' names.
    also_saved: {network: file} of networks saved beside the generator.
    log_line: the article's line, to be filled with the epoch, the last epoch, seconds and the losses' means.
    recipes: {name for `--recipe`: the stage's recipe of that name}.
    starts_from: for a help text: the generator's initial weights without `--init`.
    """

    key: str
    command: str
    result: str
    samples: str
    also_saved: dict
    log_line: str
    recipes: dict
    starts_from: str

    def epochs(self, recipe: Recipe) -> int:
        """The number of the stage's last epoch; the first is 0."""
        return getattr(recipe, f"{self.key}_epochs")

    def schedule(self, recipe: Recipe) -> str:
        """The stage's learning-rate schedule, one of `train.schedule.SCHEDULES`."""
        return getattr(recipe, f"{self.key}_schedule")


PRETRAIN = Stage(
    key="pretrain",
    command="pretrain_g",
    result="pretrain_g",
    samples="epoch_init",
    also_saved={},
    log_line="[*] Epoch_init: [{epoch:2d}/{epochs:2d}] time: {time:4.4f}s, mse: {mse:.8f}",
    recipes=RECIPES,
    starts_from="random ones",
)
GAN = Stage(
    key="gan",
    command="train_gan",
    result="srgan_g",
    samples="epoch",
    also_saved={"discriminator": "srgan_d.pdparams"},
    log_line="[*] Epoch: [{epoch:2d}/{epochs:2d}] time: {time:4.4f}s, d_loss: {d_loss:.8f} g_loss: {g_loss:.8f} "
    "(mse: {mse:.8f} vgg: {vgg:.8f} adv: {adv:.8f})",
    recipes=GAN_RECIPES,
    starts_from=f"{PRETRAIN.result}.pdparams in --output, stage 1's result",
)
STAGES = {stage.key: stage for stage in (PRETRAIN, GAN)}
