"""Several processes: two real ones on the CPU, started by Paddle's launcher. Their parts are those of `PARTS`."""

import argparse
import atexit
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle import nn

from common.errors import InputError
from train import losses
from train.run import parallel
from train.run.mixed_precision import Precision

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
LATE = 32  # seconds; gloo alone gives up after 30
SOON = 120  # seconds within which a run must have ended that cannot go on: gloo gives up after 30, leaving takes 30


def launch(part: str, folder: Path) -> subprocess.Popen:
    """Start two processes that run `PARTS[part](folder)`; what they print is in `folder`, workerlog.0 and .1."""
    script = folder / f"{part}.py"
    script.write_text(f"import sys\nfrom tests.test_parallel import PARTS\nPARTS[{part!r}](sys.argv[1])\n")
    # The launcher looks for a GPU for each process where the variable is set, even to nothing.
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment["PYTHONPATH"] = str(ROOT)
    command = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", str(folder)]
    with open(folder / "launcher", "w") as output:
        return subprocess.Popen(
            [sys.executable, *command, str(script), str(folder)],
            env=environment,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def finish(launcher: subprocess.Popen, seconds: float) -> int:
    """The launcher's exit status. Fails, and ends it, if it takes longer."""
    try:
        return launcher.wait(seconds)
    finally:
        end(launcher)


def end(launcher: subprocess.Popen) -> None:
    """End the launcher, if it is still there, and what it has started."""
    launcher.terminate()
    launcher.wait(SOON)


def small_network(seed: int) -> nn.Layer:
    """Convolutions without batch norm, and a layer that is not used."""
    network = nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2D(8, 3, 3, padding=1))
    network.unused = nn.Linear(2, 2)
    random_numbers = np.random.RandomState(seed)
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


def values(network: nn.Layer) -> dict:
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def collectives(folder: str) -> None:
    """Every function once; what came out goes to a file of this process's."""
    parallel.start()
    rank = parallel.rank()
    out = {"rank": rank, "count": parallel.count(), "main": parallel.is_main()}

    out["any_of"] = [parallel.any_of(rank in true) for true in ((), (0,), (1,), (0, 1))]
    out["mean"] = parallel.mean({"a": float(rank), "b": 2.5, "c": [1.0, math.nan][rank]})

    out["from_main"] = [parallel.from_main(text) for text in (f"照片/{rank}", "")]

    network = small_network(seed=0)
    parallel.check_identical({"one": nn.Conv2D(1, 1, 1, weight_attr=nn.initializer.Constant(1.0)), "two": network})

    for name, bucket in (("gradients", parallel.BUCKET), ("gradients in small buckets", 20)):
        parallel.BUCKET = bucket
        add_gradients(network, slice(2 * rank, 2 * rank + 2))
        if rank == 1:
            network.unused.bias.grad = paddle.to_tensor([1.0, 2.0])
            time.sleep(LATE if name == "gradients" else 0)
        parallel.average_gradients(network.parameters())
        out[name] = {
            name: None if parameter.grad is None else parameter.grad.numpy()
            for name, parameter in network.named_parameters()
        }
        for parameter in network.parameters():
            parameter.clear_gradient(False)

    norm = nn.Sequential(nn.BatchNorm2D(4))
    for name, tensor in norm.state_dict().items():
        tensor.set_value(np.arange(4, dtype="float32") + 10 * rank + len(name))
    out["before statistics"] = values(norm)
    parallel.average_statistics(norm)
    out["statistics"] = values(norm)

    if rank == 1:
        bits = network[2].weight.numpy()
        bits.view("uint32")[1, 2, 0, 0] ^= 1  # the smallest difference there is
        network[2].weight.set_value(bits)
    try:
        parallel.check_identical({"one": nn.ReLU(), "two": network})
    except InputError as error:
        out["difference"] = str(error)

    out["overflow"] = overflow(network, rank)
    parallel.barrier()
    np.save(Path(folder) / f"{rank}.npy", out, allow_pickle=True)


def overflow(network: nn.Layer, rank: int) -> tuple:
    """A step in float16's manner, in which process 1 alone overflows: (were weights changed, the scale)."""
    precision = Precision(amp=False)
    precision.dtype, precision.scale = "float16", 1024.0
    optimizer = paddle.optimizer.SGD(0.1, parameters=network.parameters())
    before = network[0].weight.numpy()
    precision.backward(network[0].weight.sum() * [1.0, math.inf][rank])
    parallel.average_gradients(network.parameters())
    precision.unscale(optimizer)
    precision.step(optimizer)
    return bool((before != network[0].weight.numpy()).any()), precision.scale


