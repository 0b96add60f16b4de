"""data/download.py against a web server on this machine: the oracles are the bytes it serves, and hashlib."""

import hashlib
import io
import itertools
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
import types
import warnings
import zipfile
from pathlib import Path

import pytest

from common import command
from common.errors import InputError
from data import download
from tests.helpers.file_server import CONTENT, names

ROOT = Path(__file__).resolve().parents[1]
OTHER = random.Random(1).getrandbits(8 * 250_000).to_bytes(250_000, "big")
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "file.bin"


def ranges(server):
    return [asked for _, asked, _ in server.requests]


def break_off(server, path, count, **known):
    """Leave a .part with the first `count` bytes, as a command that gave up does."""
    server.cuts = [count] + [0] * (download.TRIES - 1)
    with pytest.raises(InputError):
        download.fetch(server.url(), path, **known)
    assert path.with_name("file.bin.part").read_bytes() == server.files["/file.bin"][:count]
    server.requests.clear()


# ---------------------------------------------------------------------------------------------------- transfer


def test_a_file_arrives_whole_and_alone(server, path, capsys):
    download.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["file.bin"]
    assert server.requests == [("/file.bin", None, None)]
    assert "file.bin: 100%" in capsys.readouterr().err


def test_a_file_that_is_there_is_checked_and_not_fetched(server, path, capsys):
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    download.fetch(server.url(), path, len(CONTENT), MD5)
    assert not server.requests
    assert f"{path} is already there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("known", "found", "expected"),
    [({"md5": MD5}, hashlib.md5(OTHER).hexdigest(), MD5), ({"size": len(CONTENT)}, "250,000", "300,000")],
)
def test_a_wrong_file_that_is_there_is_named_and_not_touched(server, path, known, found, expected):
    path.parent.mkdir()
    path.write_bytes(OTHER)
    with pytest.raises(InputError) as error:
        download.fetch(server.url(), path, **known)
    for word in (str(path), server.url(), found, expected, "Move it away"):
        assert word in str(error.value)
    assert path.read_bytes() == OTHER
    assert not server.requests


@pytest.mark.parametrize("reset", [False, True])
def test_a_transfer_cut_off_several_times_is_continued(server, path, reset):
    server.cuts, server.reset = [100_000, 50_000, 120_000], reset
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-", "bytes=270000-"]
    assert {if_range for _, _, if_range in server.requests[1:]} == {server.tag(CONTENT)}


def test_tries_that_bring_something_new_do_not_count(server, path):
    server.cuts = [1000] * (3 * download.TRIES)
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_server_that_always_breaks_is_given_up_and_the_part_stays(server, path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download, "PAUSE", 7)
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.cuts = [100_000] + [0] * 99
    with pytest.raises(InputError) as error:
        download.fetch(server.url(), path, instead="; or take PLAN-B")
    assert len(server.requests) == download.TRIES
    assert pauses == [7] * (download.TRIES - 1)
    part = path.with_name("file.bin.part")
    assert part.read_bytes() == CONTENT[:100_000]
    assert not path.exists()
    for word in (server.url(), "broke off after 100,000 of 300,000 bytes", f"stay in {part}", f"put it at {path}"):
        assert word in str(error.value)
    assert str(error.value).endswith("; or take PLAN-B.")


def test_the_next_run_continues(server, path):
    break_off(server, path, 123_456)
    server.cuts = []
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("/file.bin", "bytes=123456-", server.tag(CONTENT))]
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize("cuts", [[200_000], [200_000, 100_000]])
def test_a_server_that_ignores_ranges_begins_from_zero(server, path, cuts):
    server.ranges, server.cuts = False, cuts
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests[1][1] == "bytes=200000-"


def test_a_server_that_ignores_ranges_and_breaks_here_and_there_is_given_up(server, path):
    server.ranges, server.cuts = False, [200_000, 100_000] * 99
    with pytest.raises(InputError, match="broke off"):
        download.fetch(server.url(), path)
    assert len(server.requests) == download.TRIES


def test_a_file_that_changes_between_the_halves_is_fetched_anew(server, path):
    break_off(server, path, 100_000)
    server.files["/file.bin"], server.cuts = OTHER, []
    download.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert server.requests == [("/file.bin", "bytes=100000-", server.tag(CONTENT))]


