"""The training commands, run as a user runs them, on small crops of small pictures, and what they leave."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.discriminator import Discriminator
from models.generator import Generator
from train.run import cpu

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--hr-size", "16", "--batch-size", "2", "--sample-every", "1"]
TINY_D, TINY_G = (384, (4,) * 8), (64, 1)  # the arguments of networks of the same kinds, a hundred times smaller

# The commands with tiny networks, for tests that need processes of their own.
TINY = """
import runpy, sys
sys.path.insert(0, {root!r})
import models.discriminator, models.generator
models.discriminator.Discriminator.__init__.__defaults__ = {d!r}
models.generator.Generator.__init__.__defaults__ = {g!r}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


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


def command_line(script: str, *arguments, tiny: bool = False) -> list:
    start = ["-c", TINY.format(root=str(ROOT), d=TINY_D, g=TINY_G)] if tiny else []
    return [sys.executable, *start, str(ROOT / "train" / script), *map(str, arguments)]


def run(script: str, *arguments, tiny: bool = False, cwd=ROOT, **kwargs):
    """Run a training command to its end; tiny: with networks a hundred times smaller."""
    settings = {"cwd": cwd, "capture_output": True, "encoding": "utf-8", "timeout": 600, **kwargs}
    return subprocess.run(command_line(script, *arguments, tiny=tiny), check=False, **settings)


def start(script: str, *arguments, tiny: bool = False) -> subprocess.Popen:
    """Start a training command whose output is read from its `stderr` and `stdout`, bytes."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command_line(script, *arguments, tiny=tiny), cwd=ROOT, **pipes)


def wait_for(process: subprocess.Popen, text: bytes) -> bytes:
    """Read the process's standard error until `text` has come, or to its end; what was read."""
    read = b""
    while text not in read:
        part = os.read(process.stderr.fileno(), 65536)
        if not part:
            break
        read += part
    return read


def checkpoints(output, stage: str) -> dict:
    """{name: {variable: array}} of a run's checkpoints, by NumPy alone."""
    found = {}
    for path in sorted((Path(output) / "checkpoints" / stage).glob("epoch_*.npz")):
        with np.load(path) as archive:
            found[path.stem] = {name: archive[name] for name in archive.files if name != "note"}
    return found


def assert_same(found: dict, wanted: dict) -> None:
    """Both of {variable: array}, bit for bit."""
    assert found.keys() == wanted.keys()
    different = [name for name, array in wanted.items() if array.tobytes() != found[name].tobytes()]
    assert not different, different


def log(output, without=("seconds",)) -> list:
    """The rows of log.csv, as text, without the columns that differ from run to run."""
    lines = [text.split(",") for text in (Path(output) / "log.csv").read_text(encoding="utf-8").splitlines()]
    return [[cell for cell, name in zip(cells, lines[0]) if name not in without] for cells in lines]