def endless(folder: str) -> None:
    """Steps until this process is killed. It notes its number when it has made one."""
    parallel.start()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a training command notes it, and ends after the step
    paddle.seed(0)
    network = nn.Linear(300, 300)
    while True:
        network(paddle.ones([1, 300])).mean().backward()
        parallel.average_gradients(network.parameters())
        parallel.mean({"loss": 0.0})
        if parallel.any_of(False):
            return
        parallel.average_statistics(network)
        parallel.check_identical({"network": network})
        note = Path(folder) / f"pid{parallel.rank()}"
        if not note.exists():  # written once only: a note written anew is empty for a moment
            note.write_text(str(os.getpid()))


def failing(folder: str) -> None:
    """Process 1 fails between two steps, and its libraries' clean-up then waits for ever."""
    if parallel.rank() == 1:
        atexit.register(time.sleep, 1000)
    parallel.LEAVING = 1
    parallel.start()
    for step in range(1000):
        parallel.mean({"loss": 0.0})
        if step == 3 and parallel.rank() == 1:
            raise OSError("this disk is full")


PARTS = {"collectives": collectives, "endless": endless, "failing": failing}


@pytest.fixture(scope="module", autouse=True)
def started(tmp_path_factory):
    """`collectives` takes a while, in which the other tests are run."""
    folder = tmp_path_factory.mktemp("collectives")
    launcher = launch("collectives", folder)
    yield launcher, folder
    end(launcher)


@pytest.fixture(scope="module")
def results(started):
    """What `collectives` noted in process 0 and in process 1."""
    launcher, folder = started
    status = finish(launcher, LATE + 2 * SOON)
    assert status == 0, (folder / "workerlog.0").read_text()
    return [np.load(folder / f"{rank}.npy", allow_pickle=True).item() for rank in range(2)]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_run(tmp_path, victim):
    launcher = launch("endless", tmp_path)
    try:
        notes = [tmp_path / f"pid{rank}" for rank in range(2)]
        deadline = time.monotonic() + 2 * SOON
        while not all(note.exists() and note.read_text() for note in notes) and time.monotonic() < deadline:
            time.sleep(0.1)
        processes = [int(note.read_text()) for note in notes]
        time.sleep(random.random() / 5)
        os.kill(processes[victim], signal.SIGKILL)
    finally:
        status = finish(launcher, SOON)
    assert status != 0
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_a_failing_process_ends_the_run_and_its_reason_is_shown(tmp_path):
    launcher = launch("failing", tmp_path)
    assert finish(launcher, 2 * SOON) != 0
    assert "this disk is full" in (tmp_path / "launcher").read_text()


def test_each_process_has_its_number(results):
    assert [(out["rank"], out["count"], out["main"]) for out in results] == [(0, 2, True), (1, 2, False)]


def test_any_of(results):
    for out in results:
        assert out["any_of"] == [False, True, True, True]


def test_mean(results):
    for out in results:
        assert list(out["mean"]) == ["a", "b", "c"]
        assert (out["mean"]["a"], out["mean"]["b"]) == (0.5, 2.5)
        assert math.isnan(out["mean"]["c"])


def test_everyone_hears_what_process_0_says(results):
    assert [out["from_main"] for out in results] == [["照片/0", ""]] * 2


@pytest.mark.parametrize("kind", ["gradients", "gradients in small buckets"])
def test_two_halves_of_a_batch_give_the_gradient_of_the_whole(results, kind):
    network = small_network(seed=0)
    add_gradients(network, slice(0, 4))
    for out in results:
        for name, parameter in network.named_parameters():
            if "unused" not in name:
                np.testing.assert_allclose(out[kind][name], parameter.grad.numpy(), rtol=1e-5, atol=1e-7)
    assert max(float(parameter.grad.abs().max()) for parameter in network[0].parameters()) > 0.01


@pytest.mark.parametrize("kind", ["gradients", "gradients in small buckets"])
def test_a_gradient_of_one_process_only_is_shared_and_none_of_nobody_stays_none(results, kind):
    for out in results:
        np.testing.assert_array_equal(out[kind]["unused.bias"], [0.5, 1.0])
        assert out[kind]["unused.weight"] is None


