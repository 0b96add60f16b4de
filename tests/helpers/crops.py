"""Crops of pictures in memory."""

import numpy as np

from data.crops import Crops


class Pictures(list):
    """Pictures in memory, with names, as a store has them."""

    def __init__(self, pictures, names):
        super().__init__(pictures)
        self.names = names


def coordinates(height, width, blue):
    """A picture whose red and green say where a pixel is, and whose blue says which picture it is."""
    y, x = np.mgrid[:height, :width]
    return np.stack([y, x, np.full_like(y, blue)], axis=-1).astype("uint8")


def pictures_of(sizes, kind=Pictures):
    pictures = [coordinates(height, width, blue) for blue, (height, width) in enumerate(sizes)]
    return kind(pictures, [f"{i}.png" for i in range(len(sizes))])


def make_crops(sizes=((40, 50), (60, 44), (48, 48)), kind=Pictures, **changes):
    settings = {"hr_size": 24, "degradation": "bilinear", "crops_per_image": 1, "augment": False, "seed": 0, **changes}
    return Crops(pictures_of(sizes, kind), **settings)
