"""The notebook's displays: running commands, pictures side by side, before and after."""

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from IPython.display import Image
from matplotlib.figure import Figure
from PIL import Image as Pictures

from common.errors import InputError
from common.scale import SCALE
from data.imresize import enlarge
from data.pictures.images import read_rgb
from infer.measuring.measure import detail as most_detailed

ROOT = Path(__file__).resolve().parents[1]
DPI = 100
DETAIL = 120  # the side, at most, of the part shown before and after, in the photograph's pixels
QUALITY = 88  # of the JPEGs in the notebook's file


def run(script: str, *arguments) -> None:
    """Run one of the project's commands, as `python script arguments` does, and show its output live.

    The kernel's stop button acts as Ctrl-C for the command. Raises InputError if the exit status is not 0, so that the
    following cells do not run.
    """
    words = [script, *map(str, arguments)]
    print("$ python", *words, flush=True)
    # One line a second is enough for tqdm's bars: a notebook keeps all output.
    settings = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", "TQDM_MININTERVAL": "1"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    is_stopped, ended = False, None
    # A separate session: otherwise a signal to the kernel would reach the command twice, and the second one ends it.
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, env=settings, start_new_session=True, **pipes) as process:
        # Lines as they are: the notebook obeys tqdm's carriage returns.
        output = io.TextIOWrapper(process.stdout, encoding="utf-8", errors="replace", newline="")
        while ended is None:
            try:
                for line in output:
                    print(line, end="", flush=True)
                ended = process.wait()
            except KeyboardInterrupt:
                is_stopped = True
                process.send_signal(signal.SIGINT)  # training finishes its step, saves and exits
    if is_stopped:
        raise KeyboardInterrupt
    if ended:
        raise InputError(f"{script} ended with exit status {ended}; its last lines above say why")


def as_image(figure: Figure) -> Image:
    """A Matplotlib figure for the notebook, as JPEG, which keeps photographs small."""
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=DPI, pil_kwargs={"quality": QUALITY})
    return Image(data=file.getvalue(), format="jpeg")


def picture(path, width: int = 1000) -> Image:
    """A picture file for the notebook, at most `width` pixels wide."""
    image = Pictures.fromarray(read_rgb(path))
    image.thumbnail((width, image.height))  # smaller, never larger
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return Image(data=file.getvalue(), format="jpeg")


def panels(rows: dict, titles: list, inches: float = 2.4) -> Figure:
    """Pictures in rows and columns. rows: {name: a list of RGB uint8 [h,w,3]}. titles: of the columns."""
    height, width = next(iter(rows.values()))[0].shape[:2]
    size = (inches * len(titles), inches * len(rows) * height / width + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    for line, (name, pictures) in zip(axes, rows.items()):
        for axis, rgb in zip(line, pictures):
            axis.imshow(rgb, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    for axis, title in zip(axes[0], titles):
        axis.set_title(title, fontsize="small")
    return figure


def samples(output, prefix: str, hr_size: int, most: int = 6) -> Figure:
    """The sample pictures of a training run, one column per epoch: LR, SR and HR.

    prefix: `epoch_init` (stage 1) or `epoch` (stage 2). most: the largest number of columns; with more epochs, some are
    left out. Raises InputError if there are no samples.
    """
    pattern = re.compile(re.escape(prefix) + r"_(\d+)_G\.jpg")
    matches = [pattern.fullmatch(path.name) for path in Path(output).iterdir()]
    epochs = sorted(int(match.group(1)) for match in matches if match)
    if not epochs:
        raise InputError(f"{output} has no samples {prefix}_*_G.jpg: run the training above first")
    chosen = [epochs[i] for i in sorted({round(i) for i in np.linspace(0, len(epochs) - 1, most)})]
    rows = {"low resolution": hr_size // 4, "generated": "G", "high resolution": hr_size}
    paths = {name: [Path(output, f"{prefix}_{epoch}_{end}.jpg") for epoch in chosen] for name, end in rows.items()}
    shown = {name: [read_rgb(path) for path in files] for name, files in paths.items()}
    return panels(shown, [f"epoch {epoch}" for epoch in chosen], inches=1.8)


def detail(photo: np.ndarray, sr: np.ndarray) -> tuple:
    """(bicubic, SR) of the most detailed square of a photograph, RGB uint8 [s,s,3] each.

    photo: uint8 [h,w,3]. sr: uint8 [4h,4w,3]. The square has at most DETAIL pixels of the photograph a side.
    """
    height, width = photo.shape[:2]
    parts = -(-min(height, width) // DETAIL)
    top, left, side = most_detailed(photo[: height - height % SCALE, : width - width % SCALE], parts)
    part = np.ascontiguousarray(photo[top : top + side, left : left + side])
    return enlarge(part), sr[SCALE * top : SCALE * (top + side), SCALE * left : SCALE * (left + side)]
