"""Tiles: which pixels a window needs, and that the windows of a picture cover it once."""

import itertools

import numpy as np
import paddle
import pytest

from common.scale import SCALE
from infer import tiles
from tests.helpers import generators
from tests.helpers.generators import REACH


def area(window):
    rows, columns = window
    return (rows.stop - rows.start) * (columns.stop - columns.start)


# ------------------------------------------------------------------------------------------------------------ reach


def all_positive():
    """Nothing cancels, no ReLU is shut and tanh is not saturated: a gradient is 0 only where nothing depends."""
    network, state = generators.with_zeros()
    for name, array in state.items():
        if "conv" in name and name.endswith("weight"):
            array[:] = 1 / (3 * array.shape[1])
    state["out_conv.weight"][:] = 1e-20 / 64
    network.set_state_dict(state)
    network.eval()
    return network


@pytest.mark.slow
@pytest.mark.parametrize("axis", [0, 1])
def test_reach_is_what_the_gradient_says(axis):
    """The LR pixels that the 4 SR rows (columns) of LR row (column) 45 depend on, on a strip of 90×3 (3×90)."""
    network = all_positive()
    length, middle = 90, 45
    shape = [1, 3, 3, 3]
    shape[2 + axis] = length
    lr = paddle.full(shape, 0.5)
    lr.stop_gradient = False
    sr = network(lr)
    furthest = []
    for position in range(SCALE):
        index = [0, 0, 6, 6]
        index[2 + axis] = SCALE * middle + position
        (gradient,) = paddle.grad(sr[tuple(index)], lr, retain_graph=True)
        touched = np.flatnonzero(np.moveaxis(gradient.numpy()[0], 1 + axis, 0).any((1, 2)))
        assert len(touched) == touched[-1] - touched[0] + 1, "what is touched is in one piece"
        furthest.append((middle - touched[0], touched[-1] - middle))
    assert furthest == [(36, 35), (36, 35), (35, 36), (35, 36)]
    assert tiles.REACH == REACH == 36


# ---------------------------------------------------------------------------------------------------- spans, windows

LENGTHS = [*range(1, 20), 73, 88, 89, 104, 105, 333]


@pytest.mark.parametrize("tile, reach", [(1, 0), (2, 1), (5, 7), (16, 36), (33, 2), (64, 36)])
def test_spans_cover_an_axis_once_with_reach_to_spare(tile, reach):
    for length in LENGTHS:
        kept_by = [0] * length
        found = tiles.spans(length, tile, reach)
        for span in found:
            assert 0 <= span.start <= span.first < span.last <= span.stop <= length, (length, span)
            for i in range(span.first, span.last):
                kept_by[i] += 1
                # Every LR pixel within reach is in the window, or outside the picture.
                assert span.start <= max(0, i - reach) and min(length - 1, i + reach) < span.stop, (length, span, i)
        assert kept_by == [1] * length, length
        assert len({span.stop - span.start for span in found}) == 1, length
        assert found[0].stop - found[0].start == min(length, tile + 2 * reach), length


def test_no_more_windows_than_needed():
    """A window that keeps `tile` pixels, or more at the ends, and an axis that one window holds."""
    assert len(tiles.spans(88, 16, 36)) == 1
    assert len(tiles.spans(89, 16, 36)) == 2
    assert len(tiles.spans(88 + 16, 16, 36)) == 2
    assert len(tiles.spans(88 + 17, 16, 36)) == 3


@pytest.mark.parametrize("height, width", [(1, 1), (30, 7), (7, 30), (23, 23)])
@pytest.mark.parametrize("margin", [0, 2])
def test_windows_cover_a_picture_once(height, width, margin):
    height, width = height + 2 * margin, width + 2 * margin
    for tile, reach in itertools.product((1, 4, 9, 50), (margin, 3)):
        kept_by = np.zeros((height, width), int)
        for rows, columns in tiles.windows(height, width, (tile, tile), reach, margin):
            assert rows.start <= rows.first < rows.last <= rows.stop
            kept_by[rows.first : rows.last, columns.first : columns.last] += 1
        inner = kept_by[margin : height - margin, margin : width - margin]
        assert (inner == 1).all() and kept_by.sum() == inner.size, (tile, reach)


