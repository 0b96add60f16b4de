"""A generator computed by an engine: takes windows of LR and returns pieces of SR."""

import numpy as np

from common.device import available_memory
from common.errors import InputError
from infer import tiles

MOST_ON_CPU = 2_200_000_000  # bytes, with the result: so upscaling 4000×3000 stays under 3 GB, with the libraries
LEAST_ON_CPU = 300_000_000  # for a window with a tile of a useful size
PIECE_SHARE = 10  # a tenth of the memory is for the upsampling: getting more from the system is slow at first
ENSEMBLE_BYTES = 8 * 64 * 4  # per LR pixel: the features of 8 flips and turns


class Network:
    """One generator in one engine.

    module: the engine's. arrays, precision, device, quantized: for its `load`. self_ensemble: as in `Upscaler`.
    """

    def __init__(self, module, arrays, precision: str, device: str, quantized=None, self_ensemble: bool = False):
        self._parts = module.load(arrays, precision, device, quantized)
        self._trunk_bytes, self._upsampling_bytes = module.BYTES_PER_PIXEL[precision]
        if self_ensemble:
            self._parts = _self_ensemble(*self._parts)
            self._trunk_bytes += ENSEMBLE_BYTES

    def sizes(self, memory: int) -> tuple:
        """The LR pixels that fit `memory` bytes: (of a window, of a piece)."""
        for_piece = memory // PIECE_SHARE
        return (memory - for_piece) // self._trunk_bytes, for_piece // self._upsampling_bytes

    def compute(self, lrs: np.ndarray, windows: list, piece_pixels: int):
        """Compute windows; yields (which window, slices of the SR picture, SR [3,h,w] in [-1,1]) piece by piece.

        lrs: float32 [N,3,h,w] in [-1,1], the parts of the picture in `windows`. piece_pixels: from `sizes`.
        """
        trunk, upsampling = self._parts
        features = trunk(lrs)
        for i, window in enumerate(windows):
            for part in tiles.pieces(*window, piece_pixels, tiles.UPSAMPLING_REACH):
                rows, columns = tiles.inside(window, part)
                (result,) = upsampling(features[i : i + 1, :, rows, columns])
                in_picture, in_piece = tiles.sr_slices(*part)
                yield i, in_picture, result[(slice(None), *in_piece)]


def working_memory(device: str, result: int) -> int:
    """The bytes available for computing tiles, beside a result of `result` bytes that stays until it is written.

    Raises InputError if the result and the minimum for the tiles exceed the free memory.
    """
    free = available_memory()
    if result + LEAST_ON_CPU > free:
        raise InputError(
            f"its result takes {result / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; use a smaller picture"
        )
    if device == "cpu":
        return max(LEAST_ON_CPU, min(MOST_ON_CPU, free * 4 // 5) - result)
    import paddle

    # The result is in the host's memory. Memory that Paddle has reserved but does not use counts as free.
    total = paddle.device.cuda.get_device_properties(device).total_memory
    return (total - paddle.device.cuda.memory_allocated(device)) // 2


def _self_ensemble(trunk, upsampling) -> tuple:
    """Both parts for the mean over the 8 flips and quarter turns (Timofte et al., CVPR 2016, "enhanced prediction").

    The features of all eight, turned back, are concatenated along the channels, [N,8f,h,w].
    """
    ways = [(turns, flipped) for turns in range(4) for flipped in (False, True)]

    def turn(array, turns, flipped):
        array = np.rot90(array, turns, (2, 3))
        return np.ascontiguousarray(array[..., ::-1] if flipped else array)

    def turn_back(array, turns, flipped):
        return np.rot90(array[..., ::-1] if flipped else array, -turns, (2, 3))

    def all_features(lr):
        result = None
        for i, way in enumerate(ways):
            features = turn_back(np.asarray(trunk(turn(lr, *way))), *way)
            if result is None:
                count, channels, *sides = features.shape
                result = np.empty((count, len(ways), channels, *sides), features.dtype)
            result[:, i] = features
        return result.reshape(count, len(ways) * channels, *sides)

    def mean(features):
        each = np.split(features, len(ways), axis=1)
        return sum(turn_back(upsampling(turn(one, *way)), *way) for one, way in zip(each, ways)) / len(ways)

    return all_features, mean
