"""Quantize a generator to int8, for CPUs: once, beside its weights.

    pip install -r requirements/quantize.txt
    python infer/quantize.py --weights srgan --data photographs

Writes srgan.int8.npz beside srgan.pdparams, which `--precision int8` and `auto` then use on CPUs with int8
instructions; it belongs to exactly these weights. --data: a folder of photographs, whose LR, MATLAB's bicubic, shows
how large the network's values get; don't give those that you measure on. This takes minutes, and is the same each time.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse

import numpy as np

from common import command
from common.errors import InputError
from common.files import check_apart
from common.scale import SCALE
from data.imresize import imresize
from data.pictures.images import list_pictures, read_rgb
from infer.engines import openvino as engine
from infer.engines.int8 import quantized_path, write_quantized
from models.weight_files.shipped import DEFAULT, NAMES, weights_path
from models.weight_files.weights import generator_arrays

CROPS, SIDE = 60, 96  # LR crops that the ranges are taken from, and their side
FLOATING = ("head_conv",)  # its 3 channels are 1 in 700 of the work, and what it loses all later layers lack


def lr_crops(folder: str) -> list:
    """CROPS LR crops, float32 [1,3,96,96] in [-1,1], spread over the pictures of a folder."""
    rng = np.random.default_rng(0)
    files = list_pictures(folder)
    crops = []
    for number in range(CROPS):
        path = files[number * len(files) // CROPS]
        rgb = read_rgb(path)
        if min(rgb.shape[:2]) < SCALE * SIDE:
            raise InputError(f"{path}: {rgb.shape[1]}x{rgb.shape[0]} pixels; expected {SCALE * SIDE} a side or more")
        top, left = (rng.integers(0, side - SCALE * SIDE + 1) for side in rgb.shape[:2])
        lr = imresize(rgb[top : top + SCALE * SIDE, left : left + SCALE * SIDE], SIDE, SIDE)
        crops.append(np.ascontiguousarray(lr.transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1))
    return crops


def quantize(weights: dict, crops: list) -> dict:
    """The arrays of `infer.engines.int8` for {name: (weight, bias)} of `fold`, by NNCF's post-training quantization.

    Weights have a scale for each output channel; a bias makes up for the mean error of its convolution.
    """
    openvino = engine.import_openvino()
    try:
        import nncf
    except ImportError as error:
        raise InputError(f"quantizing needs NNCF: pip install -r requirements/quantize.txt ({error})") from None
    from openvino import opset13 as ops

    graph, lr = engine.Graph(weights, {}), ops.parameter([-1, 3, -1, -1], np.float32)
    model = nncf.quantize(
        openvino.Model([graph.upsampling(graph.trunk(lr))], [lr]),
        nncf.Dataset(crops),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(crops),
        fast_bias_correction=False,
        ignored_scope=nncf.IgnoredScope(names=list(FLOATING)),
    )
    return arrays_of(model)


def arrays_of(model) -> dict:
    """The arrays of `infer.engines.int8` in what `nncf.quantize` returns."""
    arrays = {}
    for conv in (op for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"):
        name = conv.get_friendly_name()
        # The weight is a constant of int8, converted to float32 and multiplied by the scale; a sum follows.
        scaled = conv.input_value(1).get_node()
        if scaled.get_type_name() == "Constant":
            continue  # left in floating point
        arrays[f"{name}.weight"] = scaled.input_value(0).get_node().input_value(0).get_node().get_data()
        arrays[f"{name}.scale"] = scaled.input_value(1).get_node().get_data().ravel()
        (bias,) = (target.get_node() for target in conv.output(0).get_target_inputs())
        arrays[f"{name}.bias"] = bias.input_value(1).get_node().get_data().ravel()
        given = conv.input_value(0).get_node()
        while given.get_type_name() != "FakeQuantize":  # only a shuffle may stand between
            given = given.input_value(0).get_node()
        limits = [given.input_value(i).get_node().get_data() for i in (1, 2)]
        arrays[f"{name}.input"] = np.array(limits, "float32").ravel()
    return arrays


def main(arguments: argparse.Namespace) -> None:
    with command.exit_status(2):
        if Path(arguments.weights).is_dir():
            raise InputError(f"{arguments.weights}: a folder; a .pdparams file is needed")
        weights = engine.fold(generator_arrays(arguments.weights))
        check_apart([("--weights", arguments.weights)], files=[("result", quantized_path(arguments.weights))])
    print(write_quantized(arguments.weights, quantize(weights, lr_crops(arguments.data))))


def parser() -> argparse.ArgumentParser:
    result = command.parser(__doc__)
    result.add_argument(
        "--weights",
        metavar="NAME|FILE",
        type=weights_path,
        default=DEFAULT,
        help=f"{NAMES} (included) or a .pdparams file (default: {DEFAULT})",
    )
    result.add_argument("--data", metavar="DIR", required=True, help="folder of photographs to find the ranges on")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
