"""OpenVINO: the ONNX program, compiled for the CPU that is there."""

import sys
from pathlib import Path

import numpy as np

from infer.engines.programs import TRUNK, UPSAMPLING, WHOLE, onnx_missing

PROGRAM, PARTS = "onnx", (TRUNK, UPSAMPLING)


def missing(device: str) -> str:
    if device != "cpu":
        return f"it computes on the CPU, not on {device}"
    try:
        import openvino  # noqa: F401
    except Exception as error:  # noqa: BLE001  a library that does not go with the system fails in its own ways
        return f"openvino cannot be loaded: pip install -r requirements-cpu.txt ({error})"
    return onnx_missing()


def leave_out_converter() -> None:
    """Import OpenVINO without its converter of models from here on, in half the time; nothing here converts one.

    OpenVINO allows for a converter that cannot be imported. A program that uses this package may want it, so only
    a command calls this.
    """
    sys.modules.setdefault("openvino.tools.ovc", None)


def bytes_per_pixel(precision: str) -> dict:
    return {"fp32": {TRUNK: 1150, UPSAMPLING: 6200}, "bf16": {TRUNK: 600, UPSAMPLING: 3500}}[precision]


def load(program, precision: str, device: str, part: str = WHOLE):
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # one picture at a time on all cores
        # Each size of window leaves 0.7 MB of prepared kernels; by default those of thousands would be kept.
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
        # Neither the input nor the features, which take much memory, are copied.
        array = np.ascontiguousarray(array)
        if bf16 and part == UPSAMPLING:
            array = openvino.Tensor(array, list(array.shape), openvino.Type.bf16)
        return request.infer({0: array}, share_inputs=True, share_outputs=part == TRUNK)[0]

    return compute


def _pass_on_bf16(network, part: str) -> None:
    """Have the features between the two parts in bf16, as they are computed: to convert them takes a twentieth more.

    NumPy has no bf16: the array of features says float16, but its bits are bf16's.
    """
    import openvino
    from openvino.preprocess import PrePostProcessor

    change = PrePostProcessor(network)
    features = change.output() if part == TRUNK else change.input()
    features.tensor().set_element_type(openvino.Type.bf16)
    change.build()
