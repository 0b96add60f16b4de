"""`benchmarks/training_curve.py`: what a log says of steps, hours and dB."""

import pytest

from benchmarks import training_curve
from common.errors import InputError
from train.report import log_csv


def test_points_are_at_the_ends_of_the_epochs_that_were_measured(tmp_path):
    rows = [
        {"epoch": 0, "seconds": 1800, "valid_psnr": 26.5},
        {"epoch": 1, "seconds": 900},
        {"epoch": 2, "seconds": 900, "valid_psnr": 28.25},
    ]
    log_csv.write(tmp_path / "log.csv", "pretrain_g", rows)
    log_csv.write(tmp_path / "log.csv", "srgan_g", [{"epoch": 0, "seconds": 5, "valid_psnr": 1.0}])
    assert training_curve.points([tmp_path / "log.csv"], 10) == [(10, 0.5, 26.5), (30, 1.0, 28.25)]
    training_curve.draw(tmp_path / "curve.png", [(10, 0.5, 26.5), (30, 1.0, 28.25)])
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_log_without_a_measure_is_named(tmp_path):
    log_csv.write(tmp_path / "log.csv", "pretrain_g", [{"epoch": 0, "seconds": 5}])
    with pytest.raises(InputError, match=r"log\.csv: it has no validation of stage 1; train with --valid DIR"):
        training_curve.points([tmp_path / "log.csv"], 10)


def test_a_second_log_goes_on_where_the_first_ended(tmp_path):
    log_csv.write(tmp_path / "first.csv", "pretrain_g", [{"epoch": 0, "seconds": 1800, "valid_psnr": 26.5}])
    log_csv.write(tmp_path / "second.csv", "pretrain_g", [{"epoch": 0, "seconds": 3600, "valid_psnr": 27.5}])
    logs = [tmp_path / "first.csv", tmp_path / "second.csv"]
    assert training_curve.points(logs, 10) == [(10, 0.5, 26.5), (20, 1.5, 27.5)]
