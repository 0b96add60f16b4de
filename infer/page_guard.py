"""What stands before the page's server: who is let in, and who still waits.

Gradio answers whatever Host a request names and lets other sites' pages read the answers. A page open to the network
would so be open to every site that its visitors look at: by DNS rebinding (the site's name is made to mean the page's
address, and the browser takes the page for the site's own), and by plain requests to the address.
"""

from __future__ import annotations

import collections
import contextlib
import ipaddress
import time
from urllib.parse import parse_qs, urlsplit

OPENING = 10  # seconds that a visitor may take from asking for a picture to listening for it
_API = "/gradio_api/"


class Guard:
    """An ASGI middleware.

    names: host names that the page has for its visitors; ".example.com" is all below it. Requests from pages of these
    names are let in even where another Host reaches the server, as behind a proxy.
    own: further names of this machine. Addresses and localhost need no name: no site can have them for its own.
    """

    def __init__(self, names=(), own=()):
        self._names = tuple(name.lower() for name in names)
        self._hosts = (*self._names, *(name.lower() for name in own))
        self._app = None
        self._listening = collections.Counter()  # open streams of messages by session

    def before(self, app) -> Guard:
        """Stand before this ASGI application, and be one."""
        self._app = app
        return self

    def waits(self, session: str, since: float) -> bool:
        """Whether the visitor who asked for a picture at `since`, of `time.monotonic()`, still waits for it."""
        return self._listening[session] > 0 or time.monotonic() - since < OPENING

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refusal = self.refusal(scope["headers"])
        if refusal:
            return await answer(send, 403, refusal)
        if _route(scope) == "queue/data":
            with self._counted(scope):
                return await self._app(scope, receive, send)
        await self._app(scope, receive, send)

    def refusal(self, headers) -> str:
        """Why a request with these headers, as ASGI has them, is not let in; "" where it is."""
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


def _route(scope) -> str:
    """What comes after the API's prefix; "" where there is none."""
    return scope["path"].partition(_API)[2].rstrip("/")


def _host_name(netloc: str) -> str:
    """The name or the address in HOST or HOST:PORT, an IPv6 address without its brackets; "" where it is neither."""
    try:
        parts = urlsplit(f"//{netloc}")
        parts.port  # noqa: B018  it raises ValueError for one that is no number
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
    """Send plain text by ASGI's `send`."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
