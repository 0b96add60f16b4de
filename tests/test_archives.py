"""Zip and tar archives: what is unpacked, and what is refused before anything is written."""

import bz2
import gzip
import io
import itertools
import lzma
import os
import random
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import pytest

from common.errors import InputError
from data import archives
from tests.helpers.alarm import within
from tests.helpers.file_server import CONTENT, OTHER, names
from tests.helpers.zips import CRC, FLAGS, GOOD, METHOD, PICTURES, UNPACKED_SIZE, contents, edited, member, packed

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT.parent / "shared" / "cases" / "archives"
LIMITED = """
import resource, sys
from data.archives import members, unpack
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


def tarred(
    mode: str, count: int = 1, pax=None, name="a.png", header_format=tarfile.GNU_FORMAT, content=b"pixels"
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=header_format, pax_headers=pax) as archive:
        for i in range(count):
            archive.addfile(tarfile.TarInfo(f"{i}{name}"))
        member = tarfile.TarInfo("last.png")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
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


def pax(records: bytes, kind=tarfile.XHDTYPE) -> bytes:
    """A PAX header with these records."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = kind, len(records)
    return header.tobuf() + records + bytes(-len(records) % tarfile.BLOCKSIZE)


def record(keyword: str, value: str) -> bytes:
    body = f" {keyword}={value}\n".encode()
    length = len(body) + len(str(len(body)))
    length += len(str(length)) - len(str(len(body)))  # its own digits count
    return str(length).encode() + body


# What comes before the members, in an archive that is sound but for its cost.
COSTLY = {
    "a header for all": pax(b"".join(record(f"key{i}", "value") for i in range(30_000)), tarfile.XGLTYPE),
    "digits": pax(record("comment", "1" * 300_000)),
    "headers that follow one another": pax(record("comment", "x")) * 1000,
    "headers for all that follow one another": pax(record("comment", "x"), tarfile.XGLTYPE) * 1000,
}


# ------------------------------------------------------------------------------------------------------------ zip


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "top.zip"


@pytest.mark.parametrize("with_folders", [True, False])
def test_an_archive_is_unpacked(archive, tmp_path, capsys, with_folders):
    deep = {"top/a/b/c.png": CONTENT[:10], **PICTURES}
    folders = [("top/", b""), ("top/a/", b""), ("top/void/", b"")] if with_folders else []
    archive.write_bytes(packed([*folders, *deep.items()]))
    archives.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == deep
    assert (tmp_path / "top" / "void").is_dir() == with_folders
    assert names(tmp_path) == ["top", "top.zip"]
    assert "unpacking top.zip: 100%" in capsys.readouterr().err


def test_an_archive_without_unix_attributes_is_unpacked(archive, tmp_path):
    archive.write_bytes(packed([(member(name, system=0), content) for name, content in PICTURES.items()]))
    archives.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == PICTURES


HOSTILE_NAMES = [
    ("/top/x.png", "an absolute path"),
    ("//top/x.png", "an absolute path"),
    ("/", "an absolute path"),
    ("../x.png", "leads out"),
    ("top/../../x.png", "leads out"),
    ("top/..", "leads out"),
    ("top/a/../", "leads out"),
    ("C:/top/x.png", "a drive letter"),
    ("top/C:x.png", "a drive letter"),
    ("top/0003.png:hidden", "a colon"),
    ("top\\..\\..\\x.png", "can hide another name"),
    ("\\top\\x.png", "can hide another name"),
    ("top/a\\", "can hide another name"),
    ("top/\x1b[2Jx.png", "can hide another name"),
    ("top/x.png\0.txt", "can hide another name"),
    ("top/./x.png", "a dot"),
    ("top//x.png", "an empty part"),
    ("top//", "an empty part"),
    ("", "an empty part"),
    ("top/0001.png.", "a dot"),
    ("top/0001.png ", "a space"),
    ("other/x.png", "outside the expected folder top"),
    ("topper/x.png", "outside the expected folder top"),
    ("TOP/x.png", "outside the expected folder top"),
    ("x.png", "outside the expected folder top"),
    ("top", "outside the expected folder top"),
]


