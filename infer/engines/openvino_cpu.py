"""OpenVINO: the ONNX program, compiled for the CPU that is there."""

from importlib.util import find_spec
from pathlib import Path

from infer.programs import NAME, onnx_missing

PROGRAM = "onnx"


def missing(device: str) -> str:
    if device != "cpu":
        return f"it computes on the CPU, not on {device}"
    if find_spec("openvino") is None:
        return "openvino is not installed: pip install -r requirements-cpu.txt"
    return onnx_missing()


def bytes_per_pixel(precision: str) -> int:
    return {"fp32": 6200, "bf16": 3500}[precision]


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
