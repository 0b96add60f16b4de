"""The page: its command, and what a visitor does with it, in a real browser (Debian's chromium, headless)."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from common.errors import InputError
from infer import app
from infer.page import guard as page_guard
from infer.page.guard import Guard
from models.weight_files.shipped import SHIPPED
from tests.helpers.programs import ended_process

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "infer" / "app.py"
CHROMIUM = shutil.which("chromium")
MISSING = [name for name in ("gradio", "playwright") if not find_spec(name)] + ["chromium"] * (not CHROMIUM)
in_browser = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (requirements/app.txt, requirements/browser.txt)"
)
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
SECONDS = 120_000  # milliseconds that a slow machine may take


def run(*arguments, **kwargs):
    line = [sys.executable, APP, *arguments]
    return subprocess.run(line, capture_output=True, encoding="utf-8", check=False, timeout=120, **kwargs)


class TestWeights:
    def test_the_shipped_ones_then_those_of_the_usual_places_newest_first(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        names = ("pretrain_g.pdparams", "srgan_g_best.pdparams", "srgan_d.pdparams", "srgan_g.pdparams")
        for age, name in enumerate(names):
            path = tmp_path / "output" / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
            os.utime(path, (10**9 - age, 10**9 - age))
        (tmp_path / "models" / "g_models").mkdir(parents=True)
        assert list(app.find_weights([]).items()) == [
            ("srgan", str(SHIPPED["srgan"])),
            ("srresnet", str(SHIPPED["srresnet"])),
            ("srgan_photo", str(SHIPPED["srgan_photo"])),
            ("pretrain_g", str(tmp_path / "output" / "pretrain_g.pdparams")),
            ("srgan_g_best", str(tmp_path / "output" / "srgan_g_best.pdparams")),
            ("srgan_g", str(tmp_path / "output" / "srgan_g.pdparams")),
            ("g_models", str(tmp_path / "models" / "g_models")),
        ]

    def test_those_of_the_demonstration(self, tmp_path, monkeypatch):
        """`make demo` writes to a folder of its own, and so does the notebook."""
        monkeypatch.chdir(tmp_path)
        for name in ("demo", "quick"):
            (tmp_path / "output" / name).mkdir(parents=True)
            (tmp_path / "output" / name / "srgan_g.pdparams").touch()
        assert set(app.find_weights([]).values()) == {
            *(str(path) for path in SHIPPED.values()),
            *(str(tmp_path / "output" / name / "srgan_g.pdparams") for name in ("demo", "quick")),
        }

    def test_none(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(app, "SHIPPED", {"srgan": tmp_path / "srgan.pdparams"})
        with pytest.raises(InputError, match="there are no weights in .*output/.*git checkout -- weights"):
            app.find_weights([])

    @pytest.mark.slow
    def test_one_that_is_not_there_ends_the_command_before_anything(self, tmp_path):
        result = run("--weights", "nowhere.pdparams", cwd=tmp_path)
        assert result.returncode == 2
        assert result.stderr.startswith("error: --weights nowhere.pdparams: no such file or folder")


class TestGradio:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("module", "reason"),
        [("raise ImportError('no such module')", "no such module"), ("__version__ = '5.49.1'", "this is 5.49.1")],
    )
    def test_missing_or_too_old_it_is_told_what_to_install(self, module, reason, tmp_path, weights_file):
        (tmp_path / "gradio.py").write_text(module)
        result = run("--weights", weights_file, env={**os.environ, "PYTHONPATH": str(tmp_path)})
        assert result.returncode == 2
        if sys.version_info < (3, 10):
            assert "the page needs Python 3.10 or later" in result.stderr
        else:
            assert reason in result.stderr and "pip install -r requirements/app.txt" in result.stderr

    def test_the_version_asked_for_is_one_that_the_page_takes(self):
        (major,) = re.findall(r"^gradio==(\d+)\.", (ROOT / "requirements/app.txt").read_text(), re.MULTILINE)
        assert int(major) == app.GRADIO


def test_unless_told_otherwise_it_listens_to_this_machine_alone(monkeypatch):
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    arguments = app.parser().parse_args([])
    assert (arguments.host, arguments.port, arguments.names) == ("127.0.0.1", 7860, [])


def test_on_ai_studio_its_proxys_names_are_known(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "AI_STUDIO", str(tmp_path))
    guard = Guard(tmp_path, 1, 1, 1, app.parser().parse_args([]).names)
    assert guard.refusal([(b"host", b"12345.aistudio-hub.baidu.com")]) == ""
    assert guard.refusal([(b"host", b"baidu.com.evil.example")])


def test_an_upload_that_was_broken_off_is_removed_in_time(tmp_path):
    for name, age in {"tmpold": app.KEPT_SECONDS + 60, "tmpnew": 60, "photo.png": app.KEPT_SECONDS + 60}.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    app.remove_old(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"tmpnew", "photo.png"}


def test_empty_folders_go_in_time(tmp_path):
    for name, age in {"old": app.KEPT_SECONDS + 60, "new": 60, "full": app.KEPT_SECONDS + 60}.items():
        (tmp_path / name).mkdir()
        if name == "full":
            (tmp_path / name / "photo.png").touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    app.remove_old(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "full"}


def test_of_the_results_the_latest_are_kept(tmp_path):
    for age in range(4):
        folder = tmp_path / f"result-{age}"
        folder.mkdir()
        (folder / "photo_x4.png").write_bytes(bytes(100))
        os.utime(folder, (10**9 - age,) * 2)
    (tmp_path / "upload").mkdir()
    app.make_room(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"result-0", "result-1", "upload"}


def test_a_jpeg_gets_the_generator_for_photographs_whatever_it_is_called(tmp_path):
    picture = Image.fromarray(np.zeros((8, 8, 3), "uint8"))
    picture.save(tmp_path / "a.png", "JPEG")
    picture.save(tmp_path / "b.jpg", "PNG")
    (tmp_path / "c.jpg").write_bytes(b"")
    assert [app.fitting(tmp_path / name) for name in ("a.png", "b.jpg", "c.jpg")] == ["srgan_photo", "srgan", "srgan"]


def test_the_examples_are_small_photographs(tmp_path):
    paths = app.write_examples(tmp_path)
    assert len(paths) == 5
    for path in paths:
        with Image.open(path) as image:
            assert max(image.size) == app.EXAMPLE_SIDE
            assert np.asarray(image).std() > 20


class Server:
    """The real command, with a folder of its own for temporary files."""

    def __init__(self, folder: Path, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self.errors = folder.with_name(f"{folder.name}.txt")
        folder.mkdir(exist_ok=True)
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, APP, *arguments, "--port", str(port), "--device", "cpu"],
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env={**os.environ, "TMPDIR": str(folder)},
            )
        self.url = self.process.stdout.readline().strip()
        assert self.url == f"http://127.0.0.1:{port}", self.errors.read_text()

    def computing(self) -> list:
        """Its processes that compute a picture."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                if any("spawn_main" in word for word in child.cmdline()):
                    found.append(child)
        return found

    def request(self, method, path, content=None, headers=()) -> tuple:
        """The status and the text of a request that no browser would make."""
        connection = http.client.HTTPConnection(self.url.partition("//")[2], timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, content, dict(headers))
            response = connection.getresponse()
            return response.status, response.read().decode()

    def upload(self, picture: Path) -> str:
        """The path by which the server knows a picture that a program sends."""
        part = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{picture.name}"\r\n\r\n'
        content = part.encode() + picture.read_bytes() + b"\r\n--b--\r\n"
        status, text = self.request("POST", "/gradio_api/upload", content, MULTIPART)
        assert status == 200
        return json.loads(text)[0]

    def join(self, path: str, session: str) -> None:
        """Ask for what is there as a program does, with the slowest engine."""
        source = {"path": path, "meta": {"_type": "gradio.FileData"}}
        dependencies = json.loads(self.request("GET", "/config")[1])["dependencies"]
        (function,) = [each["id"] for each in dependencies if each["api_name"] == "upscale"]
        body = {"data": [source, 4, "generator", "", 0.5, "eager"], "fn_index": function, "session_hash": session}
        sent = self.request("POST", "/gradio_api/queue/join", json.dumps(body), {"Content-Type": "application/json"})
        assert sent[0] == 200

    def listen(self, session: str):
        """The connection over which that session's messages come."""
        connection = socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=60)
        line = f"GET /gradio_api/queue/data?session_hash={session} HTTP/1.1"
        connection.sendall(f"{line}\r\nHost: localhost\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        return connection

    def files(self) -> set:
        """The names of what it serves and keeps, but for the examples."""
        names = {path.name for path in self.folder.glob("srgan-page-*/files/*/*")}
        return names - {f"{name}.png" for name in ("astronaut", "chelsea", "coffee", "grace_hopper", "rocket")}

    def stop(self, signum=signal.SIGINT) -> str:
        """End it as Ctrl-C does, or by another signal; what it wrote to standard error."""
        self.process.send_signal(signum)
        self.process.wait(60)
        self.process.stdout.close()
        return self.errors.read_text()


def until(condition, seconds=60, tab=None):
    """Wait for it; what stands in `tab` is told where it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come" if tab is None else tab.locator("body").inner_text()
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory, weights_file, other_file):
    arguments = ("--weights", weights_file, other_file, "--max-megapixels", "1", "--names", "up.example.com")
    server = Server(tmp_path_factory.mktemp("page") / "temporary", *arguments)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    # It keeps what is no page's own traffic to itself: there may be no network.
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", *quiet]
        )
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """A function that opens the page as one more visitor; nothing gets through to addresses but the server's."""
    contexts, strangers = [], []

    def call():
        context = browser.new_context(viewport={"width": 1200, "height": 1000})
        context.set_default_timeout(SECONDS)
        contexts.append(context)

        def route(route, request):
            if request.url.startswith((server.url, "blob:", "data:")):
                route.continue_()
            else:
                strangers.append(request.url)
                route.abort()

        context.route("**/*", route)
        tab = context.new_page()
        tab.goto(server.url)
        tab.wait_for_selector("#go")
        return tab

    yield call
    for context in contexts:
        context.close()
    assert strangers == []


@pytest.fixture
def photo(tmp_path):
    """16 bits of colour that the page must not lose."""
    random = np.random.RandomState(3)
    colours = cv2.resize(random.randint(0, 65536, (4, 5, 3)).astype("uint16"), (20, 16), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "照片 1.png"), colours)
    return tmp_path / "照片 1.png"


