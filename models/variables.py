"""What a weight file must hold: names and shapes, checked before a network takes them."""

import numpy as np

from models.errors import InputError

SHOWN = 4  # how many wrong variables one message lists


def select(variables: dict, table: dict, source: str) -> dict:
    """The arrays a network needs, under the network's own names, as float32.

    variables: {name in the file: array}. table: {name in the network: (name in the file, shape)}.
    source: what the message calls the file.
    Raises InputError for a variable that is missing, has another shape, or holds anything but finite numbers,
    with the expected and the found shape.
    """
    state, problems = {}, []
    for key, (name, shape) in table.items():
        array = variables.get(name)
        if array is None:
            problems.append(f"{name}: expected shape {list(shape)}, not found")
        elif tuple(array.shape) != tuple(shape):
            problems.append(f"{name}: expected shape {list(shape)}, found {list(array.shape)}")
        elif array.dtype.kind != "f" or not (np.abs(array) <= np.finfo("float32").max).all():
            problems.append(f"{name}: expected finite numbers, found {array.dtype} with NaN, infinity or other kinds")
        else:
            state[key] = np.asarray(array, dtype="float32")
    if problems:
        more = f"; and {len(problems) - SHOWN} more of {len(table)}" if len(problems) > SHOWN else ""
        raise InputError(f"{source}: {'; '.join(problems[:SHOWN])}{more}")
    return state


def shapes(network) -> dict:
    """The table for a file that uses the network's own names: {name: (name, shape)}."""
    return {key: (key, tuple(value.shape)) for key, value in network.state_dict().items()}
