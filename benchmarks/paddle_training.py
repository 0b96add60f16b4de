"""Timed training steps in Paddle, run as in the training commands, for `benchmarks/train_step.py`."""

import dataclasses

import paddle

from benchmarks.side_by_side import TRAINING_PARTS, Stopwatch
from data.crops import Crops
from data.standardize import standardize
from models.discriminator import Discriminator
from models.generator import Generator
from models.vgg19 import VGG19
from train import losses
from train.bn_statistics import freeze_statistics
from train.recipe import GAN_RECIPES, RECIPES
from train.run import cpu
from train.run.mixed_precision import Precision
from train.steps import GanStep, PretrainStep


class Photographs(list):
    """Pictures, uint8 [h,w,3], with `names`, as `data.crops.Crops` needs them."""

    names = property(lambda self: [str(i) for i in range(len(self))])


def networks_of(stage: int, hr_size: int, vgg_layer: str = "pool5") -> dict:
    """{name: network} of a stage, with random weights of seed 0; VGG19, down to a layer, as `load_vgg19` leaves it."""
    paddle.seed(0)
    networks = {"generator": Generator()}
    if stage == 2:
        networks.update(discriminator=Discriminator(hr_size), vgg19=VGG19(deepest=vgg_layer))
        networks["vgg19"].eval()
        for weight in networks["vgg19"].parameters():
            weight.stop_gradient = True
    return networks


def batches_of(photographs: list, hr_size: int, batch_size: int, steps: int):
    """The batches of `data.crops`, made ahead as in training: (lr, hr), uint8 [N,·,·,3]."""
    crops_per_image = -(-batch_size * steps // len(photographs))
    crops = Crops(Photographs(photographs), hr_size, "bilinear", crops_per_image, augment=False, seed=0)
    return crops.batches(0, batch_size)


def load(
    photographs: list,
    stage: int,
    hr_size: int,
    batch_size: int,
    steps: int,
    device: str,
    name: str,
    eager=False,
    amp=False,
):
    """A function that takes the next training step: ({part: seconds}, {loss: number}). It can be called `steps` times.

    name: of the recipe. eager: without the settings of `train.run.cpu`. amp: as with `--amp`.
    """
    paddle.set_device(device)
    recipe = dataclasses.replace((RECIPES if stage == 1 else GAN_RECIPES)[name], hr_size=hr_size, batch_size=batch_size)
    precision = Precision(amp)
    networks = networks_of(stage, hr_size, recipe.vgg_layer)
    if device == "cpu" and not eager:
        cpu.speed_up(*networks.values(), dtype=precision.dtype)
    if stage == 2 and recipe.freeze_bn:
        freeze_statistics(networks["generator"])
        freeze_statistics(networks["discriminator"])
    take = (PretrainStep if stage == 1 else GanStep)(*networks.values(), recipe, precision)
    batches = batches_of(photographs, hr_size, batch_size, steps)

    watch = Stopwatch(TRAINING_PARTS, paddle.device.synchronize if device != "cpu" else lambda: None)
    draw = watch.wrap("data", lambda: [standardize(crops) for crops in next(batches)])
    for part, network in zip(("G", "D"), networks.values()):
        network.forward = watch.wrap(part, network.forward)
    losses.perceptual = watch.wrap("VGG", losses.perceptual)
    precision.backward = watch.wrap("backward", precision.backward)
    for optimizer in take.optimizers.values():
        optimizer.step = watch.wrap("optimizer", optimizer.step)
        optimizer.clear_grad = watch.wrap("optimizer", optimizer.clear_grad)

    def step(_):
        watch.lap()
        lr, hr = draw()
        terms = {name: float(term) for name, term in take(lr, hr).items()}
        return watch.lap(), terms

    return step
