"""OpenVINO: the engine for CPUs. The network is written as a graph straight from the arrays of a weight file.

Two changes, both exact up to rounding, make it cheaper than as trained:
* In eval mode a batch norm multiplies by and adds constants, which are folded into the convolution before it.
* The last convolution is 1×1, and a pixel shuffle only moves values, so the two can be swapped: 256 channels become 12
  at twice the LR side, instead of being shuffled to 64 and convolved to 3 at four times the LR side.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from models.settings import BN_EPSILON, FEATURES, RESIDUAL_BLOCKS

BYTES_PER_PIXEL = {"fp32": (1150, 6200), "bf16": (600, 3500), "int8": (1000, 1900)}


def missing(device: str) -> str:
    if device != "cpu":
        return f"OpenVINO computes on the CPU, not on {device}"
    try:
        import_openvino()
    except Exception as error:  # noqa: BLE001  a library that is incompatible with the system can raise anything
        return f"openvino cannot be loaded: pip install -r requirements-upscale.txt ({error})"
    return ""


def import_openvino():
    """The package. Its converter, which `import openvino` loads, sends usage reports unless it can't find telemetry."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


def load(arrays: dict, precision: str, device: str, quantized: dict | None = None) -> tuple:
    """See `infer.engines`. quantized: for int8, the arrays of `infer.engines.int8.read_quantized`."""
    openvino = import_openvino()
    from openvino import opset13 as ops

    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # one picture at a time on all cores
        # Each window size leaves 0.7 MB of prepared kernels; by default those of thousands of sizes would be kept.
        "CPU_RUNTIME_CACHE_CAPACITY": "100",
        # What int8 leaves in floating point is so little that converting it to bf16 takes longer than it saves.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    core = openvino.Core()
    # In bf16 the features stay as computed: converting them takes a twentieth more time. NumPy has no bf16: there, they
    # are float16, but their bits are bf16.
    between = openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32
    graph = Graph(fold(arrays), quantized or {})
    lr = ops.parameter([-1, 3, -1, -1], np.float32)
    features = ops.parameter([-1, FEATURES, -1, -1], between)
    trunk = ops.convert(graph.trunk(lr), between.to_string())
    sr = graph.upsampling(ops.convert(features, "f32"))
    with ThreadPoolExecutor() as threads:  # for a small picture this takes longest
        compute_lr, compute_features = threads.map(
            lambda part: core.compile_model(part, "CPU", settings).create_infer_request(),
            (openvino.Model([trunk], [lr]), openvino.Model([sr], [features])),
        )

    # Neither copies its input nor the features, which take much memory.
    def compute_trunk(lr):
        return compute_lr.infer({0: np.ascontiguousarray(lr)}, share_inputs=True, share_outputs=True)[0]

    def compute_upsampling(features):
        features = np.ascontiguousarray(features)
        tensor = openvino.Tensor(features, list(features.shape), between)
        return compute_features.infer({0: tensor}, share_inputs=True)[0]

    return compute_trunk, compute_upsampling


def fold(arrays: dict) -> dict:
    """{name of a convolution: (weight [out,in,k,k], bias [out]), float32} for `generator_arrays`' {name: array}."""

    def conv(name):
        return arrays[f"{name}.weight"], arrays[f"{name}.bias"]

    def with_batch_norm(conv_name, bn_name):
        # In double precision, so that the only rounding is that of the folded weights.
        weight, bias = (array.astype("float64") for array in conv(conv_name))
        scale, shift, mean, variance = (
            arrays[f"{bn_name}.{part}"] for part in ("weight", "bias", "_mean", "_variance")
        )
        factor = scale / np.sqrt(variance.astype("float64") + BN_EPSILON)
        bias = (bias - mean) * factor + shift
        return (weight * factor[:, None, None, None]).astype("float32"), bias.astype("float32")

    pairs = [(f"blocks.{i}.conv{k}", f"blocks.{i}.bn{k}") for i in range(RESIDUAL_BLOCKS) for k in (1, 2)]
    pairs += [("head_conv", "head_bn"), ("tail_conv", "tail_bn")]
    return {
        **{name: with_batch_norm(name, bn) for name, bn in pairs},
        **{name: conv(name) for name in ("upsample.0.conv", "upsample.1.conv")},
        "out_conv": _before_shuffle(*conv("out_conv")),
    }


