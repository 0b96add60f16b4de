"""OpenVINO: the ONNX program, compiled for this CPU."""

import sys
from pathlib import Path

import numpy as np

from infer.engines.programs import TRUNK, UPSAMPLING, WHOLE, onnx_missing

PROGRAM, PARTS = "onnx", (TRUNK, UPSAMPLING)


def missing(device: str) -> str:
    if device != "cpu":
        return f"OpenVINO computes on the CPU, not on {device}"
    try:
        import openvino  # noqa: F401
    except Exception as error:  # noqa: BLE001  a library that is incompatible with the system can raise anything
        return f"openvino cannot be loaded: pip install -r requirements-cpu.txt ({error})"
    return onnx_missing()


def leave_out_converter() -> None:
    """Make later imports of OpenVINO skip its model converter, which is not needed here: they take half as long.

    OpenVINO works if the converter cannot be imported. Programs that use this package may need it, so only commands
    call this function.
    """
    sys.modules.setdefault("openvino.tools.ovc", None)


def bytes_per_pixel(precision: str) -> dict:
    return {"fp32": {TRUNK: 1150, UPSAMPLING: 6200}, "bf16": {TRUNK: 600, UPSAMPLING: 3500}}[precision]


def load(program, precision: str, device: str, part: str = WHOLE):
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # one picture at a time on all cores
        # Each window size leaves 0.7 MB of prepared kernels; by default those of thousands of sizes would be kept.
        "CPU_RUNTIME_CACHE_CAPACITY": "100",
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
    }
    core = openvino.Core()
    network = core.read_model(str(Path(program) / f"{part}.onnx"))
    bf16 = precision == "bf16"
    if bf16 and part != WHOLE:
        _pass_on_bf16(network, part)
    compiled = core.compile_model(network, "CPU", settings)
    request = compiled.create_infer_request()

    def compute(array):
        # This copies neither the input nor the features, which take much memory.
        array = np.ascontiguousarray(array)
        if bf16 and part == UPSAMPLING:
            array = openvino.Tensor(array, list(array.shape), openvino.Type.bf16)
        return request.infer({0: array}, share_inputs=True, share_outputs=part == TRUNK)[0]

    return compute


def _pass_on_bf16(network, part: str) -> None:
    """Keep the features between the two parts in bf16, as computed: converting them takes a twentieth more time.

    NumPy has no bf16: the features' dtype is float16, but their bits are bf16.
    """
    import openvino
    from openvino.preprocess import PrePostProcessor

    change = PrePostProcessor(network)
    features = change.output() if part == TRUNK else change.input()
    features.tensor().set_element_type(openvino.Type.bf16)
    change.build()
