"""data/download.py against a web server on this machine: the oracles are the bytes it serves, and hashlib."""

import hashlib
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from common import command
from common.errors import InputError
from data import download
from tests.helpers.alarm import within
from tests.helpers.file_server import CONTENT, names
from tests.helpers.zips import GOOD, contents, packed

ROOT = Path(__file__).resolve().parents[1]


def run(*words):
    command.run(download.parse(words), download.main)


@pytest.fixture
def vgg19(server, monkeypatch, tmp_path):
    """The command's address leads to the local server, and CONTENT is what the loader takes for VGG19."""

    def load_vgg19(path):
        if path.read_bytes() != CONTENT:
            raise InputError(f"{path}: no VGG19 weights")

    module = types.ModuleType("models.weight_files.vgg19_weights")
    module.load_vgg19 = load_vgg19
    monkeypatch.setitem(sys.modules, "models.weight_files.vgg19_weights", module)
    server.files["/VGG19_pretrained.pdparams"] = CONTENT
    monkeypatch.setattr(download, "VGG19_URL", server.url("/VGG19_pretrained.pdparams"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def div2k(server, monkeypatch, tmp_path):
    """The two archives on the local server; returns their unpacked content."""
    whole, archives = {}, []
    for number, name in enumerate(("DIV2K_train_HR", "DIV2K_valid_HR")):
        pictures = {f"{name}/{i:04}.png": CONTENT[i * 1000 : i * 1500] for i in range(1, 5 + number)}
        content = packed([(f"{name}/", b""), *pictures.items()])
        server.files[f"/{name}.zip"] = content
        size = len(content) if number == 0 else None
        archives.append(download.Archive(name, size, hashlib.md5(content).hexdigest(), len(pictures)))
        whole.update(pictures)
    monkeypatch.setattr(download, "DIV2K_URL", server.url("/"))
    monkeypatch.setattr(download, "DIV2K_ARCHIVES", tuple(archives))
    monkeypatch.chdir(tmp_path)
    return whole


@pytest.mark.parametrize("to", [None, "some where/else"])
def test_vgg19(vgg19, server, tmp_path, capsys, to):
    words = ["vgg19"] + (["--to", to] if to else [])
    run(*words)
    path = tmp_path / (to or "weights") / "VGG19_pretrained.pdparams"
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["VGG19_pretrained.pdparams"]
    assert len(server.requests) == 1
    capsys.readouterr()
    run(*words)
    assert len(server.requests) == 1
    assert "already there" in capsys.readouterr().out


def test_vgg19_that_does_not_load_is_an_error_of_one_line(vgg19, server, tmp_path, capsys):
    server.files["/VGG19_pretrained.pdparams"] = b"<html>please log in</html>"
    with pytest.raises(SystemExit) as end:
        run("vgg19")
    assert end.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {download.VGG19_URL}: ")
    for word in ("no VGG19 weights", "--vgg19 PATH", "AI Studio"):
        assert word in error
    assert not names(tmp_path / "weights")


def test_what_is_no_vgg19_is_refused_by_the_real_loader(server, tmp_path, monkeypatch):
    server.files["/VGG19_pretrained.pdparams"] = b"<html>please log in</html>"
    monkeypatch.setattr(download, "VGG19_URL", server.url("/VGG19_pretrained.pdparams"))
    with pytest.raises(InputError, match="fails its check"):
        download.fetch_vgg19(tmp_path)
    assert not names(tmp_path)


@pytest.mark.parametrize("to", [None, "some where/else"])
def test_div2k(div2k, server, tmp_path, capsys, to):
    words = ["div2k"] + (["--to", to] if to else [])
    run(*words)
    folder = tmp_path / (to or "data/DIV2K")
    assert {**contents(folder / "DIV2K_train_HR"), **contents(folder / "DIV2K_valid_HR")} == div2k
    assert names(folder) == ["DIV2K_train_HR", "DIV2K_valid_HR"]
    assert len(server.requests) == 2
    assert "academic research only" in capsys.readouterr().out
    run(*words)
    assert len(server.requests) == 2
    assert capsys.readouterr().out.count("already there") == 2


def test_div2k_fetches_only_what_is_missing(div2k, server, tmp_path):
    run("div2k")
    shutil.rmtree(tmp_path / "data/DIV2K/DIV2K_valid_HR")
    server.requests.clear()
    run("div2k")
    assert [path for path, _, _ in server.requests] == ["/DIV2K_valid_HR.zip"]


def test_div2k_takes_an_archive_put_there_by_hand(div2k, server, tmp_path):
    folder = tmp_path / "data/DIV2K"
    folder.mkdir(parents=True)
    (folder / "DIV2K_train_HR.zip").write_bytes(server.files["/DIV2K_train_HR.zip"])
    run("div2k")
    assert names(folder) == ["DIV2K_train_HR", "DIV2K_valid_HR"]
    assert [path for path, _, _ in server.requests] == ["/DIV2K_valid_HR.zip"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_the_place_of_an_archive_is_not_waited_for(div2k, tmp_path, capsys):
    (tmp_path / "to").mkdir()
    os.mkfifo(tmp_path / "to" / "DIV2K_valid_HR.zip")
    with within(), pytest.raises(SystemExit):
        run("div2k", "--to", "to")
    error = capsys.readouterr().err.splitlines()[-1]
    assert "DIV2K_valid_HR.zip is there but is not the file of" in error and "it is not a file. Move it away" in error


def test_div2k_does_not_take_a_half_folder_for_whole(div2k, tmp_path, capsys):
    run("div2k")
    (tmp_path / "data/DIV2K/DIV2K_train_HR/0002.png").unlink()
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run("div2k")
    assert end.value.code == 1
    assert "with 3 PNG files, expected 4" in capsys.readouterr().err


def test_div2k_with_a_wrong_archive_is_an_error_of_one_line(div2k, server, tmp_path, capsys):
    server.files["/DIV2K_valid_HR.zip"] = GOOD
    with pytest.raises(SystemExit) as end:
        run("div2k")
    assert end.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"error: {download.DIV2K_URL}DIV2K_valid_HR.zip: ")
    for word in (hashlib.md5(GOOD).hexdigest(), download.DIV2K_ARCHIVES[1].md5, "--data DIR", "AI Studio"):
        assert word in error
    assert names(tmp_path / "data/DIV2K") == ["DIV2K_train_HR"]


def test_div2k_of_another_size_is_refused_before_the_transfer(div2k, server, tmp_path, capsys):
    server.files["/DIV2K_train_HR.zip"] = GOOD
    with pytest.raises(SystemExit):
        run("div2k")
    error = capsys.readouterr().err
    assert f"has {len(GOOD):,} bytes, expected {download.DIV2K_ARCHIVES[0].size:,}" in error
    assert not names(tmp_path / "data/DIV2K")


def test_div2k_refuses_a_hostile_archive_of_the_right_md5(div2k, server, tmp_path, capsys, monkeypatch):
    hostile = packed([("DIV2K_train_HR/1.png", b"1"), ("../evil.png", b"2")])
    server.files["/DIV2K_train_HR.zip"] = hostile
    monkeypatch.setattr(
        download,
        "DIV2K_ARCHIVES",
        (download.Archive("DIV2K_train_HR", len(hostile), hashlib.md5(hostile).hexdigest(), 2),),
    )
    with pytest.raises(SystemExit) as end:
        run("div2k")
    assert end.value.code == 1
    assert "'../evil.png'" in capsys.readouterr().err
    assert names(tmp_path / "data/DIV2K") == ["DIV2K_train_HR.zip"]
    assert names(tmp_path / "data") == ["DIV2K"]


def test_the_script_prints_its_error_without_a_traceback(tmp_path):
    (tmp_path / "DIV2K_train_HR").mkdir()  # found before any address is asked
    script = [sys.executable, str(ROOT / "data" / "download.py"), "div2k", "--to", str(tmp_path)]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'DIV2K_train_HR'} is there with 0 PNG files, expected 800")
    assert len(done.stderr.splitlines()) == 1


def test_the_help_is_the_docstring(tmp_path):
    script = [sys.executable, str(ROOT / "data" / "download.py"), "--help"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert download.__doc__.strip() in done.stdout
