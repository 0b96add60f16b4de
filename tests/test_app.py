"""The page: its command, and what a visitor does with it, in a real browser (Debian's chromium, headless)."""

import contextlib
import http.client
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image

from common.errors import InputError
from infer import app, upscale
from models.weight_files.shipped import SHIPPED
from tests.helpers import commands

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium")
MISSING = [name for name in ("gradio", "playwright") if not find_spec(name)] + ["chromium"] * (not CHROMIUM)
in_browser = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (requirements/app.txt, requirements/browser.txt)"
)
SECONDS = 120_000  # milliseconds that a slow machine may take


def test_the_shipped_weights_then_those_of_the_usual_places_newest_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("pretrain_g.pdparams", "srgan_g_best.pdparams", "srgan_d.pdparams", "demo/srgan_g.pdparams")
    for age, name in enumerate(names):
        path = tmp_path / "output" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
        os.utime(path, (10**9 - age, 10**9 - age))
    (tmp_path / "models" / "g_models").mkdir(parents=True)
    trained = {"pretrain_g": names[0], "srgan_g_best": names[1], "srgan_g": names[3]}
    assert list(app.find_weights([]).items()) == [
        *((name, str(path)) for name, path in SHIPPED.items()),
        *((name, str(tmp_path / "output" / path)) for name, path in trained.items()),
        ("g_models", str(tmp_path / "models" / "g_models")),
    ]
    with pytest.raises(InputError, match=r"--weights nowhere.pdparams: no such file or folder"):
        app.find_weights(["nowhere.pdparams"])


def test_unless_told_otherwise_it_listens_to_this_machine_alone(monkeypatch):
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    arguments = app.parser().parse_args([])
    assert (arguments.host, arguments.port, arguments.names) == ("127.0.0.1", 7860, [])


class Server:
    """The real command, with a folder of its own for temporary files."""

    def __init__(self, folder: Path, *arguments):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.folder = folder
        self.errors = folder.with_name(f"{folder.name}.txt")
        folder.mkdir()
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "infer" / "app.py", *arguments, "--port", str(port), "--device", "cpu"],
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env={**os.environ, "TMPDIR": str(folder)},
            )
        self.url = self.process.stdout.readline().strip()
        assert self.url == f"http://127.0.0.1:{port}", self.errors.read_text()

    def computing(self) -> list:
        """Its processes that compute a picture."""
        processes = []
        for child in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                if any("spawn_main" in word for word in child.cmdline()):
                    processes.append(child)
        return processes

    def request(self, path, host=None) -> tuple:
        """The status and the text of a request that no browser would make."""
        connection = http.client.HTTPConnection(self.url.partition("//")[2], timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": host} if host else {})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def stop(self) -> str:
        """End it as Ctrl-C does; what it wrote to standard error."""
        self.process.send_signal(signal.SIGINT)
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
    arguments = ("--weights", weights_file, other_file, "--max-megapixels", "1", "--names", "*.example.com")
    server = Server(tmp_path_factory.mktemp("page") / "temporary", *arguments)
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="module")
def browser(server):
    """A browser's window; it asks no address but the server's."""
    from playwright.sync_api import sync_playwright

    # It keeps what is no page's own traffic to itself, and no other host has an address.
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    alone = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--headless", "--no-sandbox", "--disable-gpu")
    asked = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*alone, *quiet])
        window = browser.new_context(viewport={"width": 1200, "height": 1000})
        window.set_default_timeout(SECONDS)
        window.on("request", lambda request: asked.append(request.url))
        yield window
        browser.close()
    assert asked and not [url for url in asked if not url.startswith((server.url, "blob:", "data:"))]


@pytest.fixture
def visit(browser, server):
    """A function that opens the page as one more visitor."""

    def call():
        tab = browser.new_page()
        tab.goto(server.url)
        tab.wait_for_selector("#go")
        return tab

    yield call
    for tab in browser.pages:
        tab.close()


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
    flags = [path, "-o", output, "--format", "png", "--device", "cpu", *arguments]
    upscale.main(upscale.parser().parse_args(list(map(str, flags))))
    (written,) = output.iterdir()
    return written.read_bytes()


def message(tab, words) -> str:
    toast = tab.get_by_test_id("toast-body").filter(has_text=words)
    toast.wait_for()
    return toast.inner_text()


