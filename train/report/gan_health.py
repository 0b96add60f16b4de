"""The balance of generator and discriminator, judged from a run's figures."""

# D has won if its mean probabilities for HR and SR are beyond these limits for EPOCHS epochs in a row.
D_HR, D_SR = 0.99, 0.01
EPOCHS = 3

DROP = 3.0  # dB below the start's PSNR
LPIPS_TIMES = 1.1  # the start's LPIPS
# Warn of a grid three times as strong as the start's and as a photograph's: a weaker one is not visible.
GRID_TIMES, GRID_LEAST = 3.0, 0.3


def warnings(history: list, start: dict) -> list:
    """The warnings first triggered by the last epoch: each appears once in a run, resumed or not.

    history: a dict {figure: number} for each epoch from the first, named as in `train.report.log_csv`. Besides `epoch`,
    `d_hr` and `d_sr` (the means of D's probabilities, 0..1), `valid_psnr` or else `sample_psnr` (in dB), `valid_lpips`
    and `valid_grid` (in grey levels) are read; a missing figure triggers no warning. start: the last four for the
    generator that the run started from.
    """
    texts = []
    last = len(history) - 1
    won = [end for end in range(EPOCHS - 1, last + 1) if all(map(_is_sure, history[end - EPOCHS + 1 : end + 1]))]
    if won[:1] == [last]:
        d_hr, d_sr = (sum(row[name] for row in history[-EPOCHS:]) / EPOCHS for name in ("d_hr", "d_sr"))
        texts.append(
            f"D has won: its mean probability was {d_hr:.4f} for HR and {d_sr:.4f} for SR in the {EPOCHS} epochs up to "
            f"{history[-1]['epoch']}, so G learns little from it. Starting from stage 1's result, try "
            "--label-smoothing 0.1, fewer steps of --d-warmup or a smaller --learning-rate"
        )
    fallen = [number for number, row in enumerate(history) if _is_low(*_psnr(row, start))]
    if fallen[:1] == [last]:
        psnr, before = _psnr(history[-1], start)
        texts.append(
            f"PSNR has fallen to {psnr:.2f} dB in epoch {history[-1]['epoch']}, from {before:.2f} dB of the "
            "start: the result follows D more than its picture. Starting from stage 1's result, try a smaller "
            "--adv-weight, a larger --mse-weight or a smaller --learning-rate"
        )
    worse = [
        number for number, row in enumerate(history) if _is_unlike(row.get("valid_lpips"), start.get("valid_lpips"))
    ]
    if worse[:1] == [last]:
        texts.append(
            f"LPIPS has risen to {history[-1]['valid_lpips']:.4f} in epoch {history[-1]['epoch']}, from "
            f"{start['valid_lpips']:.4f} of the start: to people the result looks worse than what the run began with. "
            "Try the VGG loss (no --no-vgg), --recipe short or a smaller --learning-rate"
        )
    gridded = [
        number for number, row in enumerate(history) if _has_grid(row.get("valid_grid"), start.get("valid_grid"))
    ]
    if gridded[:1] == [last]:
        texts.append(
            f"a grid of 4 pixels has grown to {history[-1]['valid_grid']:.2f} grey levels in epoch "
            f"{history[-1]['epoch']}, from {start['valid_grid']:.2f} of the start: people see it on flat "
            "areas, LPIPS does not. Starting from stage 1's result, try "
            "a deeper --vgg-layer, a smaller --vgg-weight or a larger --mse-weight"
        )
    return texts


def _is_sure(row: dict) -> bool:
    d_hr, d_sr = row.get("d_hr"), row.get("d_sr")
    return d_hr is not None and d_sr is not None and d_hr > D_HR and d_sr < D_SR


def _psnr(row: dict, start: dict) -> tuple:
    """(PSNR of the row, the same measure of the start), or (None, None)."""
    for name in ("valid_psnr", "sample_psnr"):
        if row.get(name) is not None and start.get(name) is not None:
            return row[name], start[name]
    return None, None


def _has_grid(grid, before) -> bool:
    return None not in (grid, before) and grid > max(GRID_TIMES * before, GRID_LEAST)


def _is_unlike(lpips, before) -> bool:
    return None not in (lpips, before) and lpips > LPIPS_TIMES * before


def _is_low(psnr, before) -> bool:
    return psnr is not None and psnr <= before - DROP
