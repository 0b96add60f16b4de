import hashlib
import random
import re
import struct

import numpy as np
import paddle
import pytest

from common.errors import InputError
from models.discriminator import Discriminator
from models.generator import Generator
from models.vgg19 import VGG19
from models.weight_files import fluid
from models.weight_files.variables import select
from tests.helpers import golden
from tests.helpers.errors import message
from tests.helpers.fluid_files import CODES, stream, tensor_desc, variable, write_folder

OUT_B_0 = "00000000 0000000000000000 00000000 04000000 0805 1003 000128be ae448f3d cdc073bc"


@pytest.fixture
def constants(monkeypatch):
    """The recordings' variables with one number for each."""
    monkeypatch.setattr(golden, "weight", golden.constant)


def refused(path, content: bytes):
    """It is refused, and the message says which file it is."""
    path.write_bytes(content)
    assert message(fluid.read_variable, path).startswith(f"{path}: not a variable of fluid.io.save_persistables (")


def shapes(network_class, *arguments):
    with paddle.LazyGuard():  # without drawing the weights
        return {name: tuple(value.shape) for name, value in network_class(*arguments).state_dict().items()}


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
    @pytest.mark.parametrize("packed", [False, True])
    def test_every_data_type(self, tmp_path, dtype, packed):
        array = np.array([[0, 1, 2], [3, 100, 127]]).astype(dtype)
        (tmp_path / "v").write_bytes(variable(array, packed=packed))
        found = fluid.read_variable(tmp_path / "v")
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3), (128,), (2, 300), (70000,), (1, 2, 3, 4, 5)])
    def test_every_shape(self, tmp_path, shape, packed):
        array = np.arange(np.prod(shape)).astype("float32").reshape(shape)
        (tmp_path / "v").write_bytes(variable(array, packed=packed))
        found = fluid.read_variable(str(tmp_path / "v"))
        assert found.shape == shape
        np.testing.assert_array_equal(found, array)

    def test_a_dimension_beyond_32_bits(self, tmp_path):
        (tmp_path / "v").write_bytes(stream(tensor_desc(5, [2**40, 0]), b""))
        assert fluid.read_variable(tmp_path / "v").shape == (2**40, 0)

    @pytest.mark.parametrize("lod", [[[0, 2, 3]], [[0, 1], [0, 2, 3]], [[]]])
    def test_lod_levels_are_passed_over(self, tmp_path, lod):
        array = np.arange(6, dtype="float64").reshape(3, 2)
        (tmp_path / "v").write_bytes(variable(array, lod=lod))
        np.testing.assert_array_equal(fluid.read_variable(tmp_path / "v"), array)

    @pytest.mark.parametrize("lod", [(), [[0, 1, 2]]])
    def test_cut_off_anywhere(self, tmp_path, lod):
        content = variable(np.array([[1.5], [2.5]], "float32"), lod=lod)
        for length in range(len(content)):
            refused(tmp_path / "v", content[:length])

    @pytest.mark.parametrize("extra", [1, 4, 1000])
    def test_more_than_its_shape_needs(self, tmp_path, extra):
        refused(tmp_path / "v", variable(np.ones((2, 3), "float32")) + bytes(extra))

    @pytest.mark.parametrize(
        "dims",
        [[-4], [-1, -4], [-2, -2], [0, -1], [2**62, 4], [2**32, 2**32, 4], [5], [2**63 - 1], [4] + [1] * 70],
    )
    def test_dimensions_that_are_not_those_of_its_four_elements(self, tmp_path, dims):
        refused(tmp_path / "v", stream(tensor_desc(5, dims), bytes(16)))

    @pytest.mark.parametrize("dims", [[-1, 0], [0, 2**63], [2**40, 2**40, 0]])
    def test_empty_with_a_dimension_that_no_array_has(self, tmp_path, dims):
        refused(tmp_path / "v", stream(tensor_desc(5, dims), b""))

    @pytest.mark.parametrize("code", [7, 19, 22, 99, -1])
    def test_unknown_data_type(self, tmp_path, code):
        refused(tmp_path / "v", stream(tensor_desc(code, [4]), bytes(16)))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0",
            b"conv1_1_weights are in the other folder\n",
            b"\x89PNG\r\n\x1a\n" + bytes(100),
            random.Random(0).getrandbits(8000).to_bytes(1000, "little"),
            bytes(100),
            stream(b"\x10\x04", bytes(16)),  # no data type
            stream(b"\x08\x05\x18\x04", bytes(16)),  # a field that TensorDesc has not
            stream(b"\x08\x05\x10" + b"\xff" * 11 + b"\x01", bytes(16)),  # a number of more than 64 bits
            stream(b"\x08\x05\x12\x05\x04", bytes(16)),  # packed dimensions that end too soon
            stream(tensor_desc(5, [4]), bytes(16), version=1),
            stream(tensor_desc(5, [4]), bytes(16), tensor_version=1),
            struct.pack("<IQIi", 0, 0, 0, -1) + tensor_desc(5, [4]) + bytes(16),
            struct.pack("<IQIi", 0, 0, 0, 2**31 - 1) + tensor_desc(5, [4]) + bytes(16),
            struct.pack("<IQ", 0, 2**64 - 1) + bytes(100),
            struct.pack("<IQQ", 0, 1, 2**62) + bytes(100),
        ],
    )
    def test_damaged(self, tmp_path, content):
        refused(tmp_path / "v", content)

    @pytest.mark.parametrize("size", [2**63, 2**64 - 1])
    def test_a_lod_level_larger_than_any_file(self, tmp_path, size):
        refused(tmp_path / "v", struct.pack("<IQQ", 0, 1, size) + bytes(100))

    def test_packed_dimensions_that_overrun_their_length(self, tmp_path):
        desc = b"\x08\x05\x12\x01\x82\x01"  # one byte of dimensions is announced, the number takes two
        refused(tmp_path / "v", struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc + bytes(4 * 130))

    @pytest.mark.slow
    @pytest.mark.parametrize("lod", [(), [[0, 1], [0, 2, 3]]])
    def test_whatever_bytes_are_damaged_it_is_an_array_or_refused(self, tmp_path, lod):
        path, luck = tmp_path / "v", random.Random(0)
        whole = variable(np.arange(6, dtype="float32").reshape(2, 3), lod=lod)
        results = {"array": 0, "refused": 0}
        for _ in range(1500):
            content = bytearray(whole)
            for _ in range(luck.randint(1, 3)):
                content[luck.randrange(len(content))] = luck.randrange(256)
            path.write_bytes(content)
            try:
                array = fluid.read_variable(path)
            except InputError as error:
                assert str(error).startswith(f"{path}: ")
                results["refused"] += 1
            else:
                assert isinstance(array, np.ndarray) and array.nbytes <= len(content)
                results["array"] += 1
        assert min(results.values()) > 100


