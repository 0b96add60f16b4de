"""The measurement on compressed LR pictures, with stand-ins for generators."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from benchmarks import compressed
from data import lpips
from data.imresize import enlarge, imresize
from data.pictures.images import write_rgb
from data.pictures.jpeg import of_quality, quantization
from infer import Upscaler
from infer.deblocking import deblocked
from tests.helpers.lpips_weights import random_weights


@pytest.fixture(scope="module")
def lr():
    return imresize(photographs.chelsea()[:160, :160], 40, 40)


def bicubic(lr, quality):
    return enlarge(lr)


def test_it_compresses_as_pillow_does(lr, quality=60):
    stream = io.BytesIO()
    Image.fromarray(lr).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(stream)).astype(int)
    difference = np.abs(compressed.compressed(lr, quality) - expected)
    assert difference.mean() < 0.5 < np.abs(lr - expected).mean()


@pytest.mark.parametrize("quality", [40, 95])
def test_its_files_have_the_steps_that_deblocking_is_told(lr, quality):
    _, content = cv2.imencode(".jpg", lr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    with Image.open(io.BytesIO(content)) as image:
        found, expected = quantization(image), of_quality(quality)
    assert np.array_equal(found.brightness, expected.brightness) and np.array_equal(found.colour, expected.colour)
    assert found[2:] == expected[2:]


def test_what_is_compressed_more_is_further_from_the_original(lr, tmp_path):
    write_rgb(tmp_path / "cat.png", photographs.chelsea()[:240, :240])
    means = compressed.measured([(tmp_path / "cat.png", None)], {"bicubic": bicubic}, [100, 60, 20], None)
    psnr = [means[quality, "bicubic"]["psnr_y"] for quality in (100, 60, 20)]
    assert psnr == sorted(psnr, reverse=True) and psnr[0] > psnr[2] + 0.5


@pytest.mark.parametrize(
    "name, flag, is_deblocked", [("srgan", None, False), ("srgan", "on", True), ("srgan_photo", None, True)]
)
def test_what_is_compressed_is_deblocked_for_srgan_photo_or_as_told(lr, name, flag, is_deblocked):
    plain = Upscaler(compressed.SHIPPED[name], precision="fp32")
    method = compressed.generator(str(compressed.SHIPPED[name]), flag)
    expected = deblocked(lr, of_quality(60)) if is_deblocked else lr
    assert np.array_equal(method(lr, 60), plain(expected)) and np.array_equal(method(lr, 100), plain(lr))


def test_it_prints_a_row_for_each_quality_and_method_and_draws_a_figure(tmp_path, weights_file, monkeypatch, capsys):
    (tmp_path / "hr").mkdir()
    write_rgb(tmp_path / "hr/cat.png", photographs.chelsea()[:120, :120])
    lpips.write(tmp_path / "lpips.npz", random_weights())
    monkeypatch.setattr(compressed, "available", lambda: True)
    monkeypatch.setattr(compressed, "Lpips", lambda: lpips.Lpips(tmp_path / "lpips.npz"))
    line = f"--hr {tmp_path}/hr --weights {weights_file} --quality 60 100 --figure {tmp_path}/figure.png".split()
    monkeypatch.setattr("sys.argv", ["compressed.py", *line])
    compressed.main(compressed.parser().parse_args(line))
    rows = [row.split("|")[1:3] for row in capsys.readouterr().out.splitlines() if row.startswith("|")][2:]
    assert [[word.strip() for word in row] for row in rows] == [
        [quality, name] for quality in ("60", "clean") for name in ("bicubic", Path(weights_file).stem)
    ]
    with Image.open(tmp_path / "figure.png") as image:
        assert image.format == "PNG" and min(image.size) > 100