def upload(tab, path):
    tab.set_input_files("#photo input[type=file]", path)
    tab.locator("#photo .filename").wait_for()


def begin(tab, server):
    """Press the button until a picture is computed: once nothing came of pressing it, and it was not found out why."""
    for _ in range(3):
        tab.locator("#go").click()
        with contextlib.suppress(AssertionError):
            return until(server.computing, 20)
    return until(server.computing, 20, tab)


def choose(tab, field, name):
    tab.locator(f"#{field} input").first.click()
    tab.locator(f"#{field}").get_by_role("option", name=name, exact=True).click()


def result(tab) -> tuple:
    """The name and the bytes of the file that the button gives when it can be pressed."""
    tab.locator("#download:enabled").wait_for()
    with tab.expect_download() as download:
        tab.locator("#download").click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def upscaled(path, output, *arguments) -> bytes:
    """What `infer/upscale.py` writes for that picture."""
    line = [sys.executable, ROOT / "infer" / "upscale.py", path, "-o", output, "--format", "png", "--device", "cpu"]
    subprocess.run([*line, *arguments], check=True, capture_output=True, timeout=600)
    (written,) = output.iterdir()
    return written.read_bytes()


def message(tab) -> str:
    toast = tab.get_by_test_id("toast-body")
    toast.wait_for()
    return toast.inner_text()