def test_average_statistics_leaves_the_weights(results):
    for out in results:
        for name, before in out["before statistics"].items():
            if name in ("0._mean", "0._variance"):
                np.testing.assert_array_equal(out["statistics"][name], np.arange(4) + 5 + len(name))
            else:
                np.testing.assert_array_equal(out["statistics"][name], before)


def test_the_smallest_difference_is_found_everywhere(results):
    for out in results:
        assert out["difference"].startswith("two's 2.weight is not the same in processes 0 and 1 of this run")


def test_an_overflow_of_one_process_is_everyones(results):
    for out in results:
        assert out["overflow"] == (False, 512.0)


def test_alone_nothing_changes_and_nobody_is_waited_for():
    assert (parallel.count(), parallel.rank(), parallel.is_main()) == (1, 0, True)
    assert parallel.start("cpu") == parallel.start("cpu", "gloo") == "cpu"
    network = small_network(seed=0)
    add_gradients(network, slice(0, 4))
    before = {name: parameter.grad.numpy() for name, parameter in network[0].named_parameters()}
    parallel.average_gradients(network.parameters())
    parallel.average_statistics(network)
    parallel.check_identical({"network": network})
    parallel.barrier()
    for name, parameter in network[0].named_parameters():
        np.testing.assert_array_equal(parameter.grad.numpy(), before[name])
    assert network.unused.weight.grad is None
    assert parallel.mean({"a": 1.5}) == {"a": 1.5}
    assert [parallel.any_of(flag) for flag in (False, True)] == [False, True]


@pytest.fixture
def machine(monkeypatch):
    """Sets how many GPUs there are, for process 1 of 2; returns the devices and backends that are chosen."""

    def set_up(gpus: int) -> list:
        chosen = []
        monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
        monkeypatch.setenv("PADDLE_TRAINER_ID", "1")
        monkeypatch.setenv("PADDLE_DISTRI_BACKEND", "")
        monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: gpus > 0)
        monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(paddle, "set_device", chosen.append)
        monkeypatch.setattr(parallel.atexit, "register", lambda _: None)
        monkeypatch.setattr(parallel, "_connect", lambda: chosen.append(os.environ["PADDLE_DISTRI_BACKEND"]))
        monkeypatch.setattr(parallel.dist, "init_parallel_env", lambda: None)
        monkeypatch.setattr(parallel.dist, "ParallelEnv", lambda: SimpleNamespace(device_id=1))
        return chosen

    return set_up


@pytest.mark.parametrize(
    "gpus, device, backend, expected",
    [
        (0, None, None, ["cpu", "gloo"]),
        (0, "cpu", "gloo", ["cpu", "gloo"]),
        (2, None, None, ["gpu:1", "nccl"]),
        (2, "gpu", "nccl", ["gpu:1", "nccl"]),
        (2, "cpu", None, ["cpu", "gloo"]),
        (2, None, "gloo", ["cpu", "gloo"]),
    ],
)
def test_the_backend_follows_the_device_and_each_process_has_its_own_gpu(machine, gpus, device, backend, expected):
    chosen = machine(gpus)
    assert parallel.start(device, backend) == expected[0]
    assert chosen == expected


@pytest.mark.parametrize(
    "gpus, device, backend, message",
    [
        (0, None, "nccl", "--backend nccl does not support CPUs"),
        (2, "cpu", "nccl", "--backend nccl does not support CPUs"),
        (2, "gpu", "gloo", "--backend gloo does not support GPUs"),
        (2, "gpu:1", None, "--device gpu:1: .*--devices 0,1"),
        (0, "gpu", None, "--device gpu: .*sees 0 GPUs"),
        (1, None, None, "--device gpu:1: .*sees 1 GPU"),
    ],
)
def test_what_cannot_be_joined_is_refused(machine, gpus, device, backend, message):
    chosen = machine(gpus)
    with pytest.raises(InputError, match=message):
        parallel.start(device, backend)
    assert chosen == []


def test_the_flag():
    parser = argparse.ArgumentParser()
    parallel.add_backend_flag(parser)
    assert parser.parse_args([]).backend is None
    assert parser.parse_args(["--backend", "gloo"]).backend == "gloo"
    with pytest.raises(SystemExit):
        parser.parse_args(["--backend", "mpi"])
