"""The engines that compute a generator. Each is a module with the same names:

missing(device) -> str           why it cannot run here, or "" if it can
BYTES_PER_PIXEL                  {precision: (the trunk's, the upsampling's memory per LR pixel)}
load(arrays, precision, device, quantized)
                                 two functions, (trunk, upsampling), for the arrays of `generator_arrays` and, in int8,
                                 those of `infer.engines.int8.read_quantized`:
                                   trunk       from LR float32 [N,3,h,w] in [-1,1] to features [N,f,h,w], an array that
                                               can be sliced like NumPy's; the meaning of its bits is private to the
                                               engine, and it is valid until the next call
                                   upsampling  from features to SR float32 [N,3,4h,4w] in [-1,1]

The two parts are for large pictures (see `infer/tiles.py`): the trunk has a long reach and needs little memory per
pixel; the upsampling reaches only 2 pixels but needs most of the memory.
"""

from importlib import import_module

from common.device import BF16_FLAGS, INT8_FLAGS, cpu_bf16, cpu_int8
from common.errors import InputError

ENGINES = ("openvino", "eager")  # from the fastest to the slowest (benchmarks/upscale.py)
PRECISIONS = ("auto", "int8", "fp32", "bf16", "fp16")


def module(name: str):
    """The module of an engine. name: one of ENGINES."""
    return import_module(f"infer.engines.{name}")


def choose(name: str, device: str) -> str:
    """The name of an engine, checked: `auto` becomes the fastest one that can run on `device` here.

    Raises InputError with the reason if the requested engine cannot run.
    """
    if name not in ("auto", *ENGINES):
        raise InputError(f"--engine {name}: must be auto, {' or '.join(ENGINES)}")
    reasons = []
    for engine in ENGINES if name == "auto" else (name,):
        reason = module(engine).missing(device)  # which imports it: Paddle takes seconds
        if not reason:
            return engine
        reasons.append(reason)
    raise InputError(f"--engine {name}: {'; '.join(reasons)}")


def choose_precision(precision: str, engine: str, device: str, is_quantized: bool = False) -> str:
    """`int8`, `fp32`, `bf16` or `fp16` for one of PRECISIONS: `auto` is int8 or else bf16 if the CPU has instructions.

    is_quantized: whether there is a quantized form of the weights, and the pictures have 8 bits; for `auto`.
    Raises InputError with the reason if the engine or the device does not support the precision.
    """
    if precision not in PRECISIONS:
        raise InputError(f"--precision {precision}: must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}")
    if precision == "fp32":
        return "fp32"
    if device != "cpu":
        return _on_gpu(precision, device)
    if precision == "auto":
        is_faster = {"int8": is_quantized and cpu_int8(), "bf16": cpu_bf16()} if engine == "openvino" else {}
        return next((name for name, instructions in is_faster.items() if instructions), "fp32")
    if precision == "fp16":
        raise InputError("--precision fp16 is for GPUs; use fp32 or bf16 on a CPU")
    if engine == "eager":
        raise InputError(
            f"--precision {precision}: the eager engine has no {precision} on a CPU; use --engine openvino"
        )
    flags, has_instructions = {"bf16": (BF16_FLAGS, cpu_bf16), "int8": (INT8_FLAGS, cpu_int8)}[precision]
    if not has_instructions():
        raise InputError(
            f"--precision {precision}: this CPU has neither {' nor '.join(flags)}, so it would only be slower; use fp32"
        )
    return precision


def _on_gpu(precision: str, device: str) -> str:
    if precision == "auto":
        return "fp32"
    if precision == "int8":
        raise InputError("--precision int8 is for CPUs; use fp32, bf16 or fp16 on a GPU")
    if precision == "bf16":
        import paddle

        major, minor = paddle.device.cuda.get_device_capability(device)
        if major < 8:
            raise InputError(f"--precision bf16: needs compute capability 8.0, {device} has {major}.{minor}; use fp16")
    return precision
