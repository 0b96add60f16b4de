"""Hides the location of the page's files from visitors.

Gradio names each file by its absolute path: in the messages that it sends and receives, and in the files' addresses.
Here the folder of uploads and results is replaced by `SHOWN` in outgoing messages and restored in incoming ones; a file
named in any other way does not belong to the page.
"""

from __future__ import annotations

import json

SHOWN = "/files"
_NAME_FILES = (b"application/json", b"text/html", b"text/event-stream")  # types of answers


class Paths:
    """files: absolute path of the folder where Gradio keeps uploads and results."""

    def __init__(self, files):
        self._files = str(files)
        # As JSON spells it.
        self._spellings = {json.dumps(self._files, ensure_ascii=ascii)[1:-1].encode() for ascii in (True, False)}

    def real(self, shown: str) -> str:
        """The path of a file that a visitor names by `SHOWN`. Raises ValueError for a file named in any other way."""
        if not shown.startswith(f"{SHOWN}/") or ".." in shown.split("/"):
            raise ValueError("no file of the page's")
        return self._files + shown[len(SHOWN) :]

    def incoming(self, content: bytes) -> bytes:
        """A message of the page, in JSON, with the real paths of the files that it names.

        Raises ValueError if it is not such a message, or names a file by an address, which Gradio would download.
        """
        try:
            message = json.loads(content)
        except RecursionError as error:
            raise ValueError("it is nested too deeply") from error
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
        """ASGI's `send` for one of Gradio's answers, which must not be compressed."""
        names_files, start, content = False, None, []  # the start, held back if it states a length, which may change

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
