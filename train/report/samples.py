"""A run's pictures (samples, the article's three-picture figure, the loss curves) and the samples' PSNR."""

import itertools
from pathlib import Path

import numpy as np
import paddle
from matplotlib.ticker import MaxNLocator
from skimage.metrics import peak_signal_noise_ratio

from common.plots import plt, write_plot
from data.pictures.images import write_rgb
from data.standardize import destandardize, standardize

NO_CURVES = ("epoch", "seconds", "learning_rate")

AT_ONCE = 4  # pictures upscaled together: limits the memory, changes no result


def sample_sr(generator, lr: np.ndarray) -> np.ndarray:
    """SR of LR pictures, uint8 [N,h,w,3] to uint8 [N,4h,4w,3], 0..255. `generator` is in eval mode."""
    parts = []
    with paddle.no_grad():
        for start in range(0, len(lr), AT_ONCE):
            parts.append(destandardize(generator(standardize(lr[start : start + AT_ONCE]))))
    return np.concatenate(parts)


def mean_psnr(sr: np.ndarray, hr: np.ndarray) -> float:
    """The mean RGB PSNR in dB of the pictures, uint8 [N,h,w,3] each."""
    return float(np.mean([peak_signal_noise_ratio(h, s) for s, h in zip(sr, hr)]))


def write_samples(folder, prefix: str, lr: np.ndarray, hr: np.ndarray, sr: np.ndarray) -> None:
    """Write the article's three files: `{prefix}_G.jpg`, `_96.jpg` and `_384.jpg` (LR and HR named by their sides)."""
    for name, rgb in (("G", sr), (str(len(lr)), lr), (str(len(hr)), hr)):
        write_rgb(Path(folder) / f"{prefix}_{name}.jpg", rgb)


def write_figure(path, lr: np.ndarray, hr: np.ndarray, sr: np.ndarray) -> None:
    """Write the article's figure: LR, HR and SR side by side, drawn at the same size."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
    for axis, title, rgb in zip(axes, ("Low resolution", "High resolution", "Generate"), (lr, hr, sr)):
        axis.imshow(rgb, interpolation="nearest")
        axis.set_title(title, fontsize="small", fontweight="bold")
        axis.axis("off")
    write_plot(figure, path)


def write_curves(path, history: list) -> None:
    """Plot each measure over the epochs in its own panel. history: a dict {name: mean of the epoch} for each epoch.

    A measure that only some epochs have gets a point for each of these.
    """
    names = [name for name in dict.fromkeys(itertools.chain(*history)) if name not in NO_CURVES]
    columns = min(len(names), 5)
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.6 * columns, 3 * rows), squeeze=False)
    for axis in axes.flat[len(names) :]:
        axis.axis("off")
    for axis, name in zip(axes.flat, names):
        points = [(row["epoch"], row[name]) for row in history if name in row]
        axis.plot(*zip(*points), marker="." if len(points) < 50 else None)
        axis.set_title(name)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    write_plot(figure, path)
