"""Programs: the generator as files that run without this project's code, for Paddle Inference or as ONNX."""

import tempfile
from pathlib import Path

from infer.native_output import native_output
from models.errors import InputError

NAME = "generator"  # of the files: generator.pdmodel and generator.pdiparams, or generator.onnx
INPUT = "lr"
VERSION = 1  # counted up when what is written changes, so that programs kept from before are written anew
ONNX_OPSET = 11  # the first with ONNX's own pixel shuffle (DepthToSpace in Paddle's channel order)


def write_paddle(generator, folder) -> None:
    """Write `generator` as a Paddle Inference program of any batch, height and width, to an existing folder."""
    import paddle

    from infer.folded import FoldedGenerator

    network = FoldedGenerator(generator)
    network.eval()
    shape = paddle.static.InputSpec([None, 3, None, None], "float32", INPUT)
    paddle.jit.save(network, str(Path(folder) / NAME), input_spec=[shape])


def paddle_files(folder) -> tuple:
    """The two files of a Paddle Inference program: Paddle 2.6's `.pdmodel` or 3.x's `.json`, and the weights."""
    program = next((path for path in Path(folder).glob(f"{NAME}.*") if path.suffix in (".pdmodel", ".json")), None)
    if program is None:
        raise InputError(f"{folder} holds no {NAME}.pdmodel or {NAME}.json")
    return program, program.with_suffix(".pdiparams")


def write_onnx(generator, folder) -> None:
    """Write `generator` as an ONNX program of any batch, height and width, to an existing folder.

    Raises InputError if paddle2onnx is not installed or does not go with the Paddle that is.
    """
    try:
        import paddle2onnx
    except ImportError as error:
        raise InputError(f"ONNX needs paddle2onnx: pip install -r requirements-export.txt ({error})") from None
    with tempfile.TemporaryDirectory() as temporary:
        write_paddle(generator, temporary)
        program, weights = paddle_files(temporary)
        target = Path(folder) / f"{NAME}.onnx"
        with native_output() as said:
            paddle2onnx.export(str(program), str(weights), str(target), opset_version=ONNX_OPSET)
    if not target.is_file():
        raise InputError(f"paddle2onnx {paddle2onnx.__version__} wrote no program. It said: {said[-1].strip()}")
