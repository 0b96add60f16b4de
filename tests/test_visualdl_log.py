"""What VisualDL is given, read back with its own reader."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from tests.helpers import matlab
from train.report.visualdl_log import VisualDL

ROW = {"seconds": 12.5, "mse": 0.25, "valid_psnr": 30.5}


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "visualdl", None)  # what importing it then raises is an ImportError
    with pytest.raises(InputError, match=r"--visualdl needs .*pip install -r requirements/visualdl\.txt"):
        VisualDL(tmp_path / "visualdl")
    assert not (tmp_path / "visualdl").exists()


@pytest.mark.slow
class TestFile:
    """With the package itself."""

    @pytest.fixture(autouse=True)
    def package(self, monkeypatch, tmp_path):
        monkeypatch.setenv("HOME", str(tmp_path / "home"))  # importing it writes there
        pytest.importorskip("visualdl", reason="the package visualdl is not installed")

    @staticmethod
    def shown(folder):
        """{kind: {tag: [records]}} of the file that VisualDL takes in that folder."""
        from visualdl import LogReader
        from visualdl.utils.string_util import encode_tag

        reader = LogReader(logdir=str(folder))
        ((run, file),) = reader.logs(update=True).items()
        assert run == str(folder)
        data = LogReader(file_path=f"{run}/{file}").log_data
        return {kind: {encode_tag(tag): records for tag, records in tags.items()} for kind, tags in data.items()}

    def epochs(self, folder):
        return {tag: [record.id for record in records] for tag, records in self.shown(folder)["scalar"].items()}

    def test_figures(self, tmp_path):
        log = VisualDL(tmp_path / "new" / "srgan_g")
        log.scalars(ROW, 3)
        # Read before it is closed: a killed run leaves what it had.
        scalars = self.shown(tmp_path / "new" / "srgan_g")["scalar"]
        log.close()
        assert {tag: [(r.id, r.value) for r in records] for tag, records in scalars.items()} == {
            name: [(3, value)] for name, value in ROW.items()
        }

    def test_pictures_have_their_colours(self, tmp_path):
        pictures = {"lr": matlab.noise(5, 7), "sr": matlab.noise(20, 28), "black": np.zeros((4, 4, 3), np.uint8)}
        for rgb in pictures.values():
            rgb.flags.writeable = False
        log = VisualDL(tmp_path)
        log.pictures(pictures, 10)
        log.close()
        images = self.shown(tmp_path)["image"]
        assert set(images) == {f"sample/{name}" for name in pictures}
        for name, rgb in pictures.items():
            (record,) = images[f"sample/{name}"]
            assert record.id == 10
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(record.image.encoded_image_string))), rgb)

    def test_a_resumed_run_has_a_file_of_its_own(self, tmp_path):
        for epochs, first in ((range(5), 0), (range(3, 7), 3)):
            log = VisualDL(tmp_path / "srgan_g", first)
            for epoch in epochs:
                log.scalars({"mse": 1 / (1 + epoch)}, epoch)
            log.close()
        assert self.epochs(tmp_path / "srgan_g") == {"mse": list(range(5))}
        assert self.epochs(tmp_path / "srgan_g-epoch-3") == {"mse": list(range(3, 7))}
