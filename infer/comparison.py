"""The picture people put in a report: the same detail of LR, bicubic, each result and HR, enlarged."""

import warnings

import cv2
import numpy as np

from common.scale import SCALE
from data.degrade import bicubic
from data.imresize import enlarge
from data.metrics import luma

IN_FIGURE = 3  # pictures, where --pictures does not choose them
DETAIL = 6  # by itself the figure's detail has a sixth of the picture's shorter side
FRAME = "#ff2a2a"  # around the detail in the whole picture


def detail(hr: np.ndarray, parts: int = DETAIL) -> tuple:
    """(top, left, side) of the square of `hr` with the most detail: where its Y loses most by being shrunk.

    hr: uint8 [h,w,3], sides that are multiples of 4. side: the picture's shorter one divided by `parts`.
    """
    side = min(hr.shape[:2]) // parts
    lost = cv2.absdiff(luma(hr), luma(enlarge(bicubic(hr, SCALE)))).astype(np.float64)
    mean = cv2.blur(lost, (side, side))
    before = side // 2  # pixels of a window in front of the one that `blur` writes its mean to
    height, width = (length - side + 1 for length in hr.shape[:2])
    inside = mean[before : before + height, before : before + width]
    top, left = np.unravel_index(np.argmax(inside), inside.shape)
    return int(top), int(left), side


def draw(shown: list, parts: int = DETAIL):
    """A Matplotlib figure, a row a picture: HR as a whole, then one detail of LR, of each method's result and of HR.

    shown: what `measure` yields. parts: as `detail` takes it. Below each result stand its PSNR and SSIM on Y, those of
    the whole picture.
    """
    # Here and not above: it takes a second to load, and most calls draw nothing.
    from common.plots import plt

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
    # `write_plot` does this too; once leaves the texts too little room, as it counts on the space above square panels.
    figure.tight_layout()
    return figure


def _in_lr(part: slice) -> slice:
    """The LR pixels that hold `part` of a side of HR."""
    return slice(part.start // SCALE, -(-part.stop // SCALE))


def _panel(axis, rgb: np.ndarray, text: str) -> None:
    axis.imshow(rgb, interpolation="nearest")
    axis.set(xticks=[], yticks=[], anchor="S")
    axis.set_xlabel(text, fontsize="small", parse_math=False)
    for spine in axis.spines.values():
        spine.set_linewidth(0.5)


def write_figure(path, shown: list, parts: int = DETAIL) -> None:
    """Write the figure of `draw` as PNG, atomically."""
    from common.plots import write_plot  # here: it loads Matplotlib

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+")  # of a name in a script that the font lacks: drawn as boxes
        write_plot(draw(shown, parts), path)
