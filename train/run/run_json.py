"""`run.json`: the recipe, flags, versions and command line of a run, so that results can be told apart."""

import contextlib
import dataclasses
import datetime
import json
import platform
import sys
from argparse import Namespace

import cv2
import numpy as np
import paddle

from common.files import replacing
from train.recipe import Recipe
from train.stages import STAGES, Stage

COMMANDS = [stage.command for stage in STAGES.values()]


def write(stage: Stage, options: Namespace, recipe: Recipe) -> None:
    """Write the full recipe, the flags and the versions of a run to `run.json`, under the name of the stage's command.

    The other stage's record, if the file has one, is kept.
    """
    path = options.output / "run.json"
    fields = dataclasses.asdict(recipe)
    run = {
        "started": datetime.datetime.now().isoformat(timespec="seconds"),
        "recipe_name": options.recipe,
        "recipe": fields,
        "flags": {name: value for name, value in vars(options).items() if name not in fields},
        "device": paddle.get_device(),
        "versions": versions(),
        "command": sys.argv,
    }
    earlier = {}
    with contextlib.suppress(OSError, ValueError):
        earlier = json.loads(path.read_text(encoding="utf-8"))
    runs = {name: record for name, record in earlier.items() if name in COMMANDS} if isinstance(earlier, dict) else {}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({**runs, stage.command: run}, indent=2, default=str) + "\n", encoding="utf-8")


def versions() -> dict:
    """{name: version} of everything that a run's numbers depend on."""
    return {
        "python": platform.python_version(),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "platform": platform.platform(),
    }
