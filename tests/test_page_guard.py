"""What stands before the page: whom it lets in, and who still waits. `tests/test_app.py` tries it at the real page."""

import asyncio

import pytest

from infer import page_guard
from infer.page_guard import Guard


def headers(host="127.0.0.1:7860", origin=None) -> list:
    found = [(b"host", host.encode())] if host is not None else []
    return found + ([(b"origin", origin.encode())] if origin is not None else [])


def call(guard, path, method="GET", query="", content=b"", **given) -> tuple:
    """The status and the text that the guard answers with; what it stands before answers 200 and "in"."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": headers(**given) + [(b"content-length", str(len(content)).encode())],
    }
    sent = []

    async def receive():
        return {"type": "http.request", "body": content}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()


async def lets_in(scope, receive, send):
    await page_guard.answer(send, 200, "in")


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "127.0.0.1:7860",
            "localhost:8000",
            "LOCALHOST",
            "192.168.1.5",
            "203.0.113.9:80",
            "[::1]:7860",
            "page.localhost",
        ]
        + ["workstation:7860", "up.example.com", "UP.example.com:8443", "up.example.com.", "a.b.example.org"],
    )
    def test_addresses_this_machine_and_the_names_told_are_let_in(self, host):
        guard = Guard(["up.example.com", ".example.org"], own=["Workstation"])
        assert call(guard.before(lets_in), "/", host=host) == (200, "in")

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "localhost.evil.example", "evilexample.org"]
        + [
            "example.com",
            "127.0.0.1@evil.example",
            "evil.example@127.0.0.1",
            "[::1",
            "127.0.0.1:port",
            "a/b",
            "",
            None,
        ],
    )
    def test_any_other_name_gets_403(self, host):
        guard = Guard(["up.example.com", ".example.org"], own=["workstation"])
        status, text = call(guard.before(lets_in), "/", host=host)
        assert status == 403 and "start it with --names" in text and "in" != text

    def test_two_hosts_are_none(self):
        assert "not known by this name" in Guard().refusal(headers("localhost") + headers("localhost"))


class TestOrigin:
    @pytest.mark.parametrize(
        ("host", "origin"),
        [
            ("127.0.0.1:7860", None),
            ("127.0.0.1:7860", "http://127.0.0.1:7860"),
            ("192.168.1.5:7860", "http://192.168.1.5:7860"),
            ("localhost:8000", "http://localhost:8000"),  # a port forwarded by ssh
            ("up.example.com", "https://up.example.com"),  # a proxy that keeps Host
            ("up.example.com", "https://up.example.com:8443"),
            ("127.0.0.1:7860", "https://up.example.com"),  # and one that does not
        ],
    )
    def test_the_pages_own_is_let_in(self, host, origin):
        guard = Guard(["up.example.com"])
        assert call(guard.before(lets_in), "/gradio_api/queue/join", "POST", host=host, origin=origin)[0] == 200

    @pytest.mark.parametrize(
        "origin",
        ["http://evil.example", "https://up.example.com.evil.example", "null", "", "http://127.0.0.1:8000"]
        + ["http://localhost:7860", "file://", "http://127.0.0.1:7860@evil.example", "https://evil.up.example.com"],
    )
    def test_another_sites_gets_403(self, origin):
        guard = Guard(["up.example.com"])
        status, text = call(guard.before(lets_in), "/gradio_api/queue/join", "POST", origin=origin)
        assert status == 403 and "another site's page" in text


class TestWaiting:
    def test_who_listens_waits_and_who_has_left_does_not(self, monkeypatch):
        monkeypatch.setattr(page_guard, "OPENING", 0)
        found = []

        async def stream(scope, receive, send):
            found.append((guard.waits("one", 0), guard.waits("two", 0)))
            raise ConnectionError("gone")

        guard = Guard().before(stream)
        for _ in range(2):
            with pytest.raises(ConnectionError):
                call(guard, "/gradio_api/queue/data", query="session_hash=one")
            found.append((guard.waits("one", 0), guard.waits("two", 0)))
        assert found == [(True, False), (False, False)] * 2

    def test_a_visitor_has_some_seconds_to_begin(self, monkeypatch):
        monkeypatch.setattr(page_guard.time, "monotonic", lambda: 100.0)
        assert Guard().waits("one", 100 - page_guard.OPENING + 1)
        assert not Guard().waits("one", 100 - page_guard.OPENING - 1)
