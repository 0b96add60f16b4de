"""The mean over the flips and quarter turns of a picture, as an engine's two parts."""

import numpy as np

BYTES_PER_PIXEL = 8 * 64 * 4  # the features of 8 flips and turns, beside the trunk's


def wrap(trunk, upsampling) -> tuple:
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
