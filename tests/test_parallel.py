"""Several processes: two real ones on the CPU, started by Paddle's launcher."""

import atexit
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle import nn

from train import losses
from train.run import parallel
from train.run.mixed_precision import Precision

ROOT = Path(__file__).resolve().parents[1]
LATE = 2  # seconds


def launch(folder: Path) -> subprocess.Popen:
    """Start two processes that run `collectives(folder)`; what they print is in `folder`, workerlog.0 and .1."""
    script = folder / "collectives.py"
    script.write_text("import sys\nfrom tests.test_parallel import collectives\ncollectives(sys.argv[1])\n")
    # The launcher looks for a GPU for each process where the variable is set, even to nothing.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment["PYTHONPATH"] = str(ROOT)
    command = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", str(folder)]
    with open(folder / "launcher", "w") as output:
        line = [sys.executable, *command, str(script), str(folder)]
        return subprocess.Popen(line, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)


def finish(launcher: subprocess.Popen) -> int:
    """The launcher's exit status. Fails, and ends it and what it has started, if it takes longer than minutes."""
    try:
        return launcher.wait(300)
    finally:
        launcher.terminate()
        launcher.wait(60)


def small_network() -> nn.Layer:
    """Convolutions without batch norm, and a layer that is not used."""
    network = nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2D(8, 3, 3, padding=1))
    network.unused = nn.Linear(2, 2)
    random_numbers = np.random.RandomState(0)
    for parameter in network.parameters():
        parameter.set_value(random_numbers.normal(0, 0.2, parameter.shape).astype("float32"))
    return network


def add_gradients(network: nn.Layer, crops: slice) -> None:
    """Those of the content loss on some of 4 fixed pictures."""
    lr, hr = np.random.RandomState(7).uniform(-1, 1, (2, 4, 3, 12, 12)).astype("float32")
    x = paddle.to_tensor(lr[crops])
    for layer in list(network.children())[:3]:
        x = layer(x)
    losses.content(x, paddle.to_tensor(hr[crops])).backward()


def collectives(folder: str) -> None:
    """Every function once, into a file of this process's; then process 1 fails, and its libraries wait for long."""
    rank = parallel.rank()
    if rank == 1:
        atexit.register(time.sleep, 100)
        parallel.PATIENCE = 1
    parallel.start()
    out = {"rank": (rank, parallel.count(), parallel.is_main())}
    time.sleep(LATE * rank)
    with parallel.main_first():
        out["met"] = time.monotonic()  # the same clock in all processes of a machine
    out["mean"] = parallel.mean({"a": float(rank), "b": 2.5, "c": [1.0, math.nan][rank]})

    network = small_network()
    add_gradients(network, slice(2 * rank, 2 * rank + 2))
    parallel.average_gradients(network.parameters())
    out["gradients"] = {
        name: None if parameter.grad is None else parameter.grad.numpy()
        for name, parameter in network.named_parameters()
    }
    out["overflow"] = overflow(network, rank)
    np.save(Path(folder) / f"{rank}.npy", out, allow_pickle=True)
    for step in range(1000):
        parallel.mean({"loss": 0.0})
        if step == 3 and rank == 1:
            raise OSError("this disk is full")


def overflow(network: nn.Layer, rank: int) -> tuple:
    """A step in float16's manner, in which process 1 alone overflows: (were weights changed, the scale)."""
    network.clear_gradients()
    precision = Precision(amp=False)
    precision.dtype, precision.scale = "float16", 1024.0
    optimizer = paddle.optimizer.SGD(0.1, parameters=network.parameters())
    before = network[0].weight.numpy()
    precision.backward(network[0].weight.sum() * [1.0, math.inf][rank])
    parallel.average_gradients(network.parameters())
    precision.unscale(optimizer)
    precision.step(optimizer)
    return bool((before != network[0].weight.numpy()).any()), precision.scale


@pytest.mark.slow
def test_two_processes_and_the_reason_why_one_fails(tmp_path):
    assert finish(launch(tmp_path)) != 0
    assert "this disk is full" in (tmp_path / "launcher").read_text()
    results = [np.load(tmp_path / f"{rank}.npy", allow_pickle=True).item() for rank in range(2)]
    assert [out["rank"] for out in results] == [(0, 2, True), (1, 2, False)]
    assert 0 < results[1]["met"] - results[0]["met"] < 50 * LATE
    network = small_network()
    add_gradients(network, slice(0, 4))
    for out in results:
        assert (out["mean"]["a"], out["mean"]["b"]) == (0.5, 2.5) and math.isnan(out["mean"]["c"])
        for name, parameter in network.named_parameters():  # two halves of a batch give the gradient of the whole
            if "unused" in name:
                assert out["gradients"][name] is None
            else:
                np.testing.assert_allclose(out["gradients"][name], parameter.grad.numpy(), rtol=1e-5, atol=1e-7)
        assert out["overflow"] == (False, 512.0)  # of one process, and everyone's


def test_alone_nothing_changes_and_nobody_is_waited_for():
    assert (parallel.count(), parallel.rank(), parallel.is_main()) == (1, 0, True)
    assert parallel.start("cpu") == "cpu"
    network = small_network()
    add_gradients(network, slice(0, 4))
    before = {name: parameter.grad.numpy() for name, parameter in network[0].named_parameters()}
    parallel.average_gradients(network.parameters())
    with parallel.main_first():
        parallel.barrier()
    for name, parameter in network[0].named_parameters():
        np.testing.assert_array_equal(parameter.grad.numpy(), before[name])
    assert parallel.mean({"a": 1.5}) == {"a": 1.5}


def test_the_barrier_has_no_limit_of_time(monkeypatch):
    """It is a counter in the launcher's store; gloo would give up after 30 seconds."""
    counts = iter([1, 1, 1, 1, 2])
    store = SimpleNamespace(add=lambda key, amount: next(counts))
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    monkeypatch.setattr(parallel, "_barriers", 0)
    monkeypatch.setattr(paddle.base.core, "create_or_get_global_tcp_store", lambda: store)
    parallel.barrier()
    assert next(counts, None) is None


@pytest.fixture
def machine(monkeypatch):
    """Sets how many GPUs there are, for process 1 of 2; returns the device and the backend that are chosen."""

    def set_up(gpus: int) -> list:
        chosen = []
        monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
        monkeypatch.setenv("PADDLE_TRAINER_ID", "1")
        monkeypatch.setenv("PADDLE_DISTRI_BACKEND", "")
        monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: gpus > 0)
        monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(paddle, "set_device", chosen.append)
        monkeypatch.setattr(parallel.atexit, "register", lambda *_: None)
        init = lambda: chosen.append(os.environ["PADDLE_DISTRI_BACKEND"])
        monkeypatch.setattr(parallel.dist, "init_parallel_env", init)
        monkeypatch.setattr(parallel.dist, "ParallelEnv", lambda: SimpleNamespace(device_id=1))
        return chosen

    return set_up


@pytest.mark.parametrize(
    "gpus, device, expected",
    [
        (0, None, ["cpu", "gloo"]),
        (2, None, ["gpu:1", "nccl"]),
        (2, "gpu", ["gpu:1", "nccl"]),
        (2, "cpu", ["cpu", "gloo"]),
    ],
)
def test_the_backend_follows_the_device_and_each_process_has_its_own_gpu(machine, gpus, device, expected):
    chosen = machine(gpus)
    assert parallel.start(device) == expected[0]
    assert chosen == expected