@in_browser
class TestVisit:
    def test_a_photo_is_uploaded_compared_and_downloaded(self, visit, photo, weights_file, tmp_path):
        tab = visit()
        upload(tab, photo)
        tab.locator("#go").click()
        name, content = result(tab)
        assert name == "照片 1_x4.png"
        assert content == upscaled(photo, tmp_path / "expected", "--weights", weights_file)
        assert "20×16 → 80×64" in tab.locator("#report").inner_text()

        before, after = tab.locator("#compare img").all()
        assert [image.evaluate("image => [image.naturalWidth, image.naturalHeight]") for image in (before, after)] == [
            [80, 64]
        ] * 2
        # The result lies over the other from the handle to the right: as it is drawn, not as it is written down.
        half = tab.locator("#compare").screenshot()
        handle, frame = tab.get_by_test_id("slider").locator(".inner").bounding_box(), after.bounding_box()
        assert abs(handle["x"] + handle["width"] / 2 - frame["x"] - frame["width"] / 2) < 10
        tab.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + 40)
        tab.mouse.down()
        tab.mouse.move(frame["x"] + frame["width"] / 5, handle["y"] + 40, steps=5)
        tab.mouse.up()
        share = re.search(r"clip-path: inset\(0px 0px 0px ([\d.]+)%", after.get_attribute("style")).group(1)
        assert float(share) == pytest.approx(20, abs=2)
        assert tab.locator("#compare").screenshot() != half

    def test_weights_blend_and_engine_are_those_chosen(self, visit, photo, weights_file, other_file, tmp_path):
        tab = visit()
        upload(tab, photo)
        choose(tab, "weights", "other")
        choose(tab, "blend", "generator")
        tab.locator("#alpha input[type=number]").fill("0.3")
        tab.locator("#alpha input[type=number]").press("Tab")
        choose(tab, "engine", "paddle")
        tab.locator("#go").click()
        settings = ("--weights", other_file, "--blend", weights_file, "--alpha", "0.3", "--engine", "paddle")
        assert result(tab)[1] == upscaled(photo, tmp_path / "expected", *settings)

    def test_twice_the_sides(self, visit, photo, weights_file, tmp_path):
        tab = visit()
        upload(tab, photo)
        tab.locator("#outscale").get_by_label("2×").check()
        tab.locator("#go").click()
        name, content = result(tab)
        assert name == "照片 1_x2.png"
        assert content == upscaled(photo, tmp_path / "expected", "--weights", weights_file, "--outscale", "2")
        assert "20×16 → 40×32" in tab.locator("#report").inner_text()

    def test_an_example_is_taken(self, visit, tmp_path):
        tab = visit()
        tab.locator("#examples button").nth(2).click()
        tab.locator("#photo .filename").wait_for()
        tab.locator("#go").click()
        name, content = result(tab)
        assert name == "chelsea_x4.png"
        (tmp_path / name).write_bytes(content)
        with Image.open(tmp_path / name) as image:
            assert image.size == (1024, 680)

    def test_two_visitors_wait_for_each_other(self, visit, server, photo, tmp_path):
        first, second = visit(), visit()
        Image.new("RGB", (300, 300), "teal").save(tmp_path / "teal.png")
        upload(first, tmp_path / "teal.png")
        upload(second, photo)
        begin(first, server)
        second.locator("#go").click()
        second.get_by_text("queue: 1/1").wait_for()
        most = 0

        def done():
            nonlocal most
            most = max(most, len(server.computing()))
            return first.locator("#download").is_enabled() and second.locator("#download").is_enabled()

        until(done, 120)
        assert most == 1
        assert (result(first)[0], result(second)[0]) == ("teal_x4.png", "照片 1_x4.png")

    def test_what_is_computed_for_one_who_left_is_ended(self, visit, server, tmp_path):
        tab = visit()
        Image.new("RGB", (900, 900), "teal").save(tmp_path / "left.png")
        upload(tab, tmp_path / "left.png")
        choose(tab, "engine", "eager")  # which takes a minute or more for it
        begin(tab, server)
        tab.context.close()
        until(lambda: not server.computing(), 30)
        assert "left_x4.png" not in server.files()