@pytest.fixture
def refused(archive, tmp_path, monkeypatch):
    """A function that unpacks what has to be refused before a byte is written, and returns the message."""

    def unpack(content):
        archive.write_bytes(content)
        with monkeypatch.context() as patch:
            patch.setattr(archives, "_extract", lambda *_: pytest.fail("began to write"))
            with pytest.raises(InputError) as error:
                archives.unpack(archive, tmp_path / "top")
        assert names(tmp_path) == ["top.zip"]
        assert str(archive) in str(error.value)
        return str(error.value)

    return unpack


@pytest.mark.parametrize(("name", "words"), HOSTILE_NAMES)
def test_a_hostile_name_is_refused(refused, name, words):
    message = refused(packed([*PICTURES.items(), (name, b"")]))
    assert f"member {name!r} " in message
    assert words in message


@pytest.mark.parametrize("kind", ["FLNK", "FIFO", "FCHR", "FBLK", "FSOCK", "FDIR"])
def test_what_is_no_plain_file_is_refused(refused, kind):
    link = member("top/link", getattr(stat, f"S_I{kind}"))
    message = refused(packed([*PICTURES.items(), (link, b"/etc/passwd")]))
    assert "member 'top/link' is not a plain file" in message


def test_a_link_that_poses_as_a_folder_is_refused(refused):
    assert "'top/link/'" in refused(packed([*PICTURES.items(), (member("top/link/", stat.S_IFLNK), b"")]))


def test_a_folder_with_content_is_refused(refused):
    assert "'top/a/'" in refused(packed([*PICTURES.items(), ("top/a/", b"content")]))


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_an_encrypted_member_is_refused(refused, flag):
    message = refused(edited(GOOD, "top/0002.png", *FLAGS, lambda flags: flags | flag))
    assert "member 'top/0002.png' is encrypted" in message


@pytest.mark.parametrize(
    ("field", "value"), [(METHOD, 12), (METHOD, 14), (METHOD, 9), (METHOD, 99), (FLAGS, 0x20)]
)  # bzip2, LZMA, Deflate64, AES; patch data
def test_an_unexpected_method_is_refused(refused, field, value):
    assert "member 'top/0002.png' is packed" in refused(edited(GOOD, "top/0002.png", *field, lambda _: value))


def test_a_name_in_an_extra_field_is_refused(refused):
    hidden = member("top/x.png")
    other = b"top/../../x.png"
    crc = zipfile.crc32(b"top/x.png")
    hidden.extra = struct.pack("<HHBL", 0x7075, 5 + len(other), 1, crc) + other
    content = packed([*PICTURES.items(), (hidden, b"")])
    if zipfile.ZipFile(io.BytesIO(content)).infolist()[-1].filename == "top/x.png":
        pytest.skip("this Python's zipfile ignores the field")
    assert "'top/x.png'" in refused(content)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("top/x.png", "top/x.png"),
        ("top/a/", "top/a/"),
        ("top/x.png", "top/X.PNG"),
        ("top/stra\u00dfe.png", "top/STRASSE.png"),
        ("top/\u00e9.png", "top/e\u0301.png"),
        ("top/a/x.png", "top/A/y.png"),
        ("top/x.png", "top/x.png/y.png"),
        ("top/x.png/y.png", "top/x.png"),
        ("top/x.png/", "top/x.png"),
        ("top/x.png", "top/X.png/"),
    ],
)
def test_two_members_in_one_place_are_refused(refused, first, second):
    assert f"member {second!r} " in refused(packed([*PICTURES.items(), (first, b""), (second, b"")]))


def test_a_bomb_is_refused(refused):
    message = refused(packed([("top/zeros.png", bytes(3_000_000))]))
    assert "3,000,000" in message
    assert "20 times" in message


def test_a_bomb_of_many_members_is_refused(refused):
    zeros = bytes(100_000)
    assert "claims to unpack to" in refused(packed([(f"top/{i}.png", zeros) for i in range(50)]))


def test_more_than_the_free_space_is_refused(refused, monkeypatch):
    total = sum(map(len, PICTURES.values()))
    usage = types.SimpleNamespace(free=total - 1)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: usage)
    message = refused(GOOD)
    assert f"{total:,} bytes" in message
    assert f"{total - 1:,} free" in message
    assert message.endswith("--to, and run the command again.")


