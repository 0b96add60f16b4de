"""The device to compute on, `cpu`, `gpu` or `gpu:N`, and what the CPU can do."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import psutil

from common.errors import InputError

# A container's control group, of either version: a folder of files, or of folders (Linux's manual page cgroups(7)).
GROUP = Path("/sys/fs/cgroup")
# Linux's names for Intel's AMX, for AVX512-BF16 and VNNI, which AMD CPUs have too, and for VNNI without AVX512.
BF16_FLAGS = ("amx_bf16", "avx512_bf16")
INT8_FLAGS = ("amx_int8", "avx512_vnni", "avx_vnni")


def add_device_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, the flag of every command that computes."""
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu or gpu:N (default: gpu if there is one, else cpu)")


def cores() -> int:
    """How many cores this process may use, which may be fewer than the machine has (containers); all if unknown."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for numbers in (_numbers("cpu.max"), _numbers("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        if len(numbers) == 2 and numbers[0] > 0:  # microseconds of computing in a period
            count = min(count, math.ceil(numbers[0] / numbers[1]))
    return count


def available_memory() -> int:
    """Bytes that this process can still get: of the machine's, or of what its control group leaves (containers)."""
    available = psutil.virtual_memory().available
    for names in (
        ("memory.max", "memory.current", "memory.stat"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
    ):
        numbers = _numbers(*names[:2])
        if len(numbers) == 2:
            cached = None  # bytes of files, which are given up before memory runs out
            with contextlib.suppress(OSError):
                stat = (GROUP / names[2]).read_text()
                cached = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)
            available = min(available, max(0, numbers[0] - numbers[1] + int(cached[1] if cached else 0)))
    return available


def _numbers(*names: str) -> list[int]:
    """The numbers in files of the control group; empty if one is missing or has none, as "max", which is no limit."""
    try:
        return [int(word) for name in names for word in (GROUP / name).read_text().split()]
    except (OSError, ValueError):
        return []


def cpu_bf16() -> str:
    """The instruction set with which this CPU multiplies bf16, or "" if it has none or it is unknown (not Linux)."""
    return next((flag for flag in BF16_FLAGS if flag in _cpu_flags()), "")


def cpu_int8() -> str:
    """The same for int8."""
    return next((flag for flag in INT8_FLAGS if flag in _cpu_flags()), "")


@lru_cache(maxsize=None)
def _cpu_flags() -> frozenset[str]:
    try:
        return frozenset(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return frozenset()


def choose_device(name: str | None = None) -> str:
    """The checked `name`; for None, `gpu:0` if Paddle has a GPU, else `cpu`.

    Raises InputError if that device does not exist.
    """
    if name is not None and not re.fullmatch(r"cpu|gpu(:\d+)?", name):
        raise InputError(f"--device {name}: must be cpu, gpu or gpu:N")
    # Do not load Paddle just for this: loading it takes longer than upscaling a small picture.
    if name == "cpu" or (name is None and not sys.modules.get("paddle") and not _has_gpu_build()):
        return "cpu"
    try:
        import paddle
    except ImportError as error:
        raise InputError(f"--device {name}: a GPU needs Paddle: pip install -r requirements.txt ({error})") from None

    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    if name is None:
        return "gpu:0" if gpus else "cpu"
    number = int(name.partition(":")[2] or 0)
    if number >= gpus:
        raise InputError(f"--device {name}: Paddle {paddle.__version__} sees {gpus} GPUs here; use --device cpu")
    return f"gpu:{number}"


def _has_gpu_build() -> bool:
    with contextlib.suppress(PackageNotFoundError):
        return bool(distribution("paddlepaddle-gpu"))
    return False
