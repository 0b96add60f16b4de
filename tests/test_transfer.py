"""data/transfer.py against a web server on this machine: the oracles are the bytes it serves, and hashlib."""

import hashlib
from pathlib import Path

import pytest

from common.errors import InputError
from data import transfer
from tests.helpers.errors import message
from tests.helpers.file_server import CONTENT, OTHER, names
from tests.helpers.full_disk import full_after

MD5 = "md5", hashlib.md5(CONTENT).hexdigest()
OTHERS = "sha256", hashlib.sha256(OTHER).hexdigest()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "file.bin"


@pytest.fixture
def part(path):
    """The first 100,000 bytes, as a command that was killed leaves them."""
    path.parent.mkdir()
    path.with_name("file.bin.part").write_bytes(CONTENT[:100_000])
    return path.with_name("file.bin.part")


def ranges(server):
    return [wanted for _, wanted in server.requests]


def refusal(*arguments, **settings) -> str:
    return message(transfer.fetch, *arguments, **settings)


def test_a_file_arrives_complete_and_alone(server, path, capsys):
    checked = []
    transfer.fetch(
        server.url(), path, len(CONTENT), MD5, lambda file: checked.append((file.read_bytes(), path.exists()))
    )
    assert path.read_bytes() == CONTENT and names(path.parent) == ["file.bin"]
    assert checked == [(CONTENT, False)], "it is checked before it has its name"
    assert "file.bin: 100%" in capsys.readouterr().err
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert ranges(server) == [None] and "exists already" in capsys.readouterr().out


@pytest.mark.parametrize("known", [{"digest": MD5}, {"size": len(CONTENT)}])
def test_another_file_in_its_place_is_named_and_not_touched(server, path, known):
    path.parent.mkdir()
    path.write_bytes(OTHER)
    said = refusal(server.url(), path, **known)
    assert str(path) in said and server.url() in said and "Move it away" in said
    assert path.read_bytes() == OTHER and not server.requests


@pytest.mark.parametrize("length", [True, False])
def test_a_transfer_that_breaks_is_continued(server, path, length):
    server.cuts, server.length = [100_000, 50_000, *[1000] * 2 * transfer.TRIES], length
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT
    assert ranges(server)[:4] == [None, "bytes=100000-", "bytes=150000-", "bytes=151000-"]


def test_the_next_run_continues_or_takes_what_is_complete(server, path, part):
    transfer.fetch(server.url(), path, digest=MD5)
    assert path.read_bytes() == CONTENT and names(path.parent) == ["file.bin"]
    path.rename(part)
    transfer.fetch(server.url(), path, digest=MD5)
    assert path.read_bytes() == CONTENT and ranges(server) == ["bytes=100000-", "bytes=300000-"]  # answered with 416


def test_a_file_that_changed_between_two_runs_is_not_put_together(server, path, part):
    server.files["/file.bin"] = OTHER
    assert "has sha256" in refusal(server.url(), path, digest=OTHERS)
    assert names(path.parent) == []
    transfer.fetch(server.url(), path, digest=OTHERS)
    assert path.read_bytes() == OTHER


def test_a_server_without_ranges_starts_again_and_is_given_up_after_a_while(server, path, part):
    server.ranges, server.cuts = False, [200_000, 100_000]
    transfer.fetch(server.url(), path, digest=MD5)
    assert path.read_bytes() == CONTENT and len(server.requests) == 3
    path.unlink()
    server.requests.clear()
    server.cuts = [200_000, 100_000] * 99
    assert "broke off after" in refusal(server.url(), path)
    assert len(server.requests) == transfer.TRIES


def test_a_server_in_trouble_is_asked_again_and_given_up_after_a_while(server, path, part):
    server.statuses = [503, 429, 500]
    transfer.fetch(server.url(), path, digest=MD5)
    path.unlink()
    server.statuses = [503] * 99
    said = refusal(server.url(), path, instead="; or take PLAN-B")
    assert "503" in said and "tried 5 times" in said and said.endswith(f"put it at {path}; or take PLAN-B.")


def test_a_refusal_is_an_error_at_once_and_keeps_the_part(server, path, part):
    server.statuses = [404]
    said = refusal(server.url(), path, instead="; or take PLAN-B")
    assert server.url() in said and "404" in said and f"put it at {path}; or take PLAN-B" in said
    assert len(server.requests) == 1 and part.stat().st_size == 100_000


def test_a_file_that_fails_its_check_is_removed(server, path):
    def check(_):
        raise InputError("conv1_1 is missing")

    said = refusal(server.url(), path, check=check)
    assert server.url() in said and "conv1_1 is missing" in said and "removed" in said and str(path) in said
    assert names(path.parent) == []


def test_a_silent_server_is_not_waited_for_for_ever_nor_one_that_is_not_there(server, path, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    server.stall.set()
    server.cuts = [100_000]
    transfer.fetch(server.url(), path, len(CONTENT), MD5)
    assert path.read_bytes() == CONTENT and ranges(server) == [None, "bytes=100000-"]
    assert "refused" in refusal("http://127.0.0.1:1/file.bin", path.with_name("b"))


def test_a_full_disk_is_an_error_that_keeps_the_part(server, path):
    with full_after(150_000), pytest.raises(OSError, match=r"File too large.*file\.bin\.part"):
        transfer.fetch(server.url(), path)
    assert 0 < Path(f"{path}.part").stat().st_size <= 150_000 and not path.exists()
    transfer.fetch(server.url(), path, digest=MD5)
    assert path.read_bytes() == CONTENT
