"""The guard before the page's server: checks who may connect, limits uploads, and tracks which visitors still wait.

Gradio answers requests with any Host and lets other sites' pages read the answers. A page open to the network would
thus be open to every site that its visitors open: by DNS rebinding (the site makes its name resolve to the page's
address, and the browser takes the page for part of the site), and by plain requests to the address.

Gradio also has endpoints that this page does not use, some of which store uploads in the system's temporary folder
forever; it accepts any number of uploads, keeps interrupted ones, and downloads any address that a request names
instead of an upload.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import ipaddress
import json
import math
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from infer.page.paths import Paths

OPENING = 10  # seconds that a visitor may take between requesting a picture and opening the message stream
UPLOAD_SECONDS = 1800  # seconds that an upload may take
_API = "/gradio_api/"
_CALLS = ("queue/join", "run/predict")  # of the page's functions: in the queue, and of those that need none
_WAYS_IN = ("upload", "cancel", "reset", *_CALLS)  # endpoints that the page sends to
# Endpoints that the page reads besides files; Gradio's others describe the server, or fetch any address in a request.
_WAYS_OUT = ("queue/data", "upload_progress", "heartbeat/", "startup-events")
_NO_WAY = "网页没有这个入口。\nThis page has no such endpoint."
_FILE = "file="
_ASSETS = ("/assets/", "/static/")  # may come compressed
_SESSIONS = 1000  # sessions whose end is remembered
_LONGEST_MESSAGE = 2**20  # bytes of a request other than an upload
_AROUND = 2**16  # bytes of an upload besides the file itself
_LEAST = 2**16  # bytes counted for even the smallest file, which also takes a folder


class Guard:
    """An ASGI middleware.

    names: host names under which visitors reach the page; ".example.com" matches all subdomains. Requests from pages
    with these names are allowed even if the server sees another Host, as behind a proxy.
    own: further names of this machine. Addresses and localhost are always allowed: no site can own them.
    files: the folder where Gradio puts uploads. largest: bytes of one picture. most: bytes of all stored pictures.
    seconds: how long pictures are kept.
    functions: {number: a predicate, called with a list of values: whether the page can send them} of the page's
    functions; set it before the page is served.
    """

    def __init__(self, files, largest: int, most: int, seconds: float, names=(), own=()):
        self._names = tuple(name.lower() for name in names)
        self._hosts = (*self._names, *(name.lower() for name in own))
        self._files, self._largest, self._most, self._seconds = Path(files), largest, most, seconds
        self._paths = Paths(files)
        self.functions = {}
        self._app = None
        self._coming = []  # bytes of the uploads in progress
        self._stored = []  # (time of its end, bytes, whether it was complete) of the others
        self._listening = collections.Counter()  # open streams of messages by session
        self._left = {}  # when the last stream ended, for the latest sessions

    def before(self, app) -> Guard:
        """Wrap an ASGI application; returns one."""
        self._app = app
        return self

    def waits(self, session: str, since: float) -> bool:
        """Whether the visitor who requested a picture at `since` (`time.monotonic()`) still waits for it."""
        if self._listening[session]:
            return True
        return self._left.get(session, -math.inf) < since and time.monotonic() - since < OPENING

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refusal = self.refusal(scope["headers"])
        if refusal:
            return await answer(send, 403, refusal)
        route = scope["path"].partition(_API)[2].rstrip("/")
        if not scope["path"].startswith(_ASSETS):  # messages that name files go through `outgoing`
            scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
            send = self._paths.outgoing(send)
        if scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            return await self._take(route, scope, receive, send)
        if route.startswith(_FILE):
            try:
                named = self._paths.real(route[len(_FILE) :])
            except ValueError:
                return await answer(send, 404, "网页没有这个文件。\nThis page has no such file.")
            scope = {**scope, "path": scope["path"].replace(route, f"{_FILE}{named}")}
        elif route and not route.startswith(_WAYS_OUT):
            return await answer(send, 404, _NO_WAY)
        if route == "queue/data":
            with self._counted(scope):
                return await self._app(scope, receive, send)
        await self._app(scope, receive, send)

    async def _take(self, route: str, scope, receive, send) -> None:
        """Pass on a request's content if the page uses such requests and it is within the limits."""
        headers = dict(scope["headers"])
        length = b"" if b"transfer-encoding" in headers else headers.get(b"content-length", b"")
        if route not in _WAYS_IN:
            return await answer(send, 404, _NO_WAY)
        if not length.isdigit():
            return await answer(send, 411, "请求没有说明长度。\nThe request does not say how long it is.")
        if route == "upload":
            return await self._upload(int(length), scope, receive, send)
        if int(length) > _LONGEST_MESSAGE:
            return await answer(send, 413, "请求太长。\nThe request is too long.")
        content = await _received(receive)
        try:
            content = self._paths.incoming(content)
            is_pages = route not in _CALLS or self._is_call(json.loads(content))
        except ValueError:
            is_pages = False
        if not is_pages:
            return await answer(send, 400, "网页不会这样请求。\nThe page does not send such requests.")
        headers[b"content-length"] = str(len(content)).encode()
        await self._app({**scope, "headers": list(headers.items())}, _again(content, receive), send)

    def _is_call(self, message) -> bool:
        """Whether a message calls a function of the page with values that the page sends."""
        if not isinstance(message, dict):
            return False
        number, values = message.get("fn_index"), message.get("data")
        if not isinstance(number, int) or not isinstance(values, list):
            return False
        return number in self.functions and self.functions[number](values)

    async def _upload(self, length: int, scope, receive, send) -> None:
        if length > self._largest + _AROUND:
            text = f"文件太大。\nThe file is too large, the limit is {self._largest} bytes."
            return await answer(send, 413, text)
        oldest = time.monotonic() - self._seconds
        self._stored = [upload for upload in self._stored if upload[0] > oldest]
        if length + sum(self._coming) + sum(upload[1] for upload in self._stored) > self._most:
            await _received(receive, keep=False)  # otherwise a browser would report a broken connection
            return await answer(
                send, 507, "网页暂时没有空间，请稍后再试。\nThe page has no room left, try again later."
            )
        status, named, has_left = 0, 0, False

        async def incoming():
            nonlocal has_left
            message = await receive()
            has_left = message["type"] == "http.disconnect"
            return message

        async def outgoing(message):
            nonlocal status, named
            status = message.get("status", status)
            named += message.get("body", b"").count(b'"') // 2  # the answer is a list of paths
            await send(message)

        self._coming.append(length)
        try:
            await asyncio.wait_for(self._app(scope, incoming, outgoing), UPLOAD_SECONDS)
        except asyncio.TimeoutError:
            if not status:
                await answer(send, 408, "上传太慢。\nThe upload took too long.")
        except Exception:
            if not has_left:  # Gradio treats a visitor who leaves as an error, which the server would print
                raise
        finally:
            self._coming.remove(length)
            self._stored.append((time.monotonic(), max(length, _LEAST * max(1, named)), status == 200))
            if not self._coming:  # Gradio's names do not say which upload a file belongs to
                remove_broken_off(self._files)
                self._stored = [upload for upload in self._stored if upload[2]]

    def refusal(self, headers) -> str:
        """Why a request with these headers (in ASGI's form) is refused; "" if it is allowed."""
        hosts, origins = (
            [value.decode("latin1").lower() for name, value in headers if name == wanted]
            for wanted in (b"host", b"origin")
        )
        name = _host_name(hosts[0]) if len(hosts) == 1 else ""
        if not (_is_local(name) or _is_among(name, self._hosts)):
            return (
                f"这个网页不用这个名字：{name[:80]}。若是您运行的，启动时加上 --names。\n"
                f"This page is not known by this name: {name[:80]}. If it is yours, start it with --names."
            )
        for origin in origins:
            scheme, _, netloc = origin.partition("://")
            own = scheme in ("http", "https") and (netloc == hosts[0] or _is_among(_host_name(netloc), self._names))
            if not own:
                return (
                    "请求来自别的网站，不予受理。\n"
                    "This request comes from another site's page and is refused. If that site is a proxy for this "
                    "page, start the page with --names and the site's name."
                )
        return ""

    @contextlib.contextmanager
    def _counted(self, scope):
        (session,) = parse_qs(scope["query_string"].decode("latin1")).get("session_hash", [""])[:1]
        self._listening[session] += 1
        try:
            yield
        finally:
            self._listening[session] -= 1
            if not self._listening[session]:
                del self._listening[session]
                self._left.pop(session, None)
                self._left[session] = time.monotonic()
                if len(self._left) > _SESSIONS:
                    del self._left[next(iter(self._left))]


