import hashlib
import random
import re
import struct

import numpy as np
import pytest

from common.errors import InputError
from models.weight_files import fluid
from tests.helpers import golden
from tests.helpers.errors import message
from tests.helpers.fluid_files import CODES, stream, tensor_desc, variable

OUT_B_0 = "00000000 0000000000000000 00000000 04000000 0805 1003 000128be ae448f3d cdc073bc"


@pytest.fixture
def constants(monkeypatch):
    """The recordings' variables with one number for each."""
    monkeypatch.setattr(golden, "weight", golden.constant)


def refused(path, content: bytes):
    """It is refused, and the message says which file it is."""
    path.write_bytes(content)
    assert message(fluid.read_variable, path).startswith(f"{path}: not a variable of fluid.io.save_persistables (")


class TestReadVariable:
    def test_these_tests_write_the_bytes_that_fluid_wrote(self, g_models):
        """All 210 files have the checksums of those that fluid 1.8.5 wrote."""
        lines = (golden.RECORDINGS / "g_models.sha256").read_text(encoding="utf-8").splitlines()
        by_fluid = {name: digest for digest, name in (line.split() for line in lines)}
        files = [path for path in g_models.rglob("*") if path.is_file()]
        assert len(files) == 210
        assert {
            path.relative_to(g_models).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
        } == by_fluid

    def test_a_file_that_fluid_wrote(self, tmp_path):
        """`out.b_0` as fluid wrote it, taken apart in tests/recordings/README.md."""
        content = bytes.fromhex(OUT_B_0)
        assert variable(golden.weight("out.b_0", (3,))) == content
        (tmp_path / "out.b_0").write_bytes(content)
        found = fluid.read_variable(tmp_path / "out.b_0")
        np.testing.assert_array_equal(found, np.array(struct.unpack("<3f", content[-12:]), "float32"))

    @pytest.mark.parametrize("dtype", CODES)
    @pytest.mark.parametrize("lod", [(), [[0, 1], [0, 2, 3]]])
    def test_every_data_type(self, tmp_path, dtype, lod):
        array = np.array([[0, 1, 2], [3, 100, 127]]).astype(dtype)
        (tmp_path / "v").write_bytes(variable(array, lod=lod))
        found = fluid.read_variable(tmp_path / "v")
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)

    def test_cut_off_anywhere_or_with_something_behind(self, tmp_path):
        content = variable(np.array([[1.5], [2.5]], "float32"), lod=[[0, 1, 2]])
        for length in range(len(content)):
            refused(tmp_path / "v", content[:length])
        refused(tmp_path / "v", content + b"more")

    @pytest.mark.parametrize(
        "content",
        [
            b"conv1_1_weights are in the other folder\n",
            stream(tensor_desc(99, [4]), bytes(16)),
            stream(b"\x10\x04", bytes(16)),  # no data type
            stream(tensor_desc(5, [-1, -4]), bytes(16)),
            stream(tensor_desc(5, [5]), bytes(16)),
            stream(tensor_desc(5, [4]), bytes(16), version=1),
            stream(tensor_desc(5, [4]), bytes(16), tensor_version=1),
            struct.pack("<IQIi", 0, 0, 0, -1) + tensor_desc(5, [4]) + bytes(16),
        ],
    )
    def test_damaged(self, tmp_path, content):
        refused(tmp_path / "v", content)

    def test_whatever_bytes_are_damaged_it_is_an_array_or_refused(self, tmp_path):
        path, rng = tmp_path / "v", random.Random(0)
        whole = variable(np.arange(6, dtype="float32").reshape(2, 3), lod=[[0, 1], [0, 2, 3]])
        for _ in range(500):
            content = bytearray(whole)
            content[rng.randrange(len(content))] = rng.randrange(256)
            path.write_bytes(content)
            try:
                assert fluid.read_variable(path).nbytes <= len(content)
            except InputError as error:
                assert str(error).startswith(f"{path}: ")


class TestReadPersistables:
    def test_the_articles_folder_holds_the_drawn_weights(self, g_models):
        expected = golden.generator_variables()
        found = fluid.read_persistables(g_models)
        assert len(found) == 210
        assert set(found) == set(expected)
        for name, array in expected.items():
            assert found[name].dtype == np.float32
            np.testing.assert_array_equal(found[name], array, err_msg=name)

    def test_an_empty_folder_none_or_a_file(self, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / ".DS_Store").write_bytes(b"x")
        assert message(fluid.read_persistables, tmp_path / "empty").startswith(f"{tmp_path / 'empty'}: empty; expected")
        (tmp_path / "a.w_0").write_bytes(variable(np.ones(2)))
        for path in (tmp_path / "none", tmp_path / "a.w_0"):
            assert message(fluid.read_persistables, path).startswith(f"{path}: no such folder")


def later_call(name: str, call: int) -> str:
    """What fluid names a variable of a first call when the `call`-th (from 0) makes it, by the article's rules."""
    base, letter, number = re.fullmatch(r"(.*)\.([wb])_(\d+)", name).groups()
    number = int(number)
    if base == "batch_norm_0":
        return f"batch_norm_{call}.{letter}_{number}"
    if base == "n64s1/b2/15":  # two batch norms a call
        return f"{base}.{letter}_{number + call * (6 if letter == 'w' else 2)}"
    if re.fullmatch(r"n64s1/b[12]/\d+|h\d/bn|res/bn\d?", base):
        return f"{base}.{letter}_{number + call * (3 if letter == 'w' else 1)}"
    return f"{base}.{letter}_{number + call}"


def assert_same(found: dict, expected: dict):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape and found[name].flat[0] == array.flat[0], name


@pytest.mark.usefixtures("constants")
class TestGeneratorState:
    def test_a_folder_that_holds_the_other_networks_too(self):
        alone = golden.generator_variables()
        others = {**golden.discriminator_variables(), **golden.vgg19_variables(), "learning_rate_0": np.ones(1)}
        assert_same(fluid.generator_state({**others, **alone}), fluid.generator_state(alone))

    @pytest.mark.parametrize("call", [1, 11])
    def test_a_later_call_of_the_same_process(self, call):
        first = golden.generator_variables()
        later = {later_call(name, call): array for name, array in first.items()}
        assert len(later) == len(first) and not set(later) & set(first)
        assert_same(fluid.generator_state(later), fluid.generator_state(first))

    def test_names_a_missing_variable(self):
        variables = golden.generator_variables()
        del variables["n64s1/b2/15.w_4"]
        expected = "n64s1/b2/15.w_4: expected shape [64], not found"
        assert message(fluid.generator_state, variables).endswith(f": {expected}")


@pytest.mark.usefixtures("constants")
class TestDiscriminatorState:
    def test_leaves_what_the_article_never_uses(self):
        variables = golden.discriminator_variables()
        unused = re.compile(r"(res/c|res/c2|res/bn|res/bn2|ho/fc)\.[wb]_\d")
        used = {name: array for name, array in variables.items() if not unused.fullmatch(name)}
        assert len(used) == len(variables) - 14
        state = fluid.discriminator_state(used)
        assert_same(state, fluid.discriminator_state(variables))
        assert len(state) == len(used)

    def test_a_later_call_among_the_others_of_its_program(self):
        first = golden.discriminator_variables()
        later = {later_call(name, 2): array for name, array in first.items()}
        others = {**golden.generator_variables(), **golden.vgg19_variables()}
        assert_same(fluid.discriminator_state({**others, **later}), fluid.discriminator_state(first))
