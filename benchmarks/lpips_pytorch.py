"""Compare LPIPS in Paddle with the authors' package in PyTorch: the distances, and the seconds per pair of pictures.

    python benchmarks/lpips_pytorch.py
    python benchmarks/lpips_pytorch.py --crop 64 --repeats 1     # a quick look

The package's AlexNet gets random weights (the trained ones would have to be downloaded), its linear layers keep the
trained weights included in the package, and Paddle uses the same weights. The pairs are the sample photographs and
their bicubic enlargements from a quarter of their sides. Each way runs in its own process, since PyTorch computes on a
single core when it shares a process with Paddle; they take turns, and the first round is not counted.
PyTorch and lpips: `pip install -r requirements/benchmarks.txt`.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import datetime
import shlex
import tempfile
from functools import partial
from importlib.util import find_spec
from statistics import median

import numpy as np
from tqdm import tqdm

from benchmarks.side_by_side import SETTLE, cpu_name, rounds, table, versions, workers
from common import command
from common.device import cores
from common.errors import InputError
from data import lpips
from data.hr_lr_pairs import read_pair
from data.imresize import enlarge
from data.prepare import sample_sources

OURS, THEIRS = ("Paddle", "data/lpips.py"), ("PyTorch", "the package lpips")
SEED = 0


def load_paddle(weights):
    """The distance of (SR, HR), RGB uint8, computed by `data.lpips`."""
    from train.run import cpu

    cpu.use_all_cores()
    distance = lpips.Lpips(weights)
    return lambda pair: distance(*pair)


def load_pytorch():
    """The same distance, computed by the authors' package."""
    import torch

    distance = _package()

    def tensor(rgb):
        return torch.from_numpy(rgb.transpose(2, 0, 1)[np.newaxis].astype("float32") / 127.5 - 1)

    @torch.no_grad()
    def compute(pair):
        return float(distance(*map(tensor, pair)))

    return compute


def _package():
    import lpips as package  # imported here, as they may not be installed
    import torch

    torch.manual_seed(SEED)
    return package.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False).eval()


def write_weights(path) -> None:
    """Write the weights of `load_pytorch` as a file for `data.lpips`."""
    state = _package().state_dict()
    convs = [name for name in state if name.startswith("net.") and name.endswith(".weight")]
    arrays = {}
    for i, name in enumerate(convs):
        arrays[f"conv{i}.weight"] = state[name].numpy()
        arrays[f"conv{i}.bias"] = state[name.replace(".weight", ".bias")].numpy()
        arrays[f"linear{i}.weight"] = state[f"lin{i}.model.1.weight"].numpy().ravel()
    lpips.write(path, arrays)


def sample_pairs(crop) -> list:
    """[(SR, HR)], RGB uint8; crop: side in pixels of the detail at the top left, or None for whole photographs."""
    pairs = []
    for source in sample_sources():
        hr, lr = read_pair(source, None)
        pairs.append(tuple(np.ascontiguousarray(rgb[:crop, :crop]) for rgb in (enlarge(lr), hr)))
    return pairs


def main(arguments) -> None:
    missing = [name for name in ("torch", "lpips") if find_spec(name) is None]
    if missing:
        raise InputError(f"{' and '.join(missing)} not installed: pip install -r requirements/benchmarks.txt")
    pairs = sample_pairs(arguments.crop)
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / lpips.FILE
        write_weights(weights)
        with workers({OURS: partial(load_paddle, weights), THEIRS: load_pytorch}) as running:
            distances = {way: [worker.result(pair) for pair in pairs] for way, worker in running.items()}
            calls = {way: partial(worker.seconds, pairs) for way, worker in running.items()}
            with tqdm(total=len(calls) * (1 + arguments.repeats), unit="round") as bar:
                seconds = {way: median(taken) for way, taken in rounds(calls, arguments.repeats, bar, SETTLE).items()}
    print(f"{cpu_name()}, {cores()} cores; {versions()}; {datetime.date.today()}")
    print(f"python benchmarks/lpips_pytorch.py {shlex.join(sys.argv[1:])}\n")
    rows = [[*way, f"{taken / len(pairs):.3f}", f"{seconds[THEIRS] / taken:.2f}"] for way, taken in seconds.items()]
    print(table("by|from|seconds a pair|times as fast as PyTorch", rows))
    difference = max(abs(ours - theirs) for ours, theirs in zip(distances[OURS], distances[THEIRS]))
    least, most = min(distances[THEIRS]), max(distances[THEIRS])
    print(f"\nlargest difference of {len(pairs)} distances of {least:.4f} to {most:.4f}: {difference:.1e}")


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument(
        "--crop", metavar="N", type=command.positive, help="side of a detail to measure (default: whole photographs)"
    )
    parser.add_argument("--repeats", metavar="N", type=command.positive, default=3, help="(default: 3)")
    command.run(parser.parse_args(), main)
