"""What the two training commands share: their flags, and what they make of them."""

import argparse
import dataclasses
import re
from pathlib import Path

import paddle

from data import command
from data.crops import Crops
from data.images import list_pictures
from data.store import decode
from models.errors import InputError
from train.device import add_device_flag, choose_device
from train.recipe import RECIPES, Recipe

DATA_FOLDERS = ("data/DIV2K/DIV2K_train_HR", "/home/aistudio/srdata/DIV2K_train_HR")  # the second is the article's
VGG19_PATHS = ("VGG19_pretrained", "weights/VGG19_pretrained.pdparams")  # the first is the article's
OUTPUT = "output"
INIT = {"pretrain": "random ones", "gan": "pretrain_g.pdparams in --output, stage 1's result"}


def on_off(text: str) -> bool:
    """argparse type: `on` or `off`."""
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"


def parser(description: str, stage: str) -> argparse.ArgumentParser:
    """The flags of both training commands. stage: `pretrain` or `gan`, whose epochs `--epochs` sets."""
    result = command.parser(description)
    result.add_argument("--data", metavar="DIR", help=f"folder of photographs (default: {' or '.join(DATA_FOLDERS)})")
    result.add_argument("--output", metavar="DIR", default=OUTPUT, help=f"folder of the results (default: {OUTPUT})")
    result.add_argument(
        "--init", metavar="FILE|FOLDER", help=f"generator weights to start from (default: {INIT[stage]})"
    )
    vgg19 = result.add_mutually_exclusive_group()
    vgg19.add_argument(
        "--vgg19", metavar="FILE|FOLDER", help=f"stage 2: VGG19's weights (default: {' or '.join(VGG19_PATHS)})"
    )
    vgg19.add_argument("--no-vgg", action="store_true", help="stage 2: train without the VGG loss")
    result.add_argument(
        "--recipe",
        choices=RECIPES,
        default="article",
        help="whose numbers hold where a flag does not change them (default: article)",
    )
    for field in dataclasses.fields(Recipe):
        if field.name == f"{stage}_epochs":
            _add_recipe_flag(result, "--epochs", field)
        elif not field.name.endswith("_epochs"):
            _add_recipe_flag(result, "--" + field.name.replace("_", "-"), field)
    add_device_flag(result)
    result.add_argument(
        "--workers", metavar="N", type=command.count, default=0, help="processes that make crops (default: 0)"
    )
    result.add_argument("--skip-bad", action="store_true", help="go on without pictures that cannot be used")
    return result


def _add_recipe_flag(parser: argparse.ArgumentParser, flag: str, field) -> None:
    """A flag for a field of the recipe; its help tells the field's value in each recipe."""
    kind = on_off if field.type is bool else field.type
    defaults = {name: getattr(recipe, field.name) for name, recipe in RECIPES.items()}
    shown = ", ".join(f"{_spell(value)} in {name}" for name, value in defaults.items())
    if len(set(defaults.values())) == 1:
        shown = _spell(defaults["article"])
    metavar = {bool: "on|off", str: "NAME", int: "N", float: "X"}[field.type]
    help_text = f"{field.metadata['help']} (default: {shown})".replace("%", "%%")
    parser.add_argument(flag, dest=field.name, type=kind, metavar=metavar, help=help_text)


def _spell(value) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def recipe_of(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Recipe:
    """The named recipe with what the flags change; a value that cannot be used ends the command with exit status 2."""
    given = {field.name: getattr(arguments, field.name, None) for field in dataclasses.fields(Recipe)}
    try:
        return dataclasses.replace(
            RECIPES[arguments.recipe], **{name: value for name, value in given.items() if value is not None}
        )
    except ValueError as error:
        parser.error("--" + re.sub("^(pretrain|gan)-epochs", "epochs", str(error)))


def open_crops(arguments: argparse.Namespace, recipe: Recipe) -> Crops:
    """Find, decode and check the training pictures. Raises InputError for what is not there or cannot be used."""
    folder = arguments.data or first_existing(DATA_FOLDERS, "the training pictures", "python data/download.py div2k")
    pictures = decode(list_pictures(folder), recipe.hr_size, arguments.output, arguments.skip_bad)
    crops = Crops(
        pictures,
        hr_size=recipe.hr_size,
        degradation=recipe.degradation,
        crops_per_image=recipe.crops_per_image,
        augment=recipe.augment,
        seed=recipe.seed,
    )
    steps = crops.steps(recipe.batch_size)
    print(
        f"{len(pictures)} pictures of {folder}: {steps} steps of {recipe.batch_size} an epoch, on {paddle.get_device()}"
    )
    return crops


def set_device(name, seed: int) -> None:
    """Compute on `cpu`, `gpu` or `gpu:N` (None: the GPU where Paddle has one), with weights drawn from `seed`.

    Raises InputError if that device is not there.
    """
    paddle.set_device(choose_device(name))
    paddle.seed(seed)


def first_existing(paths, what: str, remedy: str) -> str:
    """The first of `paths` that is there. Raises InputError that names them all and the command that brings one."""
    for path in paths:
        if Path(path).exists():
            return path
    raise InputError(f"{what}: neither {' nor '.join(paths)} is there; get it with: {remedy}")
