"""benchmarks/train_step.py: it runs as a whole, and what it compares is the same step. No time is asserted."""

import argparse
import re
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import train_step
from benchmarks.side_by_side import TRAINING_PARTS, workers
from common.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = (4, 8, 8, 8, 16, 16, 8, 8)  # of a smaller discriminator
VGG_SIDE = 32
# Halved, 96 comes to an odd side, which 'SAME' pads on one side more.
STAGE, HR_SIZE, BATCH_SIZE, STEPS = SETTING = (2, 96, 4, 2)


def small_paddle(*arguments, **keywords):
    from benchmarks import paddle_training
    from models.discriminator import Discriminator

    Discriminator.__init__.__defaults__, paddle_training.losses.VGG_SIDE = (384, CHANNELS), VGG_SIDE
    return paddle_training.load(*arguments, **keywords)


def small_pytorch(*arguments):
    from benchmarks import torch_training

    torch_training.CHANNELS, torch_training.VGG19_SIDE = (3, *CHANNELS), VGG_SIDE
    return torch_training.load(*arguments)


@pytest.fixture
def photographs():
    return [np.random.RandomState(i).randint(0, 256, (100 + i, 120, 3)).astype("uint8") for i in range(3)]


@pytest.mark.slow
def test_every_way_takes_the_same_steps_and_tells_its_parts(photographs, tmp_path, monkeypatch):
    from benchmarks import paddle_training

    monkeypatch.setattr("models.discriminator.Discriminator.__init__.__defaults__", (384, CHANNELS))
    paddle_training.write_start(tmp_path, photographs, *SETTING)
    loads = {
        train_step.OURS: partial(small_paddle, photographs, *SETTING, "cpu", "article", eager=False),
        train_step.EAGER: partial(small_paddle, photographs, *SETTING, "cpu", "article", eager=True),
    }
    if find_spec("torch"):
        for way, form in train_step.PYTORCH.items():
            loads[way] = partial(small_pytorch, tmp_path, STAGE, HR_SIZE, form)
    found = {}
    with workers(loads) as running:
        for way, worker in running.items():
            found[way] = [worker.result(None) for _ in range(STEPS)]
    for (parts, first), (_, second) in found.values():
        assert all(parts[part] > 0 for part in TRAINING_PARTS)
        assert first["mse"] != second["mse"], "another batch, and other weights"
    expected = found[train_step.OURS][0][1]
    for (_, terms), _ in found.values():
        assert terms["mse"] == pytest.approx(expected["mse"], rel=1e-4)
        assert terms["vgg"] == pytest.approx(expected["vgg"], rel=1e-3)
        assert terms["d_loss"] == pytest.approx(expected["d_loss"], rel=1e-3)
    train_step.check_same({way: steps[0][1] for way, steps in found.items()})


@pytest.mark.slow
def test_it_prints_a_table_with_every_way():
    call = [sys.executable, "benchmarks/train_step.py", "--stages", "1", "--sizes", "16", "--batch-size", "2"]
    ended = subprocess.run(
        [*call, "--repeats", "1", "--device", "cpu"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("|")]
    titles, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    ways = ["Paddle, as the commands run it", "Paddle, eager", *["Paddle, with --amp"] * train_step.has_amp()]
    if find_spec("torch"):
        ways += ["PyTorch, as it is", "PyTorch, channels-last"]
    else:
        assert "PyTorch is not installed: pip install -r" in ended.stdout
    assert titles[1:] == ways
    parts = ["data", "G", "backward", "optimizer", "rest"]
    assert [row[0] for row in rows] == ["seconds a step", "the least", "× PyTorch's time", *parts, "peak MB"]
    assert re.search(r"^### Stage 1, 2 × 16×16$", ended.stdout, re.MULTILINE)


def of(whole, **parts):
    return {**dict.fromkeys(TRAINING_PARTS, 0.0), **parts, "rest": 0.0, "all": whole}


def test_medians_and_the_faster_of_pytorch():
    first, second = train_step.PYTORCH
    parts = {
        train_step.OURS: [of(3.0, G=1.0), of(9.0, G=2.0), of(4.0, G=3.0)],
        first: [of(5.0, G=2.5)],
        second: [of(2.0, G=1.0)],
    }
    text = train_step.report(parts, dict.fromkeys(parts, 100.4))
    rows = {row[0]: row[1:] for row in ([cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines())}
    assert rows["seconds a step"] == ["4.000", "5.000", "2.000"]
    assert rows["the least"] == ["3.000", "5.000", "2.000"]
    assert rows["× PyTorch's time"] == ["2.00", "2.50", "1.00"]
    assert rows["G"] == ["2.000 (50%)", "2.500 (50%)", "1.000 (50%)"]
    assert rows["peak MB"] == ["100"] * 3
    assert "D" not in rows, "stage 1 has none"
    alone = train_step.report({train_step.OURS: [of(3.0, G=1.0)]}, {train_step.OURS: 1})
    assert "| × PyTorch's time | – |" in alone


def test_a_step_that_computes_something_else_is_refused():
    (way, *_), losses = train_step.PYTORCH, {"mse": 0.5, "d_loss": 0.7, "g_loss": 3.0}
    train_step.check_same({train_step.OURS: losses, way: {**losses, "g_loss": 4.0, "mse": 0.50001}})
    for other in (0.51, float("nan")):
        with pytest.raises(InputError, match=r"PyTorch, as it is: the first step's mse is .*, and 0\.5 as"):
            train_step.check_same({train_step.OURS: losses, way: {**losses, "mse": other}})


@pytest.mark.parametrize(("hr_size", "batch"), [(384, 1), (192, 4), (96, 8), (32, 8), (512, 1)])
def test_as_many_crops_as_have_the_pixels_of_a_large_one(hr_size, batch):
    assert train_step.default_batch(hr_size) == batch


def test_sides_and_photographs_that_crops_can_have():
    assert train_step.hr_size("96") == 96
    for text in ("30", "0", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            train_step.hr_size(text)
    assert all(min(rgb.shape[:2]) >= 400 for rgb in train_step.read_photographs(400))
    with pytest.raises(InputError, match="--sizes 4000: .* 512 pixels"):
        train_step.read_photographs(4000)


def test_on_a_gpu_there_is_one_way(photographs, tmp_path):
    assert list(train_step.prepare(photographs, SETTING, "gpu:0", "article", tmp_path)) == [train_step.OURS]
    assert not list(tmp_path.iterdir())
