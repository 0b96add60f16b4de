"""Tar archives that unpack to more than they may, by their names and comments; what `fetch` won't follow or take."""

import io
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from common.errors import InputError
from data import download
from tests.helpers.file_server import CONTENT, names

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT.parent / "shared" / "cases" / "archives"
LIMITED = """
import resource, sys
from data.download import members, unpack
from common.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (members, lambda path: unpack(path, path + "-unpacked", one_folder=False)):
    try:
        read(sys.argv[1])
        print("read")
    except InputError as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def tarred(mode: str, count: int = 1, pax=None, name="a.png", header_format=tarfile.GNU_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=header_format, pax_headers=pax) as archive:
        for i in range(count):
            archive.addfile(tarfile.TarInfo(f"{i}{name}"))
        member = tarfile.TarInfo("last.png")
        member.size = 6
        archive.addfile(member, io.BytesIO(b"pixels"))
    return stream.getvalue()


def said_of(archive) -> tuple:
    """What listing and unpacking say of it, and the MB that both took."""
    line = [sys.executable, "-c", LIMITED, archive]
    result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    listed, unpacked, memory = result.stdout.splitlines()
    return listed, unpacked, int(memory)


HOSTILE = {
    "a long name.tar.gz": (lambda: tarred("w:gz", name="x" * 200_000_000), "a name or a comment of 200,000,5"),
    "a comment.tar.xz": (
        lambda: tarred("w:xz", pax={"comment": "x" * 100_000_000}, header_format=tarfile.PAX_FORMAT),
        "a name or a comment of 100,000,2",
    ),
    "many long names.tar.bz2": (lambda: tarred("w:bz2", 100, name="x" * 500_000), "times its size"),
    "many comments.tar.gz": (
        lambda: tarred(
            "w:gz", 100, pax={"comment": "x" * 500_000}, name="ü" * 200_000, header_format=tarfile.PAX_FORMAT
        ),
        "times its size",
    ),
    "many headers.tar.gz": (lambda: tarred("w:gz", 50_000), "times its size"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_comments_count_as_what_is_unpacked(tmp_path, name):
    content, words = HOSTILE[name]
    (tmp_path / name).write_bytes(content())
    listed, unpacked, memory = said_of(tmp_path / name)
    assert words in listed and words in unpacked and str(tmp_path / name) in listed
    assert memory < 100
    assert names(tmp_path) == [name]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
@pytest.mark.parametrize("name", ["long_name.tar.gz", "damaged.tar.xz"])
def test_those_found_are_refused(tmp_path, name):
    if not (FOUND / name).exists():
        pytest.skip("the archives that were found are not there")
    (tmp_path / name).write_bytes((FOUND / name).read_bytes())
    listed, unpacked, memory = said_of(tmp_path / name)
    assert str(tmp_path / name) in listed and str(tmp_path / name) in unpacked and memory < 100


def test_any_damage_to_an_xz_is_found_or_harmless(tmp_path):
    whole = tarred("w:xz", 20)
    found = 0
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 16
        (tmp_path / "a.tar.xz").write_bytes(bytes(damaged))
        try:
            assert len(download.members(tmp_path / "a.tar.xz")) == 21
        except InputError as error:
            assert "is damaged" in str(error)
            found += 1
    assert found > len(whole) // 6


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("header_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_sound_archives_are_unpacked(tmp_path, mode, header_format):
    name = "a.png" if header_format == tarfile.USTAR_FORMAT else "ü" * 90 + "/" + "x" * 60 + ".png"
    (tmp_path / "a.tar").write_bytes(tarred(mode, 3, name=name, header_format=header_format))
    assert len(download.members(tmp_path / "a.tar")) == 4
    download.unpack(tmp_path / "a.tar", tmp_path / "folder", one_folder=False)
    assert (tmp_path / "folder" / "last.png").read_bytes() == b"pixels"
    assert (tmp_path / "folder" / f"2{name}").exists()


def test_the_older_lzma_is_read(tmp_path):
    (tmp_path / "a.tar.lzma").write_bytes(lzma.compress(tarred("w"), format=lzma.FORMAT_ALONE))
    assert download.members(tmp_path / "a.tar.lzma") == ["0a.png", "last.png"]


def test_from_https_nothing_leads_to_http():
    follow = download._Redirections().redirect_request
    request = download.urllib.request.Request("https://host/a")
    with pytest.raises(
        InputError, match="https://host/a: the server sends on to http://other/b, which is not encrypted"
    ):
        follow(request, None, 302, "Found", {}, "http://other/b")
    assert follow(request, None, 302, "Found", {}, "https://other/b").full_url == "https://other/b"
    plain = download.urllib.request.Request("http://host/a")
    assert follow(plain, None, 302, "Found", {}, "http://other/b").full_url == "http://other/b"


def test_the_opener_has_that_rule():
    assert any(isinstance(handler, download._Redirections) for handler in download._opener().handlers)


@pytest.mark.parametrize("length", [True, False])
def test_an_answer_of_any_length_is_not_taken(server, tmp_path, monkeypatch, length):
    path = tmp_path / "new" / "file.bin"
    monkeypatch.setattr(download, "MOST", len(CONTENT) - 1)
    server.length = length
    with pytest.raises(InputError, match=f"{len(CONTENT) - 1:,}"):
        download.fetch(server.url(), path)
    assert not names(path.parent)
    monkeypatch.setattr(download, "MOST", len(CONTENT))
    download.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT


def test_a_package_index_s_page_of_any_length_is_not_taken(server, tmp_path, monkeypatch):
    server.files[f"/simple/{download.LPIPS_PROJECT}/"] = b" " * 2000
    monkeypatch.setenv("PIP_INDEX_URL", server.url("/simple"))
    monkeypatch.setattr(download, "MOST_OF_A_PAGE", 1999)
    with pytest.raises(InputError, match="has more than 1,999 bytes"):
        download.fetch_lpips(tmp_path)
