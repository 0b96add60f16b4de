"""Time several ways of making batches of crops, side by side in one process; prints Markdown tables.

    python benchmarks/data_pipeline.py --data DIR                                          # a few minutes
    python benchmarks/data_pipeline.py --data DIR --crops-per-image 4 --repeats 1          # a quick look
    python benchmarks/data_pipeline.py --data DIR --memory                                 # writes 6.6 GB

1. Batches in host memory, one after the other, for 384 and 96 crops and all degradations, by
   - the limit: only copying the bytes of the crops from the memory-mapped pictures to one array;
   - this project: `data.crops` on a `data.store`, as the training loop calls it, with 0, 1 and 2 workers (threads);
   - the article: all pictures decoded in memory; an epoch crops all of them into lists, resizes them with cv2 and
     scales them to [-1,1], then makes float32 arrays of each batch; with and without the 224-pixel pictures that it
     makes for VGG19, which this project makes on the device;
   - one file per crop, like common trainers: decode it whole (cv2.imread), crop, LR, float32 [3,h,w] in [-1,1].
2. How long a training loop waits for its batches, with a sleep in place of an accelerator's step.
3. With --memory: the peak memory of reading, decoding and cropping 800 pictures of DIV2K's size. They are made from
   those in DIR, in a temporary folder (TMPDIR chooses where), and removed at the end.

The ways take turns, so that a slowdown of the machine affects all of them. The first round, which decodes and reads
every picture, is not counted. The pictures in DIR must have at least 384 pixels on each side.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import contextlib
import datetime
import itertools
import os
import platform
import random
import shlex
import subprocess
import tempfile
import time
from functools import partial
from statistics import median

import cv2
import numpy as np
from tqdm import tqdm

from benchmarks.side_by_side import cpu_name, rounds, table
from common import command
from common.errors import InputError
from common.scale import SCALE
from data.crops import Crops
from data.degrade import DEGRADATIONS
from data.photo import DRAWS, Photo, photo
from data.pictures.images import list_pictures, read_rgb, write_rgb
from data.store import open_store

# (HR side, degradation, augmentation): the article's, the same at the paper's size, the paper's, that at the article's,
# and photographs' at both.
SETTINGS = (
    (384, "bilinear", False),
    (96, "bilinear", False),
    (96, "bicubic", True),
    (384, "bicubic", True),
    (96, "photo", True),
    (384, "photo", True),
)
WORKERS = (0, 1, 2)
VGG19_SIDE = 224
LIMIT, ARTICLE, ARTICLE_VGG19, FILES = "limit", "article", "article, 224 for VGG19 too", "a file a crop"
STEP_SECONDS = 0.05  # of the simulated accelerator in the second part
# DIV2K's training pictures: 2040 pixels wide, the most frequent height.
DIV2K_PICTURES, DIV2K_WIDTH, DIV2K_HEIGHT = 800, 2040, 1356
DIFFERENT = 8  # different files; the pictures are links to them
MEMORY_EPOCHS = 2


def ours(workers: int) -> str:
    return f"this project, workers: {workers}"


def limit(crops: Crops, batch_size: int):
    """Copy an epoch's bytes: every picture's crops from random places to one array."""
    size, pictures = crops.hr_size, crops.pictures
    target = np.empty((batch_size, size, size, 3), np.uint8)
    heights_and_widths = [picture.shape[:2] for picture in pictures]
    order = list(range(len(pictures))) * crops.crops_per_image
    random.shuffle(order)
    places = [(i, *(random.randint(0, side - size) for side in heights_and_widths[i])) for i in order]
    start = time.perf_counter()
    for slot, (i, top, left) in enumerate(places[: crops.steps(batch_size) * batch_size]):
        np.copyto(target[slot % batch_size], pictures[i][top : top + size, left : left + size])
    return time.perf_counter() - start


def timed(batches) -> float:
    """The seconds that iterating takes."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def random_crops(pictures: list, size: int) -> list:
    crops = []
    for picture in pictures:
        top, left = (random.randint(0, side - size) for side in picture.shape[:2])
        crops.append(picture[top : top + size, left : left + size])
    return crops


def resized(pictures: list, side: int) -> list:
    return [cv2.resize(picture, (side, side)) for picture in pictures]


def standardized(pictures: list) -> list:
    return [picture / 127.5 - 1 for picture in pictures]


