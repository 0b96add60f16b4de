"""The measurement on compressed LR pictures, with stand-ins for generators."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from benchmarks import compressed
from data.imresize import enlarge, imresize
from data.pictures.images import write_rgb
from infer.comparison import write_figure


@pytest.fixture(scope="module")
def lr():
    return imresize(photographs.chelsea()[:240, :240], 60, 60)


@pytest.mark.parametrize("quality", [40, 80])
def test_it_compresses_as_pillow_does(lr, quality):
    stream = io.BytesIO()
    Image.fromarray(lr).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(stream)).astype(int)
    difference = np.abs(compressed.compressed(lr, quality) - expected)
    assert difference.mean() < 0.5 < np.abs(lr - expected).mean()


def test_quality_100_is_no_compression(lr):
    assert np.array_equal(compressed.compressed(lr, 100), lr)


def test_what_is_compressed_more_is_further_from_the_original(lr, tmp_path):
    write_rgb(tmp_path / "cat.png", photographs.chelsea()[:240, :240])
    means = compressed.measured([(tmp_path / "cat.png", None)], {"bicubic": enlarge}, [100, 60, 20], None)
    psnr = [means[quality, "bicubic"]["psnr_y"] for quality in (100, 60, 20)]
    assert psnr == sorted(psnr, reverse=True) and psnr[0] > psnr[2] + 0.5


def test_the_figure_shows_what_the_methods_made_of_compressed_pictures(tmp_path):
    write_rgb(tmp_path / "cat.png", photographs.chelsea()[:240, :240])
    ((figures, seen, hr, results),) = compressed.shown([(tmp_path / "cat.png", None)], {"bicubic": enlarge}, 40)
    assert np.array_equal(seen, compressed.compressed(imresize(hr, 60, 60), 40))
    assert np.array_equal(results["bicubic"], enlarge(seen))
    assert figures["name"] == "cat.png" and figures["methods"]["bicubic"]["psnr_y"] < 30
    write_figure(tmp_path / "figure.png", [(figures, seen, hr, results)])
    with Image.open(tmp_path / "figure.png") as image:
        assert image.format == "PNG" and min(image.size) > 100
