"""Hostile weight files: each is refused in little time and memory. What must be read is in test_weights.py."""

import json
import pickle
import pickletools
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError
from models.weight_files import pickles
from models.weight_files.weights import read_pdparams
from tests.helpers.golden import SHARED
from tests.helpers.pickles import EMPTY, FALSE, ONE, PLAIN, a_dict, array, call, global_, state, text

ROOT = Path(__file__).resolve().parents[1]
CASES = SHARED / "cases" / "weights"
DTYPE, RECONSTRUCT = global_("numpy", "dtype"), global_("numpy.core.multiarray", "_reconstruct")
ORDERED_DICT, ENCODE = global_("collections", "OrderedDict"), global_("_codecs", "encode")
DOUBLING = {
    "with DUP": b")" + b"2\x86" * 60,
    "by the memo": b")q\x00" + b"0h\x00h\x00\x86q\x00" * 60,
    "by lists": b"]q\x00" + b"0](h\x00h\x00eq\x00" * 60,
}
DEEP = b")" + b"\x85" * 100_000
BIG = b"8" * 400_000
SAME_HASH = b"".join(b"\x8a\x08" + (i * (2**61 - 1)).to_bytes(8, "little") + b"N" for i in range(1, 9))


def put(value: bytes) -> bytes:
    return value + b"q\x01"


