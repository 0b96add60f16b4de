"""data/transfer.py against a web server on this machine: the oracles are the bytes it serves, and hashlib."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from common.errors import InputError
from data import transfer
from tests.helpers.file_server import CONTENT, OTHER, names

ROOT = Path(__file__).resolve().parents[1]
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "file.bin"


def ranges(server):
    return [asked for _, asked, _ in server.requests]


def break_off(server, path, count, **known):
    """Leave a .part with the first `count` bytes, as a command that gave up does."""
    server.cuts = [count] + [0] * (transfer.TRIES - 1)
    with pytest.raises(InputError):
        transfer.fetch(server.url(), path, **known)
    assert path.with_name("file.bin.part").read_bytes() == server.files["/file.bin"][:count]
    server.requests.clear()


def test_a_file_arrives_whole_and_alone(server, path, capsys):
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["file.bin"]
    assert server.requests == [("/file.bin", None, None)]
    assert "file.bin: 100%" in capsys.readouterr().err


def test_a_file_that_is_there_is_checked_and_not_fetched(server, path, capsys):
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
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
        transfer.fetch(server.url(), path, **known)
    for word in (str(path), server.url(), found, expected, "Move it away"):
        assert word in str(error.value)
    assert path.read_bytes() == OTHER
    assert not server.requests


@pytest.mark.parametrize("reset", [False, True])
def test_a_transfer_cut_off_several_times_is_continued(server, path, reset):
    server.cuts, server.reset = [100_000, 50_000, 120_000], reset
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-", "bytes=270000-"]
    assert {if_range for _, _, if_range in server.requests[1:]} == {server.tag(CONTENT)}


def test_tries_that_bring_something_new_do_not_count(server, path):
    server.cuts = [1000] * (3 * transfer.TRIES)
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_server_that_always_breaks_is_given_up_and_the_part_stays(server, path, monkeypatch):
    pauses = []
    monkeypatch.setattr(transfer, "PAUSE", 7)
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    server.cuts = [100_000] + [0] * 99
    with pytest.raises(InputError) as error:
        transfer.fetch(server.url(), path, instead="; or take PLAN-B")
    assert len(server.requests) == transfer.TRIES
    assert pauses == [7] * (transfer.TRIES - 1)
    part = path.with_name("file.bin.part")
    assert part.read_bytes() == CONTENT[:100_000]
    assert not path.exists()
    for word in (server.url(), "broke off after 100,000 of 300,000 bytes", f"stay in {part}", f"put it at {path}"):
        assert word in str(error.value)
    assert str(error.value).endswith("; or take PLAN-B.")


def test_the_next_run_continues(server, path):
    break_off(server, path, 123_456)
    server.cuts = []
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests == [("/file.bin", "bytes=123456-", server.tag(CONTENT))]
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize("cuts", [[200_000], [200_000, 100_000]])
def test_a_server_that_ignores_ranges_begins_from_zero(server, path, cuts):
    server.ranges, server.cuts = False, cuts
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests[1][1] == "bytes=200000-"


def test_a_server_that_ignores_ranges_and_breaks_here_and_there_is_given_up(server, path):
    server.ranges, server.cuts = False, [200_000, 100_000] * 99
    with pytest.raises(InputError, match="broke off"):
        transfer.fetch(server.url(), path)
    assert len(server.requests) == transfer.TRIES


def test_a_file_that_changes_between_the_halves_is_fetched_anew(server, path):
    break_off(server, path, 100_000)
    server.files["/file.bin"], server.cuts = OTHER, []
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert server.requests == [("/file.bin", "bytes=100000-", server.tag(CONTENT))]


def test_a_changed_file_is_noticed_although_the_server_ignores_if_range(server, path):
    break_off(server, path, 100_000)
    server.files["/file.bin"], server.cuts, server.if_range = OTHER, [], False
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert ranges(server) == ["bytes=100000-", None]


def test_a_changed_file_that_breaks_again_is_continued_as_the_new_one(server, path):
    break_off(server, path, 100_000)
    server.files["/file.bin"], server.cuts = OTHER, [50_000]
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert server.requests[1] == ("/file.bin", "bytes=50000-", server.tag(OTHER))


def test_an_answer_that_begins_at_another_byte_is_not_glued(server, path):
    break_off(server, path, 100_000)
    server.cuts, server.range_shift = [], 1000
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=100000-", None]


@pytest.mark.parametrize("weak", [False, True])
def test_last_modified_stands_in_for_a_strong_etag(server, path, weak):
    server.etag, server.weak, server.last_modified = weak, weak, "Wed, 21 Oct 2015 07:28:00 GMT"
    server.cuts = [100_000]
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert server.requests[1] == ("/file.bin", "bytes=100000-", server.last_modified)


@pytest.mark.parametrize("weak", [False, True])
def test_without_a_validator_the_transfer_begins_anew(server, path, weak):
    server.etag, server.weak = weak, weak
    server.cuts = [100_000]
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, None]


@pytest.mark.parametrize("note", ["{", "[]", '{"url": "http://elsewhere/", "ETag": "\\"1\\""}', None])
def test_a_part_without_its_own_note_is_not_continued(server, path, note):
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(OTHER[:1000])
    if note is not None:
        path.with_name("file.bin.part.json").write_text(note)
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None]


def test_a_part_that_is_whole_already_is_taken(server, path):
    break_off(server, path, 300_000 - 1)
    part = path.with_name("file.bin.part")
    part.write_bytes(CONTENT)
    server.cuts = []
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=300000-"]  # answered with 416


def test_a_part_of_the_known_size_needs_no_server(server, path):
    break_off(server, path, 1000)
    path.with_name("file.bin.part").write_bytes(CONTENT)
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert not server.requests


def test_a_part_as_long_as_a_changed_file_is_not_taken_for_it(server, path):
    break_off(server, path, len(OTHER))
    server.files["/file.bin"], server.cuts, server.if_range = OTHER, [], False
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert ranges(server) == ["bytes=250000-", None]


@pytest.mark.parametrize("if_range", [False, True])
def test_a_part_longer_than_the_file_on_the_server_begins_anew(server, path, if_range):
    break_off(server, path, 280_000)
    server.files["/file.bin"], server.cuts, server.if_range = OTHER, [], if_range
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == OTHER
    assert ranges(server)[0] == "bytes=280000-"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_passing_trouble_of_the_server_is_sat_out(server, path, status):
    server.statuses = [status, status]
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_a_lasting_trouble_of_the_server_is_an_error(server, path):
    server.statuses = [503] * 99
    with pytest.raises(InputError, match=r"the server answers 503 .*tried 5 times"):
        transfer.fetch(server.url(), path)
    assert len(server.requests) == transfer.TRIES
    assert not names(path.parent)


def test_an_answer_without_a_file_is_an_error(server, path):
    server.statuses = [204] * 99
    with pytest.raises(InputError, match="the server answers 204"):
        transfer.fetch(server.url(), path)
    assert not names(path.parent)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "the file is not there"), (410, "the file is not there"), (403, "403")]
)
def test_a_refusal_is_an_error_at_once(server, path, status, words):
    server.statuses = [status] * 99
    with pytest.raises(InputError) as error:
        transfer.fetch(server.url(), path, instead="; or take PLAN-B")
    assert len(server.requests) == 1
    for word in (server.url(), words, f"put it at {path}; or take PLAN-B"):
        assert word in str(error.value)
    assert not names(path.parent)


def test_a_refusal_leaves_the_part(server, path):
    break_off(server, path, 1000)
    server.statuses = [404]
    with pytest.raises(InputError, match="404"):
        transfer.fetch(server.url(), path)
    assert path.with_name("file.bin.part").read_bytes() == CONTENT[:1000]


def test_a_body_shorter_than_its_content_length_is_not_taken_for_whole(server, path):
    server.excess, server.ranges = 1, False
    with pytest.raises(InputError, match="broke off after 300,000 of 300,001 bytes"):
        transfer.fetch(server.url(), path, md5=MD5)
    assert not path.exists()


def test_a_body_longer_than_its_content_length_does_not_pass(server, path):
    server.excess = -1
    with pytest.raises(InputError) as error:
        transfer.fetch(server.url(), path, md5=MD5)
    assert hashlib.md5(CONTENT[:-1]).hexdigest() in str(error.value)
    assert MD5 in str(error.value)
    assert not names(path.parent)


@pytest.mark.parametrize("size", [299_999, 300_001])
def test_a_wrong_size_is_refused_before_the_transfer(server, path, size):
    with pytest.raises(InputError, match=f"has 300,000 bytes, expected {size:,}"):
        transfer.fetch(server.url(), path, size)
    assert not names(path.parent)


def test_a_page_in_the_place_of_the_file_does_not_cost_the_part(server, path):
    break_off(server, path, 100_000, size=len(CONTENT))
    server.files["/file.bin"], server.cuts = b"<html>please log in</html>", []
    with pytest.raises(InputError, match="has 26 bytes, expected 300,000"):
        transfer.fetch(server.url(), path, len(CONTENT))
    server.files["/file.bin"] = CONTENT
    server.requests.clear()
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert ranges(server) == ["bytes=100000-"]
    assert path.read_bytes() == CONTENT


def test_a_wrong_md5_leaves_nothing(server, path):
    wrong = hashlib.md5(OTHER).hexdigest()
    with pytest.raises(InputError) as error:
        transfer.fetch(server.url(), path, md5=wrong)
    for word in (server.url(), f"md5 {MD5}", f"expected {wrong}", "removed", f"put it at {path}"):
        assert word in str(error.value)
    assert not names(path.parent)


def test_without_a_length_the_known_size_tells_a_half(server, path):
    server.length, server.cuts = False, [100_000]
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_without_any_length_the_end_is_the_end(server, path):
    server.length = False
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_the_check_sees_the_whole_file_before_it_has_its_name(server, path):
    seen = []
    transfer.fetch(server.url(), path, check=lambda part: seen.append((part.read_bytes(), path.exists())))
    assert seen == [(CONTENT, False)]


@pytest.mark.skipif(os.name == "nt", reason="a folder cannot be synced on Windows")
def test_the_file_is_on_the_disk_before_it_has_its_name(server, path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (events.append(("sync", os.fstat(file).st_ino)), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda *paths: (events.append("replace"), replace(*paths)))
    transfer.fetch(server.url(), path)
    assert events == [("sync", path.stat().st_ino), "replace", ("sync", path.parent.stat().st_ino)]


def test_a_failed_check_leaves_nothing(server, path):
    def check(part):
        raise InputError("conv1_1 is missing")

    with pytest.raises(InputError) as error:
        transfer.fetch(server.url(), path, check=check)
    for word in (server.url(), "conv1_1 is missing", "removed", f"put it at {path}"):
        assert word in str(error.value)
    assert not names(path.parent)


def test_a_file_put_there_by_hand_replaces_the_part(server, path):
    break_off(server, path, 1000)
    path.write_bytes(CONTENT)
    transfer.fetch(server.url(), path, md5=MD5)
    assert names(path.parent) == ["file.bin"]


def test_no_server(server, path):
    with socket.socket() as closed:  # bound and not listening: refuses
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file.bin"
        with pytest.raises(InputError) as error:
            transfer.fetch(url, path, instead="; or take PLAN-B")
    for word in (url, "no connection to 127.0.0.1", "refused", "another machine", f"at {path}; or take PLAN-B"):
        assert word in str(error.value)


def test_no_name_server(server, path, monkeypatch):
    def getaddrinfo(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(InputError, match=r"no connection to nowhere\.invalid \(Name or service not known\)"):
        transfer.fetch("http://nowhere.invalid/file.bin", path)


def test_a_silent_server_is_not_waited_for_for_ever(server, path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    server.stall.set()
    server.cuts = [100_000]
    transfer.fetch(server.url(), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=100000-"]


def test_a_server_that_does_not_speak_http(server, path):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            for _ in range(transfer.TRIES):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-OpenSSH_9.0\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match="SSH-2.0"):
            transfer.fetch(f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin", path)


def test_the_proxy_of_the_environment_is_used(server, path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    server.files["http://nowhere.invalid/file.bin"] = CONTENT
    transfer.fetch("http://nowhere.invalid/file.bin", path, md5=MD5)
    assert path.read_bytes() == CONTENT


def test_a_redirection_is_followed_also_to_continue(server, path):
    server.cuts = [100_000]
    server.redirections = {"/old": server.url()}
    transfer.fetch(server.url("/old"), path, md5=MD5)
    assert path.read_bytes() == CONTENT
    assert server.requests[3] == ("/file.bin", "bytes=100000-", server.tag(CONTENT))


@pytest.mark.parametrize(("scheme", "words"), [("file", "302"), ("ftp", "unknown url type: ftp")])
def test_only_http_is_fetched(server, path, tmp_path, scheme, words):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    url = f"{scheme}://localhost{secret}"
    with pytest.raises(InputError, match="only http and https"):
        transfer.fetch(url, path)
    server.redirections = {"/file.bin": url}
    with pytest.raises(InputError, match=words):
        transfer.fetch(server.url(), path)
    assert not names(path.parent)


@pytest.mark.skipif(os.name == "nt", reason="the limit on a file's size is POSIX")
def test_a_full_disk_is_an_error_that_keeps_the_part(server, path, monkeypatch):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))  # write() fails from there on, as on a full disk
    try:
        with pytest.raises(OSError, match=r"cannot write .*file\.bin\.part: File too large.*make room"):
            transfer.fetch(server.url(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    length = path.with_name("file.bin.part").stat().st_size
    assert 0 < length <= 150_000
    assert not path.exists()
    server.requests.clear()
    transfer.fetch(server.url(), path, md5=MD5)
    assert ranges(server) == [f"bytes={length}-"]
    assert path.read_bytes() == CONTENT


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_run_leaves_a_part_that_the_next_run_completes(server, path):
    server.cuts = [200_000]
    server.stall.set()
    part = path.with_name("file.bin.part")
    code = f"from data import transfer; transfer.fetch({server.url()!r}, {str(path)!r})"
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
    transfer.fetch(server.url(), path, md5=MD5)
    assert server.requests == [("/file.bin", f"bytes={length}-", server.tag(CONTENT))]
    assert path.read_bytes() == CONTENT


def test_from_https_nothing_leads_to_http():
    follow = transfer._Redirections().redirect_request
    request = transfer.urllib.request.Request("https://host/a")
    with pytest.raises(
        InputError, match="https://host/a: the server redirects to http://other/b, which is not encrypted"
    ):
        follow(request, None, 302, "Found", {}, "http://other/b")
    assert follow(request, None, 302, "Found", {}, "https://other/b").full_url == "https://other/b"
    plain = transfer.urllib.request.Request("http://host/a")
    assert follow(plain, None, 302, "Found", {}, "http://other/b").full_url == "http://other/b"


def test_the_opener_has_that_rule():
    assert any(isinstance(handler, transfer._Redirections) for handler in transfer._opener().handlers)


@pytest.mark.parametrize("length", [True, False])
def test_an_answer_of_any_length_is_not_taken(server, tmp_path, monkeypatch, length):
    path = tmp_path / "new" / "file.bin"
    monkeypatch.setattr(transfer, "MOST", len(CONTENT) - 1)
    server.length = length
    with pytest.raises(InputError, match=f"{len(CONTENT) - 1:,}"):
        transfer.fetch(server.url(), path)
    assert not names(path.parent)
    monkeypatch.setattr(transfer, "MOST", len(CONTENT))
    transfer.fetch(server.url(), path)
    assert path.read_bytes() == CONTENT
