"""Where the page's files lie is told to no visitor. `tests/test_app.py` tries it at the real page."""

import asyncio
import json

import pytest

from infer.page.paths import Paths

FOLDER = "/tmp/页 1/files"
JSON = (b"content-type", b"application/json")


def sent(headers, *bodies) -> tuple:
    """The headers and the bodies of an answer of Gradio's as they go out."""
    messages = []

    async def send(message):
        messages.append(message)

    async def answer():
        outgoing = Paths(FOLDER).outgoing(send)
        await outgoing({"type": "http.response.start", "status": 200, "headers": headers})
        for number, body in enumerate(bodies, 1):
            more = number < len(bodies)
            await outgoing({"type": "http.response.body", "body": body, "more_body": more})

    asyncio.run(answer())
    start, *rest = messages
    assert start["status"] == 200 and not rest[-1].get("more_body", False)
    return dict(start["headers"]), [message["body"] for message in rest]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_an_answer_names_files_by_the_folder_shown_and_says_its_new_length(ascii_only):
    told = [{"path": f"{FOLDER}/a/照片.png", "url": f"http://localhost/gradio_api/file={FOLDER}/a/照片.png"}]
    content = json.dumps(told, ensure_ascii=ascii_only).encode()
    headers, (body,) = sent([JSON, (b"content-length", str(len(content)).encode())], content[:70], content[70:])
    shown = {"path": "/files/a/照片.png", "url": "http://localhost/gradio_api/file=/files/a/照片.png"}
    assert json.loads(body) == [shown] and headers[b"content-length"] == str(len(body)).encode()


def test_messages_of_a_stream_come_one_by_one():
    messages = [f'data: {{"path": "{FOLDER}/{name}"}}\n\n'.encode() for name in "ab"]
    _, bodies = sent([(b"content-type", b"text/event-stream; charset=utf-8")], *messages)
    assert bodies == [b'data: {"path": "/files/a"}\n\n', b'data: {"path": "/files/b"}\n\n']


def test_pictures_go_out_as_they_are():
    content = FOLDER.encode() + bytes(range(256))
    headers, bodies = sent([(b"content-type", b"image/png"), (b"content-length", b"300")], content)
    assert bodies == [content] and headers[b"content-length"] == b"300"


def test_a_message_of_the_pages_names_the_real_files():
    message = {"data": [{"path": "/files/照片 1.png", "meta": {}}, [{"path": "/files/a/b"}], {"path": None}, 2]}
    real = {"data": [{"path": f"{FOLDER}/照片 1.png", "meta": {}}, [{"path": f"{FOLDER}/a/b"}], {"path": None}, 2]}
    assert json.loads(Paths(FOLDER).incoming(json.dumps(message).encode())) == real


@pytest.mark.parametrize(
    "path", ["/etc/hosts", "a.png", "/filesystem/a", "/files/../a.png", f"{FOLDER}/a.png", "", 5, ["/files/a"]]
)
def test_other_files_are_not_the_pages(path):
    with pytest.raises(ValueError):
        Paths(FOLDER).incoming(json.dumps({"data": [[{"path": path}]]}).encode())
