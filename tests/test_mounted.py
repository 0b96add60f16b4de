"""`notebooks/mounted.py`: what a fake AI Studio mounts is found, and unpacked once."""

import os

import cv2
import numpy as np
import pytest

from common.errors import InputError
from notebooks import mounted
from tests.helpers.zips import tarred, zipped

PNG = cv2.imencode(".png", np.random.RandomState(0).randint(0, 256, (12, 12, 3)).astype("uint8"))[1].tobytes()
DIV2K = {f"DIV2K_train_HR/{i:04d}.png": PNG for i in range(12)}


@pytest.fixture
def mount(tmp_path):
    """The folder that AI Studio mounts data sets in, with one empty data set."""
    (tmp_path / "mount" / "data1").mkdir(parents=True)
    return tmp_path / "mount"


@pytest.fixture
def to(tmp_path):
    return tmp_path / "unpacked"


def write(folder, files: dict) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder) -> dict:
    """{path of each file below the folder: its bytes}."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "A.TGZ"])
def test_an_archive_is_unpacked_once(mount, to, name, capsys):
    archive = mount / "data1" / name
    archive.write_bytes(zipped(DIV2K) if name == "a.zip" else tarred(DIV2K, "w:gz"))
    folder = mounted.training_pictures(mount=mount, to=to)
    assert folder.name == "DIV2K_train_HR" and to in folder.parents
    assert contents(folder.parent) == DIV2K
    first = {path: path.stat().st_mtime_ns for path in to.rglob("*")}
    assert "unpacking" in capsys.readouterr().out
    os.utime(archive, (1, 1))  # mounted again in another session
    assert mounted.training_pictures(mount=mount, to=to) == folder
    assert {path: path.stat().st_mtime_ns for path in to.rglob("*")} == first
    assert "unpacking" not in capsys.readouterr().out


def test_a_changed_archive_is_unpacked_again(mount, to):
    for last in (PNG, PNG + b"!"):
        files = {**DIV2K, "DIV2K_train_HR/0003.png": last}
        (mount / "data1" / "a.zip").write_bytes(zipped(files))
        assert contents(mounted.training_pictures(mount=mount, to=to).parent) == files


def test_of_several_folders_div2ks_then_the_largest_that_is_no_lr_or_test(mount, to, capsys):
    many = {f"DIV2K_valid_HR/{i}.png": PNG for i in range(40)}
    low = {f"X4/LRbicx4/{i}.png": PNG for i in range(50)}
    write(mount / "data1", {"all.zip": zipped({**many, **low})})
    write(mount / "data2", {f"photos/{i}.JPG": PNG for i in range(20)})
    write(mount / "data2", {f"fewer/{i}.png": PNG for i in range(15)})
    assert mounted.training_pictures(mount=mount, to=to) == mount / "data2" / "photos"
    said = capsys.readouterr().out
    assert all(name in said for name in ("fewer", "DIV2K_valid_HR", "LRbicx4"))
    assert not [path for path in to.rglob("*.zip") if "LR" in path.name]
    write(mount / "data3", {"div2k.zip": zipped(DIV2K)})
    assert contents(mounted.training_pictures(mount=mount, to=to).parent) == DIV2K


def test_a_few_illustrations_hidden_files_and_an_empty_mount_are_nothing(mount, tmp_path):
    write(mount / "data1", {"logo.png": PNG, "readme.md": b"", "notes.zip": zipped({"a.txt": b""})})
    write(mount / "data1", {f".decoded/{i}.png": PNG for i in range(20)})
    write(mount / "data1", {"mac.zip": zipped({f"__MACOSX/{i}.png": PNG for i in range(20)})})
    for find in (mounted.training_pictures, mounted.vgg19, mounted.g_models):
        assert find(mount=mount, to=tmp_path / "to") is None
        assert find(mount=tmp_path / "nowhere", to=tmp_path / "to") is None


def test_links_are_followed(mount, to, tmp_path):
    write(tmp_path / "store", DIV2K)
    (mount / "data2").symlink_to(tmp_path / "store")
    assert mounted.training_pictures(mount=mount, to=to) == mount / "data2" / "DIV2K_train_HR"


@pytest.mark.parametrize("content", [zipped(DIV2K)[:-30], zipped({**DIV2K, "../x.png": PNG})])
def test_a_faulty_archive_that_was_named_is_an_error_and_leaves_nothing(tmp_path, to, content):
    write(tmp_path, {"a.zip": content})
    with pytest.raises(InputError, match=r"a\.zip .*name the folder\.$"):
        mounted.training_pictures(named=tmp_path / "a.zip", to=to)
    assert not list(tmp_path.rglob("*.png"))


def test_what_is_named_is_looked_in_and_one_picture_is_enough(tmp_path, to):
    write(tmp_path / "mine" / "deep", {"a.png": PNG})
    assert mounted.training_pictures(named=str(tmp_path / "mine"), to=to) == tmp_path / "mine" / "deep"
    write(tmp_path, {"mine.zip": zipped({"x/a.png": PNG})})
    assert contents(mounted.training_pictures(named=str(tmp_path / "mine.zip"), to=to)) == {"a.png": PNG}


def test_what_is_named_and_of_no_use_is_an_error(tmp_path, to):
    write(tmp_path / "texts", {"a.txt": b"", "b.zip": zipped({"c.txt": b""})})
    write(tmp_path, {"a.rar": PNG})
    for find in (mounted.training_pictures, mounted.g_models):
        with pytest.raises(InputError, match="does not exist"):
            find(named=tmp_path / "nothing", to=to)
        with pytest.raises(InputError, match="texts: no "):
            find(named=tmp_path / "texts", to=to)
        with pytest.raises(InputError, match=r"a\.rar is another kind of file; expected a folder or a zip"):
            find(named=tmp_path / "a.rar", to=to)


def test_vgg19s_weights_in_every_shape(mount, to, tmp_path):
    write(tmp_path, {"my weights.bin": b"w"})
    assert mounted.vgg19(named=tmp_path / "my weights.bin", to=to) == tmp_path / "my weights.bin"
    write(mount / "data1", {"vgg19_spade.tar.gz": tarred({"VGG19_pretrained/vgg19_conv1_1_weights": b"1"}, "w:gz")})
    assert contents(mounted.vgg19(mount=mount, to=to)) == {"vgg19_conv1_1_weights": b"1"}
    write(mount / "data2", {"original/conv1_1_weights": b"2"})
    assert mounted.vgg19(mount=mount, to=to) == mount / "data2" / "original"
    write(mount / "data4", {"vgg19.pdparams": b"4", "resnet50.pdparams": b"5"})
    assert mounted.vgg19(mount=mount, to=to) == mount / "data4" / "vgg19.pdparams"


def test_of_the_articles_folders_g_models_is_taken(mount, to):
    files = {f"article/{folder}/n64s1/c.w_{i}": b"1" for i, folder in enumerate(("d_models", "g_models"))}
    write(mount / "data1", {"article.zip": zipped(files)})
    assert mounted.g_models(mount=mount, to=to).name == "g_models"
    write(mount / "data2", files)
    assert mounted.g_models(mount=mount, to=to) == mount / "data2" / "article" / "g_models", "what is unpacked already"


def test_a_faulty_archive_is_passed_over_in_a_line(mount, to, capsys):
    other = zipped(DIV2K).replace(PNG, PNG[:-1] + b"!", 1)
    write(mount / "data1", {"broken.tar": b"no archive"})
    (mount / "data1" / "gone.zip").symlink_to(mount / "nowhere")
    write(mount / "data1", {"other content.zip": other})
    write(mount / "data1", {"photos.zip": zipped({f"photos/{i}.png": PNG for i in range(10)})})
    assert mounted.training_pictures(mount=mount, to=to).name == "photos"
    said = capsys.readouterr().out.splitlines()
    skipped = [line for line in said if line.startswith("skipped: ")]
    assert all(sum(name in line for line in skipped) == 1 for name in ("other content", "broken.tar", "gone.zip"))
