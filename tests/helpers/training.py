"""The training commands, run as a user runs them, on small crops of small pictures, and what they leave."""

import contextlib
import importlib
import multiprocessing
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from common import command
from models.discriminator import Discriminator
from models.generator import Generator
from train.report import samples
from train.run import cpu

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--hr-size", "16", "--batch-size", "2", "--sample-every", "1"]
TINY_D, TINY_G = (384, (4,) * 8), (64, 1)  # the arguments of networks of the same kinds, a hundred times smaller


def write_photographs(folder: Path) -> None:
    """Four pictures with some structure; one has a non-ASCII name and a space."""
    folder.mkdir()
    for i, name in enumerate(["a.png", "b.jpg", "c.bmp", "照片 d.png"]):
        small = np.random.RandomState(i).randint(0, 256, (6, 7, 3)).astype("uint8")
        bgr = cv2.resize(small, (40 + i, 36), interpolation=cv2.INTER_CUBIC)
        (folder / name).write_bytes(cv2.imencode(name[-4:], bgr)[1].tobytes())


@contextlib.contextmanager
def tiny_networks():
    """For commands in this process, which they leave as it was: `train/run/cpu.py` is test_cpu.py's."""
    with pytest.MonkeyPatch.context() as patch:
        for function in ("speed_up", "speed_up_frozen"):
            patch.setattr(cpu, function, lambda *networks, dtype="": None)
        patch.setattr(Discriminator.__init__, "__defaults__", TINY_D)
        patch.setattr(Generator.__init__, "__defaults__", TINY_G)
        yield


def start(script: str, log: Path, *arguments):
    """Start a training command with tiny networks, and without figures, in a process of its own; it prints to `log`.

    The process is a fork of a server that has loaded Paddle, which takes longer than such a run.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__, "train.pretrain_g", "train.train_gan"])
    log.unlink(missing_ok=True)
    process = forks.Process(target=_run, args=(script, log, [*map(str, arguments)]))
    process.start()
    return process


def _run(script: str, log: Path, arguments: list) -> None:
    with open(log, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    run_in_this_process(script, arguments)


def run_in_this_process(script: str, arguments: list) -> None:
    """The command with tiny networks and without figures; it ends the process."""
    Discriminator.__init__.__defaults__, Generator.__init__.__defaults__ = TINY_D, TINY_G
    samples.write_curves = samples.write_figure = lambda *_: None
    module = importlib.import_module(f"train.{script}")
    command.run(module.PARSER.parse_args(arguments), module.main)


def run(script: str, log: Path, *arguments) -> str:
    """Run a training command as `start` does, to its end, which must be a good one; what it prints."""
    process = start(script, log, *arguments)
    process.join(600)
    said = log.read_text(encoding="utf-8")
    assert process.exitcode == 0, said
    return said


def checkpoints(output, stage: str) -> dict:
    """{name: {variable: array}} of a run's checkpoints, by NumPy alone."""
    arrays = {}
    for path in sorted((Path(output) / "checkpoints" / stage).glob("epoch_*.npz")):
        with np.load(path) as archive:
            arrays[path.stem] = {name: archive[name] for name in archive.files if name != "note"}
    return arrays


def assert_same(found: dict, wanted: dict) -> None:
    """Both of {variable: array}, bit for bit."""
    assert found.keys() == wanted.keys()
    different = [name for name, array in wanted.items() if array.tobytes() != found[name].tobytes()]
    assert not different, different


def log(output, without=("seconds",)) -> list:
    """The rows of log.csv, as text, without the columns that differ from run to run."""
    lines = [text.split(",") for text in (Path(output) / "log.csv").read_text(encoding="utf-8").splitlines()]
    return [[cell for cell, name in zip(cells, lines[0]) if name not in without] for cells in lines]
