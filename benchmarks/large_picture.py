"""Upscale one large picture: the whole command's seconds and peak memory (Linux), and the time per pixel.

    python benchmarks/large_picture.py --weights srgan                                            # takes minutes
    python benchmarks/large_picture.py --weights models/g_models --width 200 --height 150         # a quick look

The picture is scikit-image's coffee, repeated to the size. Writing a JPEG needs Pillow's canvas and thus more memory
than writing a PNG. Peak memory is that of the process, including its libraries. The time per pixel covers only
upscaling, in one process, with the files decoded: of the large picture, which needs tiles, and of one of 480×320, which
is computed 3 times before it and 3 times after it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import subprocess
import tempfile
import time
from statistics import median

import numpy as np

from common import command
from common.errors import InputError
from data.pictures.images import read_rgb, write_rgb
from data.prepare import sample_sources
from infer import Upscaler, generator_flags
from models.weight_files.shipped import weights_path

PHOTOGRAPH = "coffee"
SMALL = (320, 480)  # (height, width)
TIMES = 3
LOOK_EVERY = 0.05  # seconds


def repeated(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture [h,w,3], repeated to [height,width,3]."""
    rows, columns = np.arange(height) % rgb.shape[0], np.arange(width) % rgb.shape[1]
    return rgb[rows[:, None], columns]


def run_watched(call: list) -> tuple:
    """The seconds a command takes and its peak memory in MB. Raises InputError if it fails."""
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(call) as process:
        while process.poll() is None:
            peak = max(peak, _peak_memory(process.pid))
            time.sleep(LOOK_EVERY)
    if process.returncode:
        raise InputError(f"infer/upscale.py ended with exit status {process.returncode}; the reason is above")
    return time.perf_counter() - start, peak


def _peak_memory(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # the process has just ended
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), default=0.0)


def pixel_costs(upscale, large: np.ndarray, small: np.ndarray) -> tuple:
    """Seconds per LR pixel for both pictures; the small one's are the median."""

    def cost(rgb):
        start = time.perf_counter()
        upscale(rgb)
        return (time.perf_counter() - start) / (rgb.shape[0] * rgb.shape[1])

    cost(small)  # to warm up
    before = [cost(small) for _ in range(TIMES)]
    of_large = cost(large)
    return of_large, median(before + [cost(small) for _ in range(TIMES)])


def main(arguments) -> None:
    rgb = read_rgb(next(source for source in sample_sources() if source.stem == PHOTOGRAPH))
    with tempfile.TemporaryDirectory() as temporary:
        for ending in (".png", ".jpg"):
            file = Path(temporary) / f"large{ending}"
            write_rgb(file, repeated(rgb, arguments.height, arguments.width))
            call = [sys.executable, ROOT / "infer/upscale.py", file, "-o", temporary, "--device", "cpu"]
            seconds, peak = run_watched([*call, "--weights", arguments.weights])
            print(f"{arguments.width}×{arguments.height} {ending}: {seconds:.1f} s, peak memory {peak:.0f} MB")
    upscale = Upscaler(arguments.weights, device="cpu")
    of_large, of_small = pixel_costs(upscale, repeated(rgb, arguments.height, arguments.width), repeated(rgb, *SMALL))
    print(
        f"{upscale.engine} {upscale.precision}, an LR pixel: {of_large * 1e6:.2f} µs, {of_large / of_small:.3f} times "
        f"one of {SMALL[1]}×{SMALL[0]} ({of_small * 1e6:.2f} µs)"
    )


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument(
        "--weights", metavar=generator_flags.METAVAR, type=weights_path, required=True, help=generator_flags.WEIGHTS
    )
    parser.add_argument("--width", metavar="N", type=command.positive, default=4000, help="(default: 4000)")
    parser.add_argument("--height", metavar="N", type=command.positive, default=3000, help="(default: 3000)")
    command.run(parser.parse_args(), main)