def hostile() -> dict:
    """{what it does: the file}"""
    found = {
        "BYTEARRAY8 of 1 GiB": b"\x80\x04\x96" + struct.pack("<Q", 2**30) + b"abc.",
        "BINBYTES8 of 2^62": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc.",
        "BINBYTES of 4 GiB": b"\x80\x04B" + struct.pack("<I", 2**32 - 1) + b"abc.",
        "BINUNICODE8 of 2^63": b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"abc.",
        "BINSTRING of 4 GiB": b"\x80\x02T" + struct.pack("<I", 2**32 - 1) + b"abc.",
        "a frame of 2^63": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"}",
        "a text encoded again and again": put(text("x" * 500_000))
        + b"0"
        + put(ENCODE).replace(b"q\x01", b"q\x02")
        + b"0"
        + (b"h\x02h\x01" + text("latin1") + b"\x86R") * 20_000
        + b".",
        "a text of four bytes a character": a_dict(text("😀" + "x" * 900_000)),
        "a dict copied again and again": b"](" + b"".join(text(str(i)) + b"N\x86" for i in range(10_000)) + b"eq\x01"
        + put(ORDERED_DICT).replace(b"q\x01", b"q\x02") + b"h\x02h\x01\x85R" * 30_000 + b".",
        "numbers of one hash as names": b"}(" + SAME_HASH * 5000 + b"u.",
        "many of one name": b"}(" + (text("weight") + b"N") * 40_000 + b"u.",
        "long names compared again and again": b"}" + text("x" * 400_000) + b"q\x01Ns"
        + text("x" * 400_000) + b"q\x02Ns" + b"h\x01Ns" * 30_000 + b".",
        "big-endian arrays of the same bytes": put(text(BIG.decode())) + b"]("
        + (EMPTY + b"(K\x01J" + struct.pack("<i", len(BIG) // 4) + b"\x85" + call(DTYPE, text("f4"), FALSE, FALSE)
        + state(b"K\x03", text(">"), b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00") + FALSE + b"h\x01tb") * 2000
        + b"e.",
        "arrays of the same text": put(text(BIG.decode())) + b"]("
        + (EMPTY + b"(K\x01J" + struct.pack("<i", len(BIG) // 4) + b"\x85" + PLAIN + FALSE + b"h\x01tb") * 2000
        + b"e.",
        "a million dicts": b"}" * 1_000_000 + b".",
        "a million lists": b"]" * 1_000_000 + b".",
        "a million marks": b"(" * 1_000_000 + b".",
        "a million entries of the memo": b"N"
        + b"".join(b"r" + struct.pack("<I", 4096 * i) for i in range(200_000)) + b".",
        "an entry of the memo at 2^32": b"}r\xff\xff\xff\xff0N.",
        "a tuple of a million": b"(" + b"N" * 1_000_000 + b"t.",
        "a number of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
        "LONG of a million digits": b"L" + b"9" * 1_000_000 + b"L\n.",
        "LONG4 of a million bytes": b"\x8b" + struct.pack("<i", 1_000_000) + b"\xff" * 1_000_000 + b".",
        "a line without an end": b"\x80\x02c" + b"x" * 1_000_000,
        "a function's name of a megabyte": b"\x80\x04" + text("x" * 500_000) + text("y" * 500_000) + b"\x93.",
        "a name of a megabyte": b"}" + text("x" * 1_000_000) + b"Ns.",
        "a name that writes to the terminal": b"}" + text("\x1b[2J\x1b]0;x\x07") + b"Ns.",
        "a name twice": b"}(" + text("weight") + array() + text("weight") + array() + b"u.",
        "a shape of 100,000 dimensions": a_dict(array(shape=b"(" + b"J\xff\xff\xff\x7f" * 100_000 + b"t")),
        "a shape of more than 2^64": a_dict(array(shape=b"(" + b"J\xff\xff\xff\x7f" * 8 + b"t")),
        "a shape of truth values": a_dict(array(shape=b"\x88\x88\x86")),
        "an empty array of 2^62": a_dict(
            array(shape=b"K\x00\x8a\x08" + struct.pack("<Q", 2**62) + b"\x86", data=b"U\x00")
        ),
        "a list in itself": b"]q\x01h\x01a.",
        "a dict in itself": b"}q\x01" + text("x") + b"h\x01s.",
        "a deep tuple": b"\x80\x04" + DEEP + b".",
        "a deep tuple as a value": a_dict(DEEP),
        "a deep tuple as a name": b"}" + DEEP + b"Ns.",
        "a deep list": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep dicts": (b"}" + text("x")) * 50_000 + b"N" + b"s" * 50_000 + b".",
    }  # fmt: skip
    for way, value in DOUBLING.items():
        more = {
            f"doubling {way}, as a name": b"\x80\x04}" + value + b"K\x01s.",
            f"doubling {way}, as a value": b"\x80\x04" + a_dict(value),
            f"doubling {way}, as the whole": b"\x80\x04" + value + b".",
            f"doubling {way}, as a function": b"\x80\x04" + value + b")R.",
            f"doubling {way}, as a module": b"\x80\x04" + value + text("x") + b"\x93.",
            f"doubling {way}, as a dtype": b"\x80\x04" + a_dict(call(DTYPE, value, FALSE, FALSE)),
            f"doubling {way}, as an encoding": b"\x80\x04" + a_dict(call(ENCODE, text("x"), value)),
            f"doubling {way}, as a dtype's state": b"\x80\x04"
            + a_dict(call(DTYPE, text("f4"), FALSE, FALSE) + value + b"b"),
            f"doubling {way}, within a dtype's state": b"\x80\x04"
            + a_dict(call(DTYPE, text("f4"), FALSE, FALSE) + state(b"K\x03", text("<"), value, b"NNNNN")),
            f"doubling {way}, as a shape": b"\x80\x04" + a_dict(array(shape=value)),
            f"doubling {way}, as bytes": b"\x80\x04" + a_dict(array(data=value)),
            f"doubling {way}, as pairs": b"\x80\x04" + a_dict(call(ORDERED_DICT, value)),
        }  # fmt: skip
        found.update(more)
    for name, function in {
        "dtype": DTYPE,
        "_reconstruct": RECONSTRUCT,
        "OrderedDict": ORDERED_DICT,
        "encode": ENCODE,
    }.items():
        more = {
            f"NEWOBJ on {name}": b"\x80\x04" + function + b")\x81.",
            f"NEWOBJ_EX on {name}": b"\x80\x04" + function + b")}\x92.",
            f"OBJ on {name}": b"\x80\x04(" + function + b"o.",
            f"INST on {name}": b"\x80\x04(i" + function[1:] + b".",
            f"REDUCE of {name} without arguments": b"\x80\x04" + a_dict(function + b")R"),
            f"REDUCE of {name} with ten": b"\x80\x04" + a_dict(function + b"(" + b"N" * 10 + b"tR"),
            f"REDUCE of {name} with no tuple": b"\x80\x04" + a_dict(function + b"NR"),
            f"{name} itself": b"\x80\x04" + a_dict(function),
        }  # fmt: skip
        found.update(more)
    for operation in pickletools.opcodes:  # each of them, where nothing is
        if operation.name not in ("EMPTY_DICT", "FRAME", "STOP"):
            found[f"{operation.name} alone"] = operation.code.encode("latin1") + bytes(12) + b"\n."
    # Else some would be taken for texts.
    return {name: content if content[0] == 0x80 else b"\x80\x04" + content for name, content in found.items()}


# In a process of its own, for its memory. The peak begins anew with each file (see proc(5), clear_refs).
MEASURE = """
import json, resource, sys, time
from pathlib import Path
from common.errors import InputError
from models.weight_files.weights import read_pdparams

read_pdparams(sys.argv[1])
results = {}
for path in sorted(Path(sys.argv[2]).iterdir(), key=lambda path: path.stat().st_size):
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        said = f"read: {len(read_pdparams(path))}"
    except InputError as error:
        said = str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    results[path.name] = said, path.stat().st_size, grown, time.perf_counter() - start
print(json.dumps(results))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures the memory by Linux' rules")
def test_hostile_files_are_refused_in_little_time_and_memory(tmp_path):
    files = hostile()
    if CASES.is_dir():
        files.update({path.name: path.read_bytes() for path in CASES.iterdir()})
    folder = tmp_path / "files"
    folder.mkdir()
    names = {f"{i}.pdparams": name for i, name in enumerate(files)}
    for file, name in names.items():
        (folder / file).write_bytes(files[name])
    (tmp_path / "good.pdparams").write_bytes(pickle.dumps({"a": np.ones(3, "float32")}))
    command = [sys.executable, "-W", "ignore", "-c", MEASURE, str(tmp_path / "good.pdparams"), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=300, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert results.keys() == names.keys()
    for file, (said, size, grown, seconds) in results.items():
        name = names[file]
        assert said.startswith(str(folder / file)) and len(said) < 600 and said.isprintable(), (name, said)
        assert grown < 64 * 2**20 + 8 * size, (name, said, size, grown)
        assert seconds < 5, (name, said, seconds)


def test_a_network_of_a_thousand_arrays_is_within_the_limits(tmp_path):
    given = {f"layer.{i}.weight": np.full((2, 3), i, "float32") for i in range(1000)}
    for protocol in (2, 3, 4):
        path = tmp_path / "a.pdparams"
        path.write_bytes(
            pickle.dumps({**given, "StructuredToParameterName@@": {name: name for name in given}}, protocol)
        )
        operations = sum(1 for _ in pickletools.genops(path.read_bytes()))
        assert operations < pickles.OPERATIONS / 5
        found = read_pdparams(path)
        assert found.keys() == given.keys()
        assert all((found[name] == given[name]).all() and not found[name].flags.writeable for name in given)


def test_python_2s_ordered_dict_gives_its_pairs_as_an_argument(tmp_path):
    pairs = b"](" + b"](" + text("weight") + array() + b"e" + b"](" + text("bias") + array() + b"e" + b"e"
    (tmp_path / "a.pdparams").write_bytes(b"\x80\x02" + ORDERED_DICT + pairs + b"\x85R.")
    found = read_pdparams(tmp_path / "a.pdparams")
    assert list(found) == ["weight", "bias"]
    np.testing.assert_array_equal(found["bias"], [1.5, -2])


def test_the_memo_gives_the_same_array_twice(tmp_path):
    (tmp_path / "a.pdparams").write_bytes(b"\x80\x02}(" + text("a") + array() + b"q\x07" + text("b") + b"h\x07u.")
    found = read_pdparams(tmp_path / "a.pdparams")
    np.testing.assert_array_equal(found["a"], found["b"])


def test_a_big_endian_array_is_read_only_too(tmp_path):
    (tmp_path / "a.pdparams").write_bytes(pickle.dumps({"a": np.array([1, 2], ">f4")}))
    assert not read_pdparams(tmp_path / "a.pdparams")["a"].flags.writeable


def test_a_file_that_becomes_shorter_is_damaged(tmp_path):
    path = tmp_path / "a.pdparams"
    path.write_bytes(pickle.dumps({"a": np.zeros(100_000)}))
    with open(path, "rb") as file:
        file.peek()
        path.write_bytes(path.read_bytes()[:500])
        with pytest.raises(InputError, match="cut off|shorter"):
            pickles.read(file)


def test_every_operation_that_is_carried_out_is_one_of_pickles():
    names = {operation.code.encode("latin1"): operation.name for operation in pickletools.opcodes}
    carried_out = {names[code] for code in pickles._OPERATIONS}
    assert not carried_out & {
        "INST",
        "OBJ",
        "NEWOBJ",
        "NEWOBJ_EX",
        "EXT1",
        "EXT2",
        "EXT4",
        "PERSID",
        "BINPERSID",
        "DUP",
    }
    assert ONE and len(carried_out) == len(pickles._OPERATIONS)