def test_a_changed_file_is_noticed_although_the_server_ignores_if_range(server, path):
    break_off(server, path, 100_000)
    server.files["/file.bin"], server.cuts, server.if_range = OTHER, [], False
    download.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert ranges(server) == ["bytes=100000-", None]


def test_a_changed_file_that_breaks_again_is_continued_as_the_new_one(server, path):
    break_off(server, path, 100_000)
    server.files["/file.bin"], server.cuts = OTHER, [50_000]
    download.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert server.requests[1] == ("/file.bin", "bytes=50000-", server.tag(OTHER))


def test_an_answer_that_begins_at_another_byte_is_not_glued(server, path):
    break_off(server, path, 100_000)
    server.cuts, server.range_shift = [], 1000
    download.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-", None]


@pytest.mark.parametrize("weak", [False, True])
def test_last_modified_stands_in_for_a_strong_etag(server, path, weak):
    server.etag, server.weak, server.last_modified = weak, weak, "Wed, 21 Oct 2015 07:28:00 GMT"
    server.cuts = [100_000]
    download.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert server.requests[1] == ("/file.bin", "bytes=100000-", server.last_modified)


@pytest.mark.parametrize("weak", [False, True])
def test_without_a_validator_the_transfer_begins_anew(server, path, weak):
    server.etag, server.weak = weak, weak
    server.cuts = [100_000]
    download.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, None]


@pytest.mark.parametrize("note", ["{", "[]", '{"url": "http://elsewhere/", "ETag": "\\"1\\""}', None])
def test_a_part_without_its_own_note_is_not_continued(server, path, note):
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(OTHER[:1000])
    if note is not None:
        path.with_name("file.bin.part.json").write_text(note)
    download.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None]


def test_a_part_that_is_whole_already_is_taken(server, path):
    break_off(server, path, 300_000 - 1)
    part = path.with_name("file.bin.part")
    part.write_bytes(CONTENT)
    server.cuts = []
    download.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=300000-"]  # answered with 416


def test_a_part_of_the_known_size_needs_no_server(server, path):
    break_off(server, path, 1000)
    path.with_name("file.bin.part").write_bytes(CONTENT)
    download.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert not server.requests


def test_a_part_as_long_as_a_changed_file_is_not_taken_for_it(server, path):
    break_off(server, path, len(OTHER))
    server.files["/file.bin"], server.cuts, server.if_range = OTHER, [], False
    download.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert ranges(server) == ["bytes=250000-", None]


@pytest.mark.parametrize("if_range", [False, True])
def test_a_part_longer_than_the_file_on_the_server_begins_anew(server, path, if_range):
    break_off(server, path, 280_000)
    server.files["/file.bin"], server.cuts, server.if_range = OTHER, [], if_range
    download.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert ranges(server)[0] == "bytes=280000-"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_passing_trouble_of_the_server_is_sat_out(server, path, status):
    server.statuses = [status, status]
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_lasting_trouble_of_the_server_is_an_error(server, path):
    server.statuses = [503] * 99
    with pytest.raises(InputError, match=r"the server answers 503 .*tried 5 times"):
        download.fetch(server.url(), path)
    assert len(server.requests) == download.TRIES
    assert not names(path.parent)


def test_an_answer_without_a_file_is_an_error(server, path):
    server.statuses = [204] * 99
    with pytest.raises(InputError, match="the server answers 204"):
        download.fetch(server.url(), path)
    assert not names(path.parent)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "the file is not there"), (410, "the file is not there"), (403, "403")]
)
def test_a_refusal_is_an_error_at_once(server, path, status, words):
    server.statuses = [status] * 99
    with pytest.raises(InputError) as error:
        download.fetch(server.url(), path, instead="; or take PLAN-B")
    assert len(server.requests) == 1
    for word in (server.url(), words, f"put it at {path}; or take PLAN-B"):
        assert word in str(error.value)
    assert not names(path.parent)


def test_a_refusal_leaves_the_part(server, path):
    break_off(server, path, 1000)
    server.statuses = [404]
    with pytest.raises(InputError, match="404"):
        download.fetch(server.url(), path)
    assert path.with_name("file.bin.part").read_bytes() == CONTENT[:1000]


def test_a_body_shorter_than_its_content_length_is_not_taken_for_whole(server, path):
    server.excess, server.ranges = 1, False
    with pytest.raises(InputError, match="broke off after 300,000 of 300,001 bytes"):
        download.fetch(server.url(), path, md5=MD5)
    assert not path.exists()


