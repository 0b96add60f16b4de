"""Code shared by the two training commands: their flags, and the objects built from them."""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

import paddle

from common import command
from common.device import add_device_flag
from common.errors import InputError
from common.files import check_apart
from data import lpips
from data.crops import DEFAULT_WORKERS, Crops
from data.store import open_pairs, open_store
from models.weight_files.shipped import NAMES, weights_path
from train.recipe import RECIPES, Recipe
from train.run import checkpoint, parallel
from train.run.resume import SHARE
from train.stages import GAN, PRETRAIN, STAGES, Stage

DATA_FOLDERS = ("data/DIV2K/DIV2K_train_HR", "/home/aistudio/srdata/DIV2K_train_HR")  # the second is the article's
VGG19_PATHS = ("VGG19_pretrained", "weights/VGG19_pretrained.pdparams")  # the first is the article's
OUTPUT = Path("output")
SAVE_EVERY_MINUTES = 10
SAMPLE_STEPS = 100  # between two samples, at least
TRAINED_RATE = 1e-4  # at a constant 1e-3, stage 1 first spoils the weights that it is given


def on_off(text: str) -> bool:
    """argparse type: `on` or `off`."""
    if text not in ("on", "off"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither on nor off")
    return text == "on"


def parser(description: str, stage: Stage) -> argparse.ArgumentParser:
    """A parser with the flags of a training command, in groups: those that its stage reads."""
    result = command.parser(description)
    result.set_defaults(stage=stage.key)
    add_device_flag(result)
    _add_input_flags(result.add_argument_group("pictures, weights, results"), stage)
    recipe = result.add_argument_group(
        "recipe", "all settings of the training; each flag overrides one of the recipe's"
    )
    recipe.add_argument("--recipe", choices=RECIPES, default="article", help="named settings (default: article)")
    own = result.add_argument_group("this stage's part of the recipe")
    for field in dataclasses.fields(Recipe):
        if field.metadata["stage"] in (None, stage.key):
            _add_recipe_flag(own if field.metadata["stage"] else recipe, field, stage.recipes)
    _add_validation_flags(result.add_argument_group("validation"))
    _add_long_run_flags(result.add_argument_group("long runs"))
    return result


def _add_input_flags(group, stage: Stage) -> None:
    group.add_argument("--data", metavar="DIR", help=f"folder of photographs (default: {' or '.join(DATA_FOLDERS)})")
    group.add_argument(
        "--lr-data",
        metavar="DIR",
        help="folder of their LR pictures, with a quarter of the sides, named the same or NAMEx4.EXT (default: LR is "
        "made as --degradation says)",
    )
    group.add_argument("--skip-bad", action="store_true", help="skip pictures that cannot be used")
    group.add_argument(
        "--output", metavar="DIR", type=Path, default=OUTPUT, help=f"folder for the results (default: {OUTPUT})"
    )
    group.add_argument(
        "--init",
        metavar="NAME|FILE|FOLDER",
        type=weights_path,
        help=f"generator weights to start from: {NAMES} (included), a file or a folder (default: {stage.starts_from})",
    )
    if stage is GAN:
        group.add_argument(
            "--init-d",
            metavar="FILE|FOLDER",
            help="discriminator weights to start from, the srgan_d.pdparams of another run (default: random ones)",
        )
        vgg19 = group.add_mutually_exclusive_group()
        vgg19.add_argument(
            "--vgg19", metavar="FILE|FOLDER", help=f"VGG19's weights (default: {' or '.join(VGG19_PATHS)})"
        )
        vgg19.add_argument("--no-vgg", action="store_true", help="train without the VGG loss")


def _add_validation_flags(group) -> None:
    group.add_argument(
        "--valid",
        metavar="DIR",
        help="folder of HR pictures to measure PSNR, SSIM, the grid and in stage 2 also LPIPS on (default: none)",
    )
    group.add_argument(
        "--valid-lr", metavar="DIR", help="folder of their LR pictures (default: LR is made as in training)"
    )
    group.add_argument(
        "--valid-every",
        metavar="N",
        type=command.positive,
        help="epochs between two validations (default: those of --sample-every)",
    )
    group.add_argument(
        "--best-by",
        choices=("psnr", "lpips"),
        help="the measure of --valid that selects the best weights, which are kept (default: psnr in stage 1; "
        f"lpips in stage 2 if {lpips.WEIGHTS} exists, else psnr)",
    )


def _add_long_run_flags(group) -> None:
    group.add_argument(
        "--resume",
        action="store_true",
        help="resume from the newest valid checkpoint in --output; start from the beginning if there is none",
    )
    group.add_argument(
        "--new-recipe",
        action="store_true",
        help="with --resume: use this command line's settings where they differ from the checkpoint's",
    )
    group.add_argument(
        "--save-every-minutes",
        metavar="M",
        type=command.Number(0),
        default=SAVE_EVERY_MINUTES,
        help="minutes between checkpoints within an epoch; 0: one after every step (default: "
        f"{SAVE_EVERY_MINUTES}; each epoch ends with one too, unless these take over {SHARE * 100:g} %% of the time)",
    )
    group.add_argument(
        "--workers",
        metavar="N",
        type=command.count,
        default=DEFAULT_WORKERS,
        help=f"threads that prefetch crops; 0: crops are made between the steps (default: {DEFAULT_WORKERS})",
    )
    group.add_argument(
        "--visualdl", action="store_true", help="write scalars and samples for VisualDL to visualdl/ in --output"
    )


def _add_recipe_flag(group, field, recipes: dict) -> None:
    """Add a flag for a field of the recipe; its help text gives the field's value in each recipe."""
    defaults = {name: getattr(recipe, field.name) for name, recipe in recipes.items()}
    shown = ", ".join(f"{_spell(value)} in {name}" for name, value in defaults.items())
    if len(set(defaults.values())) == 1:
        shown = _spell(defaults["article"])
    metavar = {bool: "on|off", str: "NAME", int: "N", float: "X"}[field.type]
    help_text = f"{field.metadata['help']} (default: {shown})".replace("%", "%%")
    switch = {"nargs": "?", "const": True} if field.type is bool else {}
    flag = field.metadata.get("flag") or "--" + field.name.replace("_", "-")
    kind = field.metadata["kind"]
    values: dict = {"choices": kind} if isinstance(kind, tuple) else {"type": kind or on_off}
    group.add_argument(flag, dest=field.name, metavar=metavar, help=help_text, **values, **switch)


def _spell(value) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def recipe_of(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Recipe:
    """The named recipe, changed by the flags; an invalid value ends the command with exit status 2."""
    if arguments.new_recipe and not arguments.resume:
        parser.error("--new-recipe requires --resume")
    stage, fields = STAGES[arguments.stage], dataclasses.fields(Recipe)
    given = {field.name: getattr(arguments, field.name, None) for field in fields}
    if arguments.valid_lr and not arguments.valid:
        parser.error("--valid-lr requires --valid")
    if arguments.lr_data and given["degradation"]:
        parser.error("--degradation makes LR and --lr-data provides it: give one of them")
    try:
        recipe = dataclasses.replace(
            stage.recipes[arguments.recipe],
            **{name: value for name, value in given.items() if value is not None},
        )
    except ValueError as error:
        parser.error(f"--{error}")
    if stage is PRETRAIN and arguments.init and given["learning_rate"] is None and stage.schedule(recipe) == "constant":
        recipe = dataclasses.replace(recipe, learning_rate=min(recipe.learning_rate, TRAINED_RATE))
    for field in fields:
        only = field.metadata.get("degradation")
        if given[field.name] is not None and only not in (None, recipe.degradation):
            parser.error(f"--{field.name.replace('_', '-')} requires --degradation {only}: give both, or neither")
    return recipe


def with_rarer_samples(arguments: argparse.Namespace, recipe: Recipe, crops: Crops) -> Recipe:
    """The recipe with samples at least SAMPLE_STEPS steps apart, unless `--sample-every` says how many epochs.

    Statistics and samples take as long as some ten steps, which in a tiny epoch would be most of the time.
    """
    if arguments.sample_every is not None:
        return recipe
    apart = -(-SAMPLE_STEPS // crops.steps(recipe.batch_size))
    return dataclasses.replace(recipe, sample_every=max(recipe.sample_every, apart))


def is_resuming(arguments: argparse.Namespace) -> bool:
    """Whether the run resumes from a checkpoint, which contains all weights and statistics."""
    folder = checkpoint.folder_of(arguments.output, STAGES[arguments.stage].result)
    return bool(arguments.resume and checkpoint.list_checkpoints(folder))


def start(arguments: argparse.Namespace, recipe: Recipe, stage: Stage) -> None:
    """Join the other processes of the run, if it has any, and compute on `--device` from the recipe's seed on.

    Raises InputError if that device does not exist, the batch cannot be divided among the processes, or `--output`
    contains inputs of the run, OSError if it cannot be used.
    """
    _check_apart(arguments, stage)
    arguments.output.mkdir(parents=True, exist_ok=True)
    paddle.set_device(parallel.start(arguments.device))
    if not parallel.is_main():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  one log for all processes; errors go to standard error
    parts = parallel.count() * recipe.grad_accumulate
    if recipe.batch_size % parts:
        raise InputError(
            f"--batch-size {recipe.batch_size} cannot be divided into {parallel.count()} processes × "
            f"{recipe.grad_accumulate} micro-batches (--grad-accumulate): give a multiple of {parts}"
        )
    paddle.seed(recipe.seed)


def _check_apart(arguments: argparse.Namespace, stage: Stage) -> None:
    """Raise InputError if the run would write over what it reads."""
    pictures = [
        ("--data", arguments.data or _existing(DATA_FOLDERS)),
        ("--lr-data", arguments.lr_data),
        ("--valid", arguments.valid),
        ("--valid-lr", arguments.valid_lr),
    ]
    written = arguments.output
    with_vgg19 = stage is GAN and not arguments.no_vgg
    vgg19 = [("--vgg19", arguments.vgg19 or _existing(VGG19_PATHS))] if with_vgg19 else []
    check_apart(vgg19, folders=[("--output", written)], flat=pictures)
    if not is_resuming(arguments):
        names = [f"{stage.result}.pdparams", *stage.also_saved.values()]
        names += [f"{stage.result}_best.pdparams"] if arguments.valid else []
        files = [("the result", written / name) for name in names]
        init = [("--init", arguments.init), ("--init-d", getattr(arguments, "init_d", None))]
        check_apart(init, files=files, folders=[("--output", written)])


def open_crops(arguments: argparse.Namespace, recipe: Recipe) -> Crops:
    """Find, decode and check the training pictures. Raises InputError if any are missing or cannot be used."""
    folder = arguments.data or first_existing(DATA_FOLDERS, "the training pictures", "python data/download.py div2k")
    settings = (recipe.hr_size, arguments.output / "decoded", arguments.skip_bad)
    with parallel.main_first():  # process 0 decodes the pictures that are not decoded yet, the others use the result
        if arguments.lr_data:
            pictures, lr_pictures = open_pairs(folder, arguments.lr_data, *settings)
        else:
            pictures, lr_pictures = open_store(folder, *settings), None
    crops = Crops(
        pictures,
        hr_size=recipe.hr_size,
        degradation=recipe.degradation,
        crops_per_image=recipe.crops_per_image,
        augment=recipe.augment,
        seed=recipe.seed,
        strengths=recipe.photo,
        lr_pictures=lr_pictures,
    )
    lr = f", LR of {arguments.lr_data}" if arguments.lr_data else ""
    steps = crops.steps(recipe.batch_size)
    print(
        f"{len(pictures)} pictures of {folder}{lr}: {steps} steps of {recipe.batch_size} crops per epoch, "
        f"on {paddle.get_device()}"
    )
    return crops


def first_existing(paths, what: str, remedy: str) -> str:
    """The first of `paths` that exists. Raises InputError naming all of them and the command that fetches one."""
    path = _existing(paths)
    if path is None:
        raise InputError(f"{what}: neither {' nor '.join(paths)} exists; get it with: {remedy}")
    return path


def _existing(paths):
    """The first of `paths` that exists, or None."""
    return next((path for path in paths if Path(path).exists()), None)
