"""Matplotlib figures as files."""

from __future__ import annotations

import matplotlib

from common.files import AnyPath, replacing

matplotlib.use("Agg")  # needs no display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure


def write_plot(figure: Figure, path: AnyPath) -> None:
    """Write a Matplotlib figure as PNG, atomically, and close it."""
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    plt.close(figure)
