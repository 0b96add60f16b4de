"""Zip and tar archives: unpacked completely or not at all, and nothing outside the folder."""

import os
import random
import shutil
import tarfile
import types
import zipfile
from pathlib import PurePath

import pytest

from common.errors import InputError
from data import archives
from tests.helpers.file_server import CONTENT, names
from tests.helpers.zips import PICTURES, contents, tarred, zipped

PACKED = {
    "a.zip": zipped(PICTURES),
    "a.tar": tarred(PICTURES),
    "a.tar.gz": tarred(PICTURES, "w:gz"),
    "a.tar.bz2": tarred(PICTURES, "w:bz2"),
    "A.TAR.XZ": tarred(PICTURES, "w:xz"),
    "as tar -c . writes it.tar": tarred(
        {"./": b"", **{f"./{name}": content for name, content in PICTURES.items()}}, kinds={"./": tarfile.DIRTYPE}
    ),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("one_folder", [True, False])
def test_an_archive_is_unpacked(tmp_path, name, one_folder):
    (tmp_path / name).write_bytes(PACKED[name])
    folder = tmp_path / ("top" if one_folder else "new")
    archives.unpack(tmp_path / name, folder, one_folder)
    assert contents(folder if one_folder else folder / "top") == PICTURES
    assert names(tmp_path) == sorted([name, folder.name])
    assert sorted(str(PurePath(entry)) for entry in archives.members(tmp_path / name)) == sorted(PICTURES)


def refusal(archive, content) -> str:
    """The message with which unpacking and, for damage, listing refuse an archive; nothing else may be left."""
    archive.write_bytes(content)
    with pytest.raises(InputError) as error:
        archives.unpack(archive, archive.parent / "top")
    assert names(archive.parent) == [archive.name]
    assert str(error.value).startswith(f"{archive} ") and str(error.value).endswith(f". {archives.FETCH_AGAIN}.")
    return str(error.value)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "name",
    ["/top/x.png", "../x.png", "top/../../x.png", "C:/top/x.png", "top\\..\\x.png", "other/x.png", "top", "top/" * 300],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, pack, name):
    assert "has a member" in refusal(
        tmp_path / ("a.zip" if pack is zipped else "a.tar"), pack({**PICTURES, name: b"x"})
    )
    assert not (tmp_path.parent / "x.png").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    content = tarred({**PICTURES, "top/link": b""}, kinds={"top/link": kind})
    assert "'top/link' that is a link or a special file" in refusal(tmp_path / "a.tar", content)


GOOD, TAR = PACKED["a.zip"], PACKED["a.tar"]
DAMAGED = {
    "no archive.zip": CONTENT,
    "no archive.tar": CONTENT,
    "no archive.tar.bz2": b"BZh9 and nothing else",
    "empty.zip": b"",
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
    assert " is damaged: " in refusal(tmp_path / name, DAMAGED[name])


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "A.TAR.XZ"])
def test_a_changed_byte_is_noticed_or_harmless(tmp_path, name):
    rng = random.Random(0)
    small = {f"top/{i}.png": CONTENT[60 * i : 60 * i + 60] for i in range(2)}
    whole = zipped(small) if name == "a.zip" else tarred(small, "w:gz" if name == "a.tar.gz" else "w:xz")
    refused = 0
    for _ in range(100):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (tmp_path / name).write_bytes(content)
        try:
            archives.unpack(tmp_path / name, tmp_path / "new", one_folder=False)
        except InputError:
            refused += 1
            assert names(tmp_path) == [name]
        else:
            # zipfile does not miss a member whose entry became another's comment; contents have checksums.
            assert set(contents(tmp_path / "new").values()) <= set(small.values())
            shutil.rmtree(tmp_path / "new")
    assert refused > 30


def test_without_files_or_room_or_a_file_it_is_refused(tmp_path, monkeypatch):
    assert "contains no files" in refusal(tmp_path / "a.zip", zipped({}))
    size = sum(map(len, PICTURES.values()))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=size - 1))
    assert f"unpacks to {size:,} bytes and {tmp_path} has {size - 1:,} free" in refusal(tmp_path / "a.zip", GOOD)
    with pytest.raises(InputError, match="is not a file"):
        archives.members(tmp_path)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_stop_leaves_nothing(tmp_path, monkeypatch, stop):
    def extract(self, *_):
        raise stop

    (tmp_path / "a.zip").write_bytes(GOOD)
    monkeypatch.setattr(zipfile.ZipFile, "_extract_member", extract)
    with pytest.raises(type(stop)):
        archives.unpack(tmp_path / "a.zip", tmp_path / "top")
    assert names(tmp_path) == ["a.zip"]


def test_an_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "a.zip").write_bytes(GOOD)
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "mine.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="exists already"):
        archives.unpack(tmp_path / "a.zip", tmp_path / "top")
    assert contents(tmp_path / "top") == {"top/mine.png": b"mine"}


def test_what_a_killed_process_left_goes_after_a_day(tmp_path):
    for age in (0, 2 * 86400):
        (tmp_path / f".top-{age}.unpacking").mkdir()
        os.utime(tmp_path / f".top-{age}.unpacking", (archives.time.time() - age,) * 2)
    (tmp_path / "a.zip").write_bytes(GOOD)
    archives.unpack(tmp_path / "a.zip", tmp_path / "top")
    assert names(tmp_path) == [".top-0.unpacking", "a.zip", "top"]
