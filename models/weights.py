"""Files of generator and discriminator weights: written whole, read safely."""

import pickle
from pathlib import Path

import numpy as np
import paddle

from models import fluid
from models.discriminator import Discriminator
from models.errors import InputError
from models.files import replacing
from models.generator import Generator
from models.variables import select, shapes

# paddle.save notes the parameters' internal names under this key; loading does not need them.
NAMES_KEY = "StructuredToParameterName@@"
PLAIN_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class _Dtype:
    """Stands in for `numpy.dtype`: plain numbers only. NumPy's own `__setstate__` crashes Python on a wrong state."""

    def __init__(self, code, align=False, copy=True):
        if not isinstance(code, str) or code not in PLAIN_DTYPES:
            raise pickle.UnpicklingError(f"numpy.dtype {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        version, order, *rest = state
        if version != 3 or order not in ("<", ">", "|") or rest != [None, None, None, -1, -1, 0]:
            raise pickle.UnpicklingError(f"numpy.dtype with the state {state!r}")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """Stands in for what NumPy's `_reconstruct` makes: an empty array, filled when its state is set."""

    def __init__(self, *_):
        self.array = np.empty(0, "u1")

    def __setstate__(self, state):
        version, shape, dtype, fortran, data = state
        if version != 1 or not isinstance(dtype, _Dtype) or min(shape, default=0) < 0:
            raise pickle.UnpicklingError("an array with an unknown state")
        data = data.encode("latin1") if isinstance(data, str) else data
        array = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")
        self.array = array.astype(dtype.dtype.newbyteorder("="), copy=False)


class _Call:
    """A function without attributes: a pickle can set those of a plain one, for the files after it too."""

    __slots__ = ("_function",)

    def __init__(self, function):
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments):
        return self._function(*arguments)

    def __setattr__(self, name, value):
        raise pickle.UnpicklingError("it sets the state of a function")


def _latin1_bytes(text, encoding):
    """Stands in for `_codecs.encode`, through which protocol 2 writes bytes: any other encoding is refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"_codecs.encode to {encoding!r}")
    return text.encode("latin1")


# All that the pickle of a dict of arrays asks for, under NumPy 1's and 2's module names.
_ALLOWED = {
    ("numpy", "ndarray"): "the class that _reconstruct is called with",
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("_codecs", "encode"): _Call(_latin1_bytes),
    ("collections", "OrderedDict"): dict,
}


# Python's unpickler, not C's: that one makes room for as many memo entries as a damaged number says.
class _ArrayUnpickler(pickle._Unpickler):
    def find_class(self, module, name):
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise InputError(f"it asks for {module}.{name}, which weights do not need; refused, nothing was run")


def read_pdparams(path) -> dict:
    """Read a `.pdparams` file as {name: read-only array}, for any Paddle 1.8 to 3.x that wrote it.

    The file is a pickle and untrusted: it may build arrays and nothing else. Raises InputError naming the file
    if it is not there, asks for anything else (named too), is damaged, or holds no dict of arrays.
    """
    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path}: not a file; expected a .pdparams file")
    try:
        with open(path, "rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # noqa: BLE001  a damaged pickle can raise anything
        raise InputError(f"{path}: not a weight file, or damaged ({type(error).__name__}: {error})") from None
    content = content.array if isinstance(content, _Array) else content
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a dict of arrays, found {type(content).__name__}")
    content.pop(NAMES_KEY, None)
    content = {name: value.array if isinstance(value, _Array) else value for name, value in content.items()}
    for name, array in content.items():
        if not isinstance(name, str) or not isinstance(array, np.ndarray):
            raise InputError(f"{path}: expected a dict of arrays, found {type(array).__name__} under {name!r}")
    return content


def save(network, path) -> None:
    """Write a network's weights and statistics as a `.pdparams` file that `paddle.load` also reads.

    The file is replaced at once; on an OSError (a full disk) the one before it is kept. So it is when a weight is not
    a finite number, which is an InputError.
    """
    state = network.state_dict()
    spoilt = [name for name, value in state.items() if not bool(value.isfinite().all())]
    if spoilt:
        raise InputError(
            f"{path}: not written, what was there before is kept: {len(spoilt)} variables of the network are not finite "
            f"({spoilt[0]}, …). Try a smaller --learning-rate"
        )
    with replacing(path) as temporary:
        paddle.save(state, str(temporary))


def load_generator(path) -> Generator:
    """A generator from a `.pdparams` file of this project or a folder of the article's (`models/g_models/`).

    It is in train mode, as Paddle makes networks: call `.eval()` before upscaling with it. Raises InputError naming
    the file if it cannot be used.
    """
    network = Generator()
    if Path(path).is_dir():
        state = _from_folder(path, "n64s1", fluid.is_generators, fluid.generator_state)
    else:
        state = select(read_pdparams(path), shapes(network), f"{path}, as a generator")
    network.set_state_dict(state)
    return network


def load_discriminator(path, hr_size: int = 384) -> Discriminator:
    """A discriminator for pictures of `hr_size` pixels from a `.pdparams` file or a folder of the article's.

    Raises InputError naming the file if it cannot be used.
    """
    network = Discriminator(hr_size)
    if Path(path).is_dir():
        state = _from_folder(
            path, "h0", fluid.is_discriminators, lambda variables: fluid.discriminator_state(variables, hr_size)
        )
    else:
        state = select(read_pdparams(path), shapes(network), f"{path}, as a discriminator of {hr_size} pixels")
    network.set_state_dict(state)
    return network


def _from_folder(folder, first: str, is_wanted, to_state) -> dict:
    """A network's state from a folder of the article's; first: the sub-folder that its first variable lies in."""
    variables = fluid.read_persistables(folder, is_wanted)
    if not variables:
        nested = next(Path(folder).rglob(first), None)
        hint = f"; {nested.parent} has it: give that one" if nested else ""
        raise InputError(f"{folder}: no sub-folder {first}/ with variables of the article's network in it{hint}")
    try:
        return to_state(variables)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None
