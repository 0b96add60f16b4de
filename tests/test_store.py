"""The decoded pictures: decoded once, complete or absent, read in place."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from data import store
from data.pictures.images import read_rgb
from data.store import open_pairs, open_store
from tests.helpers.full_disk import full_after

COUNT = 12


def noise(seed, height, width):
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype("uint8")


def write_png(path, rgb):
    path.write_bytes(cv2.imencode(".png", rgb[:, :, ::-1])[1].tobytes())


def make_photographs(folder, count=COUNT, height=20, width=30):
    """PNG files, each a row higher than the last, and their pixels: {path: uint8 [h,w,3]}."""
    folder.mkdir()
    pictures = {folder / f"{i:02d}.png": noise(i, height + i, width) for i in range(count)}
    for path, rgb in pictures.items():
        write_png(path, rgb)
    return pictures


@pytest.fixture
def photographs(tmp_path):
    return make_photographs(tmp_path / "照片 photos")


@pytest.fixture
def folder(photographs):
    return next(iter(photographs)).parent


def stored_files(folder):
    """{name: (inode, time)} of all that is in a store: what is decoded again has another."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in (folder / ".decoded").iterdir()}


def check_pictures(pictures, photographs):
    assert pictures.names == [path.name for path in photographs]
    for i, rgb in enumerate(photographs.values()):
        np.testing.assert_array_equal(pictures[i], rgb)


def test_pictures_are_decoded_once_and_read_in_place(photographs, folder, capfd):
    pictures = open_store(folder, 20)
    check_pictures(pictures, photographs)
    assert pictures.folder == folder / ".decoded"
    assert not pictures[3].flags.writeable and not pictures[3].flags.owndata
    assert "decoding" in capfd.readouterr().err
    before = stored_files(folder)
    check_pictures(open_store(folder, 20), photographs)
    assert stored_files(folder) == before and capfd.readouterr() == ("", "")


def test_only_what_changed_is_decoded_again(photographs, folder):
    open_store(folder, 20)
    before = stored_files(folder)
    changed, touched, removed, added = (folder / name for name in ("03.png", "08.png", "10.png", "50.png"))
    write_png(changed, noise(100, 25, 25))
    os.utime(touched, ns=(0, 0))
    removed.unlink()
    write_png(added, noise(101, 26, 26))
    pictures = open_store(folder, 20)
    assert before.items() <= stored_files(folder).items() and len(stored_files(folder)) == COUNT + 3
    photographs.update({changed: noise(100, 25, 25), added: noise(101, 26, 26)})
    del photographs[removed]
    check_pictures(pictures, photographs)


@pytest.mark.parametrize("damage", [lambda whole: whole[:-1], lambda whole: whole[:64], lambda whole: b""])
def test_a_damaged_file_is_named_and_made_again(tmp_path, damage):
    photographs = make_photographs(tmp_path / "photos", 2)
    pictures = open_store(tmp_path / "photos", 20)
    for path in pictures.folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"\.npy, decoded from 01\.png, was removed or changed: run the command"):
        pictures[1]
    check_pictures(open_store(tmp_path / "photos", 20), photographs)


def spoil(photographs):
    paths = list(photographs)
    paths[3].write_bytes(b"not a picture")
    paths[7].write_bytes(paths[7].read_bytes()[:100])
    paths[9].unlink()
    paths[9].symlink_to("nowhere.png")
    return paths, [paths[3], paths[7], paths[9], paths[0]]  # the last is 30×20, smaller than the crop


def test_all_bad_pictures_are_named_in_one_message_or_left_out(photographs, folder, capsys):
    paths, bad = spoil(photographs)
    with pytest.raises(InputError) as error:
        open_store(folder, 21)
    message = str(error.value)
    assert "4 of 12 pictures" in message and "--skip-bad" in message and all(str(path) in message for path in bad)
    assert f"{paths[0]}: 30×20 is smaller than the 21×21 crop" in message and str(paths[1]) not in message
    assert len(stored_files(folder)) == COUNT - 3, "the good ones are ready when the others are mended"
    pictures = open_store(folder, 21, skip_bad=True)
    check_pictures(pictures, {path: rgb for path, rgb in photographs.items() if path not in bad})
    assert all(str(path) in capsys.readouterr().out for path in bad[:1])
    with pytest.raises(InputError, match="none is left"):
        open_store(folder, 1000, skip_bad=True)


def test_a_picture_of_more_than_fifty_megapixels(tmp_path):
    Image.new("1", (7000, 7200), 1).save(tmp_path / "a.png")
    picture = open_store(tmp_path, 96)[0]
    assert picture.shape == (7200, 7000, 3) and picture[-1, -1].tolist() == [255, 255, 255]


def test_where_the_folder_cannot_be_written_the_store_is_elsewhere(photographs, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store.os, "access", lambda *_: False)  # not by permissions, which do not stop root
    pictures = open_store(folder, 20, tmp_path / "out" / "decoded")
    check_pictures(pictures, photographs)
    assert pictures.folder.parent == tmp_path / "out" / "decoded" and not stored_files(folder)
    assert capsys.readouterr().out == f"{folder} is not writable: the decoded pictures go to {pictures.folder}\n"
    other = make_photographs(tmp_path / "other", count=3)
    check_pictures(open_store(tmp_path / "other", 20, tmp_path / "out" / "decoded"), other)
    monkeypatch.undo()
    open_store(folder, 20)
    monkeypatch.setattr(store.os, "access", lambda *_: False)
    assert open_store(folder, 20, tmp_path / "new").folder == folder / ".decoded", "a complete store is used"
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_stores_place_stays(photographs, folder, tmp_path):
    (folder / ".decoded").write_text("mine")
    check_pictures(open_store(folder, 20, tmp_path / "out"), photographs)
    assert (folder / ".decoded").read_text() == "mine"


