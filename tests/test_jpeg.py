"""What a JPEG file says about its compression."""

import numpy as np
import pytest
from PIL import Image

from data.pictures.jpeg import of_quality
from data.pictures.reading import read_picture
from tests.helpers import matlab


def test_at_quality_50_the_steps_are_the_standards():
    # ITU-T T.81, tables K.1 and K.2: the first row and column of each.
    found = of_quality(50)
    assert found.brightness[0].tolist() == [16, 11, 10, 16, 24, 40, 51, 61]
    assert found.brightness[:, 0].tolist() == [16, 12, 14, 14, 18, 24, 49, 72]
    assert found.colour[0].tolist() == [17, 18, 24, 47, 99, 99, 99, 99]
    assert found.step == pytest.approx(57.625)
    assert found.subsampling == (2, 2) and found.corner == (0, 0)


def saved(path, mode="RGB", orientation=1, **settings):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(matlab.noise(20, 35)).convert(mode).save(path, "JPEG", exif=exif, **settings)
    return read_picture(path).jpeg


@pytest.mark.parametrize("subsampling, pixels", [("4:4:4", (1, 1)), ("4:2:2", (1, 2)), ("4:2:0", (2, 2))])
def test_subsampling_is_down_and_across(subsampling, pixels, tmp_path):
    assert saved(tmp_path / "a.jpg", subsampling=subsampling).subsampling == pixels
    assert saved(tmp_path / "a.jpg", subsampling=subsampling, orientation=6).subsampling == pixels[::-1]


# 20 rows and 35 columns are stored: one block of 16 and 4, and two and 3.
@pytest.mark.parametrize(
    "orientation, corner",
    [(1, (0, 0)), (2, (0, 3)), (3, (4, 3)), (4, (4, 0)), (5, (0, 0)), (6, (0, 4)), (7, (3, 4)), (8, (3, 0))],
)
def test_a_turned_one_begins_amid_a_block_and_its_tables_are_turned(orientation, corner, tmp_path):
    tables = [list(range(1, 65)), list(range(101, 165))]
    found = saved(tmp_path / "a.jpg", orientation=orientation, qtables=tables)
    assert found.corner == corner
    expected = [np.reshape(table, (8, 8)) for table in tables]
    if orientation > 4:
        expected = [table.T for table in expected]
    assert np.array_equal(found.brightness, expected[0]) and np.array_equal(found.colour, expected[1])


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "BMP"])
def test_others_have_none(format, tmp_path):
    Image.fromarray(matlab.noise(8, 8)).save(tmp_path / "a", format)
    assert read_picture(tmp_path / "a").jpeg is None
