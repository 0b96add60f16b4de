"""The crop pipeline: from decoded pictures to batches of LR and HR crops, uint8 until they are on the device."""

import zlib

import numpy as np
import paddle
from paddle.io import DataLoader, Dataset

from data.degrade import DEGRADATIONS
from models.errors import InputError
from models.scale import SCALE


class Crops(Dataset):
    """Random HR crops of pictures and their LR.

    pictures: a `data.store.Store`, or anything with `names`, `len()` and uint8 [h,w,3] pictures by index.
    hr_size: the crop's side in pixels, a multiple of 4. degradation: a name of `data.degrade.DEGRADATIONS`.
    crops_per_image: crops a picture and epoch. augment: random flips and quarter turns. seed: 0 or more.

    What is drawn depends on (seed, epoch, picture's name, number of the crop) alone.
    """

    def __init__(self, pictures, hr_size: int, degradation: str, crops_per_image: int, augment: bool, seed: int):
        super().__init__()
        self.pictures = pictures
        self.hr_size = hr_size
        self.degrade = DEGRADATIONS[degradation]
        self.crops_per_image = crops_per_image
        self.augment = augment
        self.seed = seed
        self._keys = [zlib.crc32(name.encode("utf-8", "surrogateescape")) for name in pictures.names]

    def __len__(self):
        """Crops an epoch."""
        return len(self.pictures) * self.crops_per_image

    def __getitem__(self, draw: tuple) -> tuple:
        """The crop of draw = (epoch, index below `len(self)`): (lr uint8 [s/4,s/4,3], hr uint8 [s,s,3]), 0..255."""
        epoch, index = draw
        number, picture = divmod(index, len(self.pictures))
        rng = np.random.default_rng([self.seed, epoch, self._keys[picture], number])
        rgb, size = self.pictures[picture], self.hr_size
        y = rng.integers(rgb.shape[0] - size + 1)
        x = rng.integers(rgb.shape[1] - size + 1)
        hr = rgb[y : y + size, x : x + size]
        if self.augment:
            hr = np.rot90(hr, rng.integers(4))
            hr = hr[:, ::-1] if rng.integers(2) else hr
        hr = np.ascontiguousarray(hr)
        return self.degrade(hr, SCALE), hr

    def steps(self, batch_size: int) -> int:
        """Whole batches an epoch; the crops that are left over are not used, as in the article.

        Raises InputError, with what would do, if there is not one.
        """
        steps = len(self) // batch_size
        if steps == 0:
            enough = -(-batch_size // len(self.pictures))
            raise InputError(
                f"{len(self.pictures)} pictures give {len(self)} crops an epoch, too few for one batch of {batch_size}: "
                f"--batch-size {len(self)} or --crops-per-image {enough} would do"
            )
        return steps

    def batches(self, epoch: int, batch_size: int, workers: int = 0):
        """The batches of an epoch, shuffled by (seed, epoch): (lr [N,s/4,s/4,3], hr [N,s,s,3]), uint8 tensors.

        workers: processes that make the crops; 0 makes them here. They change nothing in what comes out.
        """
        steps = self.steps(batch_size)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self))[: steps * batch_size]
        draws = [[(epoch, int(index)) for index in batch] for batch in order.reshape(steps, batch_size)]
        # Any iterable of lists with a length does for a batch sampler; the lists' items reach __getitem__ as they are.
        return DataLoader(self, batch_sampler=draws, num_workers=workers, return_list=True)


def standardize(pictures_uint8):
    """On the device: uint8 [N,h,w,3], 0..255, to float32 [N,3,h,w] in [-1,1] (the article's x / 127.5 - 1)."""
    return paddle.transpose(pictures_uint8.astype("float32"), [0, 3, 1, 2]) / 127.5 - 1


def destandardize(pictures) -> np.ndarray:
    """Float [N,3,h,w] in [-1,1] to uint8 [N,h,w,3], 0..255, rounded to the nearest grey level."""
    levels = ((pictures.numpy() + 1) * 127.5).round().clip(0, 255)
    return levels.astype("uint8").transpose(0, 2, 3, 1)
