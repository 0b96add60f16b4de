"""One run in several processes, each with complete networks and a share of the pictures.

    python -m paddle.distributed.launch --nproc_per_node 2 --log_dir output/log train/train_gan.py …

With one process every function here does nothing and returns its argument, so training can always call them.
"""

import atexit
import contextlib
import os
import signal
import time

import paddle
import paddle.distributed as dist

from common.device import choose_device
from common.errors import InputError

PATIENCE = 30  # seconds for the end of the other processes
_barriers = 0  # how many this process has come to


def count() -> int:
    """How many processes the launcher started for this run; 1 without it."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def rank() -> int:
    """This process's number. Process 0 writes the log, the samples and the checkpoints."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0"))


def is_main() -> bool:
    return rank() == 0


def start(device=None) -> str:
    """Join the other processes of this run, if there are any. Call it once, before networks are made.

    device: `--device`'s value. Returns the device to compute on, `cpu` or `gpu:N`, with several processes the GPU that
    the launcher gave to this one. Raises InputError for a device that does not exist.
    """
    device = choose_device(device)
    if count() == 1:
        return device
    if device != "cpu":
        device = choose_device(f"gpu:{dist.ParallelEnv().device_id}")
    # By default Paddle would use NCCL wherever its GPU build is installed.
    os.environ["PADDLE_DISTRI_BACKEND"] = "gloo" if device == "cpu" else "nccl"
    paddle.set_device(device)
    dist.init_parallel_env()
    # At exit the libraries may wait for the other processes, which the launcher ends once it has seen this one end.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    atexit.register(signal.alarm, PATIENCE)
    return device


def barrier() -> None:
    """Wait until every process has arrived here, however long that takes.

    Call it after what process 0 does alone: gloo waits 30 seconds for a late process, then fails.
    """
    global _barriers
    if count() > 1:
        _barriers += 1
        store = paddle.base.core.create_or_get_global_tcp_store()  # by which the processes found each other
        store.add("barrier", 1)
        while store.add("barrier", 0) < _barriers * count():
            time.sleep(0.01)


@contextlib.contextmanager
def main_first():
    """A block that process 0 executes alone, and then the others."""
    if not is_main():
        barrier()
    yield
    if is_main():
        barrier()


def mean(values: dict) -> dict:
    """{name: mean over the processes} of {name: float}; a value that is NaN anywhere is NaN everywhere."""
    if count() == 1:
        return values
    tensor = paddle.to_tensor(list(values.values()), dtype="float64")
    return dict(zip(values, _average([tensor])[0].tolist()))


def average_gradients(parameters) -> None:
    """Replace each gradient by its mean over the processes; call it after backward and before unscaling.

    One that is infinite in one process then becomes infinite everywhere, and all processes skip that step.
    """
    _average([parameter.grad for parameter in parameters if parameter.grad is not None])


@paddle.no_grad()
def _average(tensors: list) -> list:
    try:
        for tensor in tensors if count() > 1 else ():
            dist.all_reduce(tensor)
            tensor.scale_(1 / count())
    except RuntimeError as error:
        time.sleep(5)  # the launcher shows the log of the process that it sees fail first, which has the reason
        raise InputError("another process of this run has ended; the launcher's logs have the reason") from error
    return tensors
