"""The decoded pictures: read once, all bad ones named at once, nothing left behind."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.store import decode
from models.errors import InputError

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def photographs(tmp_path):
    """Forty PNG files (more than are decoded at once) of several sizes, and what OpenCV reads in them."""
    folder = tmp_path / "照片 photos"
    folder.mkdir()
    pictures = {}
    for i in range(40):
        bgr = np.random.RandomState(i).randint(0, 256, (20 + i, 30, 3)).astype("uint8")
        path = folder / f"{i:02d}.png"
        path.write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
        pictures[path] = bgr[:, :, ::-1]
    return pictures


def test_pictures_are_kept_in_order_as_they_are(photographs, tmp_path):
    store = decode(list(photographs), 20, tmp_path / "out")
    assert len(store) == 40
    assert store.names == [path.name for path in photographs]
    for i, wanted in enumerate(photographs.values()):
        np.testing.assert_array_equal(store[i], wanted)


def test_the_pictures_are_views_of_a_file_that_has_no_name(photographs, tmp_path):
    store = decode(list(photographs), 20, tmp_path / "out")
    assert not store[3].flags.writeable and not store[3].flags.owndata
    assert list((tmp_path / "out").iterdir()) == []


def spoil(photographs):
    paths = list(photographs)
    paths[3].write_bytes(b"not a picture")
    paths[7].write_bytes(paths[7].read_bytes()[:100])
    return paths, [paths[3], paths[7], paths[0]]  # the last is 30×20, smaller than the crop


def test_all_bad_pictures_are_named_in_one_message(photographs, tmp_path):
    paths, bad = spoil(photographs)
    with pytest.raises(InputError) as raised:
        decode(paths, 21, tmp_path / "out")
    message = str(raised.value)
    assert "3 of 40 pictures" in message and "--skip-bad" in message
    assert all(str(path) in message for path in bad)
    assert f"{bad[2]}: 30×20 is smaller than the 21×21 crop" in message
    assert str(paths[1]) not in message


def test_skip_bad_goes_on_without_them_and_says_so(photographs, tmp_path, capsys):
    paths, bad = spoil(photographs)
    store = decode(paths, 21, tmp_path / "out", skip_bad=True)
    assert len(store) == 37 and not {path.name for path in bad} & set(store.names)
    np.testing.assert_array_equal(store[0], photographs[paths[1]])
    printed = capsys.readouterr().out
    assert all(str(path) in printed for path in bad)


def test_skip_bad_with_none_left_is_an_error(photographs, tmp_path):
    with pytest.raises(InputError, match="none is left"):
        decode(list(photographs), 1000, tmp_path / "out", skip_bad=True)


def test_a_full_disk_is_an_error_that_names_the_folder(photographs, tmp_path):
    # A limit on the size of files stands in for the disk: the kernel refuses the write just so.
    code = (
        "import resource, sys; sys.path.insert(0, sys.argv[1]);"
        "from pathlib import Path; from data.store import decode;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "decode(sorted(Path(sys.argv[2]).iterdir()), 20, sys.argv[3])"
    )
    folder = next(iter(photographs)).parent
    line = [sys.executable, "-c", code, str(ROOT), str(folder), str(tmp_path / "out")]
    result = subprocess.run(line, check=False, capture_output=True, encoding="utf-8")
    assert result.returncode == 1
    assert "OSError" in result.stderr and "no room for the decoded pictures" in result.stderr
    assert str(tmp_path / "out") in result.stderr
    assert list((tmp_path / "out").iterdir()) == []
