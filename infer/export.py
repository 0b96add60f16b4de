"""Export a generator as a program that runs without this project: for Paddle Inference, or as ONNX.

    python infer/export.py --to exported --format paddle
    python infer/export.py --to exported --format onnx --weights output/srgan_g.pdparams

Height, width and batch are free. The exported program is run and compared with the network before it is moved into
place; a README.md beside it says how to use it. ONNX needs `pip install -r requirements/export.txt`. The exit status is
2 if the weights cannot be used.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import argparse
import contextlib
import os
import shutil
import tempfile

import numpy as np

import common.full_set  # noqa: F401
from common import command
from common.errors import InputError
from common.files import check_apart, replacing, temporary_folder
from infer import generator_flags
from infer.combine import blended
from infer.files import check_output
from infer.tiles import REACH
from models.weight_files.weights import build_generator

NAME = "generator"  # of the files: generator.pdmodel or .json, generator.pdiparams, generator.onnx
ONNX_OPSET = 11  # the first with ONNX's own pixel shuffle (DepthToSpace in Paddle's channel order)
CHECKED_SIZES = ((2, 3, 24, 17), (1, 3, 9, 40))  # [N,3,h,w]
TOLERANCE = 1e-3  # of values in [-1,1]: an eighth of a grey level

README = {
    "paddle": """## Paddle Inference: `{program}` and `{weights}`

```python
import numpy as np
from PIL import Image  # before Paddle, whose 2.6 includes an old zlib
from paddle import inference

config = inference.Config("{program}", "{weights}")
config.disable_glog_info()
config.enable_memory_optim()
predictor = inference.create_predictor(config)


def network(lr):
    predictor.get_input_handle("lr").copy_from_cpu(lr)
    predictor.run()
    return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()

{use}```
""",
    "onnx": """## ONNX: `{program}`

```python
import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession("{program}", providers=["CPUExecutionProvider"])


def network(lr):
    return session.run(None, {{"lr": lr}})[0]

{use}```
""",
}
# The part of both examples that runs `network` on a photograph of any size.
USE = """
TILE, REACH = {tile}, {reach}
rgb = np.asarray(Image.open("photo.png").convert("RGB"))
height, width, _ = rgb.shape
sr = np.empty((4 * height, 4 * width, 3), "uint8")
for top in range(0, height, TILE):
    for left in range(0, width, TILE):
        above, before = min(top, REACH), min(left, REACH)
        seen = rgb[top - above : top + TILE + REACH, left - before : left + TILE + REACH]
        lr = seen.transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1
        made = ((network(np.ascontiguousarray(lr))[0] + 1) * 127.5).round().clip(0, 255)
        tile = sr[4 * top : 4 * (top + TILE), 4 * left : 4 * (left + TILE)]
        tile[:] = made.transpose(1, 2, 0)[4 * above :, 4 * before :][: tile.shape[0], : tile.shape[1]]
Image.fromarray(sr).save("photo_x4.png")
"""
TILE = 192  # side in LR pixels: with it, a photograph of 1024×644 takes 2.1 GB
HEAD = """# SRGAN generator, 4× super-resolution

