"""OpenVINO: the engine for CPUs. The network is written as a graph straight from the arrays of a weight file.

Two changes, both exact up to rounding, make it cheaper than as trained:
* In eval mode a batch norm multiplies by and adds constants, which are folded into the convolution before it.
* The last convolution is 1×1, and a pixel shuffle only moves values, so the two can be swapped: 256 channels become 12
  at twice the LR side, instead of being shuffled to 64 and convolved to 3 at four times the LR side.
"""

import sys

import numpy as np

from models.settings import BN_EPSILON, RESIDUAL_BLOCKS

BYTES_PER_PIXEL = {"fp32": (1150, 6200), "bf16": (600, 3500)}


def missing(device: str) -> str:
    if device != "cpu":
        return f"OpenVINO computes on the CPU, not on {device}"
    try:
        _openvino()
    except Exception as error:  # noqa: BLE001  a library that is incompatible with the system can raise anything
        return f"openvino cannot be loaded: pip install -r requirements-upscale.txt ({error})"
    return ""


def _openvino():
    """The package. Its converter, which `import openvino` loads, sends usage reports unless it can't find telemetry."""
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


def load(arrays: dict, precision: str, device: str) -> tuple:
    openvino = _openvino()
    weights = fold(arrays)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",  # one picture at a time on all cores
        # Each window size leaves 0.7 MB of prepared kernels; by default those of thousands of sizes would be kept.
        "CPU_RUNTIME_CACHE_CAPACITY": "100",
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
    }
    core = openvino.Core()
    # In bf16 the features stay as computed: converting them takes a twentieth more time. NumPy has no bf16: there, they
    # are float16, but their bits are bf16.
    between = openvino.Type.bf16 if precision == "bf16" else openvino.Type.f32
    trunk, upsampling = (
        core.compile_model(model, "CPU", settings).create_infer_request()
        for model in (_trunk(weights, between), _upsampling(weights, between))
    )

    # Neither copies its input nor the features, which take much memory.
    def compute_trunk(lr):
        return trunk.infer({0: np.ascontiguousarray(lr)}, share_inputs=True, share_outputs=True)[0]

    def compute_upsampling(features):
        features = np.ascontiguousarray(features)
        tensor = openvino.Tensor(features, list(features.shape), between)
        return upsampling.infer({0: tensor}, share_inputs=True)[0]

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


def _trunk(weights: dict, between):
    """`Generator.trunk` as a model: LR float32 [N,3,h,w] in [-1,1] to features [N,f,h,w] of the type `between`."""
    from openvino import Model
    from openvino import opset13 as ops

    lr = ops.parameter([-1, 3, -1, -1], np.float32)
    head = ops.relu(_conv(lr, *weights["head_conv"]))
    body = head
    for i in range(RESIDUAL_BLOCKS):
        inner = ops.relu(_conv(body, *weights[f"blocks.{i}.conv1"]))
        body = ops.add(body, _conv(inner, *weights[f"blocks.{i}.conv2"]))
    features = ops.add(head, _conv(body, *weights["tail_conv"]))
    return Model([ops.convert(features, between.to_string())], [lr], "trunk")


def _upsampling(weights: dict, between):
    """`Generator.upsampling` as a model: features [N,f,h,w] of the type `between` to SR [N,3,4h,4w] in [-1,1]."""
    from openvino import Model
    from openvino import opset13 as ops

    def shuffle(x):  # Paddle's order of channels
        return ops.depth_to_space(x, "depth_first", 2)

    features = ops.parameter([-1, weights["upsample.0.conv"][0].shape[1], -1, -1], between)
    x = ops.convert(features, "f32")
    twice = ops.relu(shuffle(_conv(x, *weights["upsample.0.conv"])))
    out = _conv(ops.relu(_conv(twice, *weights["upsample.1.conv"])), *weights["out_conv"])
    return Model([ops.tanh(shuffle(out))], [features], "upsampling")


def _conv(x, weight: np.ndarray, bias: np.ndarray):
    from openvino import opset13 as ops

    around = [(side - 1) // 2 for side in weight.shape[2:]]
    sum_ = ops.convolution(x, weight, strides=[1, 1], pads_begin=around, pads_end=around, dilations=[1, 1])
    return ops.add(sum_, bias.reshape(1, -1, 1, 1))
