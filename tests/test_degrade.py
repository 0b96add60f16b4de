from pathlib import Path

import numpy as np
import pytest

from data.degrade import DEGRADATIONS, bicubic, bilinear
from tests.helpers import matlab
from tests.helpers.pictures import read_with_opencv

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.parametrize("scale", [3, 4])
def test_bicubic_is_matlabs_to_the_border(scale):
    for height, width in ((1, 1), (1, 2), (24, 16), (4, 100)):  # of the LR picture
        for picture in matlab.PICTURES:
            hr = picture(height * scale, width * scale)
            np.testing.assert_array_equal(bicubic(hr, scale), matlab.imresize(hr, height, width))


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


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
class TestBoth:
    def test_result_is_the_callers_own_of_any_view(self, name):
        large = matlab.noise(60, 60)
        large.flags.writeable = False
        for view in (large[5:37, 7:31], large[5:37, 30:6:-1], large.transpose(1, 0, 2)[:32, :24]):
            lr = DEGRADATIONS[name](view)
            np.testing.assert_array_equal(lr, DEGRADATIONS[name](view.copy()))
            assert lr.dtype == np.uint8 and lr.flags.c_contiguous
            lr[:] = 0

    @pytest.mark.parametrize(
        "picture, given",
        [
            (np.zeros((16, 18, 3), np.uint8), "height 16 and width 18"),
            (np.zeros((0, 16, 3), np.uint8), "height 0 and width 16"),
            (np.zeros((16, 16, 3), np.float32), "float32"),
            (np.zeros((16, 16, 4), np.uint8), r"\[16, 16, 4\]"),
        ],
    )
    def test_refuses_what_is_no_multiple_or_no_rgb(self, name, picture, given):
        with pytest.raises(ValueError, match=given):
            DEGRADATIONS[name](picture)
