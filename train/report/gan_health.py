"""The balance of generator and discriminator, judged from a run's figures."""

# D has won if its mean probabilities for HR and SR are beyond these limits for EPOCHS epochs in a row.
D_HR, D_SR = 0.99, 0.01
EPOCHS = 3
D_WON = (
    "D has won: its mean probability was {d_hr:.4f} for HR and {d_sr:.4f} for SR in epoch {epoch}, and similar in "
    "the two before, so G learns little from it. Starting from stage 1's result, try --label-smoothing 0.1, fewer "
    "steps of --d-warmup or a smaller --learning-rate"
)
PSNR_FALLEN = (
    "PSNR has fallen to {now:.2f} dB in epoch {epoch}, from {before:.2f} dB of the start: the result follows D more "
    "than its picture. Starting from stage 1's result, try a smaller --adv-weight, a larger --mse-weight or a smaller "
    "--learning-rate"
)
LPIPS_RISEN = (
    "LPIPS has risen to {now:.4f} in epoch {epoch}, from {before:.4f} of the start: to people the result looks worse "
    "than what the run began with. Try the VGG loss (no --no-vgg), --recipe short or a smaller --learning-rate"
)
GRID_GROWN = (
    "a grid of 4 pixels has grown to {now:.2f} grey levels in epoch {epoch}, from {before:.2f} of the start: people "
    "see it on flat areas, LPIPS does not. Starting from stage 1's result, try a deeper --vgg-layer, a smaller "
    "--vgg-weight or a larger --mse-weight"
)
# {figure: (whether it is much worse than the start's, the warning)}
WORSE = {
    "valid_psnr": (lambda now, before: now <= before - 3, PSNR_FALLEN),
    "sample_psnr": (lambda now, before: now <= before - 3, PSNR_FALLEN),
    "valid_lpips": (lambda now, before: now > 1.1 * before, LPIPS_RISEN),
    # Three times the start's, and what a photograph has: a weaker grid is not visible.
    "valid_grid": (lambda now, before: now > max(3 * before, 0.3), GRID_GROWN),
}


def warnings(history: list, start: dict) -> list:
    """The warnings first triggered by the last epoch: each appears once in a run, resumed or not.

    history: a dict {figure: number} for each epoch from the first, named as in `train.report.log_csv`. Besides `epoch`,
    `d_hr`, `d_sr` and those of WORSE are read; a missing figure triggers no warning. start: the figures of WORSE for
    the generator that the run started from. PSNR is that of the samples only if nothing was validated.
    """
    texts = []
    is_sure = [_value(row, "d_hr", 0) > D_HR and _value(row, "d_sr", 1) < D_SR for row in history]
    if _is_first([all(is_sure[end - EPOCHS : end]) for end in range(EPOCHS, len(history) + 1)]):
        texts.append(D_WON.format(**history[-1]))
    for name, (is_worse, text) in WORSE.items():
        before = start.get(name)
        if before is None or (name == "sample_psnr" and start.get("valid_psnr") is not None):
            continue
        if _is_first([row.get(name) is not None and is_worse(row[name], before) for row in history]):
            texts.append(text.format(now=history[-1][name], before=before, epoch=history[-1]["epoch"]))
    return texts


def _value(row: dict, name: str, otherwise: float) -> float:
    return otherwise if row.get(name) is None else row[name]


def _is_first(holds: list) -> bool:
    """Whether the last of these is true, and none before it."""
    return bool(holds) and holds[-1] and not any(holds[:-1])
