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

import numpy as np

from common import command
from common.errors import InputError
from common.files import check_apart, replacing, temporary_folder
from infer import generator_flags, tiles
from infer.blending import Source
from infer.engines import eager, paddle_inference, programs
from infer.files import check_output

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


def onnx_runtime(folder):
    """The ONNX program in `folder` as a function float32 [N,3,h,w] to [N,3,4h,4w]. InputError if it cannot be run."""
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"checking an ONNX program needs onnxruntime: pip install -r requirements/export.txt ({error})"
        ) from None
    program = str(Path(folder) / f"{programs.WHOLE}.onnx")
    try:
        session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own exceptions have no common base class
        raise InputError(f"onnxruntime {onnxruntime.__version__} cannot load the exported program: {error}") from error
    return lambda lr: session.run(None, {programs.INPUTS[programs.WHOLE]: lr})[0]


def largest_difference(compute, expected) -> float:
    """The largest difference of two functions' values over pictures of CHECKED_SIZES."""
    random = np.random.default_rng(0)
    pictures = [random.uniform(-1, 1, size).astype("float32") for size in CHECKED_SIZES]
    return float(np.max([np.abs(compute(lr) - expected(lr)).max() for lr in pictures]))  # NaN if one is: see max()


def write_program(generator, kind: str, folder) -> float:
    """Write `generator` to `folder` as a program of the kind `paddle` or `onnx`; return its largest error.

    Raises InputError and leaves `folder` unchanged if the difference is more than TOLERANCE.
    """
    temporary = temporary_folder(".exporting-", folder)
    try:
        programs.write(kind, generator, temporary)
        compute = paddle_inference.load(temporary, "fp32", "cpu") if kind == "paddle" else onnx_runtime(temporary)
        difference = largest_difference(compute, eager.load(generator, "fp32", "cpu"))
        if not difference <= TOLERANCE:
            raise InputError(f"the exported program differs by {difference:.2g}, more than {TOLERANCE}: not kept")
        files = sorted(temporary.iterdir())
        for path in files:
            os.replace(path, Path(folder) / path.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    if kind == "paddle":  # 2.6 and 3.x name programs differently; an old one would now be beside the new weights
        for name in {f"{programs.WHOLE}.pdmodel", f"{programs.WHOLE}.json"} - {path.name for path in files}:
            with contextlib.suppress(FileNotFoundError):
                (Path(folder) / name).unlink()
    return difference


def write_readme(folder, reach: int) -> None:
    """The README.md beside the programs, with a section for each kind that is in `folder`."""
    folder = Path(folder)
    text, use = [HEAD.format(reach=reach)], USE.format(tile=TILE, reach=reach)
    if any(folder.glob(f"{programs.WHOLE}.pdiparams")):
        program, weights = programs.paddle_files(folder)
        text.append(README["paddle"].format(program=program.name, weights=weights.name, use=use))
    if (folder / f"{programs.WHOLE}.onnx").is_file():
        text.append(README["onnx"].format(program=f"{programs.WHOLE}.onnx", use=use))
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
        generator = Source(**generator_flags.generator_settings(arguments)).generator()
        check_output(arguments.to)
    difference = write_program(generator, arguments.format, arguments.to)
    write_readme(arguments.to, tiles.reach(generator))
    sizes = " and ".join("×".join(map(str, size)) for size in CHECKED_SIZES)
    print(f"{arguments.to}: {arguments.format} program; on {sizes} it differs from eager by at most {difference:.2g}")


if __name__ == "__main__":
    parser = command.parser(__doc__)
    generator_flags.add_generator_flags(parser)
    parser.add_argument("--to", metavar="DIR", required=True, help="folder for the exported program")
    parser.add_argument("--format", choices=README, required=True, help="kind of the program")
    command.run(parser.parse_args(), main)