@pytest.mark.slow
@in_browser
class TestRefused:
    def test_no_picture_chosen(self, visit):
        tab = visit()
        tab.locator("#go").click()
        assert "请先选择照片。 · Choose a photo first." in message(tab)

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("words.jpg", "words.jpg cannot be read as a picture: it is not a PNG, JPEG, BMP, WebP or TIFF picture"),
            ("large.png", "large.png has 1001x1000 pixels (1.001 megapixels), the limit is 1 megapixels"),
        ],
    )
    def test_a_bad_or_large_picture_is_told_by_its_name(self, visit, server, name, reason, tmp_path):
        (tmp_path / "words.jpg").write_text("this is no picture")
        Image.new("L", (1001, 1000)).save(tmp_path / "large.png")
        before = server.files()
        tab = visit()
        upload(tab, tmp_path / name)
        tab.locator("#go").click()
        text = message(tab)
        assert reason in text
        assert "/" not in text and "Traceback" not in text
        assert server.files() - before <= {name}

    def test_a_file_of_too_many_bytes_is_not_taken(self, visit, server, tmp_path):
        (tmp_path / "heavy.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(9_200_000))  # 8 bytes a pixel, and a MiB
        tab = visit()
        tab.set_input_files("#photo input[type=file]", tmp_path / "heavy.png")
        assert "heavy.png" in message(tab)
        # Nor from one who does not ask the page.
        with open(tmp_path / "heavy.png", "rb") as file:
            heavy = {"name": "heavy.png", "mimeType": "image/png", "buffer": file.read()}
        assert tab.request.post(f"{server.url}/gradio_api/upload", multipart={"files": heavy}).status == 413
        assert "heavy.png" not in server.files()

    def test_the_queue_is_the_only_way_in_and_takes_the_pages_choices_alone(self, visit, server, photo, weights_file):
        """A program's requests: one past the queue is refused, and values that the page does not send are."""
        tab = visit()
        with open(photo, "rb") as file:
            sent = {"name": photo.name, "mimeType": "image/png", "buffer": file.read()}
        (path,) = tab.request.post(f"{server.url}/gradio_api/upload", multipart={"files": sent}).json()
        source = {"path": path, "meta": {"_type": "gradio.FileData"}}
        config = tab.request.get(f"{server.url}/config").json()
        (function,) = [each["id"] for each in config["dependencies"] if each["api_name"] == "upscale"]
        choices = [source, 4, weights_file.stem, "", 0.5, "auto"]
        body = {"data": choices, "fn_index": function, "session_hash": "one"}
        assert tab.request.post(f"{server.url}/gradio_api/run/upscale", data=body).status == 404
        before = server.errors.read_text()
        odds = [
            *((0, odd) for odd in ("x", 7, [], {}, {"path": 7}, {"path": "/files/../../etc/passwd"}, "/files/a.png")),
            *(
                (place, odd)
                for place in (1, 2, 3, 4, 5)
                for odd in (None, [choices[place]], {"a": 1}, 7, True, "4", "x")
            ),
        ]
        for place, odd in odds:
            body["data"] = [*choices[:place], odd, *choices[place + 1 :]]
            refused = tab.request.post(f"{server.url}/gradio_api/queue/join", data=body)
            assert refused.status == 400 and "The page does not send such requests" in refused.text(), (place, odd)
        assert not server.computing() and server.errors.read_text() == before

    def test_an_example_that_is_not_there_is_refused(self, server):
        sent, before = {"Content-Type": "application/json"}, server.errors.read_text()
        for odd in (99, -1, None, "a", [0], {"a": 1}):
            body = json.dumps({"fn_index": 0, "data": [odd], "session_hash": "odd"})
            assert server.request("POST", "/gradio_api/run/predict", body, sent)[0] == 400
        assert server.errors.read_text() == before

    def test_gradios_description_of_the_server_is_not_there(self, server):
        for path in ("/openapi.json", "/docs", "/redoc", "/gradio_api/openapi.json"):
            assert server.request("GET", path)[0] == 404

    def test_files_of_the_machine_are_not_served(self, visit, weights_file, server):
        tab = visit()
        for path in (ROOT / "README.md", weights_file, Path("/etc/hosts"), server.url):
            assert tab.request.get(f"{server.url}/gradio_api/file={path}").status == 404
        for path in ("/files/../../../etc/hosts", "/files/%2e%2e/%2e%2e/%2e%2e/etc/hosts", "/files//etc/hosts"):
            assert server.request("GET", f"/gradio_api/file={path}")[0] in (403, 404)
        assert str(weights_file.parent) not in tab.content()

    def test_nothing_is_stored_but_whole_uploads(self, server):
        """Neither what is broken off, nor what is sent to the ways in that Gradio has for recordings and streams."""
        begun = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(10**6)
        whole = begun + b"\r\n--b--\r\n"
        before, said = set(server.folder.rglob("*")), server.errors.read_text()
        for path in ("process_recording", "stream/1", "component_server"):
            assert server.request("POST", f"/gradio_api/{path}", whole, MULTIPART)[0] == 404
        connection = http.client.HTTPConnection(server.url.partition("//")[2], timeout=60)
        connection.request("POST", "/gradio_api/upload", begun, {**MULTIPART, "Content-Length": str(2 * 10**6)})
        until(lambda: set(server.folder.rglob("*")) - before)
        connection.close()
        until(lambda: not set(server.folder.rglob("*")) - before)
        assert "Traceback" not in server.errors.read_text()[len(said) :]

    def test_what_is_not_an_upload_tells_no_path(self, server):
        """Not where the page's files are, nor where it was started."""
        for path in ("/files/a.png", "/files//etc/hosts"):
            server.join(path, "paths")
            said = server.request("GET", "/gradio_api/queue/data?session_hash=paths")[1]
            assert re.search(r'"success": ?false', said)
            assert str(Path.cwd()) not in said and str(server.folder) not in said

    def test_no_answer_tells_where_the_files_are(self, server, photo):
        path = server.upload(photo)
        server.join(path, "told")
        said = server.request("GET", "/gradio_api/queue/data?session_hash=told")[1]
        results = set(re.findall(r'"path": ?"(/files/[^"]*)"', said))
        for answer in (path, said, server.request("GET", "/")[1], server.request("GET", "/config")[1]):
            assert "/files/" in answer and str(server.folder) not in answer
        assert any("/result-" in result for result in results)
        for result in results:
            assert server.request("HEAD", f"/gradio_api/file={quote(result)}")[0] == 200

    def test_a_visitor_is_told_when_there_is_no_room(self, browser, weights_file, photo, tmp_path):
        server = Server(tmp_path / "temporary", "--weights", weights_file, "--max-megapixels", "1")
        begun, largest = [], 10**6 * app.BYTES_PER_PIXEL + app.BYTES_BESIDE
        for _ in range(app.KEPT_PICTURES):
            connection = http.client.HTTPConnection(server.url.partition("//")[2], timeout=60)
            headers = {**MULTIPART, "Content-Length": str(largest)}
            connection.request("POST", "/gradio_api/upload", b"--b\r\n", headers)
            begun.append(connection)
        try:
            tab = browser.new_page()
            tab.set_default_timeout(SECONDS)
            tab.goto(server.url)
            tab.set_input_files("#photo input[type=file]", photo)
            assert "The page has no room left, try again later" in message(tab)
            tab.close()
        finally:
            server.stop()
            for connection in begun:
                connection.close()

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({}, 200),
            ({"Host": "localhost:1"}, 200),
            ({"Host": "192.168.1.5:7860"}, 200),
            ({"Host": socket.gethostname()}, 200),
            ({"Host": "up.example.com", "Origin": "https://up.example.com"}, 200),
            ({"Origin": "https://up.example.com"}, 200),
            ({"Host": "evil.example"}, 403),
            ({"Origin": "http://evil.example"}, 403),
            ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
        ],
    )
    def test_requests_of_other_names_and_other_sites(self, server, headers, status):
        """A page that reaches this one by DNS rebinding names a Host of its own, one of another site its Origin."""
        for path in ("/", "/config"):
            assert server.request("GET", path, headers=headers)[0] == status
        found, text = server.request("POST", "/gradio_api/upload", b"--b--", {**headers, **MULTIPART})
        assert found == status
        assert status == 200 or "is refused" in text or "not known by this name" in text


