"""Time the engines and PyTorch on the CPU, side by side; prints Markdown tables.

    python benchmarks/upscale.py --weights srgan
    python benchmarks/upscale.py --weights models/g_models --picture photo.jpg --repeats 9
    python benchmarks/upscale.py --weights models/g_models --crop 48 --repeats 1    # a quick look

1. The network on a photograph, with every engine and precision available on this machine, and with PyTorch.
2. The whole command `infer/upscale.py` on it, with the program already exported.
3. How the time grows with the pixels.  4. Whether computing windows as a batch helps.

A time is that of one call from a float32 array [N,3,h,w] to another [N,3,4h,4w], including the necessary conversions;
PyTorch may return a result in channels-last layout. Each way runs in its own process, since PyTorch computes on a
single core when it shares a process with Paddle. They take turns, so that a slowdown of the machine affects all of
them. The first round is not counted. PyTorch: `pip install -r requirements/benchmarks.txt`.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import datetime
import math
import os
import shlex
import subprocess
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from statistics import median

import numpy as np
import psutil
from tqdm import tqdm

from benchmarks.side_by_side import SETTLE, cpu_name, rounds, table, versions, workers
from common import command
from common.device import cpu_bf16
from common.errors import InputError
from common.scale import SCALE
from data.pictures.images import read_rgb, write_rgb
from data.prepare import sample_sources
from infer import Upscaler, engines, generator_flags, tiles
from infer.blending import Source
from infer.engines import programs
from infer.engines.precision import choose_precision
from infer.memory import working_memory
from infer.network import Network
from models.weight_files.shipped import weights_path

CPU = "cpu"
PYTORCH = "pytorch"
REFERENCE = ("eager", "fp32")
MEASURED = ("fp32", "bf16")
TOLERANCE = 1e-3  # of fp32 results in [-1,1], to eager's
CHECKED = 96  # side in LR pixels of the detail on which results are compared
PHOTOGRAPH, WIDTH, HEIGHT = "coffee", 480, 320
SIDE = 48  # the smallest picture of the third table
WINDOWS = 4  # along each side, in the fourth
NOTES = """PyTorch's time: of the same precision. Peak MB: resident memory of a process that computes this row alone,
its libraries included. Differs: at most, of values in [-1,1], on a detail.
"""
PYTORCH_BYTES = 12000  # the most memory that PyTorch takes per LR pixel
RESULT_BYTES = 3 * SCALE**2 * 4  # of the SR in float32, per LR pixel


def load_engine(engine: str, precision: str, program: str, reaches: dict):
    """One of the project's engines, computing as in `Upscaler` for a picture that is one window.

    program: the programs' folder, or the weights for an engine without programs. reaches: as for `Network`.
    """
    module = engines.module(engine)
    network = Network(
        module, Source(program).generator() if module.PROGRAM is None else program, reaches, precision, CPU
    )
    _, piece = network.sizes(working_memory(CPU, 0))

    def compute(lr):
        count, _, height, width = lr.shape
        windows = count * tiles.windows(height, width, (height, width), network.reach)
        sr = np.empty((count, 3, SCALE * height, SCALE * width), "float32")
        for i, in_picture, result in network.computed(lr, windows, piece):
            sr[(i, slice(None), *in_picture)] = result
        return sr

    return compute


def load_pytorch(precision: str, path: str):
    from benchmarks import torch_generator  # here: it may not be installed

    return torch_generator.load(path, precision)


def why_not(way: tuple) -> str:
    """Why (engine, precision) cannot run here, or "" if it can."""
    engine, precision = way
    if engine == PYTORCH:
        if find_spec("torch") is None:
            return "PyTorch is not installed: pip install -r requirements/benchmarks.txt"
        return "" if precision == "fp32" or cpu_bf16() else "this CPU has no instructions for it"
    try:
        choose_precision(precision, engine, CPU)
    except InputError as error:
        return str(error)
    return engines.module(engine).missing(CPU)


def all_ways() -> list:
    """(engine, precision) of all ways, the project's first."""
    return [(engine, precision) for engine in (*engines.ENGINES, PYTORCH) for precision in MEASURED]


def prepare(ways: list, weights: str, generator, folder: Path) -> dict:
    """{way: load}; the files that each needs are written to `folder`."""
    loads = {}
    for engine, precision in ways:
        if engine == PYTORCH:
            loads[engine, precision] = partial(load_pytorch, precision, _pytorch_weights(generator, folder))
        else:
            program = _programs(engines.module(engine), generator, folder) or weights
            loads[engine, precision] = partial(load_engine, engine, precision, program, tiles.reaches(generator))
    return loads


def _pytorch_weights(generator, folder: Path) -> str:
    path = folder / "pytorch.npz"
    if not path.exists():
        np.savez(path, **{name: value.numpy() for name, value in generator.state_dict().items()})
    return str(path)


