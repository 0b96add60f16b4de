"""Computes a large picture in tiles, with the same result as in one piece.

An SR pixel depends only on the LR pixels within the network's reach (half its receptive field). A window with a tile
and `reach` more pixels on every side therefore gives the same pixels for the tile as the whole picture. All windows of
a picture have the same size: at the picture's borders, without pixels to add, a window keeps more of its result.

All but 2 pixels of the reach come from the trunk, but most of the memory is for the upsampling. So the trunk computes
large windows, and the upsampling computes the kept part of a window in small pieces, each with its own short reach.
"""

import math
from dataclasses import dataclass

from models.settings import REACH  # noqa: F401  of the whole network

SMALLEST_TILE = 16
UPSAMPLING_REACH = 2  # the distance in the trunk's features up to which an SR pixel depends on them


@dataclass(frozen=True)
class Span:
    """One window along an axis, in LR pixels: computed from `start` to `stop`, kept from `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int

    def inside(self, whole: "Span") -> slice:
        """The place of this window within one that holds it."""
        return slice(self.start - whole.start, self.stop - whole.start)


def spans(length: int, tile: int, reach: int) -> list:
    """The windows for tiles of `tile` along an axis of `length` LR pixels; their kept parts add up to the axis."""
    window = min(length, tile + 2 * reach)
    count = 1 + math.ceil((length - window) / tile)
    edges = [0, *(i * tile + reach for i in range(1, count)), length]
    starts = [min(i * tile, length - window) for i in range(count)]
    return [Span(start, start + window, first, last) for start, first, last in zip(starts, edges[:-1], edges[1:])]


def tile_for(height: int, width: int, reach: int, pixels: int) -> tuple:
    """The tile size, (height, width) in LR pixels, whose windows have at most `pixels` each and the fewest in total.

    A picture of at most `pixels` is one tile. If `pixels` is too small for tiles with sides of 16, the sides are 16.
    """
    best = None
    for down in range(1, max(1, (height - 2 * reach) // SMALLEST_TILE) + 1):  # the number of windows
        # The shortest windows of which `down` cover the height: neighbours share 2·reach.
        rows = math.ceil((height + 2 * reach * (down - 1)) / down)
        longest = pixels // rows
        if longest >= width:
            across = 1
        elif longest - 2 * reach >= SMALLEST_TILE:
            across = math.ceil((width - 2 * reach) / (longest - 2 * reach))
        else:
            continue
        columns = math.ceil((width + 2 * reach * (across - 1)) / across)
        candidate = (down * rows * across * columns, down * across, rows, columns)
        best = min(best or candidate, candidate)
    if best is None:
        return SMALLEST_TILE, SMALLEST_TILE
    # If one window covers a whole axis, so does its tile.
    return tuple(
        length if window == length else window - 2 * reach for window, length in zip(best[2:], (height, width))
    )


def windows(height: int, width: int, tile: tuple, reach: int, margin: int = 0) -> list:
    """All windows of a picture for tiles of (height, width): pairs of Spans (rows, columns), row by row.

    margin: less than `reach`; the pixels along the borders that are computed from, but not kept.
    """
    rows, columns = (
        [
            Span(span.start, span.stop, max(span.first, margin), min(span.last, length - margin))
            for span in spans(length, side, reach)
        ]
        for length, side in zip((height, width), tile)
    )
    return [(down, across) for down in rows for across in columns]


def pieces(rows: Span, columns: Span, pixels: int, reach: int) -> list:
    """The kept part of a window, cut into as few pieces as `tile_for` finds: pairs of Spans, in the picture's pixels.

    A piece's Spans have `reach` more on each side, less only at the picture's borders, and at most `pixels` in all. All
    pieces of a window have the same size, as an engine prepares itself for each new one.
    """
    needed = [(max(span.start, span.first - reach), min(span.stop, span.last + reach)) for span in (rows, columns)]
    sides = [stop - start for start, stop in needed]
    return [
        tuple(
            Span(
                start + span.start,
                start + span.stop,
                max(start + span.first, whole.first),
                min(start + span.last, whole.last),
            )
            for whole, (start, _), span in zip((rows, columns), needed, piece)
        )
        for piece in windows(*sides, tile_for(*sides, reach, pixels), reach)
    ]
