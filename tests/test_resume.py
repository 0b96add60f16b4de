"""Nothing of a run is lost: stopped, killed and resumed runs end as those that were left alone, bit for bit."""

import os
import signal
import time

import pytest

from common.device import cpu_bf16
from models.weight_files import weights
from tests.helpers import training
from train.run import checkpoint, programs

pytestmark = pytest.mark.slow

STAGES = {"pretrain_g": "pretrain_g", "train_gan": "srgan_g"}  # {command: its stage}
# Four epochs of sixteen steps.
RUN = ["--hr-size", 16, "--batch-size", 2, "--crops-per-image", 8, "--sample-every", 2, "--epochs", 3, "--augment"]
KILLS = 4


@pytest.fixture(scope="module")
def flags(photographs, tmp_path_factory):
    """{command: its flags}; stage 2 with a moving average, a schedule and random LR, so that these are resumed too."""
    common = ["--data", photographs, *RUN]
    stage1 = tmp_path_factory.mktemp("stage 1")
    training.run("pretrain_g", stage1 / "log", *common, "--output", stage1, "--epochs", 0)
    extra = ["--no-vgg", "--ema", 0.9, "--schedule", "cosine", "--d-warmup", 3, "--degradation", "photo"]
    return {"pretrain_g": common, "train_gan": [*common, "--init", stage1 / "pretrain_g.pdparams", *extra]}


def assert_ends_alike(output, expected, script):
    """Every variable of the last checkpoint, the weights for users, the log but for its seconds."""
    stage = STAGES[script]
    last = max(training.checkpoints(expected, stage))
    training.assert_same(training.checkpoints(output, stage)[last], training.checkpoints(expected, stage)[last])
    for name in {stage, stage.replace("_g", "_d")} - {"pretrain_d"}:
        training.assert_same(*(weights.read_pdparams(folder / f"{name}.pdparams") for folder in (output, expected)))
    assert training.log(output) == training.log(expected)


@pytest.mark.parametrize(
    "script, signum, workers", [("pretrain_g", signal.SIGINT, 2), ("train_gan", signal.SIGTERM, 0)]
)
def test_a_stopped_run_goes_on_to_the_same_end(script, signum, workers, flags, tmp_path):
    """4 epochs (with one worker), against a stop in the third epoch and another number of workers."""
    stopped, alone, log = tmp_path / "stopped", tmp_path / "alone", tmp_path / "log"
    training.run(script, log, "--output", alone, *flags[script])
    line = ["--output", stopped, *flags[script], "--workers", workers]
    process = training.start(script, log, *line)
    while process.is_alive() and not (log.exists() and "epoch 2/3:" in log.read_text(encoding="utf-8")):
        time.sleep(0.01)
    os.kill(process.pid, signum)
    process.join(100)
    said = log.read_text(encoding="utf-8")
    assert process.exitcode == {signal.SIGINT: 130, signal.SIGTERM: 143}[signum], said
    assert "Traceback" not in said and "continue with --resume" in said
    newest = max(training.checkpoints(stopped, STAGES[script]))
    assert newest >= "epoch_000002", newest
    assert f"{newest}.npz" in training.run(script, log, *line, "--resume")
    assert_ends_alike(stopped, alone, script)


@pytest.mark.skipif(
    not (programs.HAS_BF16_CONVOLUTIONS and cpu_bf16()), reason="this Paddle or this CPU multiplies no bf16 in training"
)
def test_in_bf16_two_epochs_and_two_more_are_four(flags, tmp_path):
    four, two = tmp_path / "four", tmp_path / "two"
    for output, more in ((four, ()), (two, ("--epochs", 1)), (two, ("--resume",))):
        line = [*flags["pretrain_g"], "--crops-per-image", 2, "--amp", "on", *more]
        training.run("pretrain_g", tmp_path / "log", "--output", output, *line)
    arrays, expected = (training.checkpoints(output, "pretrain_g") for output in (two, four))
    training.assert_same(arrays[max(arrays)], expected[max(expected)])


def is_saving(folder) -> bool:
    """Whether there is what `common.files.replacing` writes to before it renames."""
    return any(path.name.startswith(".") and path.suffix == ".npz" for path in folder.glob(".*"))


@pytest.mark.parametrize("script", STAGES)
def test_killed_while_saving_a_run_ends_as_if_it_had_not_been(script, flags, tmp_path):
    """SIGKILL while it saves, KILLS times, then to the end of the epoch that was reached."""
    killed, alone, log = tmp_path / "killed", tmp_path / "alone", tmp_path / "log"
    line = [*flags[script], "--crops-per-image", 2, "--sample-every", 10**6, "--schedule", "constant"]
    line += ["--save-every-minutes", 0, "--resume"]
    folder = killed / "checkpoints" / STAGES[script]
    times_saving = 0
    for _ in range(KILLS):
        before = checkpoint.list_checkpoints(folder)
        process = training.start(script, log, "--output", killed, *line, "--epochs", 10**6)
        while process.is_alive() and checkpoint.list_checkpoints(folder) == before:
            time.sleep(0.01)
        while process.is_alive() and not is_saving(folder):
            pass
        process.kill()
        process.join()
        times_saving += is_saving(folder)
        assert all(training.checkpoints(killed, STAGES[script]).values())
    assert times_saving >= KILLS / 2
    epochs = int(max(training.checkpoints(killed, STAGES[script]))[6:12])
    for output in (killed, alone):
        training.run(script, log, "--output", output, *line, "--epochs", epochs)
    assert_ends_alike(killed, alone, script)
    names = [path.name for path in folder.iterdir()]
    assert len(names) == 3 and not any(name.startswith(".") for name in names), names
