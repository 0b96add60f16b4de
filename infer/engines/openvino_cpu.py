"""OpenVINO: the ONNX program, compiled for the CPU that is there."""

from pathlib import Path

from infer.engines.programs import NAME, onnx_missing

PROGRAM = "onnx"


def missing(device: str) -> str:
    if device != "cpu":
        return f"it computes on the CPU, not on {device}"
    try:
        import openvino  # noqa: F401
    except Exception as error:  # noqa: BLE001  a library that does not go with the system fails in its own ways
        return f"openvino cannot be loaded: pip install -r requirements-cpu.txt ({error})"
    return onnx_missing()


def bytes_per_pixel(precision: str) -> int:
    return {"fp32": 6200, "bf16": 3500}[precision]


def load(program, precision: str, device: str):
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # one picture at a time on all cores
        # Each size of window leaves 0.7 MB of prepared kernels; by default those of thousands would be kept.
        "CPU_RUNTIME_CACHE_CAPACITY": "100",
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
    }
    compiled = openvino.Core().compile_model(str(Path(program) / f"{NAME}.onnx"), "CPU", settings)
    request = compiled.create_infer_request()

    def compute(lr):
        return request.infer({0: lr})[0]

    return compute
