"""The engines that compute a generator. Each is a module with the same names:

missing(device) -> str               why it cannot run here, or "" if it can
PROGRAM                              the kind of programs that it runs: "paddle", "onnx" or None
PARTS                                the parts that it computes one after the other: (TRUNK, UPSAMPLING), or (WHOLE,)
load(program, precision, device, part=WHOLE)
                                     a function, for
                                       WHOLE       from LR float32 [N,3,h,w] in [-1,1] to SR float32 [N,3,4h,4w]
                                       TRUNK       from LR to features [N,f,h,w], an array that can be sliced like
                                                   NumPy's or converted to one; the meaning of its bits is private to
                                                   the engine, and it is valid until the next call
                                       UPSAMPLING  from features to SR
                                     program: the folder of the programs, or the generator if PROGRAM is None
bytes_per_pixel(precision) -> dict   {part: its memory in bytes per LR pixel} for its PARTS
"""

from importlib import import_module

from common.errors import InputError

ENGINES = ("openvino", "paddle", "eager")  # from the fastest to the slowest (benchmarks/upscale.py)
_MODULES = {"openvino": "openvino_cpu", "paddle": "paddle_inference", "eager": "eager"}


def module(name: str):
    """The module of an engine. name: one of ENGINES."""
    return import_module(f"infer.engines.{_MODULES[name]}")


def choose(name: str, device: str) -> str:
    """The name of an engine, checked: `auto` becomes the fastest one that can run on `device` here.

    Raises InputError with the reason if the requested engine cannot run.
    """
    if name not in ("auto", *ENGINES):
        raise InputError(f"--engine {name}: must be auto, {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if name == "auto":
        return next(engine for engine in ENGINES if not module(engine).missing(device))
    reason = module(name).missing(device)
    if reason:
        raise InputError(f"--engine {name}: {reason}")
    return name
