"""What a weight file must hold: names and shapes, checked before a network takes them."""

from __future__ import annotations

from typing import Dict, Tuple

import numpy as np
from paddle import nn

from common.errors import InputError

Arrays = Dict[str, np.ndarray]  # {name: array}
Table = Dict[str, Tuple[str, Tuple[int, ...]]]  # {name in the network: (name in the file, shape)}

SHOWN = 4  # how many wrong variables one message lists
# Adam moves a weight by about its learning rate a step (arXiv 1412.6980, section 2.1): a million steps of 1e-4 make
# 100. Ten thousand times as much comes from no training; a variance, which is of squares, may be the square of it.
LARGEST = 1e6


def select(variables: Arrays, table: Table, source: str) -> Arrays:
    """The arrays a network needs, under the network's own names, as float32.

    variables: {name in the file: array}. table: {name in the network: (name in the file, shape)}.
    source: what the message calls the file.
    Raises InputError for a variable that is missing or has another shape, with the expected and the found one, and for
    one that holds what cannot come from training.
    """
    state, problems = {}, []
    for key, (name, shape) in table.items():
        array = variables.get(name)
        if array is None:
            problems.append(f"{name}: expected shape {list(shape)}, not found")
        elif tuple(array.shape) != tuple(shape):
            problems.append(f"{name}: expected shape {list(shape)}, found {list(array.shape)}")
        elif array.dtype.kind != "f" or not np.isfinite(array).all():
            problems.append(f"{name}: expected finite numbers, found {array.dtype} with NaN, infinity or other kinds")
        elif not is_plausible(key, array):
            problems.append(f"{name}: expected {_range(key)}, found {array.min():.3g} to {array.max():.3g}")
        else:
            state[key] = np.asarray(array, dtype="float32")
    if problems:
        more = f"; and {len(problems) - SHOWN} more of {len(table)}" if len(problems) > SHOWN else ""
        raise InputError(f"{source}: {'; '.join(problems[:SHOWN])}{more}")
    return state


def is_plausible(key: str, array: np.ndarray) -> bool:
    """Whether the array, of floating point, can be what training made of the network's variable `key`.

    That is finite, no more than LARGEST in size, and for a batch norm's variance 0 to LARGEST².
    """
    lowest, highest = _limits(key)
    return bool(((array >= lowest) & (array <= highest)).all())


def _limits(key: str) -> tuple[float, float]:
    return (0, LARGEST**2) if key.endswith("_variance") else (-LARGEST, LARGEST)


def _range(key: str) -> str:
    lowest, highest = _limits(key)
    return f"what training makes, {lowest:.0e} to {highest:.0e}" if lowest else f"variances, 0 to {highest:.0e}"


def shapes(network: nn.Layer) -> Table:
    """The table for a file that uses the network's own names: {name: (name, shape)}."""
    return {key: (key, tuple(value.shape)) for key, value in network.state_dict().items()}
