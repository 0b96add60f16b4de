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

BF16_FLAGS = ("amx_bf16", "avx512_bf16")  # Linux's names for Intel's AMX and for AVX512-BF16, which AMD CPUs have too


def add_device_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, the flag of every command that computes."""
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu or gpu:N (default: gpu if there is one, else cpu)")


def cores() -> int:
    """How many cores this process may use, which may be fewer than the machine has (containers); all if unknown."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=None)
def cpu_bf16() -> str:
    """The instruction set with which this CPU multiplies bf16, or "" if it has none or it is unknown (not Linux)."""
    try:
        words = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return ""
    return next((flag for flag in BF16_FLAGS if flag in words), "")


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
