"""`log.csv`, read back with the csv module."""

import csv

import pytest

from common.errors import InputError
from train.report import log_csv

HEADER = (
    "stage,epoch,seconds,learning_rate,mse,vgg,adv,g_loss,d_loss,d_hr,d_sr,g_gradient,d_gradient,"
    "sample_psnr,valid_psnr,valid_ssim,valid_lpips,valid_grid"
)


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_an_epoch_with_what_it_lacks_left_empty(tmp_path):
    path = tmp_path / "new" / "log.csv"
    rows = [
        {"epoch": 0, "seconds": 1.5, "mse": 0.1 + 0.2, "sample_psnr": None},
        {"mse": 1e-9, "epoch": 1, "sample_psnr": 21},
    ]
    log_csv.write(path, "pretrain_g", rows)
    assert path.read_text(encoding="utf-8").splitlines() == [
        HEADER,
        "pretrain_g,0,1.5,,0.30000000000000004,,,,,,,,,,,,,",
        "pretrain_g,1,,,1e-09,,,,,,,,,21,,,,",
    ]
    log_csv.check(path)


def test_a_stage_replaces_its_own_rows_and_keeps_the_others(tmp_path):
    path = tmp_path / "log.csv"
    log_csv.write(path, "pretrain_g", [{"epoch": epoch, "mse": 0.1 * epoch} for epoch in range(3)])
    first = path.read_text(encoding="utf-8")
    log_csv.write(path, "srgan_g", [{"epoch": 0, "d_hr": 0.5}, {"epoch": 1, "d_hr": 0.75}])
    assert path.read_text(encoding="utf-8") == first + "srgan_g,0,,,,,,,,0.5,,,,,,,,\nsrgan_g,1,,,,,,,,0.75,,,,,,,,\n"
    log_csv.write(path, "srgan_g", [{"epoch": 0, "d_hr": 0.25}])
    log_csv.write(path, "pretrain_g", [{"epoch": 0, "mse": 7}])
    assert [(row["stage"], row["epoch"], row["mse"], row["d_hr"]) for row in read(path)] == [
        ("pretrain_g", "0", "7", ""),
        ("srgan_g", "0", "", "0.25"),
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.csv"]


def test_infinities_are_numbers_and_what_is_no_column_is_refused(tmp_path):
    path = tmp_path / "log.csv"
    log_csv.check(path)  # there is none yet
    log_csv.write(path, "pretrain_g", [{"epoch": 0, "valid_psnr": float("inf")}])
    with pytest.raises(ValueError, match="loss"):
        log_csv.write(path, "srgan_g", [{"epoch": 0}, {"loss": 1}])
    assert [float(row["valid_psnr"]) for row in read(path)] == [float("inf")]


@pytest.mark.parametrize(
    "content, word",
    [
        (b"", "first line"),
        (b"epoch,loss\n0,1\n", "first line is not stage,epoch,seconds"),
        (HEADER.replace("mse,vgg", "vgg,mse").encode(), "first line"),
        (HEADER.encode() + b"\npretrain_g,0" + 16 * b"," + b"\nsrgan_g,0,1", "line 3"),
        (HEADER.encode() + b"\nstage_3,0" + 16 * b",", "line 2"),
        (HEADER.encode() + b"\npretrain_g,0" + 17 * b",", "line 2"),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "decode"),
        (b'"' + b"x" * 200_000, "field"),
    ],
)
def test_a_file_that_is_no_log_is_named_and_stays(tmp_path, content, word):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"log\.csv .*{word}.*move it away"):
        log_csv.check(path)
    with pytest.raises(InputError, match=r"log\.csv"):
        log_csv.write(path, "pretrain_g", [{"epoch": 0}])
    assert path.read_bytes() == content
