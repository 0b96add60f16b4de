"""OpenVINO: the ONNX program, compiled for the CPU that is there."""

from importlib.util import find_spec
from pathlib import Path

from infer.programs import NAME

PROGRAM = "onnx"


def missing(device: str) -> str:
    if device != "cpu":
        return f"it computes on the CPU, not on {device}"
    absent = [name for name in ("openvino", "paddle2onnx") if find_spec(name) is None]
    return f"{' and '.join(absent)} not installed: pip install -r requirements-cpu.txt" if absent else ""


def bytes_per_pixel(precision: str) -> int:
    return {"fp32": 7000, "bf16": 4500}[precision]


def load(program, precision: str, device: str):
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # one picture at a time on all cores
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
    }
    compiled = openvino.Core().compile_model(str(Path(program) / f"{NAME}.onnx"), "CPU", settings)
    request = compiled.create_infer_request()

    def compute(lr):
        return request.infer({0: lr})[0]

    return compute
