"""The crop pipeline: from decoded pictures to batches of LR and HR crops, uint8 until they are on the device."""

import collections
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import paddle

from common.errors import InputError
from common.scale import SCALE
from data.degrade import DEGRADATIONS, DRAWS, Photo, photo

# One thread that makes batches ahead leaves an accelerator nothing to wait for: benchmarks/data_pipeline.py.
DEFAULT_WORKERS = 1

# SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

_ORDER, _TOP, _LEFT, _TURN, _PHOTO = range(5)  # what is drawn for a crop; the last one and those behind it for `photo`
_TURNS = 8
_FLIPS = {1: 1, 2: 0, 3: -1}  # of a turn's lower bits: cv2.flip's code


class Crops:
    """Random HR crops of pictures and their LR.

    pictures: a `data.store.Store`, or anything with `names`, `len()` and uint8 [h,w,3] pictures by index.
    hr_size: the crop's side in pixels, a multiple of 4. degradation: one of `data.degrade.NAMES`; strengths: those of
    `photo`. crops_per_image: crops a picture and epoch. augment: random flips and quarter turns. seed: 0 or more.
    lr_pictures: the LR of every picture, uint8 [h/4,w/4,3] (rounded down), by the same index. LR crops are then windows
    of these, not made by the degradation, and HR crops lie at multiples of 4.

    What is drawn depends on (seed, epoch, picture's name, number of the crop) alone. Raises ValueError for a picture
    that is smaller than the crop.
    """

    def __init__(
        self,
        pictures,
        hr_size: int,
        degradation: str,
        crops_per_image: int,
        augment: bool,
        seed: int,
        strengths: Photo = Photo(),  # noqa: B008  it cannot be changed
        lr_pictures=None,
    ):
        self.pictures = pictures
        self.lr_pictures = lr_pictures
        self.hr_size = hr_size
        self.degrade = None if degradation == "photo" else DEGRADATIONS[degradation]
        self.strengths = strengths
        self.crops_per_image = crops_per_image
        self.augment = augment
        self.seed = seed
        self._keys = np.array([_key(name) for name in pictures.names], np.uint64)
        sizes = np.array([pictures[i].shape[:2] for i in range(len(pictures))], np.int64)
        if (sizes < hr_size).any():
            name = pictures.names[int(np.argmax((sizes < hr_size).any(axis=1)))]
            raise ValueError(f"{name} is smaller than the {hr_size}×{hr_size} crop")
        self._apart = 1 if lr_pictures is None else SCALE  # pixels from a place to the next
        self._places = ((sizes - hr_size) // self._apart + 1).astype(np.uint64)  # how many tops, how many lefts

    def __len__(self):
        """Crops an epoch."""
        return len(self.pictures) * self.crops_per_image

    def steps(self, batch_size: int) -> int:
        """Whole batches an epoch; the crops that are left over are not used, as in the article.

        Raises InputError, with what would do, if there is not one.
        """
        steps = len(self) // batch_size
        if steps == 0:
            enough = -(-batch_size // len(self.pictures))
            raise InputError(
                f"{len(self.pictures)} pictures give {len(self)} crops an epoch, too few for one batch of "
                f"{batch_size}: --batch-size {len(self)} or --crops-per-image {enough} would do"
            )
        return steps

    def batches(self, epoch: int, batch_size: int, workers: int = DEFAULT_WORKERS, start: int = 0, share=(0, 1)):
        """The batches of an epoch, shuffled: (lr [n,s/4,s/4,3], hr [n,s,s,3]), uint8 arrays of their own, 0..255.

        workers: threads that make batches ahead; 0 makes each when it is asked for. They change nothing in what comes
        out, and end when the iterator is closed, is forgotten or raises. start: batches left out at the beginning.
        share: (rank, count), for `count` processes that make the epoch's batches together: this one gets every
        count-th crop of each batch, from the rank-th on, n = batch_size / count of them.
        Raises InputError if batch_size is no multiple of count, or for too few crops; while iterating, what
        `pictures` raises.
        """
        rank, count = share
        if batch_size % count:
            raise InputError(
                f"batches of {batch_size} crops cannot be shared by {count} processes: --batch-size must be a multiple "
                f"of {count}"
            )
        steps = self.steps(batch_size)
        draws = self._draws(epoch)[: steps * batch_size].reshape(steps, batch_size, -1)
        return _ahead(self._batch, draws[start:, rank::count], workers)

    def _draws(self, epoch: int) -> np.ndarray:
        """(picture, top, left, turn, state) of every crop of an epoch, int64 [crops,5], in the epoch's order.

        state: the 64 bits that what is still to be drawn for it is drawn from.
        """
        pictures = np.tile(np.arange(len(self.pictures)), self.crops_per_image)
        numbers = np.repeat(np.arange(self.crops_per_image, dtype=np.uint64), len(self.pictures))
        state = _absorb(np.zeros(1, np.uint64), np.uint64(self.seed))
        state = _absorb(state, np.uint64(epoch))
        state = _absorb(state, self._keys[pictures])
        state = _absorb(state, numbers)
        bits = [_absorb(state, np.uint64(what)) for what in (_ORDER, _TOP, _LEFT, _TURN)]
        apart = np.uint64(self._apart)
        tops, lefts = (_below(bits[_TOP + axis], self._places[pictures, axis]) * apart for axis in (0, 1))
        turns = _below(bits[_TURN], np.uint64(_TURNS if self.augment else 1))
        order = np.argsort(bits[_ORDER], kind="stable")
        return np.stack([column.astype(np.int64) for column in (pictures, tops, lefts, turns, state)], axis=1)[order]

    def _batch(self, draws: np.ndarray) -> tuple:
        """The (lr, hr) of draws [n,5]."""
        size = self.hr_size
        uniform = _uniform(draws[:, -1].astype(np.uint64)) if self.degrade is None else None
        hr = np.empty((len(draws), size, size, 3), np.uint8)
        lr = np.empty((len(draws), size // SCALE, size // SCALE, 3), np.uint8)
        for i, (picture, top, left, turn, _) in enumerate(draws.tolist()):
            _turn(_window(self.pictures[picture], top, left, size), turn, hr[i])
            # At once, while the crop is in the processor's cache.
            if self.lr_pictures is not None:
                _turn(_window(self.lr_pictures[picture], top // SCALE, left // SCALE, size // SCALE), turn, lr[i])
            elif self.degrade:
                lr[i] = self.degrade(hr[i], SCALE)
            else:
                lr[i] = photo(hr[i], self.strengths.drawn(uniform[i]), SCALE)
        return lr, hr


def _key(name: str) -> int:
    """64 bits of a picture's name."""
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _absorb(state: np.ndarray, word) -> np.ndarray:
    """uint64 states, each made another by a word: SplitMix64's step and mixing of (state XOR word)."""
    mixed = (state ^ word) + _GAMMA
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MULTIPLIERS[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MULTIPLIERS[1]
    return mixed ^ (mixed >> np.uint64(31))


def _below(bits: np.ndarray, limit) -> np.ndarray:
    """uint64 bits to whole numbers from 0 to limit - 1, limit < 2^32: no two chances differ by more than 2^-32."""
    high = np.uint64(32)
    return ((bits >> high) * limit) >> high


def _uniform(states: np.ndarray) -> np.ndarray:
    """uint64 states [n] to the numbers that `photo` is drawn from, float64 [n,DRAWS], uniform in [0,1)."""
    bits = np.stack([_absorb(states, np.uint64(_PHOTO + i)) for i in range(DRAWS)], axis=1)
    return (bits >> np.uint64(11)) * 2.0**-53


def _window(picture: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    return picture[top : top + size, left : left + size]


def _turn(window: np.ndarray, turn: int, target: np.ndarray) -> None:
    """Write a square window, uint8 [s,s,3], to `target` in one of its 8 positions; 0: as it is.

    By OpenCV: NumPy takes ten times as long to copy pixels of three bytes in another order.
    """
    if turn >= 4:
        window = cv2.transpose(window)
    if turn % 4:
        cv2.flip(window, _FLIPS[turn % 4], dst=target)
    else:
        np.copyto(target, window)


def _ahead(make, jobs, workers: int):
    """make(job) for each job, in order; with workers, threads make up to workers + 1 of them ahead."""
    if workers == 0:
        yield from map(make, jobs)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="crops") as pool:
        waiting = collections.deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(make, job))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def standardize(pictures_uint8):
    """On the device: uint8 [N,h,w,3], 0..255, to float32 [N,3,h,w] in [-1,1] (the article's x / 127.5 - 1).

    An array goes to the device as the bytes it is.
    """
    if isinstance(pictures_uint8, np.ndarray):
        pictures_uint8 = paddle.to_tensor(pictures_uint8)
    return paddle.transpose(pictures_uint8.astype("float32"), [0, 3, 1, 2]) / 127.5 - 1


def destandardize(pictures) -> np.ndarray:
    """Float [N,3,h,w] in [-1,1] to uint8 [N,h,w,3], 0..255, rounded to the nearest grey level."""
    levels = ((pictures.numpy() + 1) * 127.5).round().clip(0, 255)
    return levels.astype("uint8").transpose(0, 2, 3, 1)
