"""The engines that compute a generator. Each is a module with the same names:

missing(device) -> str           why it cannot run here, or "" if it can
BYTES_PER_PIXEL                  {precision: (the trunk's, the upsampling's memory per LR pixel)}
load(arrays, precision, device)  two functions, (trunk, upsampling), for the arrays of `generator_arrays`:
                                   trunk       from LR float32 [N,3,h,w] in [-1,1] to features [N,f,h,w], an array that
                                               can be sliced like NumPy's; the meaning of its bits is private to the
                                               engine, and it is valid until the next call
                                   upsampling  from features to SR float32 [N,3,4h,4w] in [-1,1]

The two parts are for large pictures (see `infer/tiles.py`): the trunk has a long reach and needs little memory per
pixel; the upsampling reaches only 2 pixels but needs most of the memory.
"""

from importlib import import_module

from common.device import BF16_FLAGS, cpu_bf16
from common.errors import InputError

ENGINES = ("openvino", "eager")  # from the fastest to the slowest (benchmarks/upscale.py)
PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def module(name: str):
    """The module of an engine. name: one of ENGINES."""
    return import_module(f"infer.engines.{name}")


def choose(name: str, device: str) -> str:
    """The name of an engine, checked: `auto` becomes the fastest one that can run on `device` here.

    Raises InputError with the reason if the requested engine cannot run.
    """
    if name not in ("auto", *ENGINES):
        raise InputError(f"--engine {name}: must be auto, {' or '.join(ENGINES)}")
    reasons = {engine: module(engine).missing(device) for engine in (ENGINES if name == "auto" else (name,))}
    usable = [engine for engine, reason in reasons.items() if not reason]
    if not usable:
        raise InputError(f"--engine {name}: {'; '.join(reasons.values())}")
    return usable[0]


def choose_precision(precision: str, engine: str, device: str) -> str:
    """`fp32`, `bf16` or `fp16` for one of PRECISIONS: `auto` is bf16 if the CPU has instructions for it.

    Raises InputError with the reason if the engine or the device does not support the precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"--precision {precision}: must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}")
    if precision == "fp32":
        return "fp32"
    if device != "cpu":
        return _on_gpu(precision, device)
    if precision == "auto":
        return "bf16" if cpu_bf16() and engine == "openvino" else "fp32"
    if precision == "fp16":
        raise InputError("--precision fp16 is for GPUs; use fp32 or bf16 on a CPU")
    if engine == "eager":
        raise InputError("--precision bf16: the eager engine has no bf16 on a CPU; use --engine openvino")
    if not cpu_bf16():
        raise InputError(
            f"--precision bf16: this CPU has neither {' nor '.join(BF16_FLAGS)}, so it would only be slower; use fp32"
        )
    return "bf16"


def _on_gpu(precision: str, device: str) -> str:
    if precision == "auto":
        return "fp32"
    if precision == "bf16":
        import paddle

        major, minor = paddle.device.cuda.get_device_capability(device)
        if major < 8:
            raise InputError(f"--precision bf16: needs compute capability 8.0, {device} has {major}.{minor}; use fp16")
    return precision
