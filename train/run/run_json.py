"""`run.json`: the recipe, flags, versions and command line of a run, so that results can be told apart."""

import dataclasses
import datetime
import json
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle

from common.files import replacing
from train.recipe import Recipe
from train.run.options import Options
from train.stages import STAGES, Stage

COMMANDS = [stage.command for stage in STAGES.values()]


def write(stage: Stage, options: Options, recipe: Recipe) -> None:
    """Write the full recipe, the flags and the versions of a run to `run.json`.

    The other stage's record, if the file has one, is kept under its command's name.
    """
    path = options.output / "run.json"
    run = {
        "stage": stage.command,
        "started": datetime.datetime.now().isoformat(timespec="seconds"),
        "recipe_name": options.recipe_name,
        "recipe": dataclasses.asdict(recipe),
        "flags": options.flags,
        "device": paddle.get_device(),
        "versions": versions(),
        "command": sys.argv,
    }
    run.update(_other_stage(path, stage.command))
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")


def versions() -> dict:
    """{name: version} of everything that a run's numbers depend on."""
    return {
        "python": platform.python_version(),
        "paddle": paddle.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "platform": platform.platform(),
    }


def _other_stage(path: Path, command: str) -> dict:
    """{command: record} of the other stage from an earlier run.json; {} if there is none."""
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    (other,) = set(COMMANDS) - {command}
    if not isinstance(earlier, dict):
        return {}
    note = (
        {k: v for k, v in earlier.items() if k not in COMMANDS} if earlier.get("stage") == other else earlier.get(other)
    )
    return {other: note} if note else {}
