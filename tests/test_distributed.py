"""Two real processes under Paddle's launcher, on the CPU: one log, one set of files, resumed with any number."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers import training

RUN = ["--hr-size", 16, "--batch-size", 4, "--crops-per-image", 4, "--sample-every", 1, "--no-vgg", "--device", "cpu"]
STAGE = "srgan_g"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the launcher's processes talk by gloo"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs, a stage 1 and the script of the tiny networks."""
    folder = tmp_path_factory.mktemp("distributed")
    training.write_photographs(folder / "photographs")
    (folder / "tiny.py").write_text(training.TINY.format(root=str(training.ROOT)), encoding="utf-8")
    stage1 = ["--data", folder / "photographs", "--output", folder, *RUN[:-3], "--device", "cpu", "--epochs", 0]
    assert training.run("pretrain_g.py", *stage1, tiny=True).returncode == 0
    return folder


def launch(folder, output, *flags) -> subprocess.Popen:
    """Start train_gan.py in two processes; the launcher's own folder goes into `output`."""
    line = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", 2, "--log_dir", output / "log"]
    line += [folder / "tiny.py", training.ROOT / "train" / "train_gan.py", "--data", folder / "photographs"]
    line += ["--output", output, "--init", folder / "pretrain_g.pdparams", *RUN, *flags]
    # tests/__init__ hides GPUs by an empty list, which the launcher takes for a list of none.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen([str(part) for part in line], cwd=training.ROOT, env=environment, **pipes)


def finish(process: subprocess.Popen) -> str:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def test_two_processes_leave_one_log_and_one_set_of_files_and_go_on_as_one(folder, tmp_path):
    said = finish(launch(folder, tmp_path, "--epochs", 1))
    assert "4 pictures of" in said and said.count("[*] Epoch: [ 0/ 1]") == 1
    assert "Traceback" not in (tmp_path / "log" / "workerlog.1").read_text(encoding="utf-8")
    assert "[*]" not in (tmp_path / "log" / "workerlog.1").read_text(encoding="utf-8")
    assert [row[1] for row in training.log(tmp_path)] == ["epoch", "0", "1"]
    assert (tmp_path / "epoch_1_G.jpg").exists() and (tmp_path / "srgan_g.pdparams").exists()
    two = training.checkpoints(tmp_path, STAGE)["epoch_000002_step_000000"]

    # Alone: every network and moment is taken over, and the epochs have as many steps.
    alone = [*RUN, "--init", folder / "pretrain_g.pdparams", "--data", folder / "photographs", "--output", tmp_path]
    result = training.run("train_gan.py", *alone, "--resume", "--epochs", 2, tiny=True)
    assert result.returncode == 0, result.stderr
    assert "epoch_000002_step_000000.npz" in result.stdout
    assert [row[1] for row in training.log(tmp_path)] == ["epoch", "0", "1", "2"]
    one = training.checkpoints(tmp_path, STAGE)["epoch_000003_step_000000"]
    power = "optimizer/generator/out_conv.bias/beta1_pow_acc_0"
    np.testing.assert_allclose([two[power], one[power]], [[0.9**9], [0.9**13]], rtol=1e-5)  # 4 steps an epoch; 1 ahead

    # And by two again, which agree on what to go on from where the newest checkpoint is damaged.
    newest = tmp_path / "checkpoints" / STAGE / "epoch_000003_step_000000.npz"
    newest.write_bytes(newest.read_bytes()[:-100])
    said = finish(launch(folder, tmp_path, "--resume", "--epochs", 3))
    assert "epoch_000003_step_000000.npz: damaged" in said
    assert said.count("[*] Epoch: [ 2/ 3]") == said.count("[*] Epoch: [ 3/ 3]") == 1
    assert [row[1] for row in training.log(tmp_path)] == ["epoch", "0", "1", "2", "3"]


def test_sigterm_to_the_launcher_saves_and_the_run_goes_on(folder, tmp_path):
    flags = ["--epochs", 400, "--sample-every", 1000]
    with launch(folder, tmp_path, *flags) as process:
        log = tmp_path / "log.csv"
        while not log.exists() and process.poll() is None:
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=100)
    assert process.returncode != 0
    newest = max(training.checkpoints(tmp_path, STAGE))
    worker = (tmp_path / "log" / "workerlog.0").read_text(encoding="utf-8")
    assert "stopped by SIGTERM" in worker and "Traceback" not in worker, worker
    assert not [path.name for path in (tmp_path / "checkpoints" / STAGE).iterdir() if path.name.startswith(".")]
    epoch = int(newest[6:12])
    said = finish(launch(folder, tmp_path, *flags, "--epochs", epoch, "--resume"))
    assert f"{newest}.npz" in said
