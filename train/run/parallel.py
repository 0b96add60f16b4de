"""One run in several processes, each with complete networks and a share of the pictures.

    python -m paddle.distributed.launch --nproc_per_node 2 --log_dir output/log train/train_gan.py …

Large arrays (gradients, weights) go over NCCL between GPUs and over gloo between CPUs; the few other bytes go over
separate sockets, one from each process to process 0. With one process every function here does nothing and returns its
argument, so training can always call them.
"""

import argparse
import atexit
import contextlib
import hashlib
import os
import signal
import struct
import time
from multiprocessing.connection import Client, Listener

import paddle
import paddle.distributed as dist

from common.device import choose_device
from common.errors import InputError
from models.layers import is_statistic

BACKENDS = ("nccl", "gloo")
BUCKET = 2**23  # float32 values (32 MB): small arrays are joined up to this size before sending
SETTLING = 5  # seconds between losing another process and the error
LEAVING = 30  # seconds allowed for the libraries' clean-up at exit

_links = []  # in process 0: a connection to each other process, in order; in the others: one to process 0


def add_backend_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--backend`, the flag of the commands that train in several processes."""
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        help="backend for the gradients of several processes (default: nccl on GPUs, gloo on CPUs)",
    )


def count() -> int:
    """How many processes the launcher started for this run; 1 without it."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def rank() -> int:
    """This process's number, 0 to count() - 1."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0"))


def is_main() -> bool:
    """Whether this is process 0, which writes the log, the samples and the checkpoints."""
    return rank() == 0


def start(device=None, backend=None) -> str:
    """Connect to the other processes of this run, if there are any. Call it once, before networks are made.

    device: `--device`'s value; backend: `--backend`'s. Returns the device to compute on, `cpu` or `gpu:N`: with
    several processes each uses the GPU that the launcher assigned to it.
    Raises InputError for a device that does not exist or that the backend does not support.
    """
    if count() == 1:
        return choose_device(device)
    device, backend = _place(device, backend)
    # By default Paddle would use NCCL wherever its GPU build is installed.
    os.environ["PADDLE_DISTRI_BACKEND"] = backend
    paddle.set_device(device)
    dist.init_parallel_env()
    _connect()
    atexit.register(_leave)
    return device


def _place(device, backend) -> tuple:
    """The device of this process and the backend, from the flags."""
    if device not in (None, "cpu", "gpu"):
        raise InputError(
            f"--device {device}: with several processes each has its own GPU; leave it out and name the GPUs to "
            "the launcher, before the script: --devices 0,1"
        )
    on_gpu = choose_device("cpu" if device is None and backend == "gloo" else device) != "cpu"
    if backend is None:
        backend = "nccl" if on_gpu else "gloo"
    if on_gpu != (backend == "nccl"):
        place = "GPUs" if on_gpu else "CPUs"
        raise InputError(f"--backend {backend} does not support {place}; leave it out, or use another --device")
    return (choose_device(f"gpu:{dist.ParallelEnv().device_id}") if on_gpu else "cpu"), backend


def _connect() -> None:
    """Connect every process to process 0, which broadcasts its port over the backend."""
    host = dist.ParallelEnv().trainer_endpoints[0].rpartition(":")[0]
    if is_main():
        with Listener((host, 0), backlog=count()) as listener:
            dist.broadcast(paddle.to_tensor([listener.address[1]], dtype="int64"), src=0)
            links = {}
            while len(links) < count() - 1:
                link = listener.accept()
                links[int(link.recv_bytes())] = link
        _links[:] = [links[other] for other in range(1, count())]
    else:
        port = paddle.zeros([1], dtype="int64")
        dist.broadcast(port, src=0)
        _links[:] = [Client((host, port.item()))]
        _links[0].send_bytes(b"%d" % rank())


def _leave() -> None:
    """At exit: notify the other processes immediately, and exit even if a library's clean-up waits for them."""
    for link in _links:
        link.close()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LEAVING)


def _lost(what: str):
    """Raise InputError in a process that has lost another one."""
    # The launcher shows the log of the process whose failure it sees first: wait, so that it is the one that failed.
    time.sleep(SETTLING)
    logs = os.path.join(os.environ.get("PADDLE_LOG_DIR", "log"), "workerlog.*")
    raise InputError(f"{what} has ended, and this one cannot continue alone; the reason is in {logs}")


def _exchange(message: bytes, combine) -> bytes:
    """`combine([each process's message, in order])`, computed by process 0 and returned in every process.

    Waits for all of them, however long that takes. Raises InputError if one of them has ended.
    """
    other = 0
    try:
        if not is_main():
            _links[0].send_bytes(message)
            return _links[0].recv_bytes()
        messages = [message]
        for other, link in enumerate(_links, 1):  # noqa: B007  named below
            messages.append(link.recv_bytes())
        answer = combine(messages)
        for other, link in enumerate(_links, 1):  # noqa: B007
            link.send_bytes(answer)
    except (EOFError, OSError):
        _lost(f"process {other} of this run")
    return answer


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in any process; the same everywhere."""
    if count() == 1:
        return flag
    return _exchange(b"1" if flag else b"", b"".join) != b""


def barrier() -> None:
    """Wait until every process has arrived here.

    For example until process 0 has saved: about 4 seconds after a process has failed, the launcher kills the others,
    even while they are writing a file.
    """
    any_of(False)


def from_main(text: str) -> str:
    """Process 0's `text`, in every process."""
    if count() == 1:
        return text
    return os.fsdecode(_exchange(os.fsencode(text), lambda messages: messages[0]))


def mean(values: dict) -> dict:
    """{name: mean over the processes} of {name: float}; a value that is NaN anywhere is NaN everywhere."""
    if count() == 1:
        return values
    layout = f"{len(values)}d"

    def average(messages: list) -> bytes:
        rows = [struct.unpack(layout, message) for message in messages]
        return struct.pack(layout, *[sum(column) / len(rows) for column in zip(*rows)])

    return dict(zip(values, struct.unpack(layout, _exchange(struct.pack(layout, *values.values()), average))))


def check_identical(networks: dict) -> None:
    """Check that {name: network} have bit-identical weights and statistics in every process.

    Raises InputError in every process, naming the first variable that differs.
    """
    if count() == 1:
        return
    names, digests = [], []
    for network, layer in networks.items():
        for name, tensor in layer.state_dict().items():
            names.append(f"{network}'s {name}")
            digests.append(hashlib.blake2b(tensor.numpy().tobytes(), digest_size=16).digest())

    def first_difference(messages: list) -> bytes:
        for i, name in enumerate(names):
            for other, message in enumerate(messages):
                if message[16 * i : 16 * i + 16] != digests[i]:
                    return f"{name} is not the same in processes 0 and {other}".encode()
        return b""

    difference = _exchange(b"".join(digests), first_difference).decode()
    if difference:
        raise InputError(f"{difference} of this run; resume from the last checkpoint")


def average_gradients(parameters) -> None:
    """Replace each gradient by its mean over the processes; call it after backward.

    A parameter without a gradient counts as zero if another process has one; if none has, it stays without. Scaled
    gradients are averaged before unscaling: one that is infinite in one process then becomes infinite everywhere, and
    all processes skip that step.
    """
    if count() == 1:
        return
    parameters = list(parameters)
    has_gradient = bytes(parameter.grad is not None for parameter in parameters)
    anywhere = _exchange(has_gradient, lambda messages: bytes(map(max, *messages)))
    gradients = []
    for parameter in (parameter for parameter, has in zip(parameters, anywhere) if has):
        if parameter.grad is None:
            parameter.grad = paddle.zeros_like(parameter)
        gradients.append(parameter.grad)
    _average(gradients)


def average_statistics(network) -> None:
    """Replace batch norm's moving means and variances by their means over the processes.

    The variance is then that within one process's batch, not across the batches of all processes.
    """
    if count() == 1:
        return
    barrier()
    variables = network.state_dict().items()
    _average([tensor for name, tensor in variables if is_statistic(name)])


@paddle.no_grad()
def _average(tensors: list) -> None:
    """Replace float32 tensors by their means over the processes, which have just synchronized."""
    bucket, size = [], 0
    for i, tensor in enumerate(tensors):
        bucket.append(tensor)
        size += tensor.size
        if size >= BUCKET or i + 1 == len(tensors) or size + tensors[i + 1].size > BUCKET:
            _average_bucket(bucket)
            bucket, size = [], 0


def _average_bucket(tensors: list) -> None:
    joined = tensors[0] if len(tensors) == 1 else paddle.concat([tensor.flatten() for tensor in tensors])
    with _lost_process_as_error():
        dist.all_reduce(joined)
    joined.scale_(1 / count())
    if len(tensors) > 1:
        parts = paddle.split(joined, [tensor.size for tensor in tensors])
        for tensor, part in zip(tensors, parts):
            paddle.assign(part.reshape(tensor.shape), tensor)


@contextlib.contextmanager
def _lost_process_as_error():
    """Turn the backend's error about a process that ended during the block into InputError.

    The processes must enter together: gloo gives up on one that is 30 seconds late, and Paddle cannot change that.
    """
    try:
        yield
    except RuntimeError as error:
        if "gloo" not in str(error).lower() and "nccl" not in str(error).lower():
            raise
        _lost("another process of this run")
