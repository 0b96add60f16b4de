"""The plots that `infer/evaluate.py` draws: a comparison of details, and perception against distortion."""

import warnings

import numpy as np

from common.plots import plt, write_plot
from common.scale import SCALE
from infer.measuring.measure import DETAIL, detail

IN_FIGURE = 3  # pictures, where --pictures does not choose them
FRAME = "#ff2a2a"  # colour of the frame around the detail in the whole picture


def draw_comparison(shown: list, parts: int = DETAIL):
    """A Matplotlib figure, one row per picture: the whole HR, then one detail of LR, of each method's result and of HR.

    shown: the values that `measure` yields. parts: as in `detail`. The PSNR and SSIM on Y below each result are those
    of the whole picture.
    """
    panels = 2 + len(shown[0][3])
    widths = [1.4] + [1] * panels
    figure, axes = plt.subplots(
        len(shown),
        1 + panels,
        squeeze=False,
        figsize=(2 * sum(widths), 2.5 * len(shown)),
        gridspec_kw={"width_ratios": widths},
    )
    for row, (measured, lr, hr, srs) in zip(axes, shown):
        top, left, side = detail(hr, parts)
        rows, columns = slice(top, top + side), slice(left, left + side)
        _panel(row[0], hr, measured["name"])
        row[0].add_patch(plt.Rectangle((left - 0.5, top - 0.5), side, side, fill=False, edgecolor=FRAME, linewidth=1.5))
        _panel(row[1], lr[_in_lr(rows), _in_lr(columns)], "LR\nPSNR / SSIM on Y")
        _panel(row[-1], hr[rows, columns], "HR")
        for axis, (label, sr) in zip(row[2:], srs.items()):
            text = "{psnr_y:.2f} dB / {ssim_y:.4f}".format(**measured["methods"][label])
            _panel(axis, sr[rows, columns], label.replace("/", "/\n") + f"\n{text}")
    # `write_plot` does this too; one pass leaves the texts too little room, as it uses the space above square panels.
    figure.tight_layout()
    return figure


def _in_lr(part: slice) -> slice:
    """The LR pixels that cover `part` of a side of HR."""
    return slice(part.start // SCALE, -(-part.stop // SCALE))


def _panel(axis, rgb: np.ndarray, text: str) -> None:
    axis.imshow(rgb, interpolation="nearest")
    axis.set(xticks=[], yticks=[], anchor="S")
    axis.set_xlabel(text, fontsize="small", parse_math=False)
    for spine in axis.spines.values():
        spine.set_linewidth(0.5)


def write_comparison(path, shown: list, parts: int = DETAIL) -> None:
    """Write the figure of `draw_comparison` as PNG, atomically."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")  # for names in a script that the font lacks
        write_plot(draw_comparison(shown, parts), path)


def draw_tradeoff(blends: dict, others: dict, second: str):
    """Perception against distortion, a Matplotlib figure: LPIPS over PSNR on Y.

    A curve is through the blends, a point for each other method. blends: {share of the second generator, 0..1:
    figures}, in order; others: {label: figures}; those without both measures are left out. figures: {"psnr_y": dB,
    "lpips": distance, …}. second: the second generator's name. The best corner is the lower right one, which no method
    reaches (Blau and Michaeli, "The perception-distortion tradeoff", 2018).
    """
    figure, axis = plt.subplots(figsize=(7, 5))
    points = [(figures["psnr_y"], figures["lpips"]) for figures in blends.values()]
    axis.plot(*zip(*points), marker="o", label=f"share of {second}")
    for share, point in zip(blends, points):
        axis.annotate(f"{share:.1f}", point, xytext=(5, 5), textcoords="offset points", fontsize="small")
    for label, figures in others.items():
        if "psnr_y" in figures and "lpips" in figures:
            axis.plot(figures["psnr_y"], figures["lpips"], marker="s", linestyle="none", label=label)
    axis.set_xlabel("PSNR on Y in dB (higher: nearer to the original)")
    axis.set_ylabel("LPIPS (lower: looks more like it)")
    axis.grid(alpha=0.3)
    for text in axis.legend(fontsize="small").get_texts():
        text.set_parse_math(False)
    return figure
