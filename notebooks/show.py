"""The notebook's displays: running commands, pictures side by side, the networks' layers, before and after."""

import base64
import codecs
import csv
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from IPython.display import HTML, Image
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image as Pictures

from common.errors import InputError
from common.scale import SCALE
from data.imresize import enlarge
from data.pictures.images import read_rgb
from infer.measuring.figures import detail as most_detailed

ROOT = Path(__file__).resolve().parents[1]
DPI = 100
DETAIL_SIZE = (90, 120)  # height and width of the part shown before and after, in the photograph's pixels
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
    # A separate session: otherwise a signal to the kernel would reach the command twice, and the second one ends it.
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, env=settings, start_new_session=True, **pipes) as process:
        stopped = _show_output(process)
    if stopped:
        raise KeyboardInterrupt
    if process.returncode:
        raise InputError(f"{script} ended with exit status {process.returncode}; its last lines above say why")


def _show_output(process: subprocess.Popen) -> bool:
    """Show the process's output until it ends; return whether it was asked to stop."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    stopped = False
    while True:
        try:
            part = os.read(process.stdout.fileno(), 65536)
            if not part:
                return stopped
            sys.stdout.write(decoder.decode(part))  # keeps tqdm's carriage returns, which the notebook obeys
            sys.stdout.flush()
        except KeyboardInterrupt:
            stopped = True
            process.send_signal(signal.SIGINT)  # training finishes its step, saves and exits


def as_image(figure: Figure) -> Image:
    """A Matplotlib figure for the notebook, as JPEG, which keeps photographs small."""
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", dpi=DPI, pil_kwargs={"quality": QUALITY})
    return Image(data=file.getvalue(), format="jpeg")


def picture(path, width: int = 1000) -> Image:
    """A picture file for the notebook, at most `width` pixels wide."""
    image = Pictures.fromarray(read_rgb(path))
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Pictures.Resampling.LANCZOS)
    return Image(data=_jpeg(image), format="jpeg")


def _jpeg(image: Pictures.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


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


def curves(output) -> Figure:
    """The losses and the samples' PSNR over the epochs, from log.csv."""
    with open(Path(output, "log.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(10, 3), layout="constrained")
    axes = figure.subplots(1, 3)
    for axis, stage, names in zip(axes, ("pretrain_g", "srgan_g"), (("mse",), ("d_loss", "g_loss"))):
        for name in names:
            axis.plot(*_points(rows, stage, name), marker=".", label=name)
        axis.set(title=f"{stage}: losses", xlabel="epoch", yscale="log")
        axis.legend()
    for stage in ("pretrain_g", "srgan_g"):
        axes[2].plot(*_points(rows, stage, "sample_psnr"), marker="o", label=stage)
    axes[2].set(title="PSNR of the sample crops", xlabel="epoch", ylabel="dB")
    axes[2].legend()
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _points(rows: list, stage: str, name: str) -> tuple:
    """(epochs, values) of a column of log.csv, for the rows that have a value."""
    found = [(int(row["epoch"]), float(row[name])) for row in rows if row["stage"] == stage and row[name]]
    return tuple(zip(*found)) if found else ((), ())


# ------------------------------------------------------------------------------------------------ the networks drawn


def layers(network, picture) -> list:
    """A network's layers, observed while it runs: a dict for each convolution and fully connected layer.

    name; kind, `k3 n64 s1`: the kernel's side, the number of maps and the stride (as in the paper's figure), or `fc 1`;
    shape: of its result; skip_from: the number of the layer whose input is added to the next layer's input, or None;
    it is found by computing the sums. network: in eval mode. picture: a tensor [N,3,h,w].
    """
    import paddle
    from paddle import nn

    seen, results = [], {}

    def watch(name, layer):
        def hook(_, inputs, result):
            results["last"] = result  # with batch norm: the next layer's input
            if isinstance(layer, (nn.Conv2D, nn.Linear)):
                seen.append({"name": name, "layer": layer, "input": inputs[0], "shape": list(result.shape[1:])})
            seen[-1]["result"] = results["last"]

        return layer.register_forward_post_hook(hook)

    leaves = [(name, layer) for name, layer in network.named_sublayers() if not list(layer.children())]
    hooks = [watch(name, layer) for name, layer in leaves]
    with paddle.no_grad():
        network(picture)
    for hook in hooks:
        hook.remove()
    found = []
    for i, entry in enumerate(seen):
        after = seen[i + 1]["input"].flatten() if i + 1 < len(seen) else None
        earlier = [j for j in range(i + 1) if after is not None and _is_sum(after, seen[j]["input"], entry["result"])]
        kind = _kind(entry["layer"])
        found.append(
            {
                "name": entry["name"],
                "kind": kind,
                "shape": entry["shape"],
                "skip_from": earlier[-1] if earlier else None,
            }
        )
    return found


def _kind(layer) -> str:
    shape = layer.weight.shape
    if len(shape) == 2:
        return f"fc {shape[1]}"
    return f"k{shape[2]} n{shape[0]} s{layer._stride[0]}"


def _is_sum(total, first, second) -> bool:
    """Whether `total` is first + second, with or without a leaky ReLU of 0.2 on the second and on the sum."""
    from paddle.nn.functional import leaky_relu

    if first.shape != second.shape:
        return False
    # The first numbers suffice, as these operations treat each number separately.
    total, first, second = (tensor.flatten()[:256] for tensor in (total, first, second))
    sums = (first + second, leaky_relu(first + leaky_relu(second, 0.2), 0.2))
    return any(np.allclose(total.numpy(), known.numpy(), atol=1e-5) for known in sums)


def architecture(network, picture, title: str) -> Figure:
    """Draw a network's layers as found by `layers`; repeated blocks are drawn once, with their count."""
    groups = _folded(layers(network, picture))
    columns = [numbered for _, members in groups for numbered in members]
    figure = Figure(figsize=(max(7.5, 0.85 * len(columns)), 3.6), layout="constrained")
    axis = figure.subplots()
    places = {number: x for x, (number, _) in enumerate(columns)}
    for x, (_, layer) in enumerate(columns):
        height = 1.9 + 0.22 * np.log2(max(1, layer["shape"][0]))
        halves, is_fc = layer["kind"].endswith("s2"), layer["kind"].startswith("fc")
        colour = "#f2c079" if is_fc else "#b9a3d8" if halves else "#8fb6de"
        axis.add_patch(Rectangle((x - 0.32, -height / 2), 0.64, height, facecolor=colour, edgecolor="#444444"))
        axis.text(x, 0, layer["kind"], rotation=90, ha="center", va="center", fontsize=9)
        axis.text(x, -2.6, "×".join(map(str, layer["shape"][1:])), ha="center", fontsize=7)
        if layer["skip_from"] is not None:
            start = places[layer["skip_from"]]
            style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": "#b03030", "linewidth": 1.2}
            bend = f"arc3,rad={-0.3 - 0.25 / (x + 1 - start)}"
            ends = (start - 0.45, 1.75), (x + 0.45, 1.75)
            axis.add_patch(FancyArrowPatch(*ends, connectionstyle=bend, **style))
    end = 0
    for times, members in groups:
        start, end = end, end + len(members)
        if times > 1:
            axis.plot([start - 0.4, end - 0.6], [-2.8, -2.8], color="#444444", linewidth=1)
            axis.text((start + end - 1) / 2, -3.25, f"×{times}", ha="center", fontsize=9, fontweight="bold")
    axis.set(xlim=(-0.6, len(columns) - 0.4), ylim=(-3.5, 3.4), title=title)
    axis.set_xlabel(
        "k: side of the kernel   n: maps   s: stride   fc: fully connected   arrow: added   below: size of the maps"
    )
    axis.set(xticks=[], yticks=[], frame_on=False)
    return figure


def _folded(found: list) -> list:
    """[(count, [(number, layer)])]: the first of each sequence of equal blocks, and the sequence's length.

    A block consists of the layers with the same name up to its number (`blocks.3.conv1`); equal blocks have the same
    layers.
    """
    groups = []
    for numbered in enumerate(found):
        block = re.match(r"\w+\.\d+\.|", numbered[1]["name"]).group()
        if not (groups and block and groups[-1][0] == block):
            groups.append((block, []))
        groups[-1][1].append(numbered)
    result, looks = [], []
    for block, members in groups:
        looks.append((block.rstrip("0123456789."), [(layer["kind"], layer["shape"]) for _, layer in members]))
        if block and looks[-2:-1] == looks[-1:]:
            result[-1] = (result[-1][0] + 1, result[-1][1])
        else:
            result.append((1, members))
    return result


# ----------------------------------------------------------------------------------------------------- before, after


def detail(photo: np.ndarray, sr: np.ndarray) -> tuple:
    """(bicubic, SR) of the most detailed part of a photograph, RGB uint8 [h,w,3] each.

    photo: uint8 [h,w,3]. sr: uint8 [4h,4w,3]. The part is at most DETAIL_SIZE pixels of the photograph.
    """
    height, width = photo.shape[:2]
    top, left, side = most_detailed(photo[: height - height % SCALE, : width - width % SCALE])
    rows, columns = (min(length, most) for length, most in zip((height, width), DETAIL_SIZE))
    top = min(max(0, top + side // 2 - rows // 2), height - rows)
    left = min(max(0, left + side // 2 - columns // 2), width - columns)
    part = np.ascontiguousarray(photo[top : top + rows, left : left + columns])
    return enlarge(part), sr[SCALE * top : SCALE * (top + rows), SCALE * left : SCALE * (left + columns)]


def compare(before: np.ndarray, after: np.ndarray, names=("before", "after")) -> HTML:
    """Two pictures of the same size on top of each other, with a slider that moves the border. RGB uint8 [h,w,3].

    Plain HTML that contains both pictures: no widgets, no server.
    """
    height, width = before.shape[:2]
    sources = [base64.b64encode(_jpeg(Pictures.fromarray(rgb))).decode("ascii") for rgb in (before, after)]
    images = [
        f'<img alt="{name}" src="data:image/jpeg;base64,{source}" style="position:absolute;left:0;top:0;'
        f'width:{width}px;height:{height}px;max-width:none;margin:0;{cut}">'
        for name, source, cut in zip(names, sources, ("", "clip-path:inset(0 0 0 50%)"))
    ]
    move = "this.previousElementSibling.lastElementChild.style.clipPath='inset(0 0 0 '+this.value+'%)'"
    return HTML(
        f'<div style="width:{width}px">'
        f'<div style="position:relative;width:{width}px;height:{height}px">{"".join(images)}</div>'
        f'<input type="range" min="0" max="100" value="50" style="width:100%" oninput="{move}">'
        '<div style="display:flex;justify-content:space-between">'
        f"<span>{names[0]}</span><span>{names[1]}</span></div></div>"
    )
