"""What stands before the page: whom it lets in, and who still waits. `tests/test_app.py` tries it at the real page."""

import asyncio
import concurrent.futures
import json

import pytest

from infer.page import guard as page_guard


class Guard(page_guard.Guard):
    """One that keeps uploads for 100 seconds, before a page of two functions."""

    def __init__(self, names=(), own=(), files="nowhere", largest=10**6, most=10**7):
        super().__init__(files, largest, most, 100, names, own)
        self.functions = {0: lambda values: values == [3], 1: lambda values: len(values) == 2}


def headers(host="127.0.0.1:7860", origin=None) -> list:
    found = [(b"host", host.encode())] if host is not None else []
    return found + ([(b"origin", origin.encode())] if origin is not None else [])


def call(
    guard, path, method="GET", query="", content=b'{"fn_index": 0, "data": [3]}', more=(), leaves=False, **given
) -> tuple:
    """The status and the text that the guard answers with, (0, "") for none.

    more: headers, instead of that of the content's length. leaves: whether the visitor goes at once.
    """
    length = [(b"content-length", str(len(content)).encode())]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": headers(**given) + list(more or length),
    }
    sent = []

    async def receive():
        return {"type": "http.disconnect" if leaves else "http.request", "body": content}

    async def send(message):
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"] if sent else 0, b"".join(message.get("body", b"") for message in sent[1:]).decode()


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
        now, found = 1000.0, []
        monkeypatch.setattr(page_guard.time, "monotonic", lambda: now)

        async def stream(scope, receive, send):
            found.append((guard.waits("one", 900), guard.waits("two", 900)))
            raise ConnectionError("gone")

        guard = Guard().before(stream)
        for _ in range(2):
            assert guard.waits("one", now)  # another picture
            with pytest.raises(ConnectionError):
                call(guard, "/gradio_api/queue/data", query="session_hash=one")
            found.append((guard.waits("one", now - 1), guard.waits("two", now - 1)))
            now += 1
        assert found == [(True, False), (False, True)] * 2

    def test_of_those_who_left_the_latest_are_remembered(self):
        guard = Guard().before(lets_in)
        for session in range(2000):
            call(guard, "/gradio_api/queue/data", query=f"session_hash={session}")
        assert len(guard._left) == 1000 and "1999" in guard._left and not guard._listening

    def test_a_visitor_has_some_seconds_to_begin(self, monkeypatch):
        monkeypatch.setattr(page_guard.time, "monotonic", lambda: 100.0)
        assert Guard().waits("one", 100 - page_guard.OPENING + 1)
        assert not Guard().waits("one", 100 - page_guard.OPENING - 1)


class TestWaysIn:
    @pytest.mark.parametrize("route", ["queue/join", "queue/join/", "cancel", "reset", "run/predict", "upload"])
    def test_the_pages_own_are_open(self, route, tmp_path):
        assert call(Guard(files=tmp_path).before(lets_in), f"/gradio_api/{route}", "POST") == (200, "in")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    @pytest.mark.parametrize(
        "path",
        ["/gradio_api/process_recording", "/gradio_api/stream/1", "/gradio_api/component_server", "/login"]
        + [
            "/gradio_api/process_recording/gradio_api/upload",
            "/",
            "/gradio_api/call/upscale",
            "/gradio_api/run/lambda",
        ],
    )
    def test_others_are_closed(self, path, method):
        assert call(Guard().before(lets_in), path, method)[0] == 404

    @pytest.mark.parametrize("route", ["queue/data", "heartbeat/one", "upload_progress", "file=/files/a/b.png"])
    def test_what_the_page_asks_for_is_answered(self, route):
        assert call(Guard().before(lets_in), f"/gradio_api/{route}") == (200, "in")

    @pytest.mark.parametrize(
        "route",
        ["file=http://evil.example/a", "file=/etc/hosts", "file=files/a.png", "file/etc/hosts", "file=", "info"]
        + ["proxy=http://evil.example/", "call/upscale/1", "run-history/records", "file=/filesystem", "token"],
    )
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_other_files_and_what_gradio_tells_of_itself_are_not(self, route, method):
        assert call(Guard().before(lets_in), f"/gradio_api/{route}", method)[0] == 404

    def test_of_a_length_that_is_said_and_allowed(self):
        guard = Guard(largest=10**5).before(lets_in)
        assert call(guard, "/gradio_api/upload", "POST", more=[(b"transfer-encoding", b"chunked")])[0] == 411
        both = [(b"content-length", b"2"), (b"transfer-encoding", b"chunked")]
        assert call(guard, "/gradio_api/queue/join", "POST", more=both)[0] == 411
        assert call(guard, "/gradio_api/upload", "POST", content=bytes(2 * 10**5))[0] == 413
        assert call(guard, "/gradio_api/queue/join", "POST", content=b" " * 2**20 + b"{}")[0] == 413

    def test_what_was_read_here_is_there_for_the_application(self):
        async def echo(scope, receive, send):
            await page_guard.answer(send, 200, (await receive())["body"].decode())

        def message(path):
            return json.dumps({"data": [{"path": path, "url": "http://localhost/a"}, None], "fn_index": 1})

        content = message("/files/a.png").encode()
        found = call(Guard(files="/tmp/page").before(echo), "/gradio_api/queue/join", "POST", content=content)
        assert found == (200, message("/tmp/page/a.png"))

    @pytest.mark.parametrize(
        "content",
        [b"", b"words", b"[" * 10**5, b'{"data": [{"path": "http://evil.example/large"}]}']
        + [b'{"data": [{"path": "/etc/hosts"}]}', b'{"data": [{"path": ["/files/a.png"]}]}']
        + [b'{"data": [[{"a": {"path": "\\u0068ttps://evil.example/large", "meta": {}}}]]}'],
    )
    def test_what_is_no_message_or_names_other_files_is_refused(self, content):
        assert call(Guard().before(lets_in), "/gradio_api/queue/join", "POST", content=content)[0] == 400

    @pytest.mark.parametrize("route", ["queue/join", "run/predict"])
    @pytest.mark.parametrize(
        "content",
        [b"[]", b"{}", b'{"fn_index": 2, "data": [1]}', b'{"fn_index": -1, "data": [1]}', b'{"data": [1]}']
        + [b'{"fn_index": 0, "data": []}', b'{"fn_index": 0, "data": {"a": 1}}', b'{"fn_index": [0], "data": [1]}']
        + [b'{"fn_index": null, "data": [1]}', b'{"fn_index": 0, "data": [4]}'],
    )
    def test_calls_of_functions_that_the_page_has_not_are_refused(self, content, route):
        assert call(Guard().before(lets_in), f"/gradio_api/{route}", "POST", content=content)[0] == 400


