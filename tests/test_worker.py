"""A picture upscaled in a process of its own: the result, the views, the progress, and what is left when it fails."""

import multiprocessing
import sys

import cv2
import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms

from common.errors import InputError
from data.pictures.picture import Picture
from infer import upscale, worker
from infer.picture import Options, Size

X4 = Size()
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def upscaled(source, folder, weights, progress=lambda share: None, size=X4, **settings):
    settings = {"engine": "auto", "weights": str(weights), "blend": "", "device": "cpu", **settings}
    return worker.upscale_in_process(source, folder, settings, Options(size, max_pixels=10**6), progress)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    random = np.random.RandomState(2)
    rgb = cv2.resize(random.randint(0, 256, (4, 5, 3)).astype("uint8"), (15, 12), interpolation=cv2.INTER_CUBIC)
    path = tmp_path_factory.mktemp("pictures") / "照片.jpg"
    Image.fromarray(rgb).save(path, quality=60, icc_profile=SRGB)
    return path


@pytest.mark.slow
def test_it_is_the_file_that_the_command_writes_with_the_generator_that_fits(photo, tmp_path):
    made = upscaled(photo, tmp_path / "results", "auto")
    flags = [str(photo), "-o", str(tmp_path / "o"), "--format", "png", "--weights", "srgan_photo", "--device", "cpu"]
    upscale.main(upscale.parser().parse_args(flags))
    assert made.target.name == "照片_x4.png"
    assert made.target.read_bytes() == (tmp_path / "o" / "照片_x4.png").read_bytes()
    assert made.report.startswith("srgan_photo: 15×12 → 60×48") and made.report.endswith(", deblocked")


@pytest.mark.slow
def test_a_smaller_one_and_what_the_report_says(weights_file, tmp_path):
    pages = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    pages[0].save(tmp_path / "pages.tiff", save_all=True, append_images=pages[1:])
    shares = []
    made = upscaled(tmp_path / "pages.tiff", tmp_path / "o", weights_file, shares.append, Size("outscale", 2))
    assert "generator: 6×4 → 12×8" in made.report and str(tmp_path) not in made.report
    assert "the result lacks all but the first of 2 pages or frames" in made.report
    assert shares[0] == 0 and shares == sorted(shares)
    for path in (made.target, made.before, made.after):
        with Image.open(path) as image:
            assert image.size == (12, 8)


class TestViews:
    def views(self, lr, sr, folder):
        """The two files as float arrays."""
        return [np.asarray(Image.open(path), "float64") for path in worker.write_views(lr, sr, folder)]

    def test_they_are_the_enlargement_and_the_result_in_its_colours(self, tmp_path):
        ramp = np.repeat(np.arange(0, 240, 20, "uint8")[None, :, None], 8, axis=0)
        sr = np.full((32, 48, 3), 77, "uint8")
        before, after = self.views(Picture(ramp), Picture(sr, icc_profile=SRGB), tmp_path)
        # Between the pixels' centres a ramp stays a ramp: pixel x of the large one lies at (x + 1/2) / 4 - 1/2.
        middle = (np.arange(8, 40) + 0.5) / 4 - 0.5
        assert np.abs(before[16, 8:40] - 20 * middle).max() < 3
        assert np.abs(after - 77).max() < 2
        with Image.open(tmp_path / "after.jpg") as image:
            assert image.info["icc_profile"] == SRGB

    def test_what_is_transparent_is_white_and_large_ones_are_shrunk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(worker, "LONGEST_VIEW", 40)
        lr = Picture(np.zeros((20, 30, 3), "uint16"), alpha=np.zeros((20, 30), "uint16"))
        sr = Picture(np.zeros((80, 120, 3), "uint16"), alpha=np.full((80, 120), 257 * 128, "uint16"))
        before, after = self.views(lr, sr, tmp_path)
        assert before.shape == after.shape == (27, 40, 3)
        assert before.min() == 255 and np.abs(after - 127).max() <= 1


@pytest.mark.slow
class TestFailure:
    @pytest.fixture
    def message(self, weights_file, tmp_path):
        """What the error says; after it nothing is left."""

        def call(source, progress=lambda share: None, error=InputError, **more):
            with pytest.raises(error) as raised:
                upscaled(source, tmp_path / "results", **{"weights": weights_file, **more}, progress=progress)
            assert not (tmp_path / "results").exists()
            assert not multiprocessing.active_children()
            assert str(tmp_path) not in str(raised.value)
            return str(raised.value)

        return call

    def test_a_bad_picture_and_bad_weights_are_named(self, message, photo, tmp_path):
        Image.new("L", (1001, 1000)).save(tmp_path / "large.png")
        assert message(tmp_path / "large.png").startswith("large.png has 1001x1000 pixels")
        (tmp_path / "broken.pdparams").write_bytes(b"\x80\x02nonsense")
        assert "broken.pdparams" in message(photo, weights=tmp_path / "broken.pdparams")

    def test_what_is_no_fault_of_the_picture_is_told_to_the_terminal_alone(self, message, photo, capfd):
        text = message(photo, tile="many")
        assert text == "照片.jpg: failed for a reason unrelated to the picture; see the server's terminal"
        assert "TypeError" in capfd.readouterr().err

    def test_a_process_that_is_killed_or_takes_too_long_or_whose_visitor_has_left(self, message, photo, monkeypatch):
        def kill(share):
            for process in multiprocessing.active_children():
                process.kill()

        def leave(share):
            raise ConnectionAbortedError("gone")

        assert message(photo, kill).startswith("照片.jpg: its process was killed (exit status -9)")
        assert message(photo, leave, ConnectionAbortedError) == "gone"
        monkeypatch.setattr(worker, "LONGEST", 0)
        assert message(photo).startswith("照片.jpg: it took over 0 minutes")


def allocate(connection):
    """Ask for more than the machine has, as a hostile picture may."""
    free = psutil.virtual_memory().available
    worker._limit_memory()
    try:
        np.empty(free + 2**30, "uint8")
    except MemoryError:
        connection.send("refused")
    else:
        connection.send("given")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_memory_is_limited_to_what_is_free():
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=allocate, args=(sender,))
    process.start()
    assert receiver.poll(60) and receiver.recv() == "refused"
    process.join()
