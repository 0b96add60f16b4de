from pathlib import Path

import numpy as np
import pytest

from data import degrade
from data.degrade import DEGRADATIONS, bicubic, bilinear
from tests.helpers import matlab
from tests.helpers.pictures import read_with_opencv

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (24, 16), (4, 100), (100, 4)]  # of the LR picture, [h, w]


@pytest.mark.parametrize("picture", matlab.PICTURES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [3, 4])
def test_bicubic_is_matlabs_to_the_border(scale, size, picture):
    hr = picture(size[0] * scale, size[1] * scale)
    np.testing.assert_array_equal(bicubic(hr, scale), matlab.imresize(hr, *size))


@pytest.mark.parametrize("data_set", ["Set5", "BSD100"])
def test_bicubic_is_the_benchmarks_lr(data_set):
    folder = SHARED / data_set
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    names = sorted(path.name for path in (folder / "HR").glob("*.png"))
    assert len(names) == {"Set5": 5, "BSD100": 100}[data_set]
    for name in names:
        hr, lr = read_with_opencv(folder / "HR" / name), read_with_opencv(folder / "LRbicx4" / name)
        hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
        # The two outermost pixels aside: those files were made from larger pictures.
        np.testing.assert_array_equal(bicubic(hr)[2:-2, 2:-2], lr[2:-2, 2:-2], err_msg=name)


def test_bilinear_by_4_is_the_mean_of_the_middle_four():
    hr = matlab.noise(36, 52)
    middle = hr.reshape(9, 4, 13, 4, 3)[:, 1:3, :, 1:3].astype(int)
    np.testing.assert_array_equal(bilinear(hr), (middle.sum(axis=(1, 3)) + 2) // 4)


def test_bilinear_by_3_is_the_middle_pixel():
    hr = matlab.noise(36, 51)
    np.testing.assert_array_equal(bilinear(hr, scale=3), hr[1::3, 1::3])


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
class TestBoth:
    @pytest.mark.parametrize("level", [0, 1, 127, 254, 255])
    def test_constant_stays_constant(self, name, level):
        lr = DEGRADATIONS[name](np.full((20, 12, 3), level, np.uint8))
        np.testing.assert_array_equal(lr, np.full((5, 3, 3), level, np.uint8))

    def test_colours_stay_apart(self, name):
        hr = matlab.noise(24, 24)
        hr[..., 1] = 77
        assert (DEGRADATIONS[name](hr)[..., 1] == 77).all()

    def test_views_of_a_larger_read_only_picture(self, name):
        large = matlab.noise(60, 60)
        large.flags.writeable = False
        for view in (
            large[5:37, 7:31],
            large[5:37, 30:6:-1],
            large[::-1][4:36, :24],
            large.transpose(1, 0, 2)[:32, :24],
        ):
            expected = DEGRADATIONS[name](view.copy())
            np.testing.assert_array_equal(DEGRADATIONS[name](view), expected)

    def test_result_is_the_callers_own(self, name):
        hr = matlab.noise(16, 16)
        before = hr.copy()
        lr = DEGRADATIONS[name](hr)
        assert lr.dtype == np.uint8 and lr.flags.c_contiguous
        lr[:] = 0
        np.testing.assert_array_equal(hr, before)

    @pytest.mark.parametrize(
        "picture, given",
        [
            (np.zeros((16, 18, 3), np.uint8), "height 16 and width 18"),
            (np.zeros((15, 16, 3), np.uint8), "height 15 and width 16"),
            (np.zeros((0, 16, 3), np.uint8), "height 0 and width 16"),
            (np.zeros((16, 16, 3), np.float32), "float32"),
            (np.zeros((16, 16), np.uint8), r"\[16, 16\]"),
            (np.zeros((16, 16, 4), np.uint8), r"\[16, 16, 4\]"),
            (np.zeros((3, 16, 16), np.uint8), r"\[3, 16, 16\]"),
        ],
    )
    def test_refuses_what_is_no_multiple_or_no_rgb(self, name, picture, given):
        with pytest.raises(ValueError, match=given):
            DEGRADATIONS[name](picture)


def test_names_of_the_flag():
    assert DEGRADATIONS == {"bilinear": bilinear, "bicubic": bicubic}
    assert degrade.NAMES == ("bilinear", "bicubic", "photo")