@pytest.mark.parametrize("free", [0, 10**9])
def test_without_room_the_caller_says_what_to_do(archive, tmp_path, monkeypatch, free):
    def fsync(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=free))
    monkeypatch.setattr(os, "fsync", fsync)
    archive.write_bytes(GOOD)
    with pytest.raises((InputError, OSError)) as error:
        archives.unpack(archive, tmp_path / "top", no_room="Take PLAN-B")
    assert str(error.value).endswith(". Take PLAN-B.")
    assert "--to" not in str(error.value)


def test_just_the_free_space_is_enough(archive, tmp_path, monkeypatch):
    usage = types.SimpleNamespace(free=sum(map(len, PICTURES.values())))
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda folder: usage)
    archive.write_bytes(GOOD)
    archives.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == PICTURES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("top/" + "a/" * 30_000 + "x.png", "has a name of more than 1,000 bytes"),
        ("top/" + "é" * 499 + "/x.png", "has a name of more than 1,000 bytes"),
        ("top/" + "a/" * 32 + "x.png", "lies more than 32 folders deep"),
        ("top/" + "é" * 128, "has more than 255 bytes in a part of its name"),
    ],
)
def test_a_name_of_any_length_or_depth_is_refused(refused, name, words):
    message = refused(packed([*PICTURES.items(), (name, b"")]))
    assert f"member {name[:100]!r}"[:100] in message and words in message and len(message) < 600


@pytest.mark.parametrize(
    "name", ["top/" + "a/" * 31 + "x.png", "top/" + "é" * 127, "top/" + ("a" * 200 + "/") * 4 + "b"]
)
def test_a_long_name_is_unpacked(archive, tmp_path, name):
    archive.write_bytes(packed([(name, b"x")]))
    archives.unpack(archive, tmp_path / "top")
    assert (tmp_path / name).read_bytes() == b"x"


def test_an_archive_without_files_is_refused(refused):
    assert "holds no files" in refused(packed([("top/", b"")]))
    assert "holds no files" in refused(packed([]))


DAMAGED = {
    "no archive": CONTENT,
    "empty file": b"",
    "cut off": GOOD[:-100],
    "beginning missing": GOOD[60_000:],
    "CRC off": edited(GOOD, "top/0002.png", *CRC, lambda crc: crc ^ 1),
    "CRC of an empty file off": edited(GOOD, "top/empty.png", *CRC, lambda crc: crc ^ 1),
    "content off": GOOD[:40_000] + bytes(500) + GOOD[40_500:],
    "shorter than declared": edited(GOOD, "top/0002.png", *UNPACKED_SIZE, lambda size: size + 1),
    "longer than declared": edited(GOOD, "top/0002.png", *UNPACKED_SIZE, lambda size: size - 1),
    "much longer than declared": edited(GOOD, "top/0002.png", *UNPACKED_SIZE, lambda size: 0),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_is_an_error_and_leaves_nothing(archive, tmp_path, content):
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"top\.zip is damaged.*Remove it"):
        archives.unpack(archive, tmp_path / "top")
    assert names(tmp_path) == ["top.zip"]


@pytest.mark.slow
def test_any_damage_is_found_or_harmless(archive, tmp_path):
    chance = random.Random(0)
    small = packed([("top/", b""), ("top/1.png", CONTENT[:60]), ("top/2.png", OTHER[:60])])
    whole = {"top/1.png": CONTENT[:60], "top/2.png": OTHER[:60]}
    found = 0
    for _ in range(300):
        content = bytearray(small)
        content[chance.randrange(len(content))] = chance.randrange(256)
        archive.write_bytes(content)
        try:
            archives.unpack(archive, tmp_path / "top")
        except InputError:
            found += 1
            assert names(tmp_path) == ["top.zip"]
        else:
            # A byte that changes a name, a date or the like; the content is checked by its CRC.
            assert set(contents(tmp_path / "top").values()) <= set(whole.values())
            shutil.rmtree(tmp_path / "top")
    assert found > 100