Input `lr`: float32 [N,3,h,w], RGB, in [-1,1] (a grey level v of 0..255 is v / 127.5 - 1); any N, h, w.
Output: float32 [N,3,4h,4w], RGB, in [-1,1]. An output pixel depends on the input up to {reach} pixels away: tiles that
overlap by that much on every side give the same result as the whole picture. The example computes tile by tile, as a
phone's photograph would take tens of gigabytes at once.
"""


def write_paddle(generator, folder) -> None:
    """Write a Paddle Inference program of any batch, height and width to an existing folder."""
    import paddle

    shape = paddle.static.InputSpec([None, 3, None, None], "float32", "lr")
    paddle.jit.save(generator, str(Path(folder) / NAME), input_spec=[shape])


def paddle_files(folder) -> tuple:
    """The two files of a Paddle Inference program: Paddle 2.6's `.pdmodel` or 3.x's `.json`, and the weights."""
    program = next((path for path in Path(folder).glob(f"{NAME}.*") if path.suffix in (".pdmodel", ".json")), None)
    if program is None:
        raise InputError(f"{folder} holds no {NAME}.pdmodel or {NAME}.json")
    return program, program.with_suffix(".pdiparams")


def write_onnx(generator, folder) -> None:
    """Write an ONNX program of any batch, height and width to an existing folder."""
    with tempfile.TemporaryDirectory() as temporary:
        write_paddle(generator, temporary)
        target = Path(folder) / f"{NAME}.onnx"
        paddle2onnx().export(*map(str, paddle_files(temporary)), str(target), opset_version=ONNX_OPSET)
    if not target.is_file():
        raise InputError("paddle2onnx wrote no program; what it said is above")


def paddle2onnx():
    """The package. Raises InputError if it is not installed or is not for the installed Paddle."""
    import paddle

    try:
        import paddle2onnx
    except ImportError as error:
        raise InputError(f"ONNX needs paddle2onnx: pip install -r requirements/export.txt ({error})") from None
    exporter = paddle2onnx.__version__
    if paddle.__version__.startswith("2.") != exporter.startswith("1."):
        raise InputError(
            f"paddle2onnx {exporter} does not work with Paddle {paddle.__version__}: use 1.3.1 with 2.6, 2.1 with 3.x"
        )
    return paddle2onnx


def paddle_inference(folder):
    """The Paddle program in `folder` as a function float32 [N,3,h,w] to [N,3,4h,4w]."""
    from paddle import inference

    config = inference.Config(*map(str, paddle_files(folder)))
    config.disable_glog_info()
    predictor = inference.create_predictor(config)

    def compute(lr):
        predictor.get_input_handle("lr").copy_from_cpu(lr)
        predictor.run()
        return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()

    return compute


def onnx_runtime(folder):
    """The ONNX program in `folder` as a function float32 [N,3,h,w] to [N,3,4h,4w]. InputError if it cannot be run."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"checking an ONNX program needs onnxruntime: pip install -r requirements/export.txt ({error})"
        ) from None
    try:
        session = onnxruntime.InferenceSession(str(Path(folder) / f"{NAME}.onnx"), providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions have no common base class
        raise InputError(f"onnxruntime {onnxruntime.__version__} cannot load the exported program: {error}") from error
    return lambda lr: session.run(None, {"lr": lr})[0]


FORMATS = {"paddle": (write_paddle, paddle_inference), "onnx": (write_onnx, onnx_runtime)}  # writes, loads


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
        files = sorted(temporary.iterdir())
        for path in files:
            os.replace(path, Path(folder) / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if kind == "paddle":  # 2.6 and 3.x name programs differently; an old one would now be beside the new weights
        for name in {f"{NAME}.pdmodel", f"{NAME}.json"} - {path.name for path in files}:
            with contextlib.suppress(FileNotFoundError):
                (Path(folder) / name).unlink()
    return difference


def write_readme(folder) -> None:
    """The README.md beside the programs, with a section for each kind that is in `folder`."""
    folder = Path(folder)
    text, use = [HEAD.format(reach=REACH)], USE.format(tile=TILE, reach=REACH)
    if (folder / f"{NAME}.pdiparams").is_file():
        program, weights = paddle_files(folder)
        text.append(README["paddle"].format(program=program.name, weights=weights.name, use=use))
    if (folder / f"{NAME}.onnx").is_file():
        text.append(README["onnx"].format(program=f"{NAME}.onnx", use=use))
    with replacing(folder / "README.md") as temporary:
        temporary.write_text("\n".join(text), encoding="utf-8")


def check_readme(folder) -> None:
    """Raise InputError if `folder` has a README.md that is not an earlier export's."""
    readme = Path(folder) / "README.md"
    if readme.exists() and not readme.read_bytes().startswith(HEAD.splitlines()[0].encode()):
        raise InputError(f"{readme} is not from an earlier export and would be replaced; give another folder with --to")


def main(arguments: argparse.Namespace) -> None:
    with command.exit_status(2):
        check_apart(generator_flags.weights_read(arguments), folders=[("--to", arguments.to)])
        check_readme(arguments.to)
        generator = build_generator(blended(**generator_flags.generator_settings(arguments)))
        generator.eval()
        check_output(arguments.to)
    difference = write_program(generator, arguments.format, arguments.to)
    write_readme(arguments.to)
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
