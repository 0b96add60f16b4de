import numpy as np
import pytest

from data.imresize import BAND, imresize, shrink
from tests.helpers import matlab

SIZES = [(1, 1), (1, 2), (7, 4)]  # of the smaller picture, [h, w]


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_equals_matlab_to_the_border(scale):
    for size in SIZES:
        target = (size[0] * scale, size[1] * scale)
        for picture in matlab.PICTURES:
            small, large = picture(*size), picture(*target)
            np.testing.assert_array_equal(imresize(small, *target), matlab.imresize(small, *target))
            np.testing.assert_array_equal(imresize(large, *size), matlab.imresize(large, *size))
            deep = to_16_bits(small)
            enlarged = imresize(deep, *target)
            np.testing.assert_array_equal(enlarged, matlab.imresize(deep, *target))
            np.testing.assert_array_equal(imresize(enlarged, *size), matlab.imresize(enlarged, *size))


def to_16_bits(rgb):
    """uint16 [h,w] from uint8 [h,w,3], high byte red, low byte green: every level can occur, 0 and 65535 too."""
    return rgb[..., 0].astype(np.uint16) * 256 + rgb[..., 1]


@pytest.mark.parametrize("size, target", [((8, 6), (16, 24)), ((8, 6), (2, 24)), ((6, 8), (24, 2)), ((5, 8), (5, 32))])
def test_the_axis_with_the_smaller_scale_comes_first(size, target):
    for picture in matlab.PICTURES:
        np.testing.assert_array_equal(imresize(picture(*size), *target), matlab.imresize(picture(*size), *target))


def test_the_order_of_the_axes_shows():
    """Else the test above would not notice a wrong one."""
    rgb = matlab.black_or_white(9, 9)
    turned = imresize(rgb.transpose(1, 0, 2), 36, 36).transpose(1, 0, 2)
    assert (imresize(rgb, 36, 36) != turned).any()


# (before, after) as --outscale and --width ask for them; both sides by the same scale, but for rounding.
ODD_SCALES = [((40, 60), (30, 45)), ((40, 60), (27, 41)), ((36, 64), (35, 62)), ((48, 40), (9, 8)), ((7, 5), (11, 8))]


@pytest.mark.parametrize("before, after", ODD_SCALES)
def test_scales_that_are_no_ratio_differ_at_halves_only(before, after):
    """A level after the first pass can be two after the second."""
    for one in (*(picture(*before) for picture in matlab.PICTURES), to_16_bits(matlab.noise(*before))):
        difference = imresize(one, *after) - matlab.imresize(one, *after).astype(int)
        assert np.abs(difference).max() <= 2 and np.abs(difference).mean() < 0.15


@pytest.mark.parametrize("before, after", [*ODD_SCALES[:-1], ((2 * BAND + 20, 24), (BAND, 12)), ((8, 12), (8, 12))])
def test_shrinking_in_place_is_the_same_in_the_pictures_own_memory(before, after):
    rgb = matlab.noise(*before)
    deep = np.stack([to_16_bits(np.roll(rgb, i, 2)) for i in range(3)], axis=2)
    for picture in (rgb, rgb[..., :1], deep, deep[..., :1]):
        expected = imresize(picture, *after)
        own = picture.copy()
        found = shrink(own, *after)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == picture.dtype and np.shares_memory(found, own)


@pytest.mark.parametrize("size", [(3, BAND + 1), (2 * BAND, 2)])
def test_a_picture_of_several_bands(size):
    small = matlab.noise(*size)
    large = imresize(small, 2 * size[0], 4 * size[1])
    np.testing.assert_array_equal(large, matlab.imresize(small, 2 * size[0], 4 * size[1]))
    np.testing.assert_array_equal(imresize(large, *size), matlab.imresize(large, *size))


def test_result_is_the_callers_own_of_any_view():
    large = matlab.noise(40, 40)
    large.flags.writeable = False
    for view in (large[3:19, 5:29], large[3:19, 28:4:-1], large.transpose(1, 0, 2)[:16, :24]):
        for size in ((64, 96), (16, 24), (16, 48), (4, 6)):
            result = imresize(view, *size)
            np.testing.assert_array_equal(result, imresize(view.copy(), *size))
            result[:] = 0
    assert large.any()


@pytest.mark.parametrize(
    "picture, size, words",
    [
        (np.zeros((8, 8, 3), np.float32), (16, 16), "float32"),
        (np.zeros((8, 8, 2), np.uint16), (16, 16), r"uint16 \[8, 8, 2\]"),
        (np.zeros((8, 8, 4), np.uint8), (16, 16), r"\[8, 8, 4\]"),
        (np.zeros((0, 8), np.uint8), (16, 16), r"\[0, 8\]"),
        (np.zeros((8, 8), np.uint8), (-1, 16), "height 8 cannot become -1"),
        (np.zeros((8, 8), np.uint8), (16, 0), "width 8 cannot become 0"),
    ],
)
def test_refuses_other_types_shapes_and_scales(picture, size, words):
    with pytest.raises(ValueError, match=words):
        imresize(picture, *size)
