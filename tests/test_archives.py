"""Zip and tar archives: unpacked completely or not at all, and nothing outside the folder."""

import random
import tarfile
import zipfile

import pytest

from common.errors import InputError
from data import archives
from tests.helpers.errors import refusal
from tests.helpers.file_server import CONTENT, names
from tests.helpers.zips import PICTURES, contents, tarred, zipped

PACKED = {
    "a.zip": zipped(PICTURES),
    "a.tar": tarred(PICTURES),
    "a.tar.gz": tarred(PICTURES, "w:gz"),
    "a.tar.bz2": tarred(PICTURES, "w:bz2"),
    "A.TAR.XZ": tarred(PICTURES, "w:xz"),
}


@pytest.mark.parametrize("name", PACKED)
def test_an_archive_is_unpacked_as_it_is_or_to_the_folder_that_it_has(tmp_path, name):
    (tmp_path / name).write_bytes(PACKED[name])
    (tmp_path / ".top.unpacking").mkdir()
    (tmp_path / ".top.unpacking" / "of a killed process").touch()
    for folder in ("top", "new"):
        archives.unpack(tmp_path / name, tmp_path / folder)
        assert contents(tmp_path / folder if folder == "top" else tmp_path / folder / "top") == PICTURES
    assert names(tmp_path) == sorted([name, "top", "new"])


def unpack_beside(archive):
    archives.unpack(archive, archive.parent / "top")


def check_refused(archive, content, words: str) -> None:
    """Nothing but the archive may be left."""
    archive.write_bytes(content)
    message = refusal(unpack_beside, archive)
    assert words in message and message.endswith(f". {archives.FETCH_AGAIN}.")
    assert names(archive.parent) == [archive.name]


@pytest.mark.parametrize("name", ["/top/x.png", "../x.png", "top/../../x.png"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    for archive, pack in (("a.zip", zipped), ("a.tar", tarred)):
        check_refused(tmp_path / archive, pack({**PICTURES, name: b"x"}), f"has a member {name!r} that")
        (tmp_path / archive).unlink()
    assert not (tmp_path.parent / "x.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    content = tarred({**PICTURES, "top/link": b""}, kinds={"top/link": kind})
    check_refused(tmp_path / "a.tar", content, "'top/link' that is a link")


GOOD, TAR = PACKED["a.zip"], PACKED["a.tar"]
DAMAGED = {
    "no archive.zip": CONTENT,
    "no archive.tar": CONTENT,
    "empty.tar": b"",
    "cut.zip": GOOD[:-100],
    "the beginning missing.zip": GOOD[60_000:],
    "other content.zip": GOOD[:40_000] + bytes(500) + GOOD[40_500:],
    "cut in a file.tar": TAR[:20_000],
    "cut between two files.tar": TAR[: TAR.index(b"top/deep/er")],
    "a header lost.tar": TAR.replace(b"top/deep/er/0002", b"top/deep/er/0003"),
    "cut.tar.gz": PACKED["a.tar.gz"][:-100],
    "wrong checksum.tar.gz": PACKED["a.tar.gz"][:-8] + b"\1\2\3\4" + PACKED["a.tar.gz"][-4:],
    "cut.tar.bz2": PACKED["a.tar.bz2"][:-10],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_archive_is_named_and_leaves_nothing(tmp_path, name):
    check_refused(tmp_path / name, DAMAGED[name], " is damaged: ")


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_changed_byte_is_noticed_or_harmless(tmp_path, name):
    rng, refused = random.Random(0), 0
    small = {f"{i}.png": CONTENT[60 * i : 60 * i + 60] for i in range(2)}
    whole = zipped(small) if name == "a.zip" else tarred(small, "w:gz")
    for number in range(60):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / name).write_bytes(content)
        try:
            archives.unpack(tmp_path / name, tmp_path / f"{number}")
            # zipfile does not miss a member whose entry became another's comment; contents have checksums.
            assert set(contents(tmp_path / f"{number}").values()) <= set(small.values())
        except InputError:
            refused += 1
            assert not (tmp_path / f"{number}").exists()
    assert refused > 20


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_stop_leaves_nothing(tmp_path, monkeypatch, stop):
    def extract(self, *_):
        raise stop

    (tmp_path / "a.zip").write_bytes(GOOD)
    monkeypatch.setattr(zipfile.ZipFile, "_extract_member", extract)
    with pytest.raises(type(stop)):
        unpack_beside(tmp_path / "a.zip")
    assert names(tmp_path) == ["a.zip"]


def test_an_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "a.zip").write_bytes(GOOD)
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "mine.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        unpack_beside(tmp_path / "a.zip")
    assert contents(tmp_path / "top") == {"top/mine.png": b"mine"}
