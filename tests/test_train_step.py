"""benchmarks/train_step.py: it runs as a whole, and what it compares is the same step. No time is asserted."""

import argparse

import pytest

from benchmarks import train_step
from benchmarks.side_by_side import TRAINING_PARTS
from common.errors import InputError
from tests.helpers import commands

CHANNELS = (4, 8, 8, 8, 16, 16, 8, 8)  # of a smaller discriminator


def load_small(*arguments, **keywords):
    from benchmarks import paddle_training
    from models.discriminator import Discriminator

    Discriminator.__init__.__defaults__, paddle_training.losses.VGG_SIDE = (384, CHANNELS), 32
    return paddle_training.load(*arguments, **keywords)


@pytest.mark.slow
def test_every_way_takes_the_same_step_and_tells_its_parts(monkeypatch, capsys):
    """It compares the losses by itself. Halved, 96 comes to an odd side, which 'SAME' pads on one side more."""
    monkeypatch.setattr(train_step, "load_paddle", load_small)
    arguments = argparse.Namespace(recipe="article", device="cpu", stages=[2], sizes=[96], batch_size=2, repeats=1)
    train_step.main(arguments)
    printed = capsys.readouterr().out
    assert "\n### Stage 2, with VGG19, 2 × 96×96\n" in printed
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    titles, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert titles[1:] == [", ".join(way) for way in train_step.ways_of("article", "cpu")]
    assert [row[0] for row in rows] == ["seconds a step", "the least", *TRAINING_PARTS, "rest", "peak MB"]


def test_the_command_reads_its_flags(capsys):
    assert commands.run("benchmarks/train_step.py", "--sizes", "4000") == 1
    assert "--sizes 4000: the largest photograph holds crops of up to 512 pixels" in capsys.readouterr().err
    assert commands.run("benchmarks/train_step.py", "--sizes", "30") == 2
    assert "30 is not a multiple of 4" in capsys.readouterr().err
    assert [train_step.default_batch(side) for side in (384, 192, 32, 512)] == [1, 4, 8, 1]


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
