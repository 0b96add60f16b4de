"""Weights of LPIPS' shapes that need no download."""

import numpy as np

from data import lpips


def random_weights(seed=0):
    """{name: array} as `data.lpips` reads them; the linear ones are not negative, like LPIPS'."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in lpips.SHAPES.items():
        gain = np.sqrt(2 / np.prod(shape[1:])) if len(shape) == 4 else 0.1
        arrays[name] = (rng.standard_normal(shape) * gain).astype("float32")
        if name.startswith("linear"):
            arrays[name] = np.abs(arrays[name])
    return arrays