class TestReadPersistables:
    def test_the_articles_folder_holds_the_drawn_weights(self, g_models):
        expected = golden.generator_variables()
        found = fluid.read_persistables(g_models)
        assert len(found) == 210
        assert set(found) == set(expected)
        for name, array in expected.items():
            assert found[name].dtype == np.float32
            np.testing.assert_array_equal(found[name], array, err_msg=name)

    def test_a_name_with_slashes_lies_in_sub_folders(self, tmp_path):
        written = {"a.w_0": np.ones(2), "a/b/0.w_0": np.zeros((1, 2), "float32"), "a/b/1.w_0": np.array([3])}
        found = fluid.read_persistables(str(write_folder(tmp_path, written)))
        assert set(found) == set(written)
        for name, array in written.items():
            np.testing.assert_array_equal(found[name], array)

    def test_hidden_files_and_folders_are_passed_over(self, tmp_path):
        write_folder(tmp_path, {"a.w_0": np.ones(2), "n/b.w_0": np.ones(3)})
        for name in (".DS_Store", "n/._b.w_0", ".ipynb_checkpoints/a-checkpoint.w_0", "n/.cache/deep/x"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(b"no variable")
        assert set(fluid.read_persistables(tmp_path)) == {"a.w_0", "n/b.w_0"}

    def test_a_folder_that_lies_in_a_hidden_one(self, tmp_path):
        write_folder(tmp_path / ".home" / "g_models", {"a.w_0": np.ones(2)})
        assert set(fluid.read_persistables(tmp_path / ".home" / "g_models")) == {"a.w_0"}

    @pytest.mark.parametrize("inside", [None, ".DS_Store", ".cache/a.w_0", "n/.DS_Store"])
    def test_empty(self, tmp_path, inside):
        if inside:
            (tmp_path / inside).parent.mkdir(exist_ok=True)
            (tmp_path / inside).write_bytes(b"x")
        assert message(fluid.read_persistables, tmp_path).startswith(
            f"{tmp_path}: empty; expected one file per variable"
        )

    def test_missing_or_a_file(self, tmp_path):
        (tmp_path / "a.w_0").write_bytes(variable(np.ones(2)))
        for path in (tmp_path / "none", tmp_path / "a.w_0"):
            assert message(fluid.read_persistables, path).startswith(f"{path}: no such folder")

    def test_names_the_file_that_is_no_variable(self, tmp_path):
        write_folder(tmp_path, {"a.w_0": np.ones(2), "b/0.w_0": np.ones(2)})
        (tmp_path / "b" / "notes.txt").write_text("trained on DIV2K")
        assert message(fluid.read_persistables, tmp_path).startswith(f"{tmp_path / 'b' / 'notes.txt'}: not a variable")


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


@pytest.mark.parametrize(
    "first, second",
    [
        ("n64s1/c1/15.w_0", "n64s1/c1/15.w_1"),
        ("n64s1/c/m.b_0", "n64s1/c/m.b_1"),
        ("n64s1/b1/15.w_0", "n64s1/b1/15.w_3"),
        ("n64s1/b2/0.b_0", "n64s1/b2/0.b_1"),
        ("n64s1/b1/3.w_1", "n64s1/b1/3.w_4"),
        ("n64s1/b1/3.w_2", "n64s1/b1/3.w_5"),
        ("n64s1/b2/15.w_0", "n64s1/b2/15.w_6"),
        ("n64s1/b2/15.b_0", "n64s1/b2/15.b_2"),
        ("n64s1/b2/15.w_5", "n64s1/b2/15.w_11"),
        ("n64s1/b2/15.b_1", "n64s1/b2/15.b_3"),
        ("batch_norm_0.w_2", "batch_norm_1.w_2"),
        ("h7/bn.w_2", "h7/bn.w_5"),
        ("ho/fc2.w_0", "ho/fc2.w_1"),
    ],
)
def test_these_tests_count_names_on_as_fluid_does(first, second):
    assert later_call(first, 1) == second


@pytest.mark.usefixtures("constants")
class TestGeneratorState:
    def test_has_every_name_and_shape_of_the_network(self):
        state = fluid.generator_state(golden.generator_variables())
        assert {name: array.shape for name, array in state.items()} == shapes(Generator)

    @pytest.mark.parametrize(
        "ours, theirs",
        [
            ("head_conv.weight", "n64s1/c.w_0"),
            ("head_bn.weight", "batch_norm_0.w_0"),
            ("head_bn.bias", "batch_norm_0.b_0"),
            ("head_bn._mean", "batch_norm_0.w_1"),
            ("head_bn._variance", "batch_norm_0.w_2"),
            ("blocks.0.conv1.bias", "n64s1/c1/0.b_0"),
            ("blocks.9.conv2.weight", "n64s1/c2/9.w_0"),
            ("blocks.9.bn1._variance", "n64s1/b1/9.w_2"),
            ("blocks.15.bn2.weight", "n64s1/b2/15.w_0"),
            ("blocks.15.bn2._mean", "n64s1/b2/15.w_1"),
            ("tail_conv.weight", "n64s1/c/m.w_0"),
            ("tail_bn.weight", "n64s1/b2/15.w_3"),
            ("tail_bn.bias", "n64s1/b2/15.b_1"),
            ("tail_bn._mean", "n64s1/b2/15.w_4"),
            ("tail_bn._variance", "n64s1/b2/15.w_5"),
            ("upsample.0.conv.weight", "n256s1/1.w_0"),
            ("upsample.1.conv.bias", "n256s1/2.b_0"),
            ("out_conv.weight", "out.w_0"),
        ],
    )
    def test_takes_each_variable_by_the_articles_name(self, ours, theirs):
        variables = golden.generator_variables()
        np.testing.assert_array_equal(fluid.generator_state(variables)[ours], variables[theirs])

    def test_a_folder_that_holds_the_other_networks_too(self):
        alone = golden.generator_variables()
        others = {**golden.discriminator_variables(), **golden.vgg19_variables(), "learning_rate_0": np.ones(1)}
        assert_same(fluid.generator_state({**others, **alone}), fluid.generator_state(alone))

    @pytest.mark.parametrize("call", [1, 2, 11])
    def test_a_later_call_of_the_same_process(self, call):
        first = golden.generator_variables()
        later = {later_call(name, call): array for name, array in first.items()}
        assert len(later) == len(first) and not set(later) & set(first)
        assert_same(fluid.generator_state(later), fluid.generator_state(first))

    def test_the_first_of_two_calls(self):
        first = golden.generator_variables()
        second = {later_call(name, 1): array + 1 for name, array in first.items()}
        assert_same(fluid.generator_state({**second, **first}), fluid.generator_state(first))

    def test_names_a_missing_variable(self):
        variables = golden.generator_variables()
        del variables["n64s1/b2/15.w_4"]
        expected = "n64s1/b2/15.w_4: expected shape [64], not found"
        assert message(fluid.generator_state, variables).endswith(f": {expected}")

    def test_names_a_misshapen_variable(self):
        variables = golden.generator_variables()
        variables["out.w_0"] = np.zeros((3, 64, 9, 9), "float32")  # the paper's
        expected = "out.w_0: expected shape [3, 64, 1, 1], found [3, 64, 9, 9]"
        assert message(fluid.generator_state, variables).endswith(f": {expected}")

    def test_nothing_of_a_generator(self):
        assert "n64s1/c.w_0: expected shape [64, 3, 3, 3], not found" in message(fluid.generator_state, {})


@pytest.mark.usefixtures("constants")
class TestDiscriminatorState:
    @pytest.mark.parametrize("hr_size, fc_inputs", [(384, 2048), (96, 512), (24, 512)])
    def test_has_every_name_and_shape_of_the_network(self, hr_size, fc_inputs):
        state = fluid.discriminator_state(golden.discriminator_variables(fc_inputs=fc_inputs), hr_size)
        assert {name: array.shape for name, array in state.items()} == shapes(Discriminator, hr_size)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "ours, theirs",
        [
            ("convs.0.weight", "h0/c.w_0"),
            ("convs.7.bias", "h7/c.b_0"),
            ("bns.0.weight", "h1/bn.w_0"),
            ("bns.6.bias", "h7/bn.b_0"),
            ("bns.6._mean", "h7/bn.w_1"),
            ("bns.3._variance", "h4/bn.w_2"),
            ("res_conv.weight", "res/c3.w_0"),
            ("res_bn._mean", "res/bn3.w_1"),
            ("fc.weight", "ho/fc2.w_0"),
            ("fc.bias", "ho/fc2.b_0"),
        ],
    )
    def test_takes_each_variable_by_the_articles_name(self, ours, theirs):
        variables = golden.discriminator_variables()
        np.testing.assert_array_equal(fluid.discriminator_state(variables)[ours], variables[theirs])

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

    def test_names_the_layer_of_another_picture_size(self):
        expected = "ho/fc2.w_0: expected shape [512, 1], found [2048, 1]"
        assert message(fluid.discriminator_state, golden.discriminator_variables(), 96).endswith(f": {expected}")

    def test_names_a_missing_variable(self):
        variables = golden.discriminator_variables()
        del variables["res/bn3.w_2"]
        expected = "res/bn3.w_2: expected shape [512], not found"
        assert message(fluid.discriminator_state, variables).endswith(f": {expected}")