def _programs(module, generator, folder: Path) -> str:
    """The folder of an engine's programs, written if they do not exist yet; "" if the engine has none."""
    if module.PROGRAM is None:
        return ""
    target = folder / module.PROGRAM
    if not target.exists():
        target.mkdir()
        programs.write(module.PROGRAM, generator, target, module.PARTS)
    return str(target)


def to_network(rgb: np.ndarray) -> np.ndarray:
    """RGB uint8 [h,w,3] to float32 [1,3,h,w] in [-1,1]."""
    return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1)


def differences(running: dict, lr: np.ndarray) -> dict:
    """{way: largest difference to eager's result} on a detail. Raises InputError if one in fp32 differs too much."""
    detail = np.ascontiguousarray(lr[:, :, :CHECKED, :CHECKED])
    expected = running[REFERENCE].result(detail)
    found = {way: float(np.abs(worker.result(detail) - expected).max()) for way, worker in running.items()}
    for (engine, precision), difference in found.items():
        if precision == "fp32" and not difference <= TOLERANCE:
            raise InputError(f"{engine} differs from eager by {difference:.2g}, more than {TOLERANCE}: not timed")
    return found


def compare(loads: dict, lr: np.ndarray, repeats: int, bar) -> tuple:
    """The first table, and {way: its median seconds}."""
    with workers(loads) as running:
        differs = differences(running, lr)
        calls = {way: partial(worker.seconds, [lr]) for way, worker in running.items()}
        seconds = rounds(calls, repeats, bar, SETTLE)
        memory = {way: worker.peak_memory() for way, worker in running.items()}
    medians = {way: median(taken) for way, taken in seconds.items()}
    megapixels = SCALE**2 * lr.shape[2] * lr.shape[3] / 1e6
    rows = []
    for way, middle in medians.items():
        pytorch = medians.get((PYTORCH, way[1]))
        rows.append(
            (
                *way,
                f"{middle:.3f}",
                f"{min(seconds[way]):.3f}",
                f"{megapixels / middle:.2f}",
                f"{medians[REFERENCE] / middle:.2f}",
                f"{middle / pytorch:.2f}" if pytorch else "–",
                f"{memory[way]:.0f}",
                f"{differs[way]:.1e}",
            )
        )
    titles = "engine|precision|seconds|least|MP/s|× eager's speed|× PyTorch's time|peak MB|differs from eager"
    return table(titles, rows), medians


