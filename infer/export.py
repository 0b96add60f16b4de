"""Export a generator as a program that runs without this project: for Paddle Inference, or as ONNX.

    python infer/export.py --to exported --format paddle
    python infer/export.py --to exported --format onnx --weights output/srgan_g.pdparams

Input `lr` is float32 [N,3,h,w], RGB in [-1,1], of any N, h and w; the output is [N,3,4h,4w] in [-1,1]. The program is
run and compared with the network before it is moved into place. docs/upscaling.md has code that uses it. ONNX needs
`pip install -r requirements/export.txt`. The exit status is 2 if the weights cannot be used.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import os
import shutil
import tempfile

import numpy as np

import common.full_set  # noqa: F401
from common import command
from common.errors import InputError
from common.files import check_apart, temporary_folder
from infer import generator_flags
from infer.combine import mix
from infer.files import check_output
from models.weight_files.weights import build_generator

NAME = "generator"  # of the files: generator.pdmodel or .json, generator.pdiparams, generator.onnx
ONNX_OPSET = 11  # the first with ONNX's own pixel shuffle (DepthToSpace in Paddle's channel order)
CHECKED_SIZES = ((2, 3, 24, 17), (1, 3, 9, 40))  # [N,3,h,w]
TOLERANCE = 1e-3  # of values in [-1,1]: an eighth of a grey level


def write_paddle(generator, folder) -> None:
    """Write a Paddle Inference program of any batch, height and width to an existing folder."""
    import paddle

    shape = paddle.static.InputSpec([None, 3, None, None], "float32", "lr")
    paddle.jit.save(generator, str(Path(folder) / NAME), input_spec=[shape])


def paddle_files(folder) -> tuple:
    """The two files of a Paddle Inference program: Paddle 2.6's `.pdmodel` or 3.x's `.json`, and the weights."""
    (program,) = (path for path in Path(folder).glob(f"{NAME}.*") if path.suffix in (".pdmodel", ".json"))
    return str(program), str(program.with_suffix(".pdiparams"))


def write_onnx(generator, folder) -> None:
    """Write an ONNX program of any batch, height and width to an existing folder. Raises InputError for want of it."""
    import paddle

    try:
        import onnxruntime  # noqa: F401  checks the program
        import paddle2onnx
    except ImportError as error:
        raise InputError(
            f"ONNX needs paddle2onnx and onnxruntime: pip install -r requirements/export.txt ({error})"
        ) from error
    exporter = paddle2onnx.__version__
    if paddle.__version__.startswith("2.") != exporter.startswith("1."):
        raise InputError(
            f"paddle2onnx {exporter} does not work with Paddle {paddle.__version__}: use 1.3.1 with 2.6, 2.1 with 3.x"
        )
    with tempfile.TemporaryDirectory() as temporary:
        write_paddle(generator, temporary)
        target = str(Path(folder) / f"{NAME}.onnx")
        paddle2onnx.export(*paddle_files(temporary), target, opset_version=ONNX_OPSET)


def load_paddle(folder):
    """The Paddle program in `folder` as a function float32 [N,3,h,w] to [N,3,4h,4w]."""
    from paddle import inference

    config = inference.Config(*paddle_files(folder))
    config.disable_glog_info()
    predictor = inference.create_predictor(config)

    def compute(lr):
        predictor.get_input_handle("lr").copy_from_cpu(lr)
        predictor.run()
        return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()

    return compute


def load_onnx(folder):
    """The ONNX program in `folder` as a function float32 [N,3,h,w] to [N,3,4h,4w]. InputError if it cannot be run."""
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(str(Path(folder) / f"{NAME}.onnx"), providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions have no common base class
        raise InputError(f"onnxruntime {onnxruntime.__version__} cannot load the exported program: {error}") from error
    return lambda lr: session.run(None, {"lr": lr})[0]


FORMATS = {"paddle": (write_paddle, load_paddle), "onnx": (write_onnx, load_onnx)}


def largest_difference(compute, generator) -> float:
    """The largest difference of a function's values to the generator's over pictures of CHECKED_SIZES."""
    import paddle

    random = np.random.default_rng(0)
    pictures = [random.uniform(-1, 1, size).astype("float32") for size in CHECKED_SIZES]
    with paddle.no_grad():
        differences = [np.abs(compute(lr) - generator(paddle.to_tensor(lr)).numpy()).max() for lr in pictures]
    return float(np.max(differences))  # NaN if one is: see max()


def write_program(generator, kind: str, folder) -> float:
    """Write `generator` to `folder` as a program of the kind `paddle` or `onnx`; return its largest error.

    Raises InputError and leaves `folder` unchanged if the difference is more than TOLERANCE.
    """
    write, load = FORMATS[kind]
    temporary = temporary_folder(".exporting-", folder)
    try:
        write(generator, temporary)
        difference = largest_difference(load(temporary), generator)
        if not difference <= TOLERANCE:
            raise InputError(f"the exported program differs by {difference:.2g}, more than {TOLERANCE}: not kept")
        for path in sorted(temporary.iterdir()):
            os.replace(path, Path(folder) / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return difference


def main(arguments: argparse.Namespace) -> None:
    with command.exit_status(2):
        check_apart(generator_flags.named_weights(arguments), folders=[("--to", arguments.to)])
        generator = build_generator(mix(**generator_flags.generator_settings(arguments)))
        generator.eval()
        check_output(arguments.to)
    difference = write_program(generator, arguments.format, arguments.to)
    sizes = " and ".join("×".join(map(str, size)) for size in CHECKED_SIZES)
    print(f"{arguments.to}: {arguments.format} program; on {sizes} it differs from eager by at most {difference:.2g}")


def parser() -> argparse.ArgumentParser:
    result = command.parser(__doc__)
    generator_flags.add_generator_flags(result)
    result.add_argument("--to", metavar="DIR", required=True, help="folder for the exported program")
    result.add_argument("--format", choices=FORMATS, required=True, help="kind of the program")
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
