"""Matplotlib figures as files."""

import matplotlib

from common.files import replacing

matplotlib.use("Agg")  # no screen is needed
from matplotlib import pyplot as plt


def write_plot(figure, path) -> None:
    """Write a Matplotlib figure as PNG, atomically, and close it."""
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    plt.close(figure)