def run_command(file: Path, weights: str, output: Path) -> float:
    """The seconds that `infer/upscale.py` takes for a file. Raises InputError with its message if it fails."""
    call = [sys.executable, ROOT / "infer/upscale.py", file, "-o", output, "--weights", weights]
    start = time.perf_counter()
    ended = subprocess.run([*call, "--device", CPU, "--overwrite"], capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if ended.returncode:
        raise InputError(f"infer/upscale.py failed: {ended.stderr.decode(errors='replace').strip()}")
    return seconds


def whole_command(rgb: np.ndarray, weights: str, network: float, repeats: int, folder: Path, bar) -> str:
    """The second table; network: the first table's seconds of the engine that the command uses by default."""
    file = folder / "photograph.png"
    write_rgb(file, rgb)
    call = partial(run_command, file, weights, folder / "upscaled")
    taken = rounds({"command": call}, repeats, bar)["command"]
    rows = [
        ("the whole command", f"{median(taken):.3f}", f"{min(taken):.3f}"),
        ("its network, from above", f"{network:.3f}", ""),
        ("the rest: start, load, decode, encode, write", f"{median(taken) - network:.3f}", ""),
    ]
    return table("|seconds|least", rows)


def growth(way: tuple, weights: str, rgb: np.ndarray, reach: int, repeats: int, bar) -> str:
    """The third table: pictures of 1, 2, 4 and 8 times the smallest side in one piece, of 16 times in tiles."""
    smallest = smallest_side(rgb)
    sides = [smallest * 2**doubled for doubled in range(5)]
    tile = sides[-2]
    load = partial(Upscaler, weights, engine=way[0], precision=way[1], device=CPU, tile=tile)
    with workers({way: load}) as running:
        calls = {side: partial(running[way].seconds, [filled(rgb, side)]) for side in sides}
        seconds = rounds(calls, repeats, bar)
    rows = []
    for side, taken in seconds.items():
        windows = tiles.windows(side, side, (tile, tile), reach)
        computed = sum(tiles.pixels(*window) for window in windows)
        each, each_computed = (median(taken) / pixels * 1e9 for pixels in (side**2, computed))
        figures = (f"{median(taken):.4f}", f"{min(taken):.4f}", f"{each:.0f}", f"{each_computed:.0f}")
        rows.append((f"{side}×{side}", len(windows), *figures))
    return table("LR|windows|seconds|least|ns per LR pixel|ns per pixel computed (tiles overlap)", rows)


def batching(way: tuple, load, rgb: np.ndarray, repeats: int, bar) -> str:
    """The fourth table: the same number of pixels as one window, as a batch, and as windows one by one."""
    side, count = 2 * smallest_side(rgb), WINDOWS**2
    window, whole = (to_network(filled(rgb, length)) for length in (side, WINDOWS * side))
    shapes = {
        f"1 window of {WINDOWS * side}×{WINDOWS * side}": [whole],
        f"{count} windows of {side}×{side} in a batch": [np.repeat(window, count, axis=0)],
        f"{count} windows of {side}×{side} one by one": [window] * count,
    }
    with workers({way: load}) as running:
        calls = {name: partial(running[way].seconds, arrays) for name, arrays in shapes.items()}
        seconds = rounds(calls, repeats, bar)
    rows = [(name, f"{median(taken):.4f}", f"{min(taken):.4f}") for name, taken in seconds.items()]
    return table("the same pixels as|seconds|least", rows)


def smallest_side(rgb: np.ndarray) -> int:
    """The side for the third table's pictures: less than SIDE for a small photograph, so that a quick look is quick."""
    return max(1, min(SIDE, min(rgb.shape[:2]) // 5))


def filled(rgb: np.ndarray, side: int) -> np.ndarray:
    """A square of `side` pixels, filled by repeating the photograph."""
    rows, columns = (np.arange(side) % length for length in rgb.shape[:2])
    return rgb[rows[:, None], columns]


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


def check_memory(ways: list, rgb: np.ndarray) -> None:
    """Raise InputError if all ways together, none of which releases memory, need more than is free."""
    each = [PYTORCH_BYTES if engine == PYTORCH else _bytes_per_pixel(engine, precision) for engine, precision in ways]
    height, width = rgb.shape[:2]
    needed, free = sum(each) * height * width, psutil.virtual_memory().available
    if needed > free:
        side = math.isqrt(free // sum(each))
        raise InputError(
            f"{width}x{height} pixels: the engines together need {needed / 1e9:.0f} GB of memory, {free / 1e9:.0f} are "
            f"free; --crop {side} fits"
        )


def _bytes_per_pixel(engine: str, precision: str) -> int:
    """Memory per LR pixel of a window and its result. The upsampling takes the same memory for every picture."""
    module = engines.module(engine)
    return module.bytes_per_pixel(precision)[module.PARTS[0]] + RESULT_BYTES


def header(name: str, rgb: np.ndarray, repeats: int) -> str:
    """The machine, the versions and the photograph."""
    height, width = rgb.shape[:2]
    return (
        f"`python {shlex.join(sys.argv)}`, {datetime.date.today()}: {cpu_name()}, "
        f"{len(os.sched_getaffinity(0))} cores, {cpu_bf16() or 'no instructions for bf16'}; {versions()}.\n"
        f"{name}, {width}×{height} pixels, to {SCALE * width}×{SCALE * height}; "
        f"seconds are the median of {repeats}, beside the least."
    )


def main(arguments) -> None:
    name, rgb = photograph(arguments)
    refused = {way: why_not(way) for way in all_ways()}
    ways = [way for way, reason in refused.items() if not reason]
    check_memory(ways, rgb)
    with command.exit_status(2):
        generator = Source(arguments.weights).generator()
    chosen = engines.choose("auto", CPU)
    automatic = (chosen, choose_precision("auto", chosen, CPU))
    calls = (1 + arguments.repeats) * (len(ways) + 1 + 5 + 3)
    with tempfile.TemporaryDirectory() as temporary, tqdm(total=calls, unit="run") as bar:
        folder = Path(temporary)
        say = partial(tqdm.write, file=sys.stdout)
        say(header(name, rgb, arguments.repeats))
        loads = prepare(ways, arguments.weights, generator, folder)
        text, medians = compare(loads, to_network(rgb), arguments.repeats, bar)
        say(f"\n### The network\n\n{text}\n")
        say(NOTES)
        say("\n".join(f"- Not run: {' '.join(way)}. {reason}" for way, reason in refused.items() if reason))
        text = whole_command(rgb, arguments.weights, medians[automatic], arguments.repeats, folder, bar)
        say(f"\n### The whole command, {' '.join(automatic)}\n\n{text}")
        fastest = min((way for way in ways if way[0] != PYTORCH), key=medians.get)
        text = growth(fastest, arguments.weights, rgb, tiles.reach(generator), arguments.repeats, bar)
        say(f"\n### Time and pixels, {' '.join(fastest)}\n\n{text}")
        text = batching(fastest, loads[fastest], rgb, arguments.repeats, bar)
        say(f"\n### Windows and batches, {' '.join(fastest)}\n\n{text}")


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument(
        "--weights", metavar=generator_flags.METAVAR, type=weights_path, required=True, help=generator_flags.WEIGHTS
    )
    parser.add_argument(
        "--picture", metavar="FILE", help="a whole photograph (default: 480x320 pixels of scikit-image's coffee)"
    )
    parser.add_argument("--crop", metavar="N", type=command.positive, help="only its N by N pixels in the middle")
    parser.add_argument(
        "--repeats", metavar="N", type=command.positive, default=5, help="timed runs of each way (default: 5)"
    )
    command.run(parser.parse_args(), main)
