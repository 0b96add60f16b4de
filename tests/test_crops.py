"""The crop pipeline: what is drawn, on what it depends, and what becomes of it on the device."""

import collections
import contextlib
import functools
import hashlib
import itertools
import threading
import time

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data import draws as module
from data.crops import Crops
from data.photo import DRAWS, Photo, photo
from tests.helpers import matlab
from tests.helpers.crops import Pictures, coordinates, make_crops


class Watched(Pictures):
    """Counts the pictures that were asked for, raises an InputError for one of them."""

    asked, bad = 0, None

    def __getitem__(self, i):
        self.asked += 1
        if i == self.bad:
            raise InputError(f"{self.names[i]} cannot be read")
        return super().__getitem__(i)


def epoch_of(crops, epoch=0, batch_size=1, **settings):
    """(lr, hr) of all an epoch's crops, one after the other."""
    batches = list(crops.batches(epoch, batch_size, **settings))
    return [np.concatenate(pictures) for pictures in zip(*batches)]


def places(crops, epoch=0):
    """(picture, top, left) of an epoch's crops."""
    return [(int(blue), int(top), int(left)) for top, left, blue in epoch_of(crops, epoch)[1][:, 0, 0]]


def within_chance(counts, chances):
    """Whether counts are as often as expected, within 5 standard deviations."""
    total = sum(counts)
    return all(abs(n - p * total) < 5 * (p * (1 - p) * total) ** 0.5 for n, p in zip(counts, chances))


