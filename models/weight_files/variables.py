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
    Raises InputError for a variable that is missing, has a wrong shape, or has values that cannot come from training.
    """
    state, problems = {}, []
    for key, (name, shape) in table.items():
        array = variables.get(name)
        if array is None:
            problems.append(f"{name}: expected shape {list(shape)}, not found")
        elif tuple(array.shape) != tuple(shape):
            problems.append(f"{name}: expected shape {list(shape)}, found {list(array.shape)}")
        elif not is_plausible(key, array):
            values = f"{array.dtype} {array.min()} to {array.max()}"
            problems.append(f"{name}: expected finite numbers such as training makes, found {values}")
        else:
            state[key] = np.asarray(array, dtype="float32")
    if problems:
        more = f"; and {len(problems) - SHOWN} more of {len(table)}" if len(problems) > SHOWN else ""
        raise InputError(f"{source}: {'; '.join(problems[:SHOWN])}{more}")
    return state


def is_plausible(key: str, array: np.ndarray) -> bool:
    """Whether training can have produced the array for the network's variable `key`.

    It must be of floating point, finite and at most LARGEST in magnitude; a batch norm's variance, 0 to LARGEST².
    """
    lowest, highest = (0, LARGEST**2) if key.endswith("_variance") else (-LARGEST, LARGEST)
    return array.dtype.kind == "f" and bool(((array >= lowest) & (array <= highest)).all())


def shapes(network: nn.Layer) -> Table:
    """The table for a file that uses the network's own names: {name: (name, shape)}."""
    return {key: (key, tuple(value.shape)) for key, value in network.state_dict().items()}
