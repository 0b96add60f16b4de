"""benchmarks/train_step.py: it runs as a whole, and what it compares is the same step. No time is asserted."""

import argparse
from functools import partial

import numpy as np
import pytest

from benchmarks import train_step
from benchmarks.side_by_side import TRAINING_PARTS, workers
from common.errors import InputError
from tests.helpers import commands

CHANNELS = (4, 8, 8, 8, 16, 16, 8, 8)  # of a smaller discriminator
# Halved, 96 comes to an odd side, which 'SAME' pads on one side more.
STAGE, HR_SIZE, BATCH_SIZE, STEPS = SETTING = (2, 96, 4, 2)


def small_paddle(*arguments, **keywords):
    from benchmarks import paddle_training
    from models.discriminator import Discriminator

    Discriminator.__init__.__defaults__, paddle_training.losses.VGG_SIDE = (384, CHANNELS), 32
    return paddle_training.load(*arguments, **keywords)


@pytest.mark.slow
def test_every_way_takes_the_same_steps_and_tells_its_parts():
    photographs = [np.random.RandomState(i).randint(0, 256, (100 + i, 120, 3)).astype("uint8") for i in range(3)]
    call = partial(small_paddle, photographs, *SETTING, "cpu", "article")
    with workers({train_step.OURS: call, train_step.EAGER: partial(call, eager=True)}) as running:
        steps = {way: [worker.result(None) for _ in range(STEPS)] for way, worker in running.items()}
    for (parts, first), (_, second) in steps.values():
        assert all(parts[part] > 0 for part in TRAINING_PARTS)
        assert first["mse"] != second["mse"], "another batch, and other weights"
    first, eager = (losses for (_, losses), _ in steps.values())
    for name, tolerance in {"mse": 1e-4, "vgg": 1e-3, "d_loss": 1e-3}.items():
        assert first[name] == pytest.approx(eager[name], rel=tolerance)


@pytest.mark.slow
def test_it_prints_a_table_with_every_way(capsys):
    flags = ("--stages", "1", "--sizes", "16", "--batch-size", "2", "--repeats", "1", "--device", "cpu")
    assert commands.run("benchmarks/train_step.py", *flags) == 0
    printed = capsys.readouterr().out
    assert "\n### Stage 1, 2 × 16×16\n" in printed
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    titles, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert titles[1:] == [", ".join(way) for way in train_step.ways_of("article", "cpu")]
    parts = ["data", "G", "backward", "optimizer", "rest"]
    assert [row[0] for row in rows] == ["seconds a step", "the least", *parts, "peak MB"]


def test_medians_and_shares():
    def step(whole, **parts):
        return {**dict.fromkeys(TRAINING_PARTS, 0.0), **parts, "rest": 0.0, "all": whole}

    parts = {train_step.OURS: [step(3.0, G=1.0), step(9.0, G=2.0), step(4.0, G=3.0)]}
    text = train_step.report(parts, {train_step.OURS: 100.4})
    rows = dict(tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in text.splitlines())
    assert (rows["seconds a step"], rows["the least"], rows["peak MB"]) == ("4.000", "3.000", "100")
    assert rows["G"] == "2.000 (50%)" and "D" not in rows, "stage 1 has none"


def test_a_step_that_computes_something_else_is_refused():
    losses = {"mse": 0.5, "d_loss": 0.7, "g_loss": 3.0}
    train_step.check_same({train_step.OURS: losses, train_step.EAGER: {**losses, "g_loss": 4.0, "mse": 0.50001}})
    for other in (0.51, float("nan")):
        with pytest.raises(InputError, match=r"Paddle, eager: the first step's mse is .*, and 0\.5 as"):
            train_step.check_same({train_step.OURS: losses, train_step.EAGER: {**losses, "mse": other}})


def test_sides_and_photographs_that_crops_can_have():
    assert [train_step.default_batch(side) for side in (384, 192, 32, 512)] == [1, 4, 8, 1]
    assert train_step.hr_size("96") == 96
    for text in ("30", "0", "x"):
        with pytest.raises(argparse.ArgumentTypeError):
            train_step.hr_size(text)
    with pytest.raises(InputError, match="--sizes 4000: .* 512 pixels"):
        train_step.read_photographs(4000)