def test_never_more_is_written_than_declared(archive, tmp_path, monkeypatch):
    """Also with the CRC of the bytes up to the declared size, by which zipfile finds no fault."""
    name, declared = "top/0002.png", 1000
    content = edited(GOOD, name, *UNPACKED_SIZE, lambda _: declared)
    archive.write_bytes(edited(content, name, *CRC, lambda _: zipfile.crc32(PICTURES[name][:declared])))
    lengths = []
    monkeypatch.setattr(
        archives, "sync", lambda path: lengths.extend(file.stat().st_size for file in path.glob("0002.png"))
    )
    archives.unpack(archive, tmp_path / "top")
    assert set(lengths) == {declared}


def test_a_member_shorter_than_declared_with_a_right_crc_is_found(archive, tmp_path):
    name = "top/0002.png"
    stored = zipfile.ZipInfo(name)
    archive.write_bytes(edited(packed([(stored, b"short")]), name, *UNPACKED_SIZE, lambda size: size + 1))
    with pytest.raises(InputError, match="shorter than the archive says"):
        archives.unpack(archive, tmp_path / "top")
    assert names(tmp_path) == ["top.zip"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_the_leftover_of_a_killed_run_is_cleaned(archive, tmp_path):
    code = (
        "import os, signal; from data import archives\n"
        "archives.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"archives.unpack({str(archive)!r}, {str(tmp_path / 'top')!r})"
    )
    archive.write_bytes(GOOD)
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, check=False, timeout=100)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2
    archives.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == PICTURES
    assert names(tmp_path) == ["top", "top.zip"]


def test_the_folder_of_a_living_process_stays(archive, tmp_path):
    living = tmp_path / f".{os.getppid()}-01234567.unpacking"
    living.mkdir()
    archive.write_bytes(GOOD)
    archives.unpack(archive, tmp_path / "top")
    assert names(tmp_path) == [living.name, "top", "top.zip"]


def test_a_folder_that_another_process_has_unpacked_meanwhile_is_not_touched(archive, tmp_path, monkeypatch):
    extract = archives._extract

    def extract_late(*arguments):
        extract(*arguments)
        (tmp_path / "top").mkdir()

    monkeypatch.setattr(archives, "_extract", extract_late)
    archive.write_bytes(GOOD)
    with pytest.raises(InputError, match="already there"):
        archives.unpack(archive, tmp_path / "top")
    assert names(tmp_path) == ["top", "top.zip"]
    assert not names(tmp_path / "top")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_stop_in_the_middle_leaves_no_folder(archive, tmp_path, monkeypatch, stop):
    synced = itertools.count()

    def fsync(descriptor):
        assert not (tmp_path / "top").exists()
        if next(synced) == 1:
            raise stop

    monkeypatch.setattr(os, "fsync", fsync)
    archive.write_bytes(GOOD)
    with pytest.raises(type(stop)) as error:
        archives.unpack(archive, tmp_path / "top")
    if isinstance(stop, OSError):
        assert f"cannot unpack {archive}" in str(error.value)
        assert "No space left on device" in str(error.value)
    assert names(tmp_path) == ["top.zip"]


def test_a_folder_that_is_there_is_not_touched(archive, tmp_path):
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "mine.png").write_bytes(b"mine")
    archive.write_bytes(GOOD)
    with pytest.raises(InputError, match="already there"):
        archives.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == {"top/mine.png": b"mine"}


# ------------------------------------------------------------------------------------------------------------ tar


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_comments_count_as_what_is_unpacked(tmp_path, name):
    content, words = HOSTILE[name]
    (tmp_path / name).write_bytes(content())
    listed, unpacked, memory = said_of(tmp_path / name)
    assert words in listed and words in unpacked and str(tmp_path / name) in listed
    assert memory < 100
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("ending", ["", ".gz", ".bz2", ".xz"])
@pytest.mark.parametrize("kind", COSTLY)
def test_a_header_is_gone_through_once(tmp_path, kind, ending):
    packers = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    # Pixels that do not shrink, for the headers to be in proportion to them.
    content = COSTLY[kind] + tarred("w", 3000, content=random.Random(0).getrandbits(1_000_000).to_bytes(125_000, "big"))
    (tmp_path / f"a.tar{ending}").write_bytes(packers[ending](content))
    assert len(archives.members(tmp_path / f"a.tar{ending}")) == 3001


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_headers_of_each_kind_count_as_what_is_unpacked(tmp_path, kind, mode):
    headers = pax(record("comment", "x" * 900_000), kind) * 3
    content = {"w": bytes, "w:gz": gzip.compress, "w:bz2": bz2.compress, "w:xz": lzma.compress}[mode](headers)
    (tmp_path / "a.tar").write_bytes(content)
    for read in (archives.members, lambda path: archives.unpack(path, tmp_path / "folder", one_folder=False)):
        with pytest.raises(InputError, match="times its size" if mode != "w" else "truncated") as error:
            read(tmp_path / "a.tar")
        assert str(tmp_path / "a.tar") in str(error.value)
    assert names(tmp_path) == ["a.tar"]


