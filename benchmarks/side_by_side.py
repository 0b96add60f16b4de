"""Code shared by the benchmarks: runs ways to compute in turn, each in its own process; prints tables and versions."""

import contextlib
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

from common.errors import InputError

SETTLE = 0.3  # seconds between two ways: the threads of Paddle's OpenMP keep spinning for 0.2 s after a call
PACKAGES = {"Paddle": ("paddlepaddle", "paddlepaddle-gpu"), "OpenVINO": ("openvino",), "PyTorch": ("torch",)}
TRAINING_PARTS = ("data", "G", "D", "VGG", "backward", "optimizer")  # of a step; G, D and VGG are the forward passes


class Worker:
    """A process that only computes the function of one argument that `load()` returns."""

    def __init__(self, name: str, load):
        self._name = name
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, load), daemon=True)
        self._process.start()
        theirs.close()

    def answer(self):
        """The process's next message; the first is None, after loading. Raises InputError if the process has ended."""
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            raise InputError(
                f"{self._name}: its process ended with status {self._process.exitcode} (-9: out of memory; "
                "otherwise the reason is above)"
            ) from None

    def result(self, argument):
        """The function's result for `argument`."""
        return self._ask(_result, argument)

    def seconds(self, arguments: list) -> float:
        """The seconds that the function takes for `arguments`, one after the other."""
        return self._ask(_seconds, arguments)

    def peak_memory(self) -> float:
        """The peak memory of the process in MB since it started."""
        return self._ask(_peak_memory)

    def _ask(self, question, *arguments):
        self._pipe.send((question, arguments))
        return self.answer()

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe, load) -> None:
    compute = load()
    pipe.send(None)
    while True:
        question, arguments = pipe.recv()
        pipe.send(question(compute, *arguments))


def _result(compute, argument):
    return compute(argument)


def _seconds(compute, arguments):
    start = time.perf_counter()
    for argument in arguments:
        compute(argument)
    return time.perf_counter() - start


def _peak_memory(compute):
    # Not getrusage's ru_maxrss, which starts at the parent process's value.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


@contextlib.contextmanager
def workers(loads: dict):
    """{way: Worker} for {way: load}, all loaded; the workers end with the block."""
    with contextlib.ExitStack() as stack:
        started = {}
        for way, load in loads.items():
            started[way] = Worker(" ".join(way), load)
            stack.callback(started[way].end)
        for worker in started.values():
            worker.answer()
        yield started


def rounds(calls: dict, repeats: int, bar, pause: float = 0) -> dict:
    """{name: the seconds of each repeat} for {name: function that returns its seconds}, called in turn.

    pause: seconds to wait before each call.
    """
    seconds = {name: [] for name in calls}
    for number in range(1 + repeats):
        for name, call in calls.items():
            time.sleep(pause)
            duration = call()
            if number:  # the first round warms up
                seconds[name].append(duration)
            bar.update()
    return seconds


class Stopwatch:
    """Measures the seconds that parts of a computation take, each perhaps several times.

    synchronize: waits for pending work of a device.
    """

    def __init__(self, parts: tuple, synchronize=lambda: None):
        self._parts = parts
        self._synchronize = synchronize
        self._begin()

    def _begin(self) -> None:
        self._seconds = dict.fromkeys(self._parts, 0.0)
        self._start = self._now()

    def _now(self) -> float:
        self._synchronize()
        return time.perf_counter()

    def wrap(self, part: str, function):
        """`function`, with its time counted for `part`. It must not call functions of another part."""

        def call(*arguments, **keywords):
            start = self._now()
            result = function(*arguments, **keywords)
            self._seconds[part] += self._now() - start
            return result

        return call

    def lap(self) -> dict:
        """{part: seconds} since creation or the last call, with `rest` (time outside all parts) and `all`."""
        whole = self._now() - self._start
        seconds = {**self._seconds, "rest": whole - sum(self._seconds.values()), "all": whole}
        self._begin()
        return seconds


def table(titles: str, rows: list) -> str:
    """A Markdown table; titles: separated by |."""
    lines = [titles.split("|"), ["---"] * (titles.count("|") + 1), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def cpu_name() -> str:
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def versions() -> str:
    """The versions of Python and of the installed PACKAGES."""
    installed = [f"{title} {version_of(title)}" for title in PACKAGES if version_of(title)]
    return ", ".join([f"Python {platform.python_version()}", *installed])


def version_of(title: str) -> str:
    """The version of one of PACKAGES, "" if it is not installed."""
    for name in PACKAGES[title]:
        with contextlib.suppress(PackageNotFoundError):
            return version(name)
    return ""
