"""What a run measures on its validation pictures."""

import cv2
import numpy as np
import paddle
import pytest

from common.errors import InputError
from data import lpips, metrics
from data.crops import Crops
from data.degrade import bicubic
from models.generator import Generator, initialize_small
from tests.helpers import generators, matlab
from tests.helpers.lpips_weights import random_weights
from train.report import samples, validation


def write(path, rgb):
    assert cv2.imwrite(str(path), rgb[:, :, ::-1])


@pytest.fixture
def folder(tmp_path):
    """Two pictures whose sides are no multiples of 4, one wide and one high."""
    folder = tmp_path / "hr"
    folder.mkdir()
    for name, (height, width) in {"a.png": (54, 75), "b.bmp": (82, 45)}.items():
        smooth = cv2.resize(matlab.noise(height // 6, width // 6), (width, height), interpolation=cv2.INTER_CUBIC)
        write(folder / name, smooth)
    return folder


def test_figures_are_the_measures_of_the_whole_pictures(folder, monkeypatch):
    """In tiles they are what the network makes of each picture at once, without what `infer/` corrects."""
    monkeypatch.setattr(validation, "TILE", 8)
    generator = generators.shifting(((0, 1), (1, 0), (-1, 0)))
    distance = lpips.Lpips(random_weights())
    rows = []
    for name in ("a.png", "b.bmp"):
        hr = cv2.imread(str(folder / name))[:, :, ::-1]
        hr = np.ascontiguousarray(hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4])
        lr = paddle.to_tensor(bicubic(hr).transpose(2, 0, 1)[None].astype("float32") / 127.5 - 1)
        sr = np.clip(np.rint((generator(lr)[0].numpy().transpose(1, 2, 0) + 1) * 127.5), 0, 255).astype(np.uint8)
        rows.append((metrics.psnr_y(sr, hr, 4), metrics.ssim_y(sr, hr, 4), distance(sr, hr), metrics.grid(sr)))
    means = np.mean(rows, axis=0)
    names = ("valid_psnr", "valid_ssim", "valid_lpips", "valid_grid")
    # A value that lies between two grey levels may round to the other one.
    found = validation.measure(generator, validation.find_pictures(folder), distance=distance)
    assert found == pytest.approx(dict(zip(names, means)), abs=1e-3) and found["valid_lpips"] > 0.001
    del found["valid_lpips"]
    assert validation.measure(generator, validation.find_pictures(folder)) == pytest.approx(found, abs=1e-9)


class Enlarge(paddle.nn.Layer):
    def forward(self, x):
        return paddle.nn.functional.interpolate(x, scale_factor=4, mode="nearest")


def test_lr_is_the_runs_own_or_the_given_one(folder, tmp_path):
    generator = Enlarge()
    bicubic = validation.measure(generator, validation.find_pictures(folder))
    seen = []

    def grey(hr, name):
        seen.append(name)
        return np.full((hr.shape[0] // 4, hr.shape[1] // 4, 3), 128, "uint8")

    own = validation.measure(generator, validation.find_pictures(folder), grey)
    assert seen == ["a.png", "b.bmp"] and own != bicubic
    (tmp_path / "lr").mkdir()
    for name in seen:
        hr = cv2.imread(str(folder / name))
        write(tmp_path / "lr" / name, np.full((hr.shape[0] // 4, hr.shape[1] // 4, 3), 128, "uint8"))
    assert validation.measure(generator, validation.find_pictures(folder, tmp_path / "lr")) == own


@pytest.mark.parametrize("degradation", ["bilinear", "photo"])
def test_a_runs_lr_of_a_picture_is_the_same_each_time(degradation):
    class Pictures(list):
        names = ("a",)

    hr = cv2.resize(matlab.noise(16, 20), (80, 64))
    crops = Crops(Pictures([hr]), 16, degradation, crops_per_image=1, augment=False, seed=0)
    lr = crops.lr_of(hr, "a.png")
    assert lr.shape == (16, 20, 3) and np.array_equal(lr, crops.lr_of(hr, "a.png"))
    assert np.array_equal(lr, bicubic(hr)) is False


def test_a_picture_in_tiles_is_as_in_one_piece(monkeypatch):
    paddle.seed(0)
    network = Generator()
    initialize_small(network)  # larger weights saturate tanh, and rounding decides between black and white
    network.eval()
    lr = matlab.noise(50, 45)
    whole = samples.sample_sr(network, lr[np.newaxis])[0]
    monkeypatch.setattr(validation, "TILE", 20)
    assert np.abs(validation.upscale(network, lr).astype(int) - whole).max() <= 1


def test_bad_pictures_are_named_before_anything_is_measured(folder):
    write(folder / "c.png", matlab.noise(40, 19))
    with pytest.raises(InputError, match=r"c\.png is too small .*20 or more"):
        validation.find_pictures(folder)
    (folder / "c.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"c\.png"):
        validation.find_pictures(folder)
    with pytest.raises(InputError, match="none does not exist"):
        validation.find_pictures(folder / "none")


def test_a_picture_too_small_for_lpips_is_named_only_where_that_is_measured(folder):
    write(folder / "c.png", matlab.noise(40, 28))
    assert len(validation.find_pictures(folder)) == 3
    with pytest.raises(InputError, match=r"c\.png is too small for LPIPS: 28x40 .*31 or more.*--valid"):
        validation.find_pictures(folder, with_lpips=True)
