"""Nothing of a run is lost: stopped, killed and resumed runs end as those that were left alone, bit for bit."""

import signal
import threading
import time

import pytest

from common.device import cpu_bf16
from models.weight_files import weights
from tests.helpers import training
from train.run import checkpoint, programs

pytestmark = pytest.mark.slow

STAGES = {"pretrain_g.py": "pretrain_g", "train_gan.py": "srgan_g"}
# Four epochs of sixteen steps.
RUN = ["--hr-size", 16, "--batch-size", 2, "--crops-per-image", 8, "--sample-every", 2, "--epochs", 3, "--augment"]


@pytest.fixture(scope="module")
def init(photographs, tmp_path_factory):
    """A stage 1 of tiny networks, for stage 2 to start from."""
    output = tmp_path_factory.mktemp("init")
    result = training.run(
        "pretrain_g.py", "--data", photographs, "--output", output, *RUN[:-3], "--epochs", 0, tiny=True
    )
    assert result.returncode == 0, result.stderr
    return output / "pretrain_g.pdparams"


@pytest.fixture(scope="module")
def flags(photographs, init):
    """{command: its flags}; stage 2 with a moving average, a schedule and random LR, so that these are resumed too."""
    common = ["--data", photographs, *RUN]
    extra = [
        "--init",
        init,
        "--no-vgg",
        "--ema",
        0.9,
        "--schedule",
        "cosine",
        "--d-warmup",
        3,
        "--degradation",
        "photo",
    ]
    return {"pretrain_g.py": common, "train_gan.py": [*common, *extra]}


@pytest.fixture(scope="module")
def straight(flags, tmp_path_factory):
    """{command: the folder of a run that was left alone}."""
    outputs = {}
    for script in STAGES:
        outputs[script] = tmp_path_factory.mktemp("straight")
        result = training.run(script, "--output", outputs[script], *flags[script], tiny=True)
        assert result.returncode == 0, result.stderr
    return outputs


def assert_ends_alike(found, wanted, script):
    """Every variable of the last checkpoint, the weights for users, the log but for its seconds."""
    stage = STAGES[script]
    last = max(training.checkpoints(wanted, stage))
    training.assert_same(training.checkpoints(found, stage)[last], training.checkpoints(wanted, stage)[last])
    for name in {stage, stage.replace("_g", "_d")} - {"pretrain_d"}:
        training.assert_same(*(weights.read_pdparams(output / f"{name}.pdparams") for output in (found, wanted)))
    assert training.log(found) == training.log(wanted)


def stop_within(script, output, flags, signum, epoch):
    """Start, and send a signal in the midst of an epoch; (exit status, standard error)."""
    with training.start(script, "--output", output, *flags, tiny=True) as process:
        read = training.wait_for(process, f"epoch {epoch}/3:".encode())
        process.send_signal(signum)
        return process.wait(100), (read + process.stderr.read()).decode()


@pytest.mark.parametrize(
    "script, signum, workers", [("pretrain_g.py", signal.SIGINT, 2), ("train_gan.py", signal.SIGTERM, 0)]
)
def test_a_stopped_run_goes_on_to_the_same_end(script, signum, workers, flags, straight, tmp_path):
    """4 epochs straight (with one worker), against a stop in the third epoch and another number of workers."""
    status, said = stop_within(script, tmp_path, [*flags[script], "--workers", workers], signum, 2)
    assert status == {signal.SIGINT: 130, signal.SIGTERM: 143}[signum]
    assert "Traceback" not in said and "continue with --resume" in said
    newest = max(training.checkpoints(tmp_path, STAGES[script]))
    assert newest >= "epoch_000002", newest
    result = training.run(script, "--output", tmp_path, *flags[script], "--resume", "--workers", workers, tiny=True)
    assert result.returncode == 0, result.stderr
    assert f"{newest}.npz" in result.stdout
    assert_ends_alike(tmp_path, straight[script], script)


@pytest.mark.skipif(
    not (programs.HAS_BF16_CONVOLUTIONS and cpu_bf16()), reason="this Paddle or this CPU multiplies no bf16 in training"
)
def test_in_bf16_two_epochs_and_two_more_are_four(flags, tmp_path):
    line = [*flags["pretrain_g.py"], "--amp", "on"]
    four, two = tmp_path / "four", tmp_path / "two"
    for output, more in ((four, ()), (two, ("--epochs", 1)), (two, ("--resume",))):
        result = training.run("pretrain_g.py", "--output", output, *line, *more, tiny=True)
        assert result.returncode == 0, result.stderr
    found, wanted = (training.checkpoints(output, "pretrain_g") for output in (two, four))
    training.assert_same(found[max(found)], wanted[max(wanted)])


def is_saving(folder) -> bool:
    """Whether there is what `common.files.replacing` writes to before it renames."""
    return any(path.name.startswith(".") and path.suffix == ".npz" for path in folder.glob(".*"))


KILLS = 4


def kill_and_resume(script, output, flags):
    """Start with --resume and SIGKILL, while it saves, KILLS times; then to the end of the epoch that was reached."""
    folder = output / "checkpoints" / STAGES[script]
    killed_while_saving = 0
    for _ in range(KILLS):
        with training.start(script, "--output", output, *flags, "--epochs", 10**6, "--resume", tiny=True) as process:
            drains = [threading.Thread(target=pipe.read) for pipe in (process.stdout, process.stderr)]
            for drain in drains:
                drain.start()
            before = checkpoint.list_checkpoints(folder)
            while process.poll() is None and checkpoint.list_checkpoints(folder) == before:
                time.sleep(0.01)
            while process.poll() is None and not is_saving(folder):
                pass
            process.kill()
            for drain in drains:
                drain.join()
        killed_while_saving += is_saving(folder)
        for name, arrays in training.checkpoints(output, STAGES[script]).items():
            assert arrays, name
    assert killed_while_saving >= KILLS / 2
    epochs = int(max(training.checkpoints(output, STAGES[script]))[6:12])
    result = training.run(script, "--output", output, *flags, "--epochs", epochs, "--resume", tiny=True)
    assert result.returncode == 0, result.stderr[-2000:]
    return epochs


@pytest.mark.parametrize("script", STAGES)
def test_killed_while_saving_a_run_ends_as_if_it_had_not_been(script, flags, tmp_path):
    many = [*flags[script], "--crops-per-image", 2, "--sample-every", 10**6, "--schedule", "constant"]
    epochs = kill_and_resume(script, tmp_path / "killed", [*many, "--save-every-minutes", 0])
    result = training.run(script, "--output", tmp_path / "alone", *many, "--epochs", epochs, tiny=True)
    assert result.returncode == 0, result.stderr
    assert_ends_alike(tmp_path / "killed", tmp_path / "alone", script)
    left = [path.name for path in (tmp_path / "killed" / "checkpoints" / STAGES[script]).iterdir()]
    assert len(left) == 3 and not any(name.startswith(".") for name in left), left
