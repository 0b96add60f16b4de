"""How large results become, and what they are called."""

from fractions import Fraction

import pytest

from common.errors import InputError
from infer.size import FULL, Size


@pytest.mark.parametrize(
    "size, suffix, of",
    [
        (FULL, "_x4", (3000, 4004)),
        (Size("outscale", 2), "_x2", (1500, 2002)),
        (Size("outscale", 1.5), "_x1.5", (1125, 1502)),  # 1501.5, halves up
        (Size("outscale", 0.25), "_x0.25", (188, 250)),  # 187.5 and 250.25
        (Size("outscale", 0.0001), "_x0.0001", (1, 1)),
        (Size("width", 1920), "_width1920", (1439, 1920)),  # 1438.56
        (Size("height", 1080), "_height1080", (1080, 1441)),  # 1441.44
        (Size("longest", 2000), "_longest2000", (1499, 2000)),  # 1498.50
        (Size("longest", 4004), "_longest4004", (3000, 4004)),
        (Size("width", 1), "_width1", (1, 1)),
    ],
)
def test_size_and_suffix_for_a_picture_of_1001_by_750(size, suffix, of):
    assert size.of(750, 1001) == of and size.suffix == suffix


def test_of_an_upright_picture_the_height_is_the_longest():
    assert Size("longest", 1200).of(600, 400) == (1200, 800)


@pytest.mark.parametrize("name", ["width", "height", "longest"])
def test_the_ratio_is_kept_to_half_a_pixel(name):
    for height in range(1, 12):
        for width in range(1, 12):
            given = {"width": width, "height": height, "longest": max(width, height)}[name]
            for pixels in range(1, 4 * given + 1):
                found = Size(name, pixels).of(height, width)
                for side, length in zip(found, (height, width)):
                    exact = Fraction(length * pixels, given)
                    assert 1 <= side <= 4 * length
                    assert side == 1 or abs(side - exact) <= Fraction(1, 2)


@pytest.mark.parametrize("name, most", [("width", 400), ("height", 1200), ("longest", 1200)])
def test_more_than_4_times_is_refused_with_what_would_do(name, most):
    assert Size(name, most).of(300, 100) == (1200, 400)
    with pytest.raises(InputError, match=f"its 100x300 pixels can become at most 400x1200.*--{name} {most} or less"):
        Size(name, most + 1).of(300, 100)


@pytest.mark.parametrize("name, value", [("outscale", 0), ("outscale", 4.01), ("outscale", float("nan")), ("width", 0)])
def test_a_size_that_cannot_be(name, value):
    with pytest.raises(ValueError, match=name):
        Size(name, value)
