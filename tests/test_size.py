"""How large results become, and what they are called."""

from fractions import Fraction

import pytest

from common.errors import InputError
from infer.picture import Size


@pytest.mark.parametrize(
    "size, suffix, of",
    [
        (Size(), "_x4", (3000, 4004)),
        (Size("outscale", 1.5), "_x1.5", (1125, 1502)),  # 1501.5, halves up
        (Size("width", 1920), "_width1920", (1439, 1920)),  # 1438.56
        (Size("height", 1080), "_height1080", (1080, 1441)),  # 1441.44
        (Size("longest", 4004), "_longest4004", (3000, 4004)),
        (Size("width", 1), "_width1", (1, 1)),
    ],
)
def test_size_and_suffix_for_a_picture_of_1001_by_750(size, suffix, of):
    assert size.of(750, 1001) == of and size.suffix == suffix


def test_the_ratio_is_kept_to_half_a_pixel_and_up_to_4_times():
    for height, width in ((1, 7), (8, 5), (11, 11)):
        for name, given in {"width": width, "height": height, "longest": max(width, height)}.items():
            for pixels in range(1, 4 * given + 1):
                for side, length in zip(Size(name, pixels).of(height, width), (height, width)):
                    assert side == 1 or abs(side - Fraction(length * pixels, given)) <= Fraction(1, 2)
            with pytest.raises(InputError, match=f"{width}x{height} pixels can become at most .*--{name} {4 * given}"):
                Size(name, 4 * given + 1).of(height, width)
