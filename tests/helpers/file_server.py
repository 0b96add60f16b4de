"""A web server for downloads, with ranges and with faults; the fixture `server` of tests/conftest.py runs it."""

import http.server
import random
import re
import threading

CONTENT = random.Random(0).getrandbits(8 * 300_000).to_bytes(300_000, "big")
OTHER = random.Random(1).getrandbits(8 * 250_000).to_bytes(250_000, "big")


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (path -> bytes) with ranges, and with the faults that a test sets.

    requests: (path, Range) of every request.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/file.bin": CONTENT}
        self.requests = []
        self.cuts = []  # for each of the next requests: bytes of the body after which the connection ends
        self.stall = threading.Event()  # set: a cut is a silence, the connection stays open
        self.statuses = []  # for each of the next requests: an error status to answer with
        self.ranges = True
        self.length = True  # send a Content-Length

    def url(self, path="/file.bin"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address):
        """A client that goes away is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, wanted = self.server, self.headers["Range"]
        server.requests.append((self.path, wanted))
        if server.statuses:
            return self.send_error(server.statuses.pop(0))
        if self.path not in server.files:
            return self.send_error(404)
        content, start = server.files[self.path], 0
        if wanted and server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + server.cuts.pop(0)] if server.cuts else content[start:])
        if server.stall.is_set():
            self.connection.recv(1)  # until the client goes


def names(folder):
    """The files in a folder, sorted; none where there is no folder."""
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