@pytest.mark.parametrize(
    "header, words",
    [
        (b"99 path=x\n" + bytes(500), "a damaged PAX header"),
        (b"path=x\n", "a damaged PAX header"),
        (b"0 path=x\n", "a damaged PAX header"),
        (record("size", "-512"), "a damaged PAX header"),
        (record("size", "9" * 300), "a damaged PAX header"),
        (record("size", "9" * 19), "times its size"),
    ],
)
def test_a_damaged_header_is_an_error(tmp_path, header, words):
    (tmp_path / "a.tar").write_bytes(pax(header) + tarred("w"))
    with pytest.raises(InputError, match=words):
        archives.members(tmp_path / "a.tar")


@pytest.mark.parametrize("old", [True, False])
def test_a_sparse_file_is_refused(tmp_path, old):
    """Its parts may come in any order, and any number of times."""
    sparse = tarfile.TarInfo("sparse.png")
    sparse.type = tarfile.GNUTYPE_SPARSE if old else tarfile.REGTYPE
    buffer = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    buffer[482] = old  # a block of its map follows
    buffer[148:156] = b"%06o\0 " % (sum(buffer[:148]) + 256 + sum(buffer[156:]))
    before = b"" if old else pax(record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0"))
    (tmp_path / "a.tar").write_bytes(before + bytes(buffer) + bytes(512 * old) + tarred("w"))
    assert archives.members(tmp_path / "a.tar") == ["sparse.png", "0a.png", "last.png"]
    with pytest.raises(InputError, match=r"a\.tar: member 'sparse\.png' is not a plain file"):
        archives.unpack(tmp_path / "a.tar", tmp_path / "folder", one_folder=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (archives.members, lambda path: archives.unpack(path, tmp_path / "folder")):
        with within(), pytest.raises(InputError, match=f"{name} is not a file; expected a zip or tar archive"):
            read(tmp_path / name)


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
            assert len(archives.members(tmp_path / "a.tar.xz")) == 21
        except InputError as error:
            assert "is damaged" in str(error)
            found += 1
    assert found > len(whole) // 6


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("header_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_sound_archives_are_unpacked(tmp_path, mode, header_format):
    name = "a.png" if header_format == tarfile.USTAR_FORMAT else "ü" * 90 + "/" + "x" * 60 + ".png"
    (tmp_path / "a.tar").write_bytes(tarred(mode, 3, name=name, header_format=header_format))
    assert len(archives.members(tmp_path / "a.tar")) == 4
    archives.unpack(tmp_path / "a.tar", tmp_path / "folder", one_folder=False)
    assert (tmp_path / "folder" / "last.png").read_bytes() == b"pixels"
    assert (tmp_path / "folder" / f"2{name}").exists()


def test_the_older_lzma_is_read(tmp_path):
    (tmp_path / "a.tar.lzma").write_bytes(lzma.compress(tarred("w"), format=lzma.FORMAT_ALONE))
    assert archives.members(tmp_path / "a.tar.lzma") == ["0a.png", "last.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited as Linux does")
def test_a_dictionary_larger_than_the_memory_is_an_error(tmp_path):
    content = bytearray(lzma.compress(tarred("w"), format=lzma.FORMAT_ALONE))
    content[1:5] = (3 << 30).to_bytes(4, "little")
    (tmp_path / "a.tar.lzma").write_bytes(content)
    limited = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n" + LIMITED
    line = [sys.executable, "-c", limited, tmp_path / "a.tar.lzma"]
    result = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.count("a.tar.lzma: there is not enough memory to unpack it") == 2
