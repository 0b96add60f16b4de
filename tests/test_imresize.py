import numpy as np
import pytest

from data.imresize import BAND, imresize
from tests.helpers import matlab

SIZES = [(1, 1), (1, 2), (2, 1), (3, 5), (7, 4), (23, 16), (2, 61)]  # of the smaller picture, [h, w]


@pytest.mark.parametrize("picture", matlab.PICTURES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [2, 4, 8])
class TestEqualsMatlabToTheBorder:
    def test_enlarging(self, scale, size, picture):
        target = (size[0] * scale, size[1] * scale)
        small = picture(*size)
        np.testing.assert_array_equal(imresize(small, *target), matlab.imresize(small, *target))

    def test_shrinking(self, scale, size, picture):
        large = picture(size[0] * scale, size[1] * scale)
        np.testing.assert_array_equal(imresize(large, *size), matlab.imresize(large, *size))

    def test_16_bits(self, scale, size, picture):
        sixteen = to_16_bits(picture(*size))
        target = (size[0] * scale, size[1] * scale)
        enlarged = imresize(sixteen, *target)
        np.testing.assert_array_equal(enlarged, matlab.imresize(sixteen, *target))
        np.testing.assert_array_equal(imresize(enlarged, *size), matlab.imresize(enlarged, *size))


def to_16_bits(rgb):
    """uint16 [h,w] from uint8 [h,w,3], high byte red, low byte green: every level can occur, 0 and 65535 too."""
    return rgb[..., 0].astype(np.uint16) * 256 + rgb[..., 1]


@pytest.mark.parametrize("picture", matlab.PICTURES)
@pytest.mark.parametrize("size, target", [((8, 6), (16, 24)), ((8, 6), (2, 24)), ((6, 8), (24, 2)), ((5, 8), (5, 32))])
def test_the_axis_with_the_smaller_scale_comes_first(picture, size, target):
    rgb = picture(*size)
    np.testing.assert_array_equal(imresize(rgb, *target), matlab.imresize(rgb, *target))


def test_the_order_of_the_axes_shows():
    """Else the test above would not notice a wrong one."""
    rgb = matlab.black_or_white(9, 9)
    turned = imresize(rgb.transpose(1, 0, 2), 36, 36).transpose(1, 0, 2)
    assert (imresize(rgb, 36, 36) != turned).any()


@pytest.mark.parametrize("scale", [3, 5, 6, 7])
def test_other_scales_differ_at_halves_only(scale):
    """Their weights are no binary fractions: whether a half is met exactly depends on the last bit."""
    small, large = matlab.noise(11, 13), matlab.noise(11 * scale, 13 * scale)
    for before, after in ((small, large), (large, small)):
        expected = matlab.imresize(before, *after.shape[:2]).astype(int)
        difference = imresize(before, *after.shape[:2]) - expected
        assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.002


@pytest.mark.parametrize("size", [(3, BAND + 1), (2 * BAND, 2)])
def test_a_picture_of_several_bands(size):
    small = matlab.noise(*size)
    large = imresize(small, 2 * size[0], 4 * size[1])
    np.testing.assert_array_equal(large, matlab.imresize(small, 2 * size[0], 4 * size[1]))
    np.testing.assert_array_equal(imresize(large, *size), matlab.imresize(large, *size))


def test_a_grey_picture_is_each_plane_of_its_rgb():
    rgb = matlab.noise(9, 7)
    expected = imresize(rgb, 36, 28)
    for channel in range(3):
        np.testing.assert_array_equal(imresize(rgb[..., channel], 36, 28), expected[..., channel])


@pytest.mark.parametrize("picture", [np.full((5, 4, 3), 201, np.uint8), np.full((5, 4), 51234, np.uint16)])
@pytest.mark.parametrize("size", [(20, 16), (5, 4), (1, 2)])
def test_constant_stays_constant_and_keeps_its_type(picture, size):
    result = imresize(picture, *size)
    assert result.dtype == picture.dtype and result.shape == (*size, *picture.shape[2:])
    assert (result == picture.flat[0]).all()


def test_result_is_the_callers_own():
    rgb = matlab.noise(8, 8)
    rgb.flags.writeable = False
    for size in ((8, 8), (8, 16), (32, 32), (2, 2)):
        result = imresize(rgb, *size)
        result[:] = 0
    assert rgb.any()


def test_views_of_a_larger_picture():
    large = matlab.noise(40, 40)
    for view in (large[3:19, 5:29], large[3:19, 28:4:-1], large.transpose(1, 0, 2)[:16, :24]):
        np.testing.assert_array_equal(imresize(view, 64, 96), imresize(view.copy(), 64, 96))


@pytest.mark.parametrize(
    "picture, size, words",
    [
        (np.zeros((8, 8, 3), np.float32), (16, 16), "float32"),
        (np.zeros((8, 8, 3), np.uint16), (16, 16), r"uint16 \[8, 8, 3\]"),
        (np.zeros((8, 8, 4), np.uint8), (16, 16), r"\[8, 8, 4\]"),
        (np.zeros((0, 8), np.uint8), (16, 16), r"\[0, 8\]"),
        (np.zeros((8, 8), np.uint8), (12, 16), "height 8 cannot become 12"),
        (np.zeros((8, 8), np.uint8), (16, 3), "width 8 cannot become 3"),
        (np.zeros((8, 8), np.uint8), (16, 0), "width 8 cannot become 0"),
    ],
)
def test_refuses_other_types_shapes_and_scales(picture, size, words):
    with pytest.raises(ValueError, match=words):
        imresize(picture, *size)
