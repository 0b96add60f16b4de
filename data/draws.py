"""What is drawn for a crop: by hashing, so that it depends on seed, epoch, picture and number alone."""

import hashlib
import os

import numpy as np

from data.photo import DRAWS

# SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ORDER, _TOP, _LEFT, _TURN, _PHOTO = range(5)  # what is drawn for a crop; the last one and those behind it for `photo`
TURNS = 8  # flips and quarter turns


def key(name: str) -> int:
    """64 bits of a picture's name."""
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def of_epoch(
    keys: np.ndarray, places: np.ndarray, crops_per_image: int, turns: int, seed: int, epoch: int
) -> np.ndarray:
    """(picture, top, left, turn, state) of every crop of an epoch, int64 [crops,5], in the epoch's order.

    keys: `key` of each picture's name, uint64 [pictures]. places: how many tops and lefts a crop of it has, uint64
    [pictures,2]; top and left are 0 to that number - 1. turns: 1 for none, TURNS for all.
    state: the 64 bits that what is still to be drawn for the crop is drawn from, see `uniform`.
    """
    pictures = np.tile(np.arange(len(keys)), crops_per_image)
    numbers = np.repeat(np.arange(crops_per_image, dtype=np.uint64), len(keys))
    state = _absorb(np.zeros(1, np.uint64), np.uint64(seed))
    state = _absorb(state, np.uint64(epoch))
    state = _absorb(state, keys[pictures])
    state = _absorb(state, numbers)
    bits = [_absorb(state, np.uint64(what)) for what in (_ORDER, _TOP, _LEFT, _TURN)]
    tops, lefts = (_below(bits[_TOP + axis], places[pictures, axis]) for axis in (0, 1))
    turned = _below(bits[_TURN], np.uint64(turns))
    order = np.argsort(bits[_ORDER], kind="stable")
    return np.stack([column.astype(np.int64) for column in (pictures, tops, lefts, turned, state)], axis=1)[order]


def _absorb(state: np.ndarray, word) -> np.ndarray:
    """uint64 states, each hashed with a word: SplitMix64's step and mixing of (state XOR word)."""
    mixed = (state ^ word) + _GAMMA
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MULTIPLIERS[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MULTIPLIERS[1]
    return mixed ^ (mixed >> np.uint64(31))


def _below(bits: np.ndarray, limit) -> np.ndarray:
    """uint64 bits to whole numbers from 0 to limit - 1, limit < 2^32; their probabilities differ by at most 2^-32."""
    high = np.uint64(32)
    return ((bits >> high) * limit) >> high


def uniform(states: np.ndarray) -> np.ndarray:
    """uint64 states [n] to the numbers that `photo` is drawn from, float64 [n,DRAWS], uniform in [0,1)."""
    bits = np.stack([_absorb(states, np.uint64(_PHOTO + i)) for i in range(DRAWS)], axis=1)
    return (bits >> np.uint64(11)) * 2.0**-53
