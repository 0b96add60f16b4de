"""Two real processes under Paddle's launcher, on the CPU: one log, one set of files, resumed with any number."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.helpers import training

RUN = ["--hr-size", 16, "--batch-size", 4, "--crops-per-image", 4, "--sample-every", 1, "--device", "cpu", "--no-vgg"]
STAGE = "srgan_g"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the launcher's processes talk by gloo"),
]


# The command with tiny networks, for the launcher.
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.helpers.training import run_in_this_process
run_in_this_process("train_gan", sys.argv[1:])
"""


def launch(folder, *flags) -> subprocess.Popen:
    """Start stage 2 in two processes; the launcher's own folder is `log` in `folder`."""
    (folder / "tiny.py").write_text(SCRIPT.format(root=str(training.ROOT)), encoding="utf-8")
    line = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", 2, "--log_dir", folder / "log"]
    line += [folder / "tiny.py", *RUN, "--output", folder, *flags]
    # tests/__init__ hides GPUs by an empty list, which the launcher takes for a list of none.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    return subprocess.Popen([str(part) for part in line], cwd=training.ROOT, env=environment, **pipes)


def test_two_processes_stop_go_on_as_one_and_as_two_with_one_set_of_files(photographs, tmp_path):
    log, flags = tmp_path / "alone.log", ["--data", photographs]
    training.run("pretrain_g", log, *RUN[:-1], "--output", tmp_path, *flags, "--epochs", 0)

    # SIGTERM to the launcher, which sends it on more than once.
    with launch(tmp_path, *flags, "--epochs", 400, "--sample-every", 1000) as process:
        while len(training.log(tmp_path)) < 4 and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=100)
    worker, other = ((tmp_path / "log" / f"workerlog.{n}").read_text(encoding="utf-8") for n in range(2))
    assert process.returncode != 0 and "stopped by SIGTERM" in worker
    assert "Traceback" not in worker + other and "[*]" not in other, worker + other
    two = training.checkpoints(tmp_path, STAGE)
    newest = max(two)
    assert not [path.name for path in (tmp_path / "checkpoints" / STAGE).iterdir() if path.name.startswith(".")]

    # Alone: every network and moment is taken over, and the epochs have as many steps.
    epoch, step = int(newest[6:12]), int(newest[18:])
    said = training.run("train_gan", log, *RUN, "--output", tmp_path, *flags, "--resume", "--epochs", epoch)
    assert f"{newest}.npz" in said
    one = training.checkpoints(tmp_path, STAGE)[f"epoch_{epoch + 1:06d}_step_000000"]
    power = "optimizer/generator/out_conv.bias/beta1_pow_acc_0"
    steps = np.array([[4 * epoch + step + 1], [4 * (epoch + 1) + 1]])  # 4 an epoch; 1 ahead
    np.testing.assert_allclose([two[newest][power], one[power]], 0.9**steps, rtol=1e-5)

    # And by two again, which agree on what to go on from where the newest checkpoint is damaged.
    path = tmp_path / "checkpoints" / STAGE / f"epoch_{epoch + 1:06d}_step_000000.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with launch(tmp_path, *flags, "--resume", "--epochs", epoch + 1) as process:
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and f"{path.name}: damaged" in said, said
    assert said.count(f"[*] Epoch: [{epoch + 1:2d}/{epoch + 1:2d}]") == 1
    rows = [row[1] for row in training.log(tmp_path) if row[0] == STAGE]
    assert rows == [str(number) for number in range(epoch + 2)]
    assert (tmp_path / f"epoch_{epoch + 1}_G.jpg").exists() and (tmp_path / "srgan_g.pdparams").exists()
