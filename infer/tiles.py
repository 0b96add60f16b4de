"""A large picture through the network in tiles, with the same result as in one piece.

An SR pixel depends only on the LR pixels within the network's reach (half its receptive field). A window that holds a
tile and `reach` more pixels on every side therefore gives the tile's pixels as the whole picture would. All windows of
a picture have one size: at the picture's borders, where there is nothing to add, a window keeps more of its result.
"""

import math
from dataclasses import dataclass

from common.scale import SCALE

SMALLEST_TILE = 16


@dataclass(frozen=True)
class Span:
    """One window along an axis, in LR pixels: computed from `start` to `stop`, kept from `first` to `last`."""

    start: int
    stop: int
    first: int
    last: int


def reach(generator) -> int:
    """How many LR pixels away from its own an SR pixel of `generator` can depend on: 36 for the article's.

    Read off the network: it is run once, and each convolution is asked for its kernel and for how many times the LR
    side it works at. Every convolution is taken to lie on the one longest path from LR to SR, as they do here.
    """
    import paddle

    convolutions = []  # (kernel, scale) in the order of computation
    probe = paddle.zeros([1, 3, 4, 4])

    def note(layer, inputs, output):
        convolutions.append((layer.weight.shape[2], output.shape[2] // probe.shape[2]))

    hooks = [layer.register_forward_post_hook(note) for layer in generator.sublayers() if _is_convolution(layer)]
    was_training = generator.training
    generator.eval()  # a probe of zeros is not to move the statistics of batch norms
    with paddle.no_grad():
        generator(probe)
    if was_training:
        generator.train()
    for hook in hooks:
        hook.remove()
    return _reach(convolutions)


def _is_convolution(layer) -> bool:
    return getattr(layer, "weight", None) is not None and layer.weight.ndim == 4


def _reach(convolutions: list) -> int:
    """The same from a list of (kernel, scale), in the order of computation."""
    scale = SCALE
    first, last = 0, scale - 1  # the SR pixels of LR pixel 0; then, layer by layer backwards, what they depend on
    for kernel, working_scale in reversed(convolutions):
        ratio = scale // working_scale
        first, last, scale = first // ratio, last // ratio, working_scale
        first, last = first - (kernel - 1) // 2, last + kernel // 2
    return max(-(first // scale), last // scale)


def spans(length: int, tile: int, reach: int) -> list:
    """The windows along an axis of `length` LR pixels whose tiles have `tile`; what they keep adds up to the axis."""
    window = min(length, tile + 2 * reach)
    count = 1 + math.ceil((length - window) / tile)
    edges = [0, *(i * tile + reach for i in range(1, count)), length]
    starts = [min(i * tile, length - window) for i in range(count)]
    return [Span(start, start + window, first, last) for start, first, last in zip(starts, edges[:-1], edges[1:])]


def tile_for(height: int, width: int, reach: int, pixels: int) -> int:
    """The side of the tiles, in LR pixels, whose windows have at most `pixels` (but tiles of 16 or more).

    A picture that has no more itself is one tile.
    """
    if height * width <= pixels:
        return max(height, width)
    # Where the picture is narrower than a window, the window may be the longer along it.
    window = max(math.isqrt(pixels), pixels // min(height, width))
    return max(SMALLEST_TILE, window - 2 * reach)


def windows(height: int, width: int, tile: int, reach: int) -> list:
    """All windows of a picture: pairs of Spans (rows, columns), row by row."""
    return [(rows, columns) for rows in spans(height, tile, reach) for columns in spans(width, tile, reach)]


def taken(rows: Span, columns: Span) -> tuple:
    """The slices of the LR picture that a window is."""
    return slice(rows.start, rows.stop), slice(columns.start, columns.stop)


def pixels(rows: Span, columns: Span) -> int:
    """How many LR pixels a window has."""
    return (rows.stop - rows.start) * (columns.stop - columns.start)


def kept(rows: Span, columns: Span) -> tuple:
    """Where a window's result goes: (slices of the SR picture, slices of the window's own SR)."""
    picture = tuple(slice(span.first * SCALE, span.last * SCALE) for span in (rows, columns))
    window = tuple(
        slice((span.first - span.start) * SCALE, (span.last - span.start) * SCALE) for span in (rows, columns)
    )
    return picture, window