class TestUploads:
    def test_together_they_have_a_limit_for_as_long_as_they_are_kept(self, tmp_path, monkeypatch):
        now = 0.0
        monkeypatch.setattr(page_guard.time, "monotonic", lambda: now)
        guard = Guard(files=tmp_path, most=10**6).before(lets_in)
        found = [call(guard, "/gradio_api/upload", "POST", content=bytes(300_000))[0] for _ in range(4)]
        assert found == [200, 200, 200, 507]
        now = 99.0
        assert call(guard, "/gradio_api/upload", "POST", content=bytes(300_000))[0] == 507
        now = 101.0
        assert call(guard, "/gradio_api/upload", "POST", content=bytes(300_000))[0] == 200

    def test_many_small_files_count_as_what_they_take(self, tmp_path):
        async def stored(scope, receive, send):
            await page_guard.answer(send, 200, json.dumps(["/a/b.png"] * 100))

        guard = Guard(files=tmp_path, most=10**7).before(stored)
        assert [call(guard, "/gradio_api/upload", "POST")[0] for _ in range(3)] == [200, 200, 507]

    def test_those_in_progress_count_and_the_broken_off_are_removed(self, tmp_path):
        async def broken_off(scope, receive, send):
            (tmp_path / "tmp1").write_bytes(bytes(10))
            found.append(call_within(guard.before(lets_in)))
            raise ConnectionError("gone")

        def call_within(guard):
            with concurrent.futures.ThreadPoolExecutor(1) as other:
                return other.submit(call, guard, "/gradio_api/upload", "POST", content=bytes(600_000)).result()[0]

        found = []
        guard = Guard(files=tmp_path, most=10**6)
        with pytest.raises(ConnectionError):
            call(guard.before(broken_off), "/gradio_api/upload", "POST", content=bytes(600_000))
        assert found == [507] and not list(tmp_path.iterdir())
        assert call(guard.before(lets_in), "/gradio_api/upload", "POST", content=bytes(600_000))[0] == 200

    def test_a_visitor_who_goes_is_no_error(self, tmp_path):
        async def reads(scope, receive, send):
            (tmp_path / "tmp1").write_bytes(bytes(10))
            raise ConnectionError((await receive())["type"])

        guard = Guard(files=tmp_path).before(reads)
        assert call(guard, "/gradio_api/upload", "POST", leaves=True) == (0, "")
        assert not list(tmp_path.iterdir())
        with pytest.raises(ConnectionError, match="http.request"):
            call(guard, "/gradio_api/upload", "POST")

    def test_one_that_takes_too_long_is_ended(self, tmp_path, monkeypatch):
        async def stalled(scope, receive, send):
            (tmp_path / "tmp1").write_bytes(bytes(10))
            await asyncio.sleep(60)

        monkeypatch.setattr(page_guard, "UPLOAD_SECONDS", 0.01)
        assert call(Guard(files=tmp_path).before(stalled), "/gradio_api/upload", "POST")[0] == 408
        assert not list(tmp_path.iterdir())