@pytest.mark.usefixtures("constants")
class TestVgg19Table:
    def state(self, variables, prefix, with_classifier):
        return select(variables, fluid.vgg19_table(prefix, with_classifier), "a folder")

    def classifier(self):
        shapes = {"fc6": (25088, 4096), "fc7": (4096, 4096), "fc8": (4096, 1000)}
        weights = {f"{name}_weights": golden.constant(f"{name}_weights", shape) for name, shape in shapes.items()}
        biases = {f"{name}_offset": golden.constant(f"{name}_offset", shape[1:]) for name, shape in shapes.items()}
        return {**weights, **biases}

    @pytest.mark.slow
    @pytest.mark.parametrize("prefix", ["vgg19_", ""])
    @pytest.mark.parametrize("with_classifier", [False, True])
    def test_has_every_name_and_shape_of_the_network(self, prefix, with_classifier):
        variables = golden.vgg19_variables(prefix=prefix)
        if with_classifier:
            variables.update(self.classifier())
        state = self.state(variables, prefix, with_classifier)
        assert {name: array.shape for name, array in state.items()} == shapes(VGG19, with_classifier)
        np.testing.assert_array_equal(state["conv3_4.weight"], variables[f"{prefix}conv3_4_weights"])
        if with_classifier:
            np.testing.assert_array_equal(state["fc8.bias"], variables["fc8_offset"])

    @pytest.mark.parametrize("prefix", ["vgg19_", ""])
    def test_names_a_missing_convolution(self, prefix):
        variables = golden.vgg19_variables(prefix=prefix)
        del variables[f"{prefix}conv5_4_weights"]
        expected = f"{prefix}conv5_4_weights: expected shape [512, 512, 3, 3], not found"
        assert message(self.state, variables, prefix, False).endswith(f": {expected}")

    def test_names_what_is_missing_of_the_classifier(self):
        variables = {**golden.vgg19_variables(), **self.classifier()}
        del variables["fc7_offset"]
        expected = "fc7_offset: expected shape [4096], not found"
        assert message(self.state, variables, "vgg19_", True).endswith(f": {expected}")