# ----------------------------------------------------------------------------------------------------------- pieces


@pytest.mark.parametrize("height, width, tile", [(1, 1, 5), (40, 3, 9), (30, 47, 10), (90, 64, 64)])
@pytest.mark.parametrize("pixels, reach", [(256, 0), (18 * 20, 1), (20 * 20, 2), (20 * 47, 2), (9999, 2)])
def test_pieces_cover_what_a_window_keeps_once_with_reach_to_spare(height, width, tile, pixels, reach):
    kept_by = np.zeros((height, width), int)
    for window in tiles.windows(height, width, (tile, tile), 5):
        pieces = tiles.pieces(*window, pixels, reach)
        for piece in pieces:
            assert area(piece) <= pixels
            for whole, part, length in zip(window, piece, (height, width)):
                assert whole.first <= part.first < part.last <= whole.last
                assert whole.start <= part.start and part.stop <= whole.stop
                assert part.start <= max(0, part.first - reach) and min(length, part.last + reach) <= part.stop
            rows, columns = (slice(part.first, part.last) for part in piece)
            kept_by[rows, columns] += 1
        for axis in range(2):
            assert len({piece[axis].stop - piece[axis].start for piece in pieces}) == 1, "one size for the engine"
    assert (kept_by == 1).all()


# --------------------------------------------------------------------------------------------------------- tile_for

SIDES = [1, 2, 15, 50, 88, 89, 100, 300, 1000, 4000]
SMALLEST_WINDOW = 16 + 2 * REACH


def window_pixels(height, width, tile):
    found = {area(window) for window in tiles.windows(height, width, tile, REACH)[:3]}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize("pixels", [0, 1, 5000, SMALLEST_WINDOW**2, 20_000, 160_000, 1_100_000])
def test_windows_of_the_tile_chosen_have_no_more_pixels_than_given(pixels):
    for height, width in itertools.product(SIDES, SIDES):
        tile = tiles.tile_for(height, width, REACH, pixels)
        assert tile == (16, 16) or window_pixels(height, width, tile) <= pixels, (height, width, tile)
        assert pixels < SMALLEST_WINDOW**2 or window_pixels(height, width, tile) <= pixels


def computed(height, width, tile, reach):
    """How many pixels all windows have together; those of one axis do not depend on the other."""
    rows, columns = (
        sum(span.stop - span.start for span in tiles.spans(*axis, reach)) for axis in zip((height, width), tile)
    )
    return rows * columns


@pytest.mark.parametrize("height, width", [(60, 60), (31, 90), (90, 31), (7, 120)])
@pytest.mark.parametrize("pixels", [900, 1500, 2600, 5000])
def test_no_other_tiles_compute_fewer_pixels(height, width, pixels):
    """Of all that there are, with a reach of 3."""
    best = min(
        computed(height, width, tile, 3)
        for tile in itertools.product(range(16, height + 16), range(16, width + 16))
        if area(tiles.windows(height, width, tile, 3)[0]) <= pixels
    )
    assert computed(height, width, tiles.tile_for(height, width, 3, pixels), 3) <= best


def test_a_large_picture_computes_little_twice():
    """4000×3000, a million pixels at once: of what the trunk computes an eighth is overlap."""
    assert computed(3000, 4000, tiles.tile_for(3000, 4000, REACH, 1_000_000), REACH) <= 1.125 * 3000 * 4000


def test_a_picture_that_fits_is_one_window():
    for height, width in itertools.product(SIDES[:7], SIDES[:7]):
        tile = tiles.tile_for(height, width, REACH, height * width)
        assert len(tiles.windows(height, width, tile, REACH)) == 1


def test_a_long_narrow_picture_has_windows_as_long_as_the_pixels_allow():
    """10 pixels high: windows of 10×2000, not of 141×141; so there are 52 of them for 100 000 columns, not 1449."""
    for turned in (False, True):
        height, width = (100_000, 10) if turned else (10, 100_000)
        windows = tiles.windows(height, width, tiles.tile_for(height, width, REACH, 20_000), REACH)
        assert len(windows) == 52
        assert area(windows[0]) <= 20_000
