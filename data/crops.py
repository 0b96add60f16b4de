"""The crop pipeline: from decoded pictures to batches of LR and HR crops, uint8 until they are on the device."""

import collections
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from common.errors import InputError
from common.scale import SCALE
from data import draws
from data.degrade import DEGRADATIONS
from data.photo import Photo, photo

# With one thread that prepares batches an accelerator does not wait: docs/findings.md.
DEFAULT_WORKERS = 1
_FLIPS = {1: 1, 2: 0, 3: -1}  # of a turn's lower bits: cv2.flip's code


class Crops:
    """Random HR crops of pictures and their LR.

    pictures: a `data.store.Store`, or anything with `names`, `len()` and uint8 [h,w,3] pictures by index.
    hr_size: the crop's side in pixels, a multiple of 4. degradation: one of `data.degrade.NAMES`; strengths: those of
    `photo`. crops_per_image: crops a picture and epoch. augment: random flips and quarter turns. seed: 0 or more.
    lr_pictures: the LR of every picture, uint8 [h/4,w/4,3] (rounded down), by the same index. LR crops are then windows
    of these, not made by the degradation, and HR crops lie at multiples of 4.

    No picture may be smaller than the crop. What is drawn depends on (seed, epoch, picture's name, number of the crop)
    alone.
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
        self._keys = np.array([draws.key(name) for name in pictures.names], np.uint64)
        sizes = np.array([pictures[i].shape[:2] for i in range(len(pictures))], np.int64)
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
        Raises InputError for too few crops; while iterating, what `pictures` raises.
        """
        rank, count = share
        steps = self.steps(batch_size)
        drawn = self._draws(epoch)[: steps * batch_size].reshape(steps, batch_size, -1)
        return _make_ahead(self._batch, drawn[start:, rank::count], workers)

    def lr_of(self, hr: np.ndarray, name: str) -> np.ndarray:
        """The LR of a whole picture, uint8 [h,w,3] to [h/4,w/4,3], as the degradation makes it; `name` is its seed."""
        if self.degrade:
            return self.degrade(hr, SCALE)
        uniform = draws.uniform(np.array([draws.key(name)], np.uint64))
        return photo(hr, self.strengths.draw(uniform[0]), SCALE)

    def _draws(self, epoch: int) -> np.ndarray:
        """(picture, top, left, turn, state) of every crop of an epoch in pixels, otherwise as in `draws.of_epoch`."""
        turns = draws.TURNS if self.augment else 1
        drawn = draws.of_epoch(self._keys, self._places, self.crops_per_image, turns, self.seed, epoch)
        drawn[:, 1:3] *= self._apart
        return drawn

    def _batch(self, drawn: np.ndarray) -> tuple:
        """The (lr, hr) of what `_draws` gives, [n,5]."""
        size = self.hr_size
        uniform = draws.uniform(drawn[:, -1].astype(np.uint64)) if self.degrade is None else np.empty(0)
        hr = np.empty((len(drawn), size, size, 3), np.uint8)
        lr = np.empty((len(drawn), size // SCALE, size // SCALE, 3), np.uint8)
        for i, (picture, top, left, turn, _) in enumerate(drawn.tolist()):
            _turn(_window(self.pictures[picture], top, left, size), turn, hr[i])
            # At once, while the crop is in the processor's cache.
            if self.lr_pictures is not None:
                _turn(_window(self.lr_pictures[picture], top // SCALE, left // SCALE, size // SCALE), turn, lr[i])
            elif self.degrade:
                lr[i] = self.degrade(hr[i], SCALE)
            else:
                lr[i] = photo(hr[i], self.strengths.draw(uniform[i]), SCALE)
        return lr, hr


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


def _make_ahead(make, jobs, workers: int):
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