@pytest.mark.parametrize("hr_size", [4, 8, 24, 40])
def test_a_crop_is_a_window_of_its_picture_and_lr_is_cv2s_resize_of_it(hr_size):
    crops = make_crops(crops_per_image=20, hr_size=hr_size)
    for (picture, top, left), lr, hr in zip(places(crops), *epoch_of(crops, batch_size=3)):
        np.testing.assert_array_equal(hr, crops.pictures[picture][top : top + hr_size, left : left + hr_size])
        wanted = cv2.resize(hr, (hr_size // 4, hr_size // 4), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_array_equal(lr, wanted)


def test_photo_lr_is_drawn_for_each_crop_and_made_of_it_as_it_is_turned():
    strengths = Photo(strength=0.8, clean=0.3)
    crops = make_crops(degradation="photo", strengths=strengths, crops_per_image=10, augment=True)
    states = crops._draws(0)[:, -1].astype(np.uint64)
    assert len(set(states.tolist())) == 30
    for lr, hr, uniform in zip(*epoch_of(crops, batch_size=3), module.uniform(states)):
        np.testing.assert_array_equal(lr, photo(hr, strengths.draw(uniform)))
    places_of = [epoch_of(make_crops(degradation=name, crops_per_image=10), 2)[1] for name in ("photo", "bicubic")]
    np.testing.assert_array_equal(*places_of, err_msg="the same crops as with any other degradation")


def splitmix64(state, word):
    """In whole numbers of Python's, see `test_the_hash_is_splitmix64`."""
    mixed = ((state ^ word) + 0x9E3779B97F4A7C15) % 2**64
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % 2**64
    return mixed ^ mixed >> 31


def test_what_photo_is_drawn_from_is_a_hash_of_seed_epoch_name_and_number():
    """A resumed run, also of a later version, draws the same."""
    expected = set()
    for picture, number in itertools.product(range(3), range(2)):
        name = int.from_bytes(hashlib.blake2b(f"{picture}.png".encode(), digest_size=8).digest(), "little")
        state = functools.reduce(splitmix64, (7, 3, name, number), 0)
        # The words 0 to 3 are the order's, the place's and the turn's.
        expected.add(tuple((splitmix64(state, word) >> 11) / 2**53 for word in range(4, 4 + DRAWS)))
    draws = make_crops(crops_per_image=2, seed=7)._draws(3)
    assert set(map(tuple, module.uniform(draws[:, -1].astype(np.uint64)).tolist())) == expected


class TestPairs:
    """Crops whose LR is given."""

    def make(self, sizes=((40, 51), (43, 36), (24, 27)), **changes):
        """LR of noise, and HR that shows each of its pixels 4×4 times, with some more at the right and the bottom."""
        lr = [matlab.noise(height // 4, width // 4) for height, width in sizes]
        hr = [
            np.pad(one.repeat(4, 0).repeat(4, 1), ((0, height % 4), (0, width % 4), (0, 0)), mode="edge")
            for one, (height, width) in zip(lr, sizes)
        ]
        names = [f"{i}.png" for i in range(len(sizes))]
        settings = {"crops_per_image": 20, "augment": False, "seed": 0, **changes}
        return Crops(Pictures(hr, names), 24, "bilinear", lr_pictures=Pictures(lr, names), **settings)

    @pytest.mark.parametrize("augment", [False, True])
    @pytest.mark.parametrize("workers", [0, 2])
    def test_lr_shows_what_hr_shows_however_it_is_turned(self, augment, workers):
        crops = self.make(augment=augment)
        pairs = list(zip(*epoch_of(crops, batch_size=4, workers=workers)))
        assert len(pairs) == 60
        for lr, hr in pairs:
            np.testing.assert_array_equal(hr, lr.repeat(4, 0).repeat(4, 1))
        kinds = {tuple(lr[0, 0]) for lr, _ in pairs}
        assert len(kinds) > 30, "from many places"

    def test_every_place_is_taken_to_the_last_whole_one_and_none_beyond(self):
        crops = self.make(sizes=((35, 32),), crops_per_image=300)
        counts = collections.Counter(map(tuple, crops._draws(0)[:, 1:3].tolist()))
        assert set(counts) == {(top, left) for top in (0, 4, 8) for left in (0, 4, 8)}
        assert within_chance(list(counts.values()), [1 / 9] * 9)


def test_epochs_seeds_and_names_draw_independently():
    """Two tops are equal in 1 of 5 cases."""

    def tops(epoch=0, seed=0, prefix=""):
        names = [f"{prefix}{i}.png" for i in range(400)]
        crops = Crops(Pictures([coordinates(28, 24, 0)] * 400, names), 24, "bilinear", 1, False, seed)
        draws = crops._draws(epoch)
        return draws[np.argsort(draws[:, 0], kind="stable"), 1]

    for other in (tops(epoch=1), tops(seed=1), tops(epoch=2**31), tops(prefix="x")):
        equal = int((tops() == other).sum())
        assert within_chance([equal, 400 - equal], [0.2, 0.8])


def test_the_hash_is_splitmix64():
    # The sequence of seed 1234567 that implementations of SplitMix64 are commonly checked by.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = np.uint64(1234567) + np.arange(4, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert module._absorb(states, np.uint64(0)).tolist() == published


def test_augmentation_draws_all_eight_flips_and_turns_and_nothing_else():
    crops = make_crops(sizes=((24, 24),), augment=True, crops_per_image=4000)
    source = crops.pictures[0]
    turned = [np.rot90(source, k) for k in range(4)]
    expected = [np.ascontiguousarray(p).tobytes() for t in turned for p in (t, t[:, ::-1])]
    drawn = [hr.tobytes() for hr in epoch_of(crops, batch_size=8)[1]]
    counts = [drawn.count(one) for one in expected]
    assert sum(counts) == 4000 and within_chance(counts, [1 / 8] * 8)


def test_what_is_drawn_does_not_depend_on_the_other_pictures():
    three = make_crops(crops_per_image=4)
    two = Crops(Pictures(three.pictures[1:], three.pictures.names[1:]), 24, "bilinear", 4, False, 0)
    for epoch in range(3):
        assert places(two, epoch) == [place for place in places(three, epoch) if place[0] != 0]
        rest = three._draws(epoch)
        np.testing.assert_array_equal(two._draws(epoch)[:, -1], rest[rest[:, 0] != 0, -1])


def test_what_is_drawn_stays_the_same_in_later_versions():
    # A resumed run draws the same crops: recorded from the first version.
    recorded = [(0, 8, 16), (2, 7, 7), (2, 9, 4), (1, 5, 3), (1, 18, 6), (0, 8, 17)]
    assert places(make_crops(crops_per_image=2, seed=7), 3) == recorded


def test_batches_are_whole_and_uint8():
    crops = make_crops(crops_per_image=3)
    lr, hr = epoch_of(crops, 0, 4)
    assert crops.steps(4) == 2 and lr.shape == (8, 6, 6, 3) and hr.shape == (8, 24, 24, 3)
    assert lr.dtype == hr.dtype == np.uint8


def test_an_epoch_takes_every_picture_once_in_another_order_each_time():
    crops = make_crops(sizes=((24, 24),) * 6)
    orders = [tuple(picture for picture, _, _ in places(crops, epoch)) for epoch in range(300)]
    assert all(sorted(order) == list(range(6)) for order in orders)
    for position in range(6):
        counts = [sum(order[position] == picture for order in orders) for picture in range(6)]
        assert within_chance(counts, [1 / 6] * 6)


@pytest.mark.parametrize("degradation", ["bilinear", "photo"])
def test_an_epoch_is_the_same_with_workers_from_its_middle_and_shared_by_processes(degradation):
    """And nothing is made that is left out."""
    crops = make_crops(crops_per_image=8, kind=Watched, degradation=degradation, augment=True)
    whole = epoch_of(crops, 2, 6, workers=0)
    for start, workers in ((0, 1), (0, 5), (1, 0), (3, 2)):
        crops.pictures.asked = 0
        rest = epoch_of(crops, 2, 6, workers=workers, start=start)
        assert crops.pictures.asked == 6 * (4 - start)
        for part, all_of_it in zip(rest, whole):
            np.testing.assert_array_equal(part, all_of_it[6 * start :])
    for count in (2, 3):
        for rank in range(count):
            crops.pictures.asked = 0
            share = epoch_of(crops, 2, 6, share=(rank, count))
            assert crops.pictures.asked == 24 // count
            for part, all_of_it in zip(share, whole):
                np.testing.assert_array_equal(part, all_of_it[rank::count])


def threads_of_crops():
    return [thread for thread in threading.enumerate() if thread.name.startswith("crops")]


def test_few_batches_are_made_ahead():
    crops = make_crops(crops_per_image=40, kind=Watched)
    crops.pictures.asked = 0
    with contextlib.closing(crops.batches(0, 2, 2)) as batches:
        next(batches)
        time.sleep(0.2)
        assert 4 <= crops.pictures.asked <= 8, "the next is there already, and not many more"


@pytest.mark.parametrize("end", ["closed", "forgotten", "used up"])
def test_the_threads_end_with_the_iterator(end):
    crops = make_crops(crops_per_image=40)
    batches = crops.batches(0, 2, 2)
    next(batches)
    assert threads_of_crops()
    if end == "closed":
        batches.close()
    elif end == "used up":
        assert len(list(batches)) == 59
    else:
        del batches
    assert not threads_of_crops()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_comes_out_in_its_turn_and_ends_the_threads(workers):
    crops = make_crops(sizes=((30, 30),) * 12, kind=Watched)
    crops.pictures.bad = places(crops)[7][0]
    batches = crops.batches(0, 2, workers)
    for _ in range(3):
        next(batches)
    with pytest.raises(InputError, match=f"^{crops.pictures.bad}.png cannot be read$"):
        next(batches)
    assert not threads_of_crops()
    with pytest.raises(StopIteration):
        next(batches)


def test_too_few_crops_for_a_batch_says_what_would_do():
    with pytest.raises(InputError, match=r"too few for one batch of 32: --batch-size 3 or --crops-per-image 11 would"):
        make_crops().steps(32)
    with pytest.raises(InputError, match="too few"):
        make_crops().batches(0, 32)
    assert make_crops(crops_per_image=11).steps(32) == 1