def test_a_body_longer_than_its_content_length_does_not_pass(server, path):
    server.excess = -1
    with pytest.raises(InputError) as error:
        download.fetch(server.url(), path, md5=MD5)
    assert hashlib.md5(CONTENT[:-1]).hexdigest() in str(error.value)
    assert MD5 in str(error.value)
    assert not names(path.parent)


@pytest.mark.parametrize("size", [299_999, 300_001])
def test_a_wrong_size_is_refused_before_the_transfer(server, path, size):
    with pytest.raises(InputError, match=f"has 300,000 bytes, expected {size:,}"):
        download.fetch(server.url(), path, size)
    assert not names(path.parent)


def test_a_page_in_the_place_of_the_file_does_not_cost_the_part(server, path):
    break_off(server, path, 100_000, size=len(CONTENT))
    server.files["/file.bin"], server.cuts = b"<html>please log in</html>", []
    with pytest.raises(InputError, match="has 26 bytes, expected 300,000"):
        download.fetch(server.url(), path, len(CONTENT))
    server.files["/file.bin"] = CONTENT
    server.requests.clear()
    download.fetch(server.url(), path, len(CONTENT), MD5)
    assert ranges(server) == ["bytes=100000-"]
    assert path.read_bytes() == CONTENT


def test_a_wrong_md5_leaves_nothing(server, path):
    wrong = hashlib.md5(OTHER).hexdigest()
    with pytest.raises(InputError) as error:
        download.fetch(server.url(), path, md5=wrong)
    for word in (server.url(), f"md5 {MD5}", f"expected {wrong}", "removed", f"put it at {path}"):
        assert word in str(error.value)
    assert not names(path.parent)


def test_without_a_length_the_known_size_tells_a_half(server, path):
    server.length, server.cuts = False, [100_000]
    download.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_without_any_length_the_end_is_the_end(server, path):
    server.length = False
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_the_check_sees_the_whole_file_before_it_has_its_name(server, path):
    seen = []
    download.fetch(server.url(), path, check=lambda part: seen.append((part.read_bytes(), path.exists())))
    assert seen == [(CONTENT, False)]


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be synced on Windows")
def test_the_file_is_on_the_disk_before_it_has_its_name(server, path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append(("sync", os.fstat(file).st_ino)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append("replace"), replace(*paths)))
    download.fetch(server.url(), path)
    assert events == [("sync", path.stat().st_ino), "replace", ("sync", path.parent.stat().st_ino)]


def test_a_failed_check_leaves_nothing(server, path):
    def check(part):
        raise InputError("conv1_1 is missing")

    with pytest.raises(InputError) as error:
        download.fetch(server.url(), path, check=check)
    for word in (server.url(), "conv1_1 is missing", "removed", f"put it at {path}"):
        assert word in str(error.value)
    assert not names(path.parent)


def test_a_file_put_there_by_hand_replaces_the_part(server, path):
    break_off(server, path, 1000)
    path.write_bytes(CONTENT)
    download.fetch(server.url(), path, md5=MD5)
    assert names(path.parent) == ["file.bin"]


def test_no_server(server, path):
    with socket.socket() as closed:  # bound and not listening: refuses
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file.bin"
        with pytest.raises(InputError) as error:
            download.fetch(url, path, instead="; or take PLAN-B")
    for word in (url, "no connection to 127.0.0.1", "refused", "another machine", f"at {path}; or take PLAN-B"):
        assert word in str(error.value)


def test_no_name_server(server, path, monkeypatch):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(InputError, match=r"no connection to nowhere\.invalid \(Name or service not known\)"):
        download.fetch("http://nowhere.invalid/file.bin", path)


def test_a_silent_server_is_not_waited_for_for_ever(server, path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.stall.set()
    server.cuts = [100_000]
    download.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_a_server_that_does_not_speak_http(server, path):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            for _ in range(download.TRIES):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-OpenSSH_9.0\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match="SSH-2.0"):
            download.fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin", path)


