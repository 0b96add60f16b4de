"""A picture upscaled in a process of its own: the result, the progress, and what is left when it fails or is ended."""

import multiprocessing
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from common.errors import InputError
from data.pictures.jpeg import of_quality
from data.pictures.picture import Picture
from infer import Upscaler
from infer.deblocking import deblocked
from infer.page import worker
from infer.size import Size
from models.weight_files.shipped import SHIPPED

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 10**6  # pixels
KINDS = ("colour.jpg", "deep.png", "grey and alpha.png", "turned.jpg", "照片.png")


def settings(weights, **more) -> dict:
    return {"engine": "eager", "weights": str(weights), "blend": "", "device": "cpu", **more}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A picture of each of KINDS, and files that are none."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.RandomState(2)
    rgb = cv2.resize(random.randint(0, 256, (4, 5, 3)).astype("uint8"), (15, 12), interpolation=cv2.INTER_CUBIC)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    Image.fromarray(rgb).save(folder / "colour.jpg", icc_profile=profile)
    (folder / "deep.png").write_bytes(cv2.imencode(".png", rgb.astype("uint16") * 257)[1].tobytes())
    Image.fromarray(np.dstack([rgb[:, :, 0], rgb[:, :, 1]])).save(folder / "grey and alpha.png")
    Image.fromarray(rgb).save(folder / "turned.jpg", exif=exif)
    Image.fromarray(rgb).save(folder / "照片.png")
    (folder / "words.jpg").write_text("this is no picture")
    return folder


@pytest.fixture(scope="module")
def commands(pictures, weights_file, tmp_path_factory):
    """The folder of what `infer/upscale.py` makes of them."""
    output = tmp_path_factory.mktemp("upscaled")
    line = [sys.executable, ROOT / "infer" / "upscale.py", *(pictures / kind for kind in KINDS), "-o", output]
    line += ["--weights", weights_file, "--format", "png", "--engine", "eager", "--device", "cpu"]
    subprocess.run(line, check=True, capture_output=True, timeout=600)
    return output


class TestResult:
    @pytest.mark.parametrize("kind", KINDS)
    def test_it_is_the_file_that_the_command_writes(self, kind, pictures, commands, weights_file, tmp_path):
        made = worker.upscale_in_process(pictures / kind, tmp_path / "results", settings(weights_file), LIMIT)
        expected = commands / f"{Path(kind).stem}_x4.png"
        assert made.target.name == expected.name
        assert made.target.read_bytes() == expected.read_bytes()

    def test_a_jpeg_is_deblocked_for_srgan_photo(self, pictures, tmp_path):
        with Image.open(pictures / "colour.jpg") as picture:
            picture.save(tmp_path / "a.jpg", quality=60)
        made = worker.upscale_in_process(
            tmp_path / "a.jpg", tmp_path / "results", settings(SHIPPED["srgan_photo"]), LIMIT
        )
        assert made.report.endswith(", deblocked")
        with Image.open(tmp_path / "a.jpg") as lr, Image.open(made.target) as sr:
            upscale = Upscaler("srgan_photo", engine="eager", device="cpu")
            np.testing.assert_array_equal(np.asarray(sr), upscale(deblocked(np.asarray(lr), of_quality(60))))
            assert (np.asarray(sr) != upscale(np.asarray(lr))).mean() > 0.5

    def test_a_smaller_one_is_called_by_its_size_and_has_views_of_it(self, pictures, weights_file, tmp_path):
        half = worker.upscale_in_process(
            pictures / "照片.png", tmp_path / "results", settings(weights_file), LIMIT, size=Size("outscale", 2)
        )
        assert half.target.name == "照片_x2.png" and "15×12 → 30×24" in half.report
        for path in (half.target, half.before, half.after):
            with Image.open(path) as image:
                assert image.size == (30, 24)

    def test_the_report_says_what_was_done_and_what_a_png_cannot_hold(self, weights_file, tmp_path):
        pages = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
        pages[0].save(tmp_path / "pages.tiff", save_all=True, append_images=pages[1:])
        report = worker.upscale_in_process(
            tmp_path / "pages.tiff", tmp_path / "results", settings(weights_file), LIMIT
        ).report
        assert "6×4 → 24×16" in report and "eager, fp32, cpu" in report
        assert "the file has 2 pages or frames; only the first is used" in report


