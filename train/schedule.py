"""The learning rate over the steps of a run."""

import math

SCHEDULES = ("constant", "step", "cosine")

LONGEST_WARM_UP = 2000  # steps


def learning_rate(schedule: str, base: float, step: int, steps: int) -> float:
    """The learning rate of update number `step`, counted from 0 to `steps` - 1.

    schedule: one of SCHEDULES. base: the initial rate, or the rate after the warm-up.
    constant: `base` throughout.
    step: `base`, then a tenth of it for the second half, as in the paper's stage 2 (arXiv 1609.04802, section 3.2).
    cosine: linear from base / warm-up to `base` over the first 1 % of the steps, at least 1 and at most 2,000 (2 / (1 -
    beta2) of Adam: Ma and Yarats, arXiv 1910.04209, section 5.3); from there half a cosine, which would reach 0 one
    step after the last (Loshchilov and Hutter, SGDR, arXiv 1608.03983, equation 5, without restarts).
    """
    if schedule == "constant":
        return base
    if schedule == "step":
        return base if 2 * step < steps else base / 10
    if schedule != "cosine":
        raise ValueError(f"schedule {schedule!r}; it must be one of {', '.join(SCHEDULES)}")
    warm_up = min(max(1, steps // 100), LONGEST_WARM_UP)
    if step < warm_up:
        return base * (step + 1) / warm_up
    return base * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2
