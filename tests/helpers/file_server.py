"""A web server for downloads, with ranges and with faults; the fixture `server` of tests/conftest.py runs it."""

import hashlib
import http.server
import random
import re
import socket
import struct
import threading
import time

CONTENT = random.Random(0).getrandbits(8 * 300_000).to_bytes(300_000, "big")
OTHER = random.Random(1).getrandbits(8 * 250_000).to_bytes(250_000, "big")


class Server(http.server.ThreadingHTTPServer):
    """Serves `files` (path -> bytes) with ranges and an ETag, and with the faults that a test sets.

    requests: (path, Range, If-Range) of every request.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"/file.bin": CONTENT}
        self.requests = []
        self.cuts = []  # for each of the next requests: bytes of the body after which the connection ends
        self.reset = False  # a cut is a TCP reset, not an orderly end
        self.stall = threading.Event()  # set: a cut is a silence, the connection stays open
        self.statuses = []  # for each of the next requests: an error status to answer with
        self.redirections = {}  # path -> where to send the client
        self.ranges = True
        self.if_range = True
        self.range_shift = 0  # added to the first byte of a 206
        self.etag = True
        self.weak = False
        self.last_modified = None
        self.length = True  # send a Content-Length
        self.excess = 0  # added to Content-Length

    def url(self, path="/file.bin"):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def tag(self, content):
        return ("W/" if self.weak else "") + f'"{hashlib.md5(content).hexdigest()}"'

    def handle_error(self, request, client_address):
        """A client that goes away is part of the tests."""


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        asked, if_range = self.headers["Range"], self.headers["If-Range"]
        server.requests.append((self.path, asked, if_range))
        if server.statuses:
            return self.send_error(server.statuses.pop(0))
        if self.path in server.redirections:
            self.send_response(302)
            self.send_header("Location", server.redirections[self.path])
            return self.end_headers()
        if self.path not in server.files:
            return self.send_error(404)
        content = server.files[self.path]
        start = 0
        same = not server.if_range or if_range in (None, server.tag(content), server.last_modified)
        if asked and server.ranges and same:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) + server.range_shift
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("ETag", server.tag(content))
                return self.end_headers()
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        if server.length:
            self.send_header("Content-Length", str(len(content) - start + server.excess))
        if server.etag:
            self.send_header("ETag", server.tag(content))
        if server.last_modified:
            self.send_header("Last-Modified", server.last_modified)
        self.end_headers()
        self.send_body(content[start:])

    def send_body(self, body):
        if not self.server.cuts:
            self.wfile.write(body)
            return
        self.wfile.write(body[: self.server.cuts.pop(0)])
        if self.server.stall.is_set():
            self.connection.recv(1)  # until the client goes
        if self.server.reset:
            time.sleep(0.1)  # a reset throws away what the client has not read yet
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def names(folder):
    """The files in a folder, sorted; none where there is no folder."""
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
