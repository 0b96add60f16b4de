"""What a run notes of itself, so that its result can be told from another's: `run.json`."""

import argparse
import dataclasses
import datetime
import json
import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import paddle

from models.files import replacing
from train.recipe import Recipe


def write(stage: str, arguments: argparse.Namespace, recipe: Recipe) -> None:
    """Note the full recipe, the flags and the versions in `run.json`; an earlier stage's note is kept under its name."""
    path = Path(arguments.output) / "run.json"
    run = {
        "stage": stage,
        "started": datetime.datetime.now().isoformat(timespec="seconds"),
        "recipe_name": arguments.recipe,
        "recipe": dataclasses.asdict(recipe),
        "flags": {name: value for name, value in vars(arguments).items() if not hasattr(recipe, name)},
        "device": paddle.get_device(),
        "versions": {
            "python": platform.python_version(),
            "paddle": paddle.__version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "platform": platform.platform(),
        },
        "command": sys.argv,
    }
    earlier = _read_run(path)
    if earlier.get("stage") not in (None, stage):
        run[earlier["stage"]] = earlier
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(run, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_run(path: Path) -> dict:
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return run if isinstance(run, dict) else {}