def article(pictures: list, size: int, steps: int, batch_size: int, with_vgg19: bool):
    """An epoch's batches, float32 [n,h,w,3] in [-1,1], as the article's trainer makes them of pictures in memory."""
    random.shuffle(pictures)
    hr = random_crops(pictures, size)
    sets = [standardized(hr), standardized(resized(hr, size // SCALE))]
    if with_vgg19:
        sets.append(standardized(resized(hr, VGG19_SIDE)))
    for step in range(steps):
        batch = slice(step * batch_size, (step + 1) * batch_size)
        yield [np.array(pictures_of_it[batch], dtype="float32") for pictures_of_it in sets]


def a_file_a_crop(paths: list, size: int, degradation: str, steps: int, batch_size: int):
    """An epoch's batches, float32 [n,3,h,w] in [-1,1]; a file is decoded for each crop."""
    drawn = iter(random.sample(paths, len(paths)))
    for _ in range(steps):
        hr = [_crop_of_file(next(drawn), size) for _ in range(batch_size)]
        lr = [_degraded(crop, degradation) for crop in hr]
        yield [np.stack([_to_network(crop) for crop in pictures]) for pictures in (lr, hr)]


def _degraded(crop: np.ndarray, degradation: str) -> np.ndarray:
    if degradation == "photo":
        return photo(crop, Photo().draw([random.random() for _ in range(DRAWS)]), SCALE)
    return DEGRADATIONS[degradation](crop, SCALE)


def _crop_of_file(path: Path, size: int) -> np.ndarray:
    bgr = cv2.imread(str(path))
    (crop,) = random_crops([bgr], size)
    return cv2.cvtColor(crop, cv2.COLOR_BGR2RGB)


def _to_network(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb.transpose(2, 0, 1), dtype=np.float32) / 127.5 - 1


def calls_of(crops: Crops, degradation: str, paths: list, in_memory: list, batch_size: int) -> dict:
    """{way: function that makes an epoch's batches and returns the seconds that it took}."""
    size, steps = crops.hr_size, crops.steps(batch_size)
    epochs = itertools.count()
    calls = {LIMIT: partial(limit, crops, batch_size)}
    for workers in WORKERS:
        calls[ours(workers)] = lambda workers=workers: timed(crops.batches(next(epochs), batch_size, workers))
    if degradation == "bilinear":  # the article supports no other settings
        for way, with_vgg19 in ((ARTICLE, False), (ARTICLE_VGG19, True)):
            calls[way] = lambda with_vgg19=with_vgg19: timed(
                article(in_memory * crops.crops_per_image, size, steps, batch_size, with_vgg19)
            )
    files = paths * crops.crops_per_image
    calls[FILES] = lambda: timed(a_file_a_crop(files, size, degradation, steps, batch_size))
    return calls


def throughput(seconds: dict, count: int) -> str:
    """The table of {way: seconds of each repeat}, for `count` crops a repeat."""
    medians = {way: median(taken) for way, taken in seconds.items()}
    rows = []
    for way, taken in medians.items():
        ratios = (_ratio(medians, FILES, taken), _ratio(medians, ARTICLE, taken), f"{taken / medians[LIMIT]:.2f}")
        figures = (f"{taken / count * 1e3:.4f}", f"{min(seconds[way]) / count * 1e3:.4f}", f"{count / taken:,.0f}")
        rows.append((way, *figures, *ratios))
    return table(f"way|ms a crop|least|crops/s|× the speed of {FILES}|× of {ARTICLE}|× the limit's time", rows)


def _ratio(medians: dict, way: str, taken: float) -> str:
    return f"{medians[way] / taken:.1f}" if way in medians else "–"


def waited(crops: Crops, epoch: int, batch_size: int, workers: int) -> float:
    """Seconds that a loop waits for an epoch's batches, except the first, if each step takes STEP_SECONDS."""
    batches = crops.batches(epoch, batch_size, workers)
    next(batches)
    total = 0.0
    for _ in range(crops.steps(batch_size) - 1):
        time.sleep(STEP_SECONDS)
        start = time.perf_counter()
        next(batches)
        total += time.perf_counter() - start
    batches.close()
    return total


def waiting(settings: list, batch_size: int, repeats: int, bar) -> str:
    """The second table. settings: (name, Crops)."""
    epochs = itertools.count()
    calls = {
        (name, workers): lambda crops=crops, workers=workers: waited(crops, next(epochs), batch_size, workers)
        for name, crops in settings
        for workers in WORKERS
    }
    seconds = rounds(calls, repeats, bar)
    rows = []
    for name, crops in settings:
        count = crops.steps(batch_size) - 1
        each = [f"{median(seconds[name, workers]) / count * 1e3:.2f}" if count else "–" for workers in WORKERS]
        rows.append((name, *each))
    return table("crops|" + "|".join(f"ms a batch, workers: {workers}" for workers in WORKERS), rows)


def name_of(setting: tuple) -> str:
    size, degradation, augment = setting
    return f"{size}, {degradation}{', flips and turns' if augment else ''}"


def large_pictures(paths: list, folder: Path) -> None:
    """Write DIV2K_PICTURES pictures of DIV2K's size to `folder`: links to a few files, each a photograph repeated."""
    sources = folder / "sources"
    sources.mkdir()
    chosen = [paths[i % len(paths)] for i in range(DIFFERENT)]
    for i, path in enumerate(chosen):
        rgb = read_rgb(path)
        rows, columns = np.arange(DIV2K_HEIGHT) % rgb.shape[0], np.arange(DIV2K_WIDTH) % rgb.shape[1]
        write_rgb(sources / f"{i}.png", rgb[rows[:, None], columns])
    for i in range(DIV2K_PICTURES):
        (folder / f"{i:04d}.png").symlink_to(sources / f"{i % DIFFERENT}.png")


# Runs in a separate process, since a process cannot reset its peak memory.
MEMORY = """
import sys
sys.path.insert(0, sys.argv[1])
from data.crops import Crops
from data.store import open_store

def megabytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1024

folder, batch_size, epochs = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
before = megabytes("VmRSS")
store = open_store(folder, 384)
print(f"{before:.0f} {megabytes('VmHWM') - before:.0f} {store.nbytes}", end=" ", flush=True)
crops = Crops(store, 384, "bilinear", 1, False, 0)
for epoch in range(epochs):
    for lr, hr in crops.batches(epoch, batch_size):
        pass
print(f"{megabytes('VmHWM') - before:.0f}")
"""


def memory(paths: list, folder: Path, batch_size: int) -> str:
    """The third table."""
    large_pictures(paths, folder)
    rows = []
    for what in ("decoded now", "decoded before"):
        call = [sys.executable, "-c", MEMORY, ROOT, folder, batch_size, MEMORY_EPOCHS]
        ended = subprocess.run(list(map(str, call)), stdout=subprocess.PIPE, encoding="utf-8", check=False)
        if ended.returncode:
            raise InputError(f"measuring the memory ended with status {ended.returncode}; the reason is above")
        before, opened, size, all_of_it = ended.stdout.split()
        rows.append((what, f"{int(size) / 1e6:.0f}", before, opened, all_of_it))
    return table("pictures|MB decoded|MB before|MB more, opening the store|MB more, with epochs of 384 crops", rows)


def header(arguments, pictures) -> str:
    """The machine, the versions and the settings."""
    found = f"Python {platform.python_version()}, NumPy {np.__version__}, OpenCV {cv2.__version__}"
    return (
        f"`python {shlex.join(sys.argv)}`, {datetime.date.today()}: {cpu_name()}, "
        f"{len(os.sched_getaffinity(0))} cores; "
        f"{found}.\n{len(pictures)} pictures, {arguments.crops_per_image} crops of each an epoch, in batches of "
        f"{arguments.batch_size}; milliseconds are the median of {arguments.repeats}, beside the least."
    )


def main(arguments) -> None:
    paths = list_pictures(arguments.data)
    largest = max(size for size, *_ in SETTINGS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = open_store(arguments.data, largest, folder / "decoded")
        in_memory = [np.array(picture) for picture in store]
        settings = [
            (setting, Crops(store, setting[0], setting[1], arguments.crops_per_image, setting[2], seed=0))
            for setting in SETTINGS
        ]
        calls = [calls_of(crops, setting[1], paths, in_memory, arguments.batch_size) for setting, crops in settings]
        total = (1 + arguments.repeats) * (sum(map(len, calls)) + len(settings) * len(WORKERS))
        bar = stack.enter_context(tqdm(total=total, unit="epoch"))
        say = partial(tqdm.write, file=sys.stdout)
        say(header(arguments, store))
        for (setting, crops), its_calls in zip(settings, calls):
            seconds = rounds(its_calls, arguments.repeats, bar)
            count = crops.steps(arguments.batch_size) * arguments.batch_size
            say(f"\n### {name_of(setting)}\n\n{throughput(seconds, count)}")
        text = waiting(
            [(name_of(setting), crops) for setting, crops in settings], arguments.batch_size, arguments.repeats, bar
        )
        say(f"\n### What a loop waits for a batch while a step takes {STEP_SECONDS * 1e3:.0f} ms elsewhere\n\n{text}")
        if arguments.memory:
            text = memory(paths, Path(stack.enter_context(tempfile.TemporaryDirectory())), arguments.batch_size)
            say(f"\n### Memory, {DIV2K_PICTURES} pictures of {DIV2K_WIDTH}×{DIV2K_HEIGHT}\n\n{text}")


if __name__ == "__main__":
    parser = command.parser(__doc__)
    parser.add_argument("--data", metavar="DIR", required=True, help="folder of pictures of at least 384 pixels a side")
    parser.add_argument(
        "--batch-size", metavar="N", type=command.positive, default=32, help="crops per batch (default: 32)"
    )
    parser.add_argument(
        "--crops-per-image", metavar="N", type=command.positive, default=8, help="crops per picture (default: 8)"
    )
    parser.add_argument(
        "--repeats", metavar="N", type=command.positive, default=5, help="timed epochs of each way (default: 5)"
    )
    parser.add_argument("--memory", action="store_true", help="measure the memory too: writes 6.6 GB, takes minutes")
    command.run(parser.parse_args(), main)