def test_a_full_disk_is_an_error_that_names_the_file_and_what_is_decoded_stays(folder):
    open_store(folder, 20)
    before = stored_files(folder)
    write_png(folder / "01.png", noise(1, 100, 100))
    with full_after(20_000), pytest.raises(OSError, match=r"File too large.*\.decoded"):
        open_store(folder, 20)
    assert stored_files(folder) == before


def test_a_build_that_is_interrupted_goes_on_where_it_was(photographs, folder, monkeypatch):
    def interrupted(path):
        if path.name == "07.png":
            raise KeyboardInterrupt
        return read_rgb(path)

    with monkeypatch.context() as patch:
        patch.setattr(store, "read_rgb", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_store(folder, 20)
    before = stored_files(folder)
    assert 0 < len(before) < COUNT
    check_pictures(open_store(folder, 20), photographs)
    assert before.items() <= stored_files(folder).items()


# ------------------------------------------------------------------------------------------------------------- pairs


@pytest.fixture
def paired(tmp_path):
    """{HR path: its LR path} of five pictures that belong together, and their folders; LR is named in several ways."""
    names = {
        "a.png": "a.png",
        "b.png": "bx4.png",
        "c_HR.png": "c_LR.png",
        "d.png": "d_x4.png",
        "照片 e.png": "照片 e.png",
    }
    for folder in ("hr", "lr"):
        (tmp_path / folder).mkdir()
    for i, (hr, lr) in enumerate(names.items()):
        write_png(tmp_path / "hr" / hr, hr_picture(i))
        write_png(tmp_path / "lr" / lr, lr_picture(i))
    return {tmp_path / "hr" / hr: tmp_path / "lr" / lr for hr, lr in names.items()}


def hr_picture(i):
    return noise(i, 11, 12).repeat(4, 0).repeat(4, 1)[: 40 + i, : 48 - i % 2]  # few are multiples of 4


def lr_picture(i):
    noisy = noise(i, 11, 12) + np.random.RandomState(9).normal(0, 5, (11, 12, 3))
    return noisy[: (40 + i) // 4, : (48 - i % 2) // 4].clip(0, 255).astype("uint8")


def open_both(paired, hr_size=24, **settings):
    hr_path, lr_path = next(iter(paired.items()))
    return open_pairs(hr_path.parent, lr_path.parent, hr_size, **settings)


def test_pairs_are_in_the_same_order_whatever_they_are_called_and_decoded_once(paired, tmp_path, capsys):
    write_png(tmp_path / "lr" / "aa.png", noise(9, 10, 10))
    hr, lr = open_both(paired)
    assert hr.sources == list(paired) and lr.sources == list(paired.values())
    for i in range(5):
        np.testing.assert_array_equal(hr[i], hr_picture(i))
        np.testing.assert_array_equal(lr[i], lr_picture(i))
    assert "LR pictures without HR, skipped: aa.png" in capsys.readouterr().err
    before = stored_files(tmp_path / "hr"), stored_files(tmp_path / "lr")
    assert len(before[1]) == 5, "what belongs to none is not decoded"
    open_both(paired)
    assert (stored_files(tmp_path / "hr"), stored_files(tmp_path / "lr")) == before


def test_swapped_pictures_are_named_and_can_be_left_out(paired, tmp_path):
    first, second = tmp_path / "lr" / "a.png", tmp_path / "lr" / "c_LR.png"
    first.rename(tmp_path / "lr" / "x")
    second.rename(first)
    (tmp_path / "lr" / "x").rename(second)
    with pytest.raises(InputError) as error:
        open_both(paired)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("2 of 5") and len(lines) == 4
    for line, path in zip(lines[1:], (first, second)):
        assert line.strip().startswith(f"{path} does not look like the LR picture (") and "swapped" in line
    assert len(open_both(paired, skip_bad=True)[0]) == 3


def test_all_that_does_not_match_is_named_at_once_or_left_out(paired, capsys):
    (a, b, c, _, e), (lr_a, lr_b, _, lr_d, _) = paired.keys(), paired.values()
    lr_a.unlink()
    write_png(b, noise(1, 20, 30))
    c.write_bytes(b"not a picture")
    lr_d.write_bytes(lr_d.read_bytes()[:60])
    problems = [
        f"{lr_a.parent} lacks the LR picture of {a}: expected a.png or ax4.png",
        f"{b}: 30×20 is smaller than the 24×24 crop",
        f"{lr_b} has 11x10 pixels; expected 7x5, a quarter of {b}",
        f"{c} cannot be read as a picture",
        f"{lr_d} cannot be read as a picture",
    ]
    with pytest.raises(InputError) as error:
        open_both(paired)
    lines = str(error.value).splitlines()
    assert lines[0] == "4 of 5 pictures cannot be used:" and "--skip-bad" in lines[-1] and len(lines) == 7
    assert all(line.strip().startswith(problem) for line, problem in zip(lines[1:], problems))
    hr, lr = open_both(paired, skip_bad=True)
    assert hr.sources == [e] and lr.sources == [paired[e]]
    said = capsys.readouterr().out
    assert all(problem in said for problem in problems)
