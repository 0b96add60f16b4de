"""Weight files as pickles: those of every Paddle and NumPy are read, hostile and damaged ones are refused, unrun."""

import contextlib
import copyreg
import pickle
import random
import struct
import sys

import numpy as np
import paddle
import pytest

from common.errors import InputError
from models.weight_files.shipped import SHIPPED
from models.weight_files.weights import load_generator, read_pdparams
from tests.helpers.errors import message

# Pickles are written here operation by operation: Python's pickler writes only the harmless half of what may occur.
NONE, FALSE, TRUE = b"N", b"\x89", b"\x88"


def text(string: str) -> bytes:
    content = string.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def global_(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def a_dict(value: bytes, name: bytes = text("weight")) -> bytes:
    return b"\x80\x04}" + name + value + b"s."


F4, TWO = text("f4"), b"U\x08" + struct.pack("<2f", 1.5, -2)


def dtype(code=F4, subarray=NONE, names=NONE, fields=NONE, flags=b"K\x00") -> bytes:
    minus = b"J\xff\xff\xff\xff"
    state = b"(K\x03" + text("<") + subarray + names + fields + minus + minus + flags + b"tb"
    return call(global_("numpy", "dtype"), code, FALSE, TRUE) + state


EMPTY = call(global_("numpy.core.multiarray", "_reconstruct"), global_("numpy", "ndarray"), b"K\x00\x85", text("b"))


def array(dtype_=b"", shape=b"K\x02\x85", data=TWO) -> bytes:
    return EMPTY + b"(K\x01" + shape + (dtype_ or dtype()) + FALSE + data + b"tb"


@pytest.fixture
def read(tmp_path):
    def read(content: bytes) -> dict:
        (tmp_path / "a.pdparams").write_bytes(content)
        return read_pdparams(tmp_path / "a.pdparams")

    return read


@pytest.fixture
def refused(read, tmp_path):
    def refused(content: bytes) -> str:
        said = message(read, content)
        assert said.startswith(f"{tmp_path / 'a.pdparams'}: ") and len(said) < 600
        return said

    return refused


def assert_equal(found: dict, expected: dict):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and not found[name].flags.writeable
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("path", SHIPPED.values(), ids=str)
def test_every_array_of_the_shipped_files_is_as_pythons_own_unpickler_reads_it(path):
    expected = pickle.loads(path.read_bytes())
    expected.pop("StructuredToParameterName@@")
    assert_equal(read_pdparams(path), expected)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("core", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_files_of_every_paddle_and_numpy(read, tmp_path, protocol, core):
    network = paddle.nn.Sequential(paddle.nn.Conv2D(2, 3, 3), paddle.nn.BatchNorm2D(3))
    paddle.save(network.state_dict(), str(tmp_path / "saved"), protocol=protocol)
    content = (tmp_path / "saved").read_bytes()
    if protocol < 4:  # which has lengths before its names
        content = content.replace(b"numpy._core.multiarray", core).replace(b"numpy.core.multiarray", core)
        assert core in content
    assert_equal(read(content), {name: value.numpy() for name, value in network.state_dict().items()})


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_every_kind_of_number_and_layout(read, protocol):
    given = {code: np.array([[0, 1, 2], [3, 4, 5]], code) for code in ("f2", "f4", "f8", "i1", "i8", "u1", "u4", "b1")}
    given.update({"scalar": np.array(7), "columns": np.asfortranarray(given["f4"]), "big": np.zeros((300, 300))})
    given["again"] = given["f4"]  # from the memo
    assert_equal(read(pickle.dumps(given, protocol)), given)


def test_python_2s_strings(read):
    names = b"U\x1bStructuredToParameterName@@}U\x06weightU\x08conv.w_0s"
    content = b"\x80\x02}(U\x06weight" + array(dtype(b"U\x02f4")) + names + b"u."
    assert_equal(read(content), {"weight": np.array([1.5, -2], "float32")})


def ways(folder) -> dict:
    """os.mkdir(folder), in every way a pickle has to call a function."""
    folder, function = text(str(folder)), global_("os", "mkdir")
    payload = call(function, folder)
    return {
        "GLOBAL, REDUCE": payload + b".",
        "STACK_GLOBAL": b"\x80\x04" + call(text("os") + text("mkdir") + b"\x93", folder) + b".",
        "INST": b"\x80\x04(" + folder + b"ios\nmkdir\n.",
        "OBJ": b"\x80\x04(" + function + folder + b"o.",
        "EXT1": b"\x80\x04" + call(b"\x82\xf0", folder) + b".",
        "a key": b"\x80\x04}(" + payload + array() + b"u.",
        "thrown away before a good dict": b"\x80\x04" + payload + b"0" + a_dict(array()),
        "in an array's state": a_dict(array(data=payload)),
    }


@pytest.mark.parametrize("way", ways(""))
def test_no_way_to_call_a_function_runs_it(tmp_path, refused, way):
    marker = tmp_path / "it ran"
    content = b"\x80\x02" * (ways(marker)[way][:1] != b"\x80") + ways(marker)[way]
    copyreg.add_extension("os", "mkdir", 0xF0)
    try:
        with contextlib.suppress(TypeError):  # what becomes of the result is not the question
            pickle.loads(content, encoding="latin1")
        assert marker.is_dir()  # Python's own unpickler runs it
        marker.rmdir()
        copyreg.clear_extension_cache()
        refused(content)
    finally:
        copyreg.remove_extension("os", "mkdir", 0xF0)
    assert not marker.exists()


def test_names_what_it_was_asked_for_and_imports_nothing(tmp_path, refused, monkeypatch):
    (tmp_path / "hostile_module.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'it ran')!r})\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module, name in (("hostile_module", "weights"), ("collections", "OrderedDict.fromkeys"), ("numpy", "load")):
        assert f"asks for {module}.{name}, which" in refused(a_dict(call(global_(module, name), text("x"))))
    assert not (tmp_path / "it ran").exists() and "hostile_module" not in sys.modules


FAR = text("x") + dtype() + b"Kd\x86s"  # a field at byte 100 of a number of 4
UNUSABLE = {
    "a dtype with fields": a_dict(array(dtype(names=text("x") + b"\x85", fields=b"}" + FAR))),
    "a dtype's flags of objects": a_dict(array(dtype(flags=b"K\x3f"))),
    "arrays of objects": a_dict(array(dtype(text("O")))),
    "big-endian": pickle.dumps({"a": np.zeros(2, ">f4")}),
    "ndarray called": a_dict(call(global_("numpy", "ndarray"), b"K\x02\x85")),
    "too few bytes": a_dict(array(data=b"U\x04" + bytes(4))),
    "too many bytes": a_dict(array(data=b"U\x0c" + bytes(12))),
    "no bytes": a_dict(array(data=NONE)),
    "an unset array's state": a_dict(EMPTY + b"(tb"),
    "a text unpacked": a_dict(call(global_("_codecs", "encode"), text("x" * 99), text("zlib"))),
    "another key": pickle.dumps({b"a": np.ones(2)}),
    "another value": pickle.dumps({"a": np.ones(2), "b": 0.5}),
    "no dict": pickle.dumps(np.ones(2)),
    "an array made by NEWOBJ": b"\x80\x04" + global_("numpy", "ndarray") + b"K\x02\x85\x81.",
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_is_no_dict_of_arrays_is_refused(refused, case):
    refused(UNUSABLE[case])


def test_whatever_bytes_are_damaged_it_is_plain_arrays_or_refused(read):
    rng = random.Random(0)
    given = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "b": np.array([True, False])}
    refusals = 0
    for i in range(600):
        content = bytearray(pickle.dumps(given, protocol=2 + i % 3))
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            arrays = read(bytes(content))
        except InputError:
            refusals += 1
        else:
            assert all(value.dtype.kind in "fiub" for value in arrays.values())
    assert 100 < refusals < 560


def test_a_flipped_bit_in_a_shipped_file_is_named(tmp_path, monkeypatch):
    content = bytearray(SHIPPED["srgan"].read_bytes())
    content[len(content) // 2] ^= 8
    monkeypatch.setitem(SHIPPED, "srgan", tmp_path / "srgan.pdparams")
    SHIPPED["srgan"].write_bytes(content)
    said = message(load_generator, SHIPPED["srgan"])
    assert said.startswith(f"{SHIPPED['srgan']}: damaged") and "git checkout -- weights" in said
