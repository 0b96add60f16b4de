"""Programs: the generator, or a part of it, as files that run without this project's code (Paddle Inference, ONNX).

The two parts are for large pictures (see `infer/tiles.py`): the trunk has a long reach and needs little memory per
pixel; the upsampling reaches only 2 pixels but needs most of the memory.
"""

import contextlib
import os
import tempfile
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path

from common.errors import InputError
from infer.engines.native_output import native_output

WHOLE, TRUNK, UPSAMPLING = (
    "generator",
    "trunk",
    "upsampling",
)  # of the files: generator.pdmodel, .pdiparams, .onnx
INPUTS = {WHOLE: "lr", TRUNK: "lr", UPSAMPLING: "features"}
VERSION = 2  # incremented when the programs change, so that cached ones are rewritten
ONNX_OPSET = 11  # the first with ONNX's own pixel shuffle (DepthToSpace in Paddle's channel order)


def version(kind: str) -> str:
    """Everything that a program of the kind `paddle` or `onnx` depends on besides the weights."""
    if kind == "onnx":
        return f"onnx-{VERSION}"
    import paddle

    return f"paddle-{paddle.__version__}-{VERSION}"


def write(kind: str, generator, folder, parts: tuple = (WHOLE,)) -> None:
    """Write `generator`, or these parts of it, as programs of the kind `paddle` or `onnx` to an existing folder."""
    {"paddle": write_paddle, "onnx": write_onnx}[kind](generator, folder, parts)


def write_paddle(generator, folder, parts: tuple = (WHOLE,)) -> None:
    """Write Paddle Inference programs of any batch, height and width to an existing folder."""
    import paddle

    from infer.engines import folded

    classes = {WHOLE: folded.FoldedGenerator, TRUNK: folded.FoldedTrunk, UPSAMPLING: folded.FoldedUpsampling}
    for part in parts:
        network = classes[part](generator)
        network.eval()
        channels = network.parameters()[0].shape[1]  # input channels of its first convolution
        shape = paddle.static.InputSpec([None, channels, None, None], "float32", INPUTS[part])
        with _home():
            paddle.jit.save(network, str(Path(folder) / part), input_spec=[shape])


@contextlib.contextmanager
def _home():
    """A temporary home folder within the block: paddle.jit writes Python files to ~/.cache and fails if it can't."""
    names = ("HOME", "USERPROFILE")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.update(dict.fromkeys(names, temporary))
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def paddle_files(folder, part: str = WHOLE) -> tuple:
    """The two files of a Paddle Inference program: Paddle 2.6's `.pdmodel` or 3.x's `.json`, and the weights."""
    program = next((path for path in Path(folder).glob(f"{part}.*") if path.suffix in (".pdmodel", ".json")), None)
    if program is None:
        raise InputError(f"{folder} holds no {part}.pdmodel or {part}.json")
    return program, program.with_suffix(".pdiparams")


def onnx_missing() -> str:
    """Why `write_onnx` cannot work here, or "" if it can. Does not load Paddle."""
    exporter = _installed("paddle2onnx")
    if not exporter:
        return "paddle2onnx is not installed: pip install -r requirements/export.txt"
    paddle = _installed("paddlepaddle") or _installed("paddlepaddle-gpu")
    if (_major(paddle) >= 3) != (_major(exporter) >= 2):
        return f"paddle2onnx {exporter} does not work with Paddle {paddle}: use 1.3.1 with 2.6, 2.1 with 3.x"
    return ""


def _installed(package: str) -> str:
    with contextlib.suppress(PackageNotFoundError):
        return package_version(package)
    return ""


def _major(version: str) -> int:
    return int(version.partition(".")[0] or 0)


def write_onnx(generator, folder, parts: tuple = (WHOLE,)) -> None:
    """Write ONNX programs of any batch, height and width to an existing folder.

    Raises InputError if paddle2onnx is not installed, is incompatible with the installed Paddle, or fails.
    """
    reason = onnx_missing()
    if reason:
        raise InputError(f"ONNX cannot be written: {reason}")
    import paddle2onnx

    with tempfile.TemporaryDirectory() as temporary:
        write_paddle(generator, temporary, parts)
        for part in parts:
            target = Path(folder) / f"{part}.onnx"
            files = map(str, paddle_files(temporary, part))
            with native_output() as said:
                paddle2onnx.export(*files, str(target), opset_version=ONNX_OPSET)
            if not target.is_file():
                raise InputError(f"paddle2onnx {paddle2onnx.__version__} wrote no program. It said: {said[-1].strip()}")
