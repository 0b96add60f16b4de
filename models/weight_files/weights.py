"""Files of generator and discriminator weights: written atomically, read safely."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

import numpy as np

from common.errors import InputError
from common.files import AnyPath, is_no_file, replacing
from models.weight_files import fluid, pickles
from models.weight_files.foreign import describe_file, describe_folder
from models.weight_files.shipped import NAMES, PUT_BACK, SHIPPED, check_shipped
from models.weight_files.variables import Arrays, Table, is_plausible, select, shapes

if TYPE_CHECKING:
    from paddle import nn

    from models.discriminator import Discriminator
    from models.generator import Generator

# paddle.save stores the parameters' internal names under this key; loading does not need them.
NAMES_KEY = "StructuredToParameterName@@"
# The variables by which files of G and of D are told apart.
_FIRST_OF_G, _FIRST_OF_D = "head_conv.weight", "convs.0.weight"


def read_pdparams(path: AnyPath) -> Arrays:
    """Read a `.pdparams` file, written by any Paddle 1.8 to 3.x, as {name: read-only array}.

    The file is an untrusted pickle: see `models.weight_files.pickles`. Raises InputError naming the file if it is
    missing, of another kind (named too), damaged, not a dict of arrays, or asks for anything that weights do not need.
    """
    if not Path(path).exists():
        way_out = f"; {PUT_BACK}" if Path(path) in SHIPPED.values() else ""
        raise InputError(f"{path}: no such file{way_out}")
    if is_no_file(path):
        raise InputError(f"{path}: not a file; expected a .pdparams file")
    foreign = describe_file(path)
    if foreign:
        raise InputError(f"{path}: it is {foreign}")
    try:
        check_shipped(path)
        with open(path, "rb") as file:
            content = pickles.read(file)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dict of arrays, found {type(content).__name__}")
    content.pop(NAMES_KEY, None)
    for name, array in content.items():
        if not (isinstance(name, str) and isinstance(array, np.ndarray)):
            raise InputError(f"{path}: expected a dict of arrays, found {type(array).__name__} under {name!r}")
    return content


def save(network: nn.Layer, path: AnyPath) -> None:
    """Write a network's weights and statistics as a `.pdparams` file that `paddle.load` also reads.

    The file is replaced atomically; on an OSError (a full disk) the previous one is kept. The same holds when a weight
    has a value that loading would refuse (see `models.weight_files.variables.is_plausible`): this raises InputError.
    """
    state = network.state_dict()
    spoilt = [name for name, value in state.items() if not is_plausible(name, value.numpy())]
    if spoilt:
        raise InputError(
            f"{path}: not written, any previous file is kept: {len(spoilt)} variables of the network are huge or not "
            f"finite ({spoilt[0]}, …). Try a smaller --learning-rate"
        )
    import paddle  # here: reading weights needs no Paddle

    with replacing(path) as temporary:
        paddle.save(state, str(temporary))


def load_generator(path: AnyPath) -> Generator:
    """`build_generator` of the weights at `path`. Raises InputError naming the file if it cannot be used."""
    from models.generator import Generator

    return build_generator(generator_arrays(path, shapes(Generator())))


def build_generator(arrays: Arrays) -> Generator:
    """A generator with the arrays of `generator_arrays`, in train mode, Paddle's default."""
    from models.generator import Generator

    network = Generator()
    network.set_state_dict(arrays)
    return network


def generator_arrays(path: AnyPath, table: Table | None = None) -> Arrays:
    """A generator's {name in `models.generator.Generator`: float32 array}, read without Paddle.

    table: that of a generator of another size than the article's (see `models.weight_files.variables.select`).
    path: a `.pdparams` file of this project or one of the article's folders (`models/g_models/`).
    Raises InputError naming the file if it cannot be used.
    """
    if Path(path).is_dir():
        return fluid.generator_state(_read_folder(path, "generator", fluid.is_generators), path)
    if str(path) == Path(path).stem and not Path(path).exists():
        raise InputError(f"{path}: no such file, nor the name of included weights ({NAMES})")
    variables = read_pdparams(path)
    if _FIRST_OF_D in variables and _FIRST_OF_G not in variables:
        raise InputError(
            f"{path}: it is a discriminator, which tells SR from HR and makes no pictures. Give the generator "
            "beside it: srgan_g.pdparams"
        )
    table = table or {key: (key, shape) for key, (_, shape) in fluid.generator_table().items()}
    return select(variables, table, f"{path}, as a generator")


def load_discriminator(path: AnyPath, hr_size: int = 384) -> Discriminator:
    """A discriminator for pictures of `hr_size` pixels from a `.pdparams` file or one of the article's folders.

    Raises InputError naming the file if it cannot be used.
    """
    from models.discriminator import Discriminator

    if Path(path).is_dir():
        variables = _read_folder(path, "discriminator", fluid.is_discriminators)
        state = fluid.discriminator_state(variables, hr_size, path)
        network = Discriminator(hr_size)
    else:
        variables = read_pdparams(path)
        if _FIRST_OF_G in variables and _FIRST_OF_D not in variables:
            raise InputError(f"{path}: it is a generator. Give the discriminator: srgan_d.pdparams")
        network = Discriminator(hr_size)
        state = select(variables, shapes(network), f"{path}, as a discriminator of {hr_size} pixels")
    network.set_state_dict(state)
    return network


def _read_folder(folder: AnyPath, network: str, is_wanted: Callable[[str], bool]) -> Arrays:
    """A network's variables in one of the article's folders. network: "generator" or "discriminator"."""
    variables = fluid.read_persistables(folder, is_wanted)
    if not variables:
        hint = describe_folder(folder, f"_{network[0]}.pdparams")
        raise InputError(f"{folder}: no variables of the article's {network} in it{'; ' if hint else ''}{hint}")
    return variables
