"""The device to compute on, `cpu`, `gpu` or `gpu:N`, and what the CPU can do."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from common.errors import InputError

BF16_FLAGS = ("amx_bf16", "avx512_bf16")  # Linux's names for Intel's AMX and AVX512-BF16, which AMD has too


def add_device_flag(parser: argparse.ArgumentParser) -> None:
    """`--device`, of every command that computes."""
    parser.add_argument(
        "--device", metavar="NAME", help="cpu, gpu or gpu:N (default: gpu where there is one, else cpu)"
    )


def cores() -> int:
    """How many cores this process may use, in a container fewer than there are; where it is not told, all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=None)
def cpu_bf16() -> str:
    """The instructions by which this CPU multiplies bf16, or "" where it has none or it is not known (not Linux)."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return ""
    return next((flag for flag in BF16_FLAGS if flag in words), "")


def choose_device(name: str | None = None) -> str:
    """`name`, checked, or with None `gpu:0` where Paddle has a GPU and else `cpu`.

    Raises InputError if that device is not there.
    """
    if name is not None and not re.fullmatch(r"cpu|gpu(:\d+)?", name):
        raise InputError(f"--device {name}: it must be cpu, gpu or gpu:N")
    # Where Paddle is not loaded yet: that takes longer than upscaling a small picture.
    if name == "cpu" or (name is None and "paddle" not in sys.modules and not _has_gpu_build()):
        return "cpu"
    import paddle

    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    if name is None:
        return "gpu:0" if gpus else "cpu"
    number = int(name.partition(":")[2] or 0)
    if number >= gpus:
        raise InputError(f"--device {name}: Paddle {paddle.__version__} sees {gpus} GPUs here; take --device cpu")
    return f"gpu:{number}"


def _has_gpu_build() -> bool:
    with contextlib.suppress(PackageNotFoundError):
        return bool(distribution("paddlepaddle-gpu"))
    return False
