"""`data/prepare.py`: the sample photographs."""

import os
import sys

import cv2
import numpy as np
import pytest
import skimage
from matplotlib import cbook

from common import command
from common.errors import InputError
from data import prepare

SIZES = {
    "astronaut": "512x512",
    "coffee": "600x400",
    "chelsea": "451x300",
    "rocket": "640x427",
    "grace_hopper": "512x600",
}


def run(*words):
    command.run(prepare.parser().parse_args(list(map(str, words))), prepare.main)


def test_the_sample_is_the_installed_photographs_and_replaces_only_its_own_files(tmp_path, capsys):
    folder = tmp_path / "new" / "sample ü"
    folder.mkdir(parents=True)
    (folder / "coffee.png").write_bytes(b"damaged")
    (folder / "mine.txt").write_text("kept")
    run("--sample", folder)
    assert capsys.readouterr().out.splitlines() == [str(folder)] + [
        f"{name}.png {size}" for name, size in SIZES.items()
    ]
    assert {path.name for path in folder.iterdir()} == {"mine.txt", *(f"{name}.png" for name in SIZES)}
    for name in ("astronaut", "coffee", "chelsea"):
        original = cv2.imread(os.path.join(skimage.data_dir, f"{name}.png"))
        np.testing.assert_array_equal(cv2.imread(str(folder / f"{name}.png")), original)
    hopper = cv2.imread(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    assert np.abs(cv2.imread(str(folder / "grace_hopper.png")).astype(int) - hopper).max() <= 3  # two JPEG decoders


def test_the_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)  # makes `import` raise ImportError
    with pytest.raises(InputError, match="skimage.*pip install scikit-image matplotlib"):
        prepare.write_sample(tmp_path / "sample")
    assert not (tmp_path / "sample").exists()


def test_a_file_in_the_folders_place_stays(tmp_path):
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(InputError, match="mine is a file; --sample expects a folder"):
        prepare.write_sample(tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "kept"
