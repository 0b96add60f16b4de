"""`notebooks/sources.py`: what the notebook takes where something is mounted, named, downloaded or nowhere."""

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("IPython")

from common.errors import InputError
from notebooks import sources

NOWHERE = ("no/such/path",)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """An empty project's folder, with nothing where the training commands look by themselves; downloads fail."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "DATA_FOLDERS", NOWHERE)
    monkeypatch.setattr(sources, "VGG19_PATHS", NOWHERE)
    monkeypatch.setattr(sources, "SAVED_BY_THE_ARTICLE", NOWHERE)
    asked = []

    def run(*words):
        asked.append(words)
        raise InputError("no connection")

    monkeypatch.setattr(sources, "run", run)
    return asked


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / f"{i:03d}.png")
    return folder


def names(folder) -> list:
    return sorted(path.name for path in Path(folder).glob("*.*"))


def test_without_pictures_quick_takes_the_sample_and_downloads_nothing(project, capsys):
    folder, flags = sources.training("", "mount", True, Path("output"))
    assert names(folder) == ["astronaut.png", "grace_hopper.png", "rocket.png"]
    assert flags == []
    assert project == []
    assert "SAMPLE PHOTOGRAPHS" in capsys.readouterr().out


def test_without_pictures_and_network_the_full_run_says_so_and_can_be_run(project, capsys):
    folder, flags = sources.training("", "mount", False, Path("output"))
    assert project == [("data/download.py", "div2k")]
    assert len(names(folder)) * flags[flags.index("--crops-per-image") + 1] >= 32  # a batch of the article's
    assert min(min(Image.open(path).size) for path in folder.glob("*.png")) >= 384  # its crop
    said = capsys.readouterr().out
    assert "no connection" in said and "SAMPLE PHOTOGRAPHS" in said


def test_mounted_pictures_are_taken_whole_or_by_quick_a_few(project):
    folder = write_pictures(Path("mount/data1/photos"), 12)
    # Three crops of each are the least that fill one of the article's batches of 32.
    assert sources.training("", "mount", False, Path("output")) == (folder, ["--crops-per-image", 3])
    few, flags = sources.training("", "mount", True, Path("output"))
    assert few == Path("output/pictures") and flags == []
    assert names(few) == [f"{i:03d}.png" for i in range(8)]
    other = write_pictures(Path("mine"), 2)
    few, _ = sources.training(str(other), "mount", True, Path("output"))
    assert names(few) == ["000.png", "001.png"]
    assert project == []


def test_the_sample_is_written_once_and_divided():
    train, held_out = sources.sample()
    assert names(held_out) == ["chelsea.png", "coffee.png"] and not set(names(train)) & set(names(held_out))
    (train / "rocket.png").unlink()
    assert sources.sample() == (train, held_out) and "rocket.png" not in names(train)


def test_vgg19_is_mounted_or_left_out_and_said(project, capsys):
    assert sources.vgg19("", "mount", True) == ["--no-vgg"]
    assert project == []
    assert "WITHOUT THE VGG LOSS" in capsys.readouterr().out
    assert sources.vgg19("", "mount", False) == ["--no-vgg"]
    assert project == [("data/download.py", "vgg19")]
    Path("mount/data1").mkdir(parents=True)
    Path("mount/data1/vgg19.pdparams").write_bytes(b"")
    assert sources.vgg19("", "mount", True) == ["--vgg19", Path("mount/data1/vgg19.pdparams")]


def test_what_is_named_and_of_no_use_is_an_error_and_not_replaced():
    with pytest.raises(InputError, match="nothing here"):
        sources.training("nothing here", "mount", True, Path("output"))
    with pytest.raises(InputError, match="nothing here"):
        sources.vgg19("nothing here", "mount", True)
    with pytest.raises(InputError, match="nothing here"):
        sources.g_models("nothing here", "mount")