@pytest.mark.slow
@in_browser
class TestVisit:
    def test_a_photo_is_uploaded_compared_and_downloaded(self, visit, photo, weights_file, tmp_path):
        tab = visit()
        upload(tab, photo)
        tab.locator("#go").click()
        name, content = result(tab)
        assert name == "照片 1_x4.png"
        assert content == upscaled(photo, tmp_path / "expected", "--weights", weights_file)
        assert "generator: 20×16 → 80×64" in tab.locator("#report").inner_text()
        assert "primary" in tab.locator("#download").get_attribute("class")

        before, after = tab.locator("#compare img").all()
        for image in (before, after):
            assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [80, 64]
        # Left lies bicubic: with the handle in the middle, the left half is no other where the result is taken away.
        left = tab.locator("#compare").bounding_box()
        clip = {**left, "width": left["width"] / 2 - 20}
        half = tab.screenshot(clip=clip)
        after.evaluate("image => image.style.visibility = 'hidden'")
        assert tab.screenshot(clip=clip) == half

    def test_size_weights_blend_and_engine_are_those_chosen(self, visit, photo, weights_file, other_file, tmp_path):
        tab = visit()
        upload(tab, photo)
        tab.locator("#outscale").get_by_label("2×").check()
        choose(tab, "weights", "other")
        assert not tab.locator("#engine").is_visible(), "folded away"
        tab.locator("#more button").first.click()
        choose(tab, "blend", "generator")
        tab.locator("#alpha input[type=number]").fill("0.3")
        tab.locator("#alpha input[type=number]").press("Tab")
        choose(tab, "engine", "eager")
        tab.locator("#go").click()
        settings = ("--weights", other_file, "--blend", weights_file, "--alpha", "0.3", "--engine", "eager")
        name, content = result(tab)
        assert name == "照片 1_x2.png"
        assert content == upscaled(photo, tmp_path / "expected", *settings, "--outscale", "2")

    def test_visitors_wait_and_what_is_computed_for_one_who_left_is_ended(self, visit, server, tmp_path):
        first, second = visit(), visit()
        Image.new("RGB", (900, 900), "teal").save(tmp_path / "teal.png")
        upload(first, tmp_path / "teal.png")
        first.locator("#more button").first.click()
        choose(first, "engine", "eager")  # which takes a minute or more for it
        second.locator("#examples button").nth(2).click()
        second.locator("#photo .filename").wait_for()
        first.locator("#go").click()
        until(server.computing, 60, first)
        second.locator("#go").click()
        second.get_by_text("queue: 1/1").wait_for()
        (process,) = server.computing()
        first.close()
        until(lambda: not process.is_running(), 30)
        name, content = result(second)
        assert name == "chelsea_x4.png" and Image.open(io.BytesIO(content)).size == (1024, 680)
        assert not list(server.folder.rglob("teal_x4.png"))

    def test_what_cannot_be_upscaled_is_told_in_a_sentence(self, visit, server, photo, tmp_path):
        tab = visit()
        tab.locator("#go").click()
        message(tab, "请先选择照片。 · Choose a photo first.")
        (tmp_path / "words.jpg").write_text("this is no picture")
        upload(tab, tmp_path / "words.jpg")
        tab.locator("#go").click()
        text = message(tab, "words.jpg cannot be read as a picture")
        assert str(server.folder) not in text and "Traceback" not in text
        tab.locator("#photo button").first.click()  # which takes it away
        upload(tab, photo)
        for path in server.folder.rglob(photo.name):  # as after an hour
            path.unlink()
        tab.locator("#go").click()
        message(tab, "照片 1.png")
        tab.locator("#photo button").first.click()
        (tmp_path / "heavy.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(9_200_000))  # 8 bytes a pixel, and a MiB
        tab.set_input_files("#photo input[type=file]", tmp_path / "heavy.png")
        message(tab, "heavy.png")
        assert not list(server.folder.rglob("heavy.png"))


@pytest.mark.slow
@in_browser
class TestServer:
    def test_other_names_and_files_of_the_machine_are_refused(self, server, weights_file):
        """A site that reaches the page by DNS rebinding names a Host of its own."""
        for host in ("localhost:1", socket.gethostname(), "127.0.0.1", "up.example.com"):
            assert server.request("/", host)[0] == 200, host
        for host in ("evil.example", "example.com.evil.example", "192.0.2.1:7860"):
            assert server.request("/config", host)[0] == 400, host
        for path in (ROOT / "README.md", weights_file, Path("/etc/hosts"), "%2e%2e/%2e%2e/%2e%2e/etc/hosts"):
            assert server.request(f"/gradio_api/file={path}")[0] in (403, 404)

    def test_a_port_that_is_taken(self, server, weights_file, tmp_path, monkeypatch, capsys):
        for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED", "no_proxy"):
            monkeypatch.setenv(name, "")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        flags = ("--weights", weights_file, "--port", server.url.rpartition(":")[2])
        assert commands.run("infer/app.py", *flags) == 2
        assert "nothing can listen there" in capsys.readouterr().err
        assert not list(tmp_path.glob("srgan-page-*"))

    def test_ctrl_c_ends_it_cleanly_and_leaves_nothing(self, server, visit, tmp_path):
        """The last test of this server."""
        tab = visit()
        Image.new("RGB", (900, 900)).save(tmp_path / "large.png")
        upload(tab, tmp_path / "large.png")
        tab.locator("#go").click()
        until(server.computing, 60, tab)
        (process,) = server.computing()
        errors = server.stop()
        assert server.process.returncode == 130
        assert errors == "stopped by Ctrl-C\n"
        assert not process.is_running()
        assert not list(server.folder.iterdir())
