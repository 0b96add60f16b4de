"""The names, shapes and values that a weight file must have, checked before a network loads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Tuple

import numpy as np

from common.errors import InputError

if TYPE_CHECKING:
    from paddle import nn

Arrays = Dict[str, np.ndarray]  # {name: array}
Table = Dict[str, Tuple[str, Tuple[int, ...]]]  # {name in the network: (name in the file, shape)}

SHOWN = 4  # how many wrong variables one message lists
# Adam moves a weight by about the learning rate per step (arXiv 1412.6980, section 2.1): a million steps of 1e-4 add up
# to 100. No training reaches ten thousand times as much; a variance, a mean of squares, may reach its square.
LARGEST = 1e6


def select(variables: Arrays, table: Table, source: str) -> Arrays:
    """The arrays that a network needs, under the network's own names, as float32.

    variables: {name in the file: array}. table: {name in the network: (name in the file, shape)}.
    source: what an error message calls the file.
    Raises InputError for a variable that is missing or has a wrong shape, naming the expected and the found shape, and
    for one with values that cannot come from training.
    """
    state, problems = {}, []
    for key, (name, shape) in table.items():
        array = variables.get(name)
        if array is None:
            problems.append(f"{name}: expected shape {list(shape)}, not found")
        elif tuple(array.shape) != tuple(shape):
            problems.append(f"{name}: expected shape {list(shape)}, found {list(array.shape)}")
        elif array.dtype.kind != "f" or not np.isfinite(array).all():
            problems.append(f"{name}: expected finite numbers, found {array.dtype} with NaN, infinity or another kind")
        elif not is_plausible(key, array):
            problems.append(f"{name}: expected {_range(key)}, found {array.min():.3g} to {array.max():.3g}")
        else:
            state[key] = np.asarray(array, dtype="float32")
    if problems:
        more = f"; and {len(problems) - SHOWN} more of {len(table)}" if len(problems) > SHOWN else ""
        raise InputError(f"{source}: {'; '.join(problems[:SHOWN])}{more}")
    return state


def is_plausible(key: str, array: np.ndarray) -> bool:
    """Whether training can have produced the floating-point array for the network's variable `key`.

    Its values must be finite and at most LARGEST in magnitude; those of a batch norm's variance, 0 to LARGEST².
    """
    lowest, highest = _limits(key)
    return bool(((array >= lowest) & (array <= highest)).all())


def _limits(key: str) -> tuple[float, float]:
    return (0, LARGEST**2) if key.endswith("_variance") else (-LARGEST, LARGEST)


def _range(key: str) -> str:
    lowest, highest = _limits(key)
    return f"trained values, {lowest:.0e} to {highest:.0e}" if lowest else f"variances, 0 to {highest:.0e}"


def shapes(network: nn.Layer) -> Table:
    """The table for a file that uses the network's own names: {name: (name, shape)}."""
    return {key: (key, tuple(value.shape)) for key, value in network.state_dict().items()}
