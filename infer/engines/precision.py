"""The precision in which a network computes: fp32, or 16 bits where the hardware multiplies those faster."""

from common.device import BF16_FLAGS, cpu_bf16
from common.errors import InputError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


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
        return "bf16" if cpu_bf16() and engine != "eager" else "fp32"
    if precision == "fp16":
        raise InputError("--precision fp16 is for GPUs; use fp32 or bf16 on a CPU")
    if engine == "eager":
        raise InputError("--precision bf16: the eager engine has no bf16 on a CPU; use --engine paddle or openvino")
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
