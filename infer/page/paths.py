"""No visitor is told where the page's files lie.

Gradio names each file by its absolute path: in what it sends, in what it is sent, and in the addresses it is fetched
from. Here the folder of uploads and results is called `SHOWN` on its way out, and the real one again on its way in;
what is named in any other way is not the page's.
"""

from __future__ import annotations

import json

SHOWN = "/files"
_NAME_FILES = (b"application/json", b"text/html", b"text/event-stream")  # kinds of answers


class Paths:
    """files: absolute path of the folder where Gradio keeps uploads and results."""

    def __init__(self, files):
        self._files = str(files)
        # As JSON spells it.
        self._spellings = {json.dumps(self._files, ensure_ascii=ascii)[1:-1].encode() for ascii in (True, False)}

    def real(self, shown: str) -> str:
        """The path of a file that a visitor names. Raises ValueError for one that is named in any other way."""
        if not shown.startswith(f"{SHOWN}/"):
            raise ValueError("no file of the page's")
        return self._files + shown[len(SHOWN) :]

    def incoming(self, content: bytes) -> bytes:
        """A message of the page's, in JSON, with the real paths of the files that it names.

        Raises ValueError where it is none, or names a file by an address: Gradio would download that whole.
        """
        try:
            message = json.loads(content)
        except RecursionError as error:
            raise ValueError("it is nested too deep") from error
        left = [message]
        while left:
            value = left.pop()
            if isinstance(value, dict):
                if value.get("path") is not None:
                    value["path"] = self.real(str(value["path"]))
                left += value.values()
            elif isinstance(value, list):
                left += value
        return json.dumps(message).encode()

    def outgoing(self, send):
        """ASGI's `send` for an answer of Gradio's, which must not be compressed."""
        names_files, start, content = False, None, []  # start: kept where a length is said, as it may change

        async def call(message):
            nonlocal names_files, start
            if message["type"] == "http.response.start":
                headers = dict(message["headers"])
                names_files = headers.get(b"content-type", b"").startswith(_NAME_FILES)
                if names_files and b"content-length" in headers:
                    start = message
                    return
            elif names_files:
                content.append(message.get("body", b""))
                if start and message.get("more_body", False):
                    return
                body = b"".join(content)
                content.clear()
                for spelling in self._spellings:
                    body = body.replace(spelling, SHOWN.encode())
                if start:
                    headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
                    await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
                message = {**message, "body": body}
            await send(message)

        return call
