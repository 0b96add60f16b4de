"""A generator computed by an engine: takes windows of LR and returns pieces of SR."""

import math

import numpy as np

from infer import tiles
from infer.engines.programs import TRUNK, UPSAMPLING, WHOLE

PIECE_SHARE = 5  # a fifth of the memory is for the upsampling
ENSEMBLE_BYTES = 8 * 64 * 4  # per LR pixel: the features of 8 flips and turns


class Network:
    """One generator in one engine.

    module: the engine's. program: the argument for its `load`. reaches: `tiles.reaches` of the generator. precision,
    device: as chosen for the engine. self_ensemble: as in `Upscaler`.
    The attribute `reach` is the number of LR pixels that a window needs around its tile.
    """

    def __init__(self, module, program, reaches: dict, precision: str, device: str, self_ensemble: bool = False):
        self.reach = reaches["reach"]
        loaded = {part: module.load(program, precision, device, part) for part in module.PARTS}
        self._bytes_per_pixel = module.bytes_per_pixel(precision)
        self._is_whole = WHOLE in loaded
        self._parts = (lambda lr: lr, loaded[WHOLE]) if self._is_whole else (loaded[TRUNK], loaded[UPSAMPLING])
        self._piece_reach = reaches["upsampling_reach"]
        self._ensemble_bytes = ENSEMBLE_BYTES if self_ensemble else 0
        if self_ensemble:
            self._parts = _self_ensemble(*self._parts)

    def sizes(self, memory: int) -> tuple:
        """The sizes that fit `memory` bytes: (LR pixels of a window, the most LR pixels along a piece's side).

        A piece's side is at least 16, whatever the memory. It is None if the engine computes windows whole.
        """
        if self._is_whole:
            return memory // (self._bytes_per_pixel[WHOLE] + self._ensemble_bytes), None
        for_piece = memory // PIECE_SHARE
        side = math.isqrt(for_piece // self._bytes_per_pixel[UPSAMPLING]) - 2 * self._piece_reach
        pixels = (memory - for_piece) // (self._bytes_per_pixel[TRUNK] + self._ensemble_bytes)
        return pixels, max(tiles.SMALLEST_TILE, side)

    def computed(self, lrs: np.ndarray, windows: list, piece):
        """Compute windows; yields (which window, slices of the SR picture, SR [3,h,w] in [-1,1]) piece by piece.

        lrs: float32 [N,3,h,w] in [-1,1], the parts of the picture in `windows`. piece: from `sizes`.
        """
        trunk, upsampling = self._parts
        features = trunk(lrs)
        if piece is None:  # in one batch: faster for many small windows on a GPU
            for i, (window, result) in enumerate(zip(windows, upsampling(features))):
                in_picture, in_window = tiles.kept(*window)
                yield i, in_picture, result[(slice(None), *in_window)]
            return
        for i, window in enumerate(windows):
            for part in tiles.pieces(*window, piece, self._piece_reach):
                rows, columns = tiles.inside(window, part)
                (result,) = upsampling(features[i : i + 1, :, rows, columns])
                in_picture, in_piece = tiles.kept(*part)
                yield i, in_picture, result[(slice(None), *in_piece)]


def _self_ensemble(trunk, upsampling) -> tuple:
    """Both parts for the mean over the 8 flips and quarter turns (Timofte et al., CVPR 2016, "enhanced prediction").

    The features of all eight, turned back, are concatenated along the channels, [N,8f,h,w].
    """
    ways = [(turns, flipped) for turns in range(4) for flipped in (False, True)]

    def turned(array, turns, flipped):
        array = np.rot90(array, turns, (2, 3))
        return np.ascontiguousarray(array[..., ::-1] if flipped else array)

    def turned_back(array, turns, flipped):
        return np.rot90(array[..., ::-1] if flipped else array, -turns, (2, 3))

    def all_features(lr):
        result = None
        for i, way in enumerate(ways):
            features = turned_back(np.asarray(trunk(turned(lr, *way))), *way)
            if result is None:
                count, channels, *sides = features.shape
                result = np.empty((count, len(ways), channels, *sides), features.dtype)
            result[:, i] = features
        return result.reshape(count, len(ways) * channels, *sides)

    def mean(features):
        each = np.split(features, len(ways), axis=1)
        return sum(turned_back(upsampling(turned(one, *way)), *way) for one, way in zip(each, ways)) / len(ways)

    return all_features, mean
