"""A benchmark's pictures: which LR belongs to which HR, and what cannot be measured."""

import numpy as np
import pytest

from common.errors import InputError
from data import hr_lr_pairs
from data.hr_lr_pairs import pairs, read_pair
from tests.helpers import matlab
from tests.helpers.pictures import write_with_opencv

NAMES = ["a.png", "b.bmp", "照片 c.png"]


@pytest.fixture
def hr_folder(tmp_path):
    """Three pictures whose sides are no multiples of 4."""
    folder = tmp_path / "hr"
    folder.mkdir()
    for i, name in enumerate(NAMES):
        write_with_opencv(folder / name, matlab.noise(43, 50 + 4 * i))
    return folder


@pytest.fixture
def lr_folder(tmp_path):
    """LR pictures of all three, named in the three ways there are."""
    folder = tmp_path / "lr"
    folder.mkdir()
    for i, name in enumerate(["a.png", "bx4.png", "照片 cx4.bmp"]):
        write_with_opencv(folder / name, matlab.noise(10, 12 + i))
    return folder


def test_without_an_lr_folder_hr_is_cut_and_lr_is_matlabs(hr_folder):
    found = pairs(hr_folder)
    assert [(hr.name, lr) for hr, lr in found] == [(name, None) for name in NAMES]
    for i, pair in enumerate(found):
        hr, lr = read_pair(*pair)
        np.testing.assert_array_equal(hr, matlab.noise(43, 50 + 4 * i)[:40, : 48 + 4 * i])
        np.testing.assert_array_equal(lr, matlab.imresize(hr, 10, 12 + i))


def test_lr_goes_by_name_and_is_as_it_is(hr_folder, lr_folder):
    write_with_opencv(lr_folder / "another.png", matlab.noise(3, 3))
    found = pairs(hr_folder, lr_folder)
    names = [(hr.name, lr.name) for hr, lr in found]
    assert names == [("a.png", "a.png"), ("b.bmp", "bx4.png"), ("照片 c.png", "照片 cx4.bmp")]
    for i, pair in enumerate(found):
        np.testing.assert_array_equal(read_pair(*pair)[1], matlab.noise(10, 12 + i))


def test_all_that_is_missing_or_misshapen_is_named_at_once(hr_folder, lr_folder):
    (lr_folder / "bx4.png").unlink()
    write_with_opencv(lr_folder / "a.png", matlab.noise(12, 10))
    with pytest.raises(InputError) as error:
        pairs(hr_folder, lr_folder)
    first, *lines = str(error.value).splitlines()
    assert "2 pictures" in first and len(lines) == 2
    assert "lr/a.png has 10x12 pixels; expected 12x10" in lines[0]
    assert "lr lacks the LR picture of" in lines[1] and "b.bmp or bx4.bmp" in lines[1]


def test_two_of_one_are_refused(hr_folder, lr_folder):
    write_with_opencv(lr_folder / "ax4.png", matlab.noise(10, 12))
    with pytest.raises(InputError, match=r"a\.png: a\.png and ax4\.png"):
        pairs(hr_folder, lr_folder)


def test_names_as_data_sets_have_them(tmp_path, capsys):
    names = {
        "a": "a",
        "bb": "bbx4",
        "c": "c_x4",
        "d": "d_LR",
        "e": "eLRBI_x4",
        "f_HR": "f_LR",
        "g_HR": "gLRBI_x4",
        "img_001_SRF_4_HR": "img_001_SRF_4_LR",
        "0801": "0801x4",
    }
    for folder, size in (("hr", 40), ("lr", 10)):
        (tmp_path / folder).mkdir()
        for name in names if folder == "hr" else [*names.values(), "alone_x4", "b_x4"]:
            write_with_opencv(tmp_path / folder / f"{name}.png", matlab.noise(size, size))
    (tmp_path / "hr" / "notes.txt").touch()
    (tmp_path / "hr" / "more").mkdir()
    assert {hr.stem: lr.stem for hr, lr in pairs(tmp_path / "hr", tmp_path / "lr")} == names
    said = capsys.readouterr().err
    assert "LR pictures without HR, skipped: alone_x4.png, b_x4.png\n" in said
    assert "those of pictures: more/, notes.txt\n" in said


def test_a_picture_called_as_another_hr_is_that_ones(tmp_path):
    for folder, size in (("hr", 40), ("lr", 10)):
        (tmp_path / folder).mkdir()
        for name in ("a.png", "a_x4.png"):
            write_with_opencv(tmp_path / folder / name, matlab.noise(size, size))
    assert [(hr.name, lr.name) for hr, lr in pairs(tmp_path / "hr", tmp_path / "lr")] == [
        ("a.png", "a.png"),
        ("a_x4.png", "a_x4.png"),
    ]


def test_pairs_that_do_not_look_like_pairs_are_named(tmp_path, capsys):
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
    for i in range(5):
        hr = matlab.noise(10 + i, 12).repeat(4, 0).repeat(4, 1)
        write_with_opencv(tmp_path / "hr" / f"{i}.png", hr)
        write_with_opencv(tmp_path / "lr" / f"{i}x4.png", hr[::-4, ::4] if i == 3 else hr[::4, ::4] // 8 * 8)
    assert len(pairs(tmp_path / "hr", tmp_path / "lr")) == 5
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / 'lr' / '3x4.png'} does not look like the LR picture (")


def test_matching_is_linear_in_the_number_of_pictures(tmp_path, monkeypatch):
    (tmp_path / "lr").mkdir()
    for i in range(200):
        (tmp_path / "lr" / f"{i:03}x4.png").touch()
    calls, without_suffix = [], hr_lr_pairs._without_suffix
    monkeypatch.setattr(hr_lr_pairs, "_without_suffix", lambda stem: calls.append(stem) or without_suffix(stem))
    partners = hr_lr_pairs.lr_files([tmp_path / f"{i:03}.png" for i in range(200)], tmp_path / "lr")
    assert all(lr_path.name == f"{hr_path.stem}x4.png" for hr_path, lr_path in partners.items())
    assert len(calls) <= 2 * 200