def _before_shuffle(weight: np.ndarray, bias: np.ndarray) -> tuple:
    """The 1×1 convolution that, followed by a pixel shuffle by 2, equals that shuffle followed by this one."""
    outputs, inputs = weight.shape[:2]
    before = np.zeros((outputs, 4, inputs, 4), "float32")
    for position in range(4):  # pixel shuffle moves channel 4c + position to channel c
        before[:, position, :, position] = weight[:, :, 0, 0]
    return before.reshape(4 * outputs, 4 * inputs, 1, 1), np.repeat(bias, 4)


class Graph:
    """The generator's operations.

    weights: {name of a convolution: (weight, bias)} of `fold`. quantized: arrays of `infer.engines.int8`; convolutions
    that are in it take integers: their inputs are rounded to 256 levels of a range ("fake quantization", which OpenVINO
    turns into 8-bit arithmetic). The others stay in floating point.
    """

    def __init__(self, weights: dict, quantized: dict):
        from openvino import opset13

        self._ops, self._weights, self._quantized = opset13, weights, quantized

    def trunk(self, lr):
        """LR [N,3,h,w] in [-1,1] to features [N,f,h,w]."""
        ops = self._ops
        head = body = self._round(ops.relu(self._conv(lr, "head_conv")), "blocks.0.conv1")
        for i in range(RESIDUAL_BLOCKS):
            inner = self._round(ops.relu(self._conv(body, f"blocks.{i}.conv1")), f"blocks.{i}.conv2")
            following = "tail_conv" if i + 1 == RESIDUAL_BLOCKS else f"blocks.{i + 1}.conv1"
            body = self._round(ops.add(body, self._conv(inner, f"blocks.{i}.conv2")), following)
        return ops.add(head, self._conv(body, "tail_conv"))

    def upsampling(self, features):
        """Features [N,f,h,w] to SR [N,3,4h,4w] in [-1,1]."""
        ops = self._ops
        # Rounded before it is shuffled, so that a quarter of the bytes are moved.
        x = ops.relu(self._conv(self._round(features, "upsample.0.conv"), "upsample.0.conv"))
        x = self._shuffle(self._round(x, "upsample.1.conv"))
        x = self._round(ops.relu(self._conv(x, "upsample.1.conv")), "out_conv")
        return ops.tanh(self._shuffle(self._conv(x, "out_conv")))

    def _shuffle(self, x):
        return self._ops.depth_to_space(x, "depth_first", 2)  # Paddle's order of channels

    def _round(self, x, name: str):
        """x as the convolution of that name takes it."""
        if f"{name}.input" not in self._quantized:
            return x
        low, high = self._quantized[f"{name}.input"]
        return self._ops.fake_quantize(x, low, high, low, high, 256)

    def _conv(self, x, name: str):
        ops = self._ops
        weight, bias = self._weights[name]
        around = [(side - 1) // 2 for side in weight.shape[2:]]
        if f"{name}.weight" in self._quantized:
            levels, scale, bias = (self._quantized[f"{name}.{part}"] for part in ("weight", "scale", "bias"))
            weight = ops.multiply(ops.convert(ops.constant(levels), "f32"), scale.reshape(-1, 1, 1, 1))
        sum_ = ops.convolution(x, weight, strides=[1, 1], pads_begin=around, pads_end=around, dilations=[1, 1])
        sum_.set_friendly_name(name)
        return ops.add(sum_, bias.reshape(1, -1, 1, 1))
