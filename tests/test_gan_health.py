"""When a GAN's warnings come: by histories written out by hand."""

from train.report.gan_health import warnings


def d(*means):
    """Rows from pairs of D(HR) and D(SR)."""
    return [{"epoch": epoch, "d_hr": d_hr, "d_sr": d_sr} for epoch, (d_hr, d_sr) in enumerate(means)]


def psnr(*values, name="sample_psnr"):
    return [{"epoch": epoch, **({name: value} if value is not None else {})} for epoch, value in enumerate(values)]


def due(history, start=None):
    """{epoch: texts} as a run sees them, one epoch after the other."""
    seen = {end - 1: warnings(history[:end], start or {}) for end in range(len(history) + 1)}
    return {epoch: texts for epoch, texts in seen.items() if texts}


SURE, BALANCED = (0.995, 0.002), (0.6, 0.4)


def test_d_wins_with_the_third_epoch_in_a_row_once_in_a_run():
    texts = due(d(SURE, SURE, BALANCED, SURE, SURE, (0.998, 0.005), SURE, BALANCED, *[SURE] * 5))
    assert list(texts) == [5] and len(texts[5]) == 1
    for word in ("0.9980", "0.0050", "in epoch 5", "--label-smoothing", "--d-warmup", "--learning-rate"):
        assert word in texts[5][0]
    assert warnings([], {}) == []


def test_the_limits_themselves_are_no_win_and_both_are_needed():
    assert due(d(*[(0.99, 0.002)] * 3)) == due(d(*[(0.995, 0.01)] * 3)) == {}
    assert due(d(*[(0.9901, 0.0099)] * 3)) != {}
    gap = d(*[SURE] * 5)
    gap[2]["d_hr"] = None  # an epoch without interrupts
    del gap[3]["d_sr"]
    assert due(gap) == {}


def test_3_db_under_the_start():
    texts = due(psnr(None, 26.0, 22.51, None, 22.5, 20.0, 26.0, 20.0), {"sample_psnr": 25.5})
    assert list(texts) == [4] and len(texts[4]) == 1
    for word in ("22.50 dB", "epoch 4", "25.50 dB", "--adv-weight", "--mse-weight", "--learning-rate"):
        assert word in texts[4][0]
    assert due(psnr(10.0, 1.0)) == {}  # nothing to compare with


def test_validation_counts_and_not_samples():
    rows = [
        {"epoch": 0, "sample_psnr": 16.0, "valid_psnr": 29.0},
        {"epoch": 1, "sample_psnr": 16.5},
        {"epoch": 2, "sample_psnr": 19.0, "valid_psnr": 27.0},
    ]
    texts = due(rows, {"sample_psnr": 20.0, "valid_psnr": 30.0})
    assert list(texts) == [2] and "27.00 dB" in texts[2][0] and "30.00 dB" in texts[2][0]
    assert list(due(rows, {"sample_psnr": 20.0})) == [0]


def grid(*values):
    return psnr(*values, name="valid_grid")


def test_a_grid_of_three_times_the_starts():
    texts = due(grid(0.13, None, 0.39, 0.4, 0.2, 1.86), {"valid_grid": 0.13})
    assert list(texts) == [3] and len(texts[3]) == 1
    for word in ("0.40 grey levels", "epoch 3", "0.13 of the start", "--vgg-layer", "--vgg-weight", "--mse-weight"):
        assert word in texts[3][0]


def test_a_grid_that_nobody_sees_is_none():
    """Stage 1 is smooth; three times its grid is still what a photograph has."""
    assert due(grid(0.05, 0.12, 0.3), {"valid_grid": 0.02}) == {}
    assert list(due(grid(0.05, 0.31), {"valid_grid": 0.02})) == [1]
    assert due(grid(9.0, 9.0)) == {}  # nothing to compare with


def test_lpips_above_the_starts():
    rows = [{"epoch": epoch, "valid_lpips": value} for epoch, value in enumerate((0.13, None, 0.142, 0.15, 0.2))]
    texts = due(rows, {"valid_lpips": 0.131})
    assert list(texts) == [3] and "LPIPS has risen to 0.1500 in epoch 3, from 0.1310" in texts[3][0]
    assert due(rows) == {}