class TestViews:
    def views(self, picture, sr, folder):
        """The two files as float arrays."""
        return [np.asarray(Image.open(path), "float64") for path in worker._views(picture, sr, folder)]

    def test_they_are_the_enlargement_and_the_result(self, tmp_path):
        ramp = np.repeat(np.arange(0, 240, 20, "uint8")[None, :, None], 8, axis=0)
        sr = np.full((32, 48, 1), 77, "uint8")
        before, after = self.views(Picture(ramp), Picture(sr), tmp_path)
        assert before.shape == after.shape == (32, 48, 3)
        # Between the pixels' centres a ramp stays a ramp: pixel x of the large one lies at (x + 1/2) / 4 - 1/2.
        middle = (np.arange(8, 40) + 0.5) / 4 - 0.5
        assert np.abs(before[16, 8:40, 0] - 20 * middle).max() < 3
        assert np.abs(after - 77).max() < 2

    def test_what_is_transparent_is_white_as_paper(self, tmp_path):
        lr = Picture(np.zeros((4, 4, 3), "uint16"), alpha=np.zeros((4, 4), "uint16"))
        sr = Picture(np.zeros((16, 16, 3), "uint16"), alpha=np.zeros((16, 16), "uint16"))
        assert [view.min() for view in self.views(lr, sr, tmp_path)] == [255, 255]

    def test_large_ones_are_shrunk_to_what_a_browser_bears(self, tmp_path, monkeypatch):
        monkeypatch.setattr(worker, "LONGEST_VIEW", 40)
        lr = Picture(np.full((20, 30, 1), 90, "uint8"), alpha=np.full((20, 30), 255, "uint8"))
        sr = Picture(np.full((80, 120, 1), 90, "uint8"), alpha=np.full((80, 120), 255, "uint8"))
        for view in self.views(lr, sr, tmp_path):
            assert view.shape == (27, 40, 3)
            assert np.abs(view - 90).max() < 2


class TestProgress:
    def test_it_rises_with_the_tiles_from_0_to_1(self, pictures, weights_file, tmp_path, monkeypatch):
        shares = []
        monkeypatch.setattr(worker, "LOOK_EVERY", 60)  # only what the process sends
        # Windows of 20 + 2 · 36 pixels, one at a time: three of them in 120.
        Image.new("RGB", (120, 40)).save(tmp_path / "dark.png")
        tiles = settings(weights_file, tile=20)
        worker.upscale_in_process(tmp_path / "dark.png", tmp_path / "results", tiles, LIMIT, shares.append)
        assert shares == pytest.approx([0, 1 / 3, 2 / 3, 1])


class TestFailure:
    @pytest.fixture
    def message(self, weights_file, tmp_path):
        """What the InputError says; after it nothing is left."""

        def call(source, progress=lambda share: None, **more):
            with pytest.raises(InputError) as raised:
                worker.upscale_in_process(
                    source, tmp_path / "results", {**settings(weights_file), **more}, LIMIT, progress
                )
            assert not (tmp_path / "results").exists()
            assert not multiprocessing.active_children()
            return str(raised.value)

        return call

    def test_no_picture(self, message, pictures):
        text = message(pictures / "words.jpg")
        assert text.startswith("words.jpg cannot be read as a picture: it is not a PNG")

    def test_too_many_pixels(self, message, tmp_path):
        Image.new("L", (1001, 1000)).save(tmp_path / "large.png")
        assert message(tmp_path / "large.png").startswith(
            "large.png has 1001x1000 pixels (1.001 megapixels), the limit is 1"
        )

    def test_damaged_weights(self, message, pictures, tmp_path):
        (tmp_path / "broken.pdparams").write_bytes(b"\x80\x02nonsense")
        text = message(pictures / "照片.png", weights=str(tmp_path / "broken.pdparams"))
        assert text.startswith("broken.pdparams") and str(tmp_path) not in text

    def test_what_is_no_fault_of_the_picture_is_told_to_the_terminal_alone(self, message, pictures, capfd):
        text = message(pictures / "照片.png", tile="many")
        assert text == "照片.png: failed for a reason unrelated to the picture; see the server's terminal"
        assert "TypeError" in capfd.readouterr().err

    def test_a_process_that_is_ended_from_outside(self, message, pictures):
        def end(share):
            for process in multiprocessing.active_children():
                process.kill()

        text = message(pictures / "照片.png", end)
        assert text.startswith("照片.png: its process was killed (exit status -9)")

    def test_progress_that_raises_ends_the_process(self, pictures, weights_file, tmp_path):
        def leave(share):
            raise ConnectionAbortedError("gone")

        with pytest.raises(ConnectionAbortedError, match="gone"):
            worker.upscale_in_process(pictures / "照片.png", tmp_path / "results", settings(weights_file), LIMIT, leave)
        assert not multiprocessing.active_children()
        assert not (tmp_path / "results").exists()
