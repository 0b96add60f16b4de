"""`data/prepare.py`: pictures decoded beside themselves, and the sample."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage
from matplotlib import cbook

from common.errors import InputError
from data import prepare

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


@pytest.mark.slow
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
    assert done.stderr.splitlines() == [
        f"error: {tmp_path / 'taken'} is a file; --sample expects a folder, existing or new"
    ]
    assert (tmp_path / "taken").read_text() == "kept"


@pytest.fixture
def photographs(tmp_path):
    """A folder of three PNG files: {name: uint8 [h,w,3]}."""
    folder = tmp_path / "Fotos für morgen"
    folder.mkdir()
    pictures = {f"{i}.png": np.random.RandomState(i).randint(0, 256, (20 + i, 30, 3)).astype("uint8") for i in range(3)}
    for name, rgb in pictures.items():
        (folder / name).write_bytes(cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes())
    return folder, pictures


@pytest.mark.slow
def test_pictures_are_decoded_beside_themselves(photographs, tmp_path):
    folder, pictures = photographs
    for said in ("decoding", ""):  # a bar the first time, and the second time nothing is to be done
        done = run(folder, cwd=tmp_path, PYTHONUTF8="1")
        assert done.returncode == 0 and said in done.stderr and bool(said) == bool(done.stderr)
        size = sum(rgb.nbytes for rgb in pictures.values())
        assert done.stdout == f"3 pictures, {size} bytes decoded, in {folder / '.decoded'}\n"
    decoded = sorted((np.load(path) for path in (folder / ".decoded").iterdir()), key=len)
    for found, wanted in zip(decoded, pictures.values()):
        np.testing.assert_array_equal(found, wanted)


def test_where_the_pictures_may_not_be_written_they_go_to_output(photographs, tmp_path):
    folder, _ = photographs
    folder.chmod(0o555)
    done = run(folder, cwd=tmp_path, PYTHONUTF8="1")
    folder.chmod(0o755)
    assert done.returncode == 0 and not (folder / ".decoded").exists()
    assert "is not writable" in done.stdout.splitlines()[0]
    assert len(list((tmp_path / "output" / "decoded").glob("*/*.npy"))) == 3


def test_pictures_that_cannot_be_decoded_are_named_and_the_others_are_kept(photographs, tmp_path):
    folder, _ = photographs
    (folder / "1.png").write_bytes(b"not a picture")
    done = run(folder, cwd=tmp_path, PYTHONUTF8="1")
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    assert "error: 1 of 3 pictures cannot be used:" in done.stderr and str(folder / "1.png") in done.stderr
    assert done.stderr.splitlines()[-1] == "fix or remove them; all others are decoded"
    assert len(list((folder / ".decoded").iterdir())) == 2


def test_a_folder_that_is_not_there(tmp_path):
    done = run(tmp_path / "nowhere", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == f"error: {tmp_path / 'nowhere'} is not there; expected a folder of pictures\n"


@pytest.mark.slow
def test_one_thing_is_to_be_done_and_help_shows_the_usage(tmp_path):
    for arguments in ((), (tmp_path, "--sample", tmp_path)):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and "--sample" in done.stderr
    shown = run("--help", cwd=tmp_path).stdout
    assert "    python data/prepare.py DIR" in shown and "    python data/prepare.py --sample DIR" in shown