def test_the_proxy_of_the_environment_is_used(server, path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    server.files["http://nowhere.invalid/file.bin"] = CONTENT
    download.fetch("http://nowhere.invalid/file.bin", path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_redirection_is_followed_also_to_continue(server, path):
    server.cuts = [100_000]
    server.redirections = {"/old": server.url()}
    download.fetch(server.url("/old"), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests[3] == ("/file.bin", "bytes=100000-", server.tag(CONTENT))


@pytest.mark.parametrize(("scheme", "words"), [("file", "302"), ("ftp", "unknown url type: ftp")])
def test_only_http_is_fetched(server, path, tmp_path, scheme, words):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    url = f"{scheme}://localhost{secret}"
    with pytest.raises(InputError, match="only http and https"):
        download.fetch(url, path)
    server.redirections = {"/file.bin": url}
    with pytest.raises(InputError, match=words):
        download.fetch(server.url(), path)
    assert not names(path.parent)


@pytest.mark.skipif(os.name == "nt", reason="the limit on a file's size is POSIX")
def test_a_full_disk_is_an_error_that_keeps_the_part(server, path, monkeypatch):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))  # write() fails from there on, as on a full disk
    try:
        with pytest.raises(OSError, match=r"cannot write .*file\.bin\.part: File too large.*make room"):
            download.fetch(server.url(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    length = path.with_name("file.bin.part").stat().st_size
    assert 0 < length <= 150_000
    assert not path.exists()
    server.requests.clear()
    download.fetch(server.url(), path, md5=MD5)
    assert ranges(server) == [f"bytes={length}-"]
    assert path.read_bytes() == CONTENT


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_run_leaves_a_part_that_the_next_run_completes(server, path):
    server.cuts = [200_000]
    server.stall.set()
    part = path.with_name("file.bin.part")
    code = f"from data import download; download.fetch({server.url()!r}, {str(path)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not part.exists() or part.stat().st_size < 100_000:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert names(path.parent) == ["file.bin.part", "file.bin.part.json"]
    length = part.stat().st_size
    server.requests.clear()
    download.fetch(server.url(), path, md5=MD5)
    assert server.requests == [("/file.bin", f"bytes={length}-", server.tag(CONTENT))]
    assert path.read_bytes() == CONTENT


# --------------------------------------------------------------------------------------------------- unpacking

PICTURES = {"top/0001.png": CONTENT[:70_000], "top/0002.png": OTHER[:50_000], "top/empty.png": b""}


def member(name, kind=0, system=3):
    info = zipfile.ZipInfo("x")
    # Set after the construction, which cleans a name up.
    info.filename = info.orig_filename = name
    info.external_attr = (kind | 0o644) << 16
    info.create_system = system
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def packed(members):
    """The bytes of a zip archive; members: (ZipInfo or name, bytes) in their order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names
        for name, content in members:
            archive.writestr(name if isinstance(name, zipfile.ZipInfo) else member(name), content)
    return buffer.getvalue()


def edited(archive, name, offset, layout, change):
    """The archive with one field of a member's central header changed; offset and layout as in APPNOTE 4.3.12."""
    archive = bytearray(archive)
    at = archive.rindex(name.encode()) - 46
    assert archive[at : at + 4] == b"PK\1\2"
    (value,) = struct.unpack_from(layout, archive, at + offset)
    struct.pack_into(layout, archive, at + offset, change(value))
    return bytes(archive)


FLAGS, METHOD, CRC, UNPACKED_SIZE = (8, "<H"), (10, "<H"), (16, "<L"), (24, "<L")
GOOD = packed([("top/", b""), *PICTURES.items()])


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "top.zip"


def contents(folder):
    return {
        file.relative_to(folder.parent).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize("with_folders", [True, False])
def test_an_archive_is_unpacked(archive, tmp_path, capsys, with_folders):
    deep = {"top/a/b/c.png": CONTENT[:10], **PICTURES}
    folders = [("top/", b""), ("top/a/", b""), ("top/void/", b"")] if with_folders else []
    archive.write_bytes(packed([*folders, *deep.items()]))
    download.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == deep
    assert (tmp_path / "top" / "void").is_dir() == with_folders
    assert names(tmp_path) == ["top", "top.zip"]
    assert "unpacking top.zip: 100%" in capsys.readouterr().err


def test_an_archive_without_unix_attributes_is_unpacked(archive, tmp_path):
    archive.write_bytes(packed([(member(name, system=0), content) for name, content in PICTURES.items()]))
    download.unpack(archive, tmp_path / "top")
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
            patch.setattr(download, "_extract", lambda *_: pytest.fail("began to write"))
            with pytest.raises(InputError) as error:
                download.unpack(archive, tmp_path / "top")
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
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
    message = refused(GOOD)
    assert f"{total:,} bytes" in message
    assert f"{total - 1:,} free" in message
    assert message.endswith("--to, and run the command again.")


@pytest.mark.parametrize("free", [0, 10**9])
def test_without_room_the_caller_says_what_to_do(archive, tmp_path, monkeypatch, free):
    def fsync(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=free))
    monkeypatch.setattr(os, "fsync", fsync)
    archive.write_bytes(GOOD)
    with pytest.raises((InputError, OSError)) as error:
        download.unpack(archive, tmp_path / "top", no_room="Take PLAN-B")
    assert str(error.value).endswith(". Take PLAN-B.")
    assert "--to" not in str(error.value)


def test_just_the_free_space_is_enough(archive, tmp_path, monkeypatch):
    usage = types.SimpleNamespace(free=sum(map(len, PICTURES.values())))
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
    archive.write_bytes(GOOD)
    download.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == PICTURES


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
        download.unpack(archive, tmp_path / "top")
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
            download.unpack(archive, tmp_path / "top")
        except InputError:
            found += 1
            assert names(tmp_path) == ["top.zip"]
        else:
            # A byte that changes a name, a date or the like; the content is checked by its CRC.
            assert set(contents(tmp_path / "top").values()) <= set(whole.values())
            download.shutil.rmtree(tmp_path / "top")
    assert found > 100


def test_never_more_is_written_than_declared(archive, tmp_path, monkeypatch):
    """Also with the CRC of the bytes up to the declared size, by which zipfile finds no fault."""
    name, declared = "top/0002.png", 1000
    content = edited(GOOD, name, *UNPACKED_SIZE, lambda _: declared)
    archive.write_bytes(edited(content, name, *CRC, lambda _: zipfile.crc32(PICTURES[name][:declared])))
    lengths = []
    monkeypatch.setattr(
        download, "_sync", lambda path: lengths.extend(file.stat().st_size for file in path.glob("0002.png"))
    )
    download.unpack(archive, tmp_path / "top")
    assert set(lengths) == {declared}


def test_a_member_shorter_than_declared_with_a_right_crc_is_found(archive, tmp_path):
    name = "top/0002.png"
    stored = zipfile.ZipInfo(name)
    archive.write_bytes(edited(packed([(stored, b"short")]), name, *UNPACKED_SIZE, lambda size: size + 1))
    with pytest.raises(InputError, match="shorter than the archive says"):
        download.unpack(archive, tmp_path / "top")
    assert names(tmp_path) == ["top.zip"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_the_leftover_of_a_killed_run_is_cleaned(archive, tmp_path):
    code = (
        "import os, signal; from data import download\n"
        "download.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"download.unpack({str(archive)!r}, {str(tmp_path / 'top')!r})"
    )
    archive.write_bytes(GOOD)
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, check=False, timeout=100)
    assert killed.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2
    download.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == PICTURES
    assert names(tmp_path) == ["top", "top.zip"]


def test_the_folder_of_a_living_process_stays(archive, tmp_path):
    living = tmp_path / f".{os.getppid()}-01234567.unpacking"
    living.mkdir()
    archive.write_bytes(GOOD)
    download.unpack(archive, tmp_path / "top")
    assert names(tmp_path) == [living.name, "top", "top.zip"]


def test_a_folder_that_another_process_has_unpacked_meanwhile_is_not_touched(archive, tmp_path, monkeypatch):
    extract = download._extract

    def extract_late(*arguments):
        extract(*arguments)
        (tmp_path / "top").mkdir()

    monkeypatch.setattr(download, "_extract", extract_late)
    archive.write_bytes(GOOD)
    with pytest.raises(InputError, match="already there"):
        download.unpack(archive, tmp_path / "top")
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
        download.unpack(archive, tmp_path / "top")
    if isinstance(stop, OSError):
        assert f"cannot unpack {archive}" in str(error.value)
        assert "No space left on device" in str(error.value)
    assert names(tmp_path) == ["top.zip"]


def test_a_folder_that_is_there_is_not_touched(archive, tmp_path):
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "mine.png").write_bytes(b"mine")
    archive.write_bytes(GOOD)
    with pytest.raises(InputError, match="already there"):
        download.unpack(archive, tmp_path / "top")
    assert contents(tmp_path / "top") == {"top/mine.png": b"mine"}


# ---------------------------------------------------------------------------------------------------- commands


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
    download.shutil.rmtree(tmp_path / "data/DIV2K/DIV2K_valid_HR")
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