@pytest.mark.slow
@in_browser
class TestLeft:
    def test_a_program_that_listens_no_more_or_never_did(self, server, tmp_path):
        Image.new("RGB", (900, 900), "teal").save(tmp_path / "left.png")
        for session in ("listened", "never-listened"):
            server.join(server.upload(tmp_path / "left.png"), session)
            if session == "listened":
                connection = server.listen(session)
                until(server.computing)
                time.sleep(page_guard.OPENING)
                assert server.computing()
                connection.close()
            else:
                until(server.computing)
            until(lambda: not server.computing(), 2 * page_guard.OPENING)


@pytest.mark.slow
@in_browser
class TestEnd:
    @pytest.mark.parametrize("engine", ["openvino", "paddle"])
    def test_ctrl_c_ends_it_cleanly_and_leaves_nothing(self, browser, engine, photo, weights_file, tmp_path):
        if engine == "openvino":
            pytest.importorskip("openvino")
        server = Server(tmp_path / "temporary", "--weights", weights_file, "--engine", engine)
        try:
            tab, waiting = browser.new_page(), browser.new_page()
            for visitor in (tab, waiting):
                visitor.goto(server.url)
                upload(visitor, photo)
            tab.locator("#go").click()
            result(tab)
            Image.new("RGB", (900, 900)).save(tmp_path / "large.png")
            tab.locator("#photo button[aria-label=Clear]").click()
            upload(tab, tmp_path / "large.png")
            begin(tab, server)
            waiting.locator("#go").click()
            waiting.get_by_text("queue: 1/1").wait_for()
            (process,) = server.computing()
        finally:
            errors = server.stop()
        tab.close()
        waiting.close()
        assert server.process.returncode == 130
        assert errors == "stopped by Ctrl-C\n"
        assert not process.is_running()
        assert not list(server.folder.iterdir())

    def test_a_closed_terminal_ends_it_and_leaves_nothing(self, weights_file, tmp_path):
        """Nor what a page left that was killed."""
        left = tmp_path / "temporary" / f"srgan-page-{ended_process()}-abcdefgh"
        (left / "files").mkdir(parents=True)
        server = Server(tmp_path / "temporary", "--weights", weights_file)
        assert not left.exists()
        assert list(server.folder.iterdir())
        assert server.stop(signal.SIGHUP) == ""
        assert server.process.returncode == 129
        assert not list(server.folder.iterdir())

    def test_a_port_that_is_taken(self, weights_file):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            result = run("--weights", weights_file, "--port", str(other.getsockname()[1]))
        assert result.returncode == 2
        assert "nothing can listen there" in result.stderr and "Traceback" not in result.stderr
