"""The measurement on compressed LR pictures, with stand-ins for generators."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import data as photographs

from benchmarks import compressed
from data.imresize import enlarge, imresize
from data.pictures.images import write_rgb


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
