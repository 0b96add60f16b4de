"""Plots perception against distortion: LPIPS and PSNR as one generator's weights are blended into another's."""


def draw(blends: dict, others: dict, second: str):
    """A Matplotlib figure: LPIPS over PSNR on Y, with a curve through the blends and a point for each other method.

    blends: {share of the second generator, 0..1: figures}, in order; others: {label: figures}; those without both
    measures are left out. figures: {"psnr_y": dB, "lpips": distance, …}. second: the second generator's name. The best
    corner is the lower right one, which no method reaches (Blau and Michaeli, "The perception-distortion tradeoff",
    2018).
    """
    # Imported here: it takes a second to load, and most calls draw nothing.
    from common.plots import plt

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


def write_tradeoff(path, blends: dict, others: dict, second: str) -> None:
    """Write the figure of `draw` as PNG, atomically."""
    from common.plots import write_plot  # imported here, as it loads Matplotlib

    write_plot(draw(blends, others, second), path)
