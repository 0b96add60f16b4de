"""The engines that compute a generator, each a module with the same few names:

missing(device) -> str               why it cannot run here, or "" where it can
PROGRAM                              the kind of the programs it runs: "paddle", "onnx" or None
PARTS                                what it computes one after the other: (TRUNK, UPSAMPLING), or (WHOLE,)
load(program, precision, device, part=WHOLE)
                                     the one call: a function, for
                                       WHOLE       from LR float32 [N,3,h,w] in [-1,1] to SR float32 [N,3,4h,4w]
                                       TRUNK       from LR to features [N,f,h,w], an array that can be sliced as
                                                   NumPy's or made one; what its bits mean is the engine's own affair,
                                                   and it is there until the next call
                                       UPSAMPLING  from features to SR
                                     program: the folder of the programs, or the generator where PROGRAM is None
bytes_per_pixel(precision) -> dict   {part: the memory that it takes for an LR pixel} for its PARTS
"""

from importlib import import_module

from common.errors import InputError

ENGINES = ("openvino", "paddle", "eager")  # from the fastest to the slowest (benchmarks/upscale.py)
_MODULES = {"openvino": "openvino_cpu", "paddle": "paddle_inference", "eager": "eager"}


def module(name: str):
    """The module of one of ENGINES."""
    return import_module(f"infer.engines.{_MODULES[name]}")


def choose(name: str, device: str) -> str:
    """One of ENGINES for `auto` or its own name: `auto` is the fastest that can run on `device` here.

    Raises InputError with the reason if the one that is asked for cannot.
    """
    if name not in ("auto", *ENGINES):
        raise InputError(f"--engine {name}: it must be auto, {', '.join(ENGINES[:-1])} or {ENGINES[-1]}")
    if name == "auto":
        return next(engine for engine in ENGINES if not module(engine).missing(device))
    reason = module(name).missing(device)
    if reason:
        raise InputError(f"--engine {name}: {reason}")
    return name