def remove_broken_off(files: Path, seconds: float = 0) -> None:
    """Remove unfinished uploads that have not been written to for so long; none may be in progress."""
    for path in files.glob("tmp*"):
        with contextlib.suppress(OSError):  # it may have been removed already
            if path.is_file() and time.time() - path.stat().st_mtime >= seconds:
                path.unlink()


async def _received(receive, keep: bool = True) -> bytes:
    """The complete content of a request, or b"" once it was read; the received part if the request was interrupted."""
    content, more = [], True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        if keep:
            content.append(message.get("body", b""))
    return b"".join(content)


def _again(content: bytes, receive):
    """ASGI's `receive` for content that has already been received."""
    messages = [{"type": "http.request", "body": content}]

    async def call():
        return messages.pop() if messages else await receive()

    return call


def _host_name(netloc: str) -> str:
    """The name or the address in HOST or HOST:PORT, an IPv6 address without its brackets; "" if it is neither."""
    try:
        parts = urlsplit(f"//{netloc}")
        parts.port  # noqa: B018  raises ValueError if the port is not a number
    except ValueError:
        return ""
    return (parts.hostname or "").rstrip(".") if parts.netloc == netloc and "@" not in netloc else ""


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return False


def _is_among(name: str, names: tuple) -> bool:
    return bool(name) and any(name == known or known.startswith(".") and name.endswith(known) for known in names)


async def answer(send, status: int, text: str) -> None:
    """Send plain text with ASGI's `send`."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
