"""RGB arrays from and to files, and the pictures of a folder."""

import os

import numpy as np
import pytest

from common.errors import InputError
from data.pictures.images import EXTENSIONS, all_of, list_and_report, list_pictures, read_rgb, write_rgb
from tests.helpers.errors import refusal
from tests.helpers.pictures import picture, png_of, read_with_opencv, samples_of_16_bits


@pytest.mark.parametrize("planes", [1, 2, 3, 4])
def test_read_rgb_has_8_bits_and_three_planes_without_alpha(tmp_path, planes):
    samples = samples_of_16_bits(9, 13, planes)
    (tmp_path / "a.png").write_bytes(png_of(samples))
    colour = np.floor(samples * (255 / 65535) + 0.5).astype(np.uint8)[..., : 3 if planes > 2 else 1]
    read = read_rgb(tmp_path / "a.png")
    assert read.flags.writeable and read.dtype == np.uint8
    np.testing.assert_array_equal(read, np.broadcast_to(colour, (9, 13, 3)))


def test_write_rgb(tmp_path):
    for name, levels in (("ü.PNG", 0), ("a.jpg", 8)):
        write_rgb(tmp_path / name, 255 - picture())
        write_rgb(tmp_path / name, picture())
        assert np.abs(read_with_opencv(tmp_path / name).astype(int) - picture()).max() <= levels
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "ü.PNG"]


class TestListPictures:
    def test_pictures_of_the_folder_itself_by_name(self, tmp_path, capsys):
        names = ["b.PNG", "a.png", "c.jpeg", "C.jpg", "d.BmP", "e.webp", "f.tif", "g.TIFF", "10.png", "i.jfif", "j.jpe"]
        for name in [*names, ".hidden.png", "notes.txt", "png", "a.png.part", "h.gif"]:
            (tmp_path / name).touch()
        (tmp_path / "folder.png").mkdir()
        (tmp_path / "folder.png" / "inner.png").touch()
        assert list_pictures(str(tmp_path)) == [tmp_path / name for name in sorted(names)]
        assert list_and_report(tmp_path) == list_pictures(tmp_path)
        said = capsys.readouterr().err
        assert all(name in said for name in ("notes.txt", "h.gif", "folder.png/")) and ".hidden" not in said

    def test_a_broken_link_is_listed_for_reading_to_name_it(self, tmp_path):
        (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
        assert list_pictures(tmp_path) == [tmp_path / "a.png"]
        assert "does not exist" in refusal(read_rgb, tmp_path / "a.png")

    def test_no_folder(self, tmp_path):
        (tmp_path / "a.png").touch()
        with pytest.raises(InputError, match="a.png is not a folder"):
            list_pictures(tmp_path / "a.png")
        with pytest.raises(InputError, match="none does not exist"):
            list_pictures(tmp_path / "none")

    def test_no_picture_says_what_counts(self, tmp_path):
        (tmp_path / "train").mkdir()
        (tmp_path / "train" / "a.png").touch()
        with pytest.raises(InputError) as caught:
            list_pictures(tmp_path)
        assert all(words in str(caught.value) for words in (str(tmp_path), "sub-folders are not", *EXTENSIONS))


def test_all_errors_are_raised_together_each_once():
    def use(item):
        raise InputError(f"no {item}")

    with pytest.raises(InputError, match=r"^2 pictures cannot be used:\n  no a\n  no b$"):
        all_of("aba", use)
    all_of("", use)
