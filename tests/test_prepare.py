import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from matplotlib import cbook

from data import prepare
from models.errors import InputError

SCRIPT = Path(prepare.__file__)
SIZES = {
    "astronaut": "512x512",
    "coffee": "600x400",
    "chelsea": "451x300",
    "rocket": "640x427",
    "grace_hopper": "512x600",
}


def run(*arguments, cwd, **environment):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=100)


def test_sample_from_another_folder_and_without_network(tmp_path):
    nowhere = "http://127.0.0.1:9"  # the discard port: whoever tries to download fails
    caches = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "home"), "MPLCONFIGDIR": str(tmp_path)}
    folder = tmp_path / "new" / "sample ü"
    done = run("--sample", folder, cwd=tmp_path, http_proxy=nowhere, https_proxy=nowhere, PYTHONUTF8="1", **caches)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [str(folder)] + [f"{name}.png {size}" for name, size in SIZES.items()]
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.png" for name in SIZES)
    assert not list(tmp_path.glob("home/**/*.png"))
    for name in ("astronaut", "coffee", "chelsea"):
        original = cv2.imread(os.path.join(skimage.data_dir, f"{name}.png"))
        np.testing.assert_array_equal(cv2.imread(str(folder / f"{name}.png")), original)
    hopper = cv2.imread(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    difference = cv2.imread(str(folder / "grace_hopper.png")).astype(int) - hopper
    assert np.abs(difference).max() <= 3  # two JPEG decoders


def test_again_replaces_its_own_files_and_nothing_else(tmp_path, capsys):
    prepare.write_sample(tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "coffee.png").write_bytes(b"damaged")
    (tmp_path / "mine.txt").write_text("kept")
    prepare.write_sample(tmp_path)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert again.pop("mine.txt") == b"kept"
    assert again == first


@pytest.mark.parametrize("module, package", [("skimage", "scikit-image"), ("matplotlib", "matplotlib")])
def test_names_the_package_that_is_missing(tmp_path, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)  # makes `import` raise ImportError
    with pytest.raises(InputError, match=f"pip install {package}"):
        prepare.write_sample(tmp_path / "sample")
    assert not (tmp_path / "sample").exists()


def test_names_the_package_that_lacks_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(skimage, "data_dir", str(tmp_path))
    with pytest.raises(InputError, match="the installed scikit-image lacks .*astronaut.png"):
        prepare.write_sample(tmp_path / "sample")


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "taken").write_text("kept")
    done = run("--sample", tmp_path / "taken", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"error: {tmp_path / 'taken'} is a file; --sample takes a folder, new or not"]
    assert (tmp_path / "taken").read_text() == "kept"


def test_sample_is_required_and_help_shows_the_usage(tmp_path):
    assert "--sample" in run(cwd=tmp_path).stderr
    assert "    python data/prepare.py --sample DIR" in run("--help", cwd=tmp_path).stdout
