"""Chooses the notebook's data: the named or mounted data, or else the next best, which is reported."""

import math
import shutil
from pathlib import Path

from common.errors import InputError
from data.pictures.images import list_pictures
from data.prepare import write_sample
from notebooks import mounted
from notebooks.show import run
from train.recipe import Recipe
from train.training_flags import DATA_FOLDERS, VGG19_PATHS

SAMPLE = Path("data/sample")  # the photographs that come with the installed packages
HELD_OUT = ("chelsea.png", "coffee.png")  # those held out from training
FEW = 8  # pictures of a data set that a quick run uses: decoding 800 takes minutes
SAVED_BY_THE_ARTICLE = ("models/g_models", "/home/aistudio/models/g_models")


def sample() -> tuple:
    """The sample photographs: (the folder to train on, the folder to measure on); written once."""
    train, held_out = SAMPLE / "train", SAMPLE / "held_out"
    if not all((held_out / name).is_file() for name in HELD_OUT):
        write_sample(train)
        held_out.mkdir(exist_ok=True)
        for name in HELD_OUT:
            (train / name).replace(held_out / name)
    return train, held_out


def training(named, mount, quick: bool, output: Path) -> tuple:
    """(the folder of pictures to train on, the flags that the training commands need for it).

    named, mount: as in `notebooks.mounted`. quick: use only a few of the pictures, and download nothing. output: the
    folder for these few.
    """
    folder = (
        mounted.training_pictures(named, mount) or _existing(DATA_FOLDERS) or _download("div2k", DATA_FOLDERS, quick)
    )
    if folder is None:
        folder = sample()[0]
        print(
            "!!! no pictures are mounted: training on the SAMPLE PHOTOGRAPHS. They show how it works, not how good it "
            "gets.\n    Mount a data set or set DATA; QUICK = False downloads DIV2K"
        )
    pictures = list_pictures(folder)
    print(f"pictures to train on: {folder}, {len(pictures)} of them")
    if not quick:
        batch_size = Recipe().batch_size  # an epoch must have a batch
        return folder, ["--crops-per-image", math.ceil(batch_size / len(pictures))] * (len(pictures) < batch_size)
    few = output / "pictures"
    shutil.rmtree(few, ignore_errors=True)
    few.mkdir(parents=True)
    for path in pictures[:FEW]:
        shutil.copy(path, few)
    print(f"QUICK takes the first {FEW} of them, at most")
    return few, []


def vgg19(named, mount, quick: bool) -> list:
    """The flags of stage 2 that name VGG19's weights or leave out the VGG loss. The arguments are as in `training`."""
    path = mounted.vgg19(named, mount) or _existing(VGG19_PATHS) or _download("vgg19", VGG19_PATHS, quick)
    if path:
        print(f"VGG19's weights: {path}")
        return ["--vgg19", path]
    print(
        "!!! VGG19's weights not found: stage 2 trains WITHOUT THE VGG LOSS.\n"
        "    Mount them or set VGG19; QUICK = False downloads them"
    )
    return ["--no-vgg"]


def g_models(named, mount):
    """The original project's checkpoint folder, or None."""
    folder = mounted.g_models(named, mount) or _existing(SAVED_BY_THE_ARTICLE)
    print(f"the original project's generator: {folder or 'not found; mount its models/g_models, or set G_MODELS'}")
    return folder


def _existing(paths):
    return next((Path(path) for path in paths if Path(path).exists()), None)


def _download(what: str, paths, quick: bool):
    """The path to which `data/download.py` fetches `what`, or None if it fails, as it says itself, or is not asked."""
    if quick:
        return None
    try:
        run("data/download.py", what)
    except InputError as error:
        print(error)
    return _existing(paths)
