import contextlib
import copyreg
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from models.discriminator import Discriminator
from models.generator import Generator
from models.weight_files import fluid, pickles
from models.weight_files.weights import load_discriminator, load_generator, read_pdparams, save
from tests.helpers import golden
from tests.helpers.errors import message
from tests.helpers.fluid_files import write_folder
from tests.helpers.pickles import (
    EMPTY,
    F4,
    FALSE,
    MINUS,
    NONE,
    ONE,
    TRUE,
    ZERO,
    a_dict,
    array,
    call,
    dtype_state,
    global_,
    stack_global,
    state,
    text,
)

pytestmark = pytest.mark.usefixtures("constant_initial_weights")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def generator():
    network = Generator()
    network.set_state_dict(fluid.generator_state(golden.generator_variables()))
    return network


@pytest.fixture(scope="module")
def generator_file(generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "g.pdparams"
    save(generator, path)
    return path


@pytest.fixture(scope="module")
def discriminator_variables():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden, "weight", golden.constant)
        return golden.discriminator_variables(fc_inputs=512)


@pytest.fixture(scope="module")
def discriminator_file(discriminator_variables, tmp_path_factory):
    """A discriminator for 96 pixels, one number a variable."""
    network = Discriminator(96)
    network.set_state_dict(fluid.discriminator_state(discriminator_variables, 96))
    path = tmp_path_factory.mktemp("weights") / "d.pdparams"
    save(network, path)
    yield path
    path.unlink()  # 356 MB


def arrays(network):
    return {name: value.numpy() for name, value in network.state_dict().items()}


def assert_equal(found: dict, expected: dict):
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), values, err_msg=name)


def refused(path, content: bytes) -> str:
    """read_pdparams refuses it and names the file; what else it says."""
    path.write_bytes(content)
    said = message(read_pdparams, path)
    assert said.startswith(f"{path}: ")
    return said[len(f"{path}: ") :]


class TestRoundTrip:
    def test_generator(self, generator, generator_file):
        assert_equal(arrays(load_generator(generator_file)), arrays(generator))

    @pytest.mark.slow
    def test_discriminator(self, discriminator_variables, discriminator_file):
        found = arrays(load_discriminator(discriminator_file, 96))
        expected = fluid.discriminator_state(discriminator_variables, 96)
        assert_equal(found, expected)

    def test_paddle_reads_what_save_wrote(self, generator, generator_file):
        assert_equal(paddle.load(str(generator_file)), arrays(generator))

    def test_save_replaces_a_file_and_makes_its_folder(self, generator, tmp_path):
        path = tmp_path / "new" / "g.pdparams"
        save(generator, path)
        path.write_bytes(b"old")
        save(generator, str(path))
        assert_equal(read_pdparams(path), arrays(generator))
        assert [file.name for file in path.parent.iterdir()] == ["g.pdparams"]

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_weights_that_are_not_finite_are_not_saved(self, tmp_path, value):
        network = paddle.nn.Linear(2, 2)
        network.bias.set_value(np.array([1, value], "float32"))
        path = tmp_path / "a.pdparams"
        path.write_bytes(b"old")
        said = message(save, network, path)
        assert said.startswith(f"{path}: not written") and "bias" in said
        assert path.read_bytes() == b"old"

    def test_a_full_disk_keeps_the_file_before(self, generator, tmp_path):
        resource = pytest.importorskip("resource")
        path = tmp_path / "g.pdparams"
        path.write_bytes(b"old")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        try:
            with pytest.raises(OSError) as error:
                save(generator, path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert error.value.filename == str(path)
        assert [file.name for file in tmp_path.iterdir()] == ["g.pdparams"]
        assert path.read_bytes() == b"old"


@pytest.fixture(scope="module")
def network():
    """A small one, with statistics that are not the initial ones."""
    paddle.seed(0)
    network = paddle.nn.Sequential(paddle.nn.Conv2D(2, 3, 3), paddle.nn.BatchNorm2D(3))
    network(paddle.randn([2, 2, 4, 4]))
    return network


class TestFilesOfOtherVersions:
    @pytest.mark.parametrize("protocol", [2, 3, 4])
    def test_every_protocol_of_paddle_save(self, network, tmp_path, protocol):
        path = str(tmp_path / "a.pdparams")
        paddle.save(network.state_dict(), path, protocol=protocol)
        assert_equal(read_pdparams(path), arrays(network))

    @pytest.mark.parametrize("core", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
    def test_either_numpys_module_names(self, network, tmp_path, core):
        path = tmp_path / "a.pdparams"
        paddle.save(network.state_dict(), str(path), protocol=2)
        content = path.read_bytes()
        other = content.replace(b"numpy._core.multiarray", core).replace(b"numpy.core.multiarray", core)
        assert other.count(core) > 0
        path.write_bytes(other)
        assert_equal(read_pdparams(path), arrays(network))

    @pytest.mark.parametrize("bytes_of", [b"U\x08", b"T\x08\0\0\0"])
    def test_python_2s_strings(self, tmp_path, bytes_of):
        minus_1 = b"J\xff\xff\xff\xff"
        dtype = b"cnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNN" + minus_1 + minus_1 + b"K\x00tb"
        value = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        value += b"(K\x01(K\x02t" + dtype + b"I00\n" + bytes_of + struct.pack("<2f", 1.5, -2) + b"tb"
        names = b"U\x1bStructuredToParameterName@@}U\x06weightU\x08conv.w_0s"
        (tmp_path / "a.pdparams").write_bytes(b"\x80\x02}(U\x06weight" + value + names + b"u.")
        found = read_pdparams(tmp_path / "a.pdparams")
        assert set(found) == {"weight"} and found["weight"].dtype == np.float32
        np.testing.assert_array_equal(found["weight"], [1.5, -2])

    @pytest.mark.parametrize("protocol", [2, 3, 4])
    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1", ">f4"])
    def test_every_plain_data_type(self, tmp_path, dtype, protocol):
        given = {"a": np.array([[0, 1, 2], [3, 4, 5]], dtype), "b": np.array(7, dtype)}
        given["c"] = np.asfortranarray(given["a"])
        (tmp_path / "a.pdparams").write_bytes(pickle.dumps(given, protocol=protocol))
        found = read_pdparams(str(tmp_path / "a.pdparams"))
        assert_equal(found, given)
        assert {value.dtype.newbyteorder("=") for value in found.values()} == {np.dtype(dtype).newbyteorder("=")}

    def test_these_tests_write_an_array(self, tmp_path):
        for content in (a_dict(array()), b"\x80\x04" + a_dict(array())):
            (tmp_path / "a.pdparams").write_bytes(content)
            assert_equal(read_pdparams(tmp_path / "a.pdparams"), {"weight": np.array([1.5, -2], "float32")})


class TestFluidFolders:
    def test_generator(self, recorded, g_models):
        network = load_generator(g_models)
        network.eval()
        lr = paddle.to_tensor(golden.nchw(golden.picture("lr", (2, 24, 32, 3))))
        with paddle.no_grad():
            np.testing.assert_allclose(network(lr).numpy(), recorded["g_eval"], rtol=0, atol=1e-5)

    @pytest.mark.slow
    def test_discriminator_and_a_wrong_size(self, discriminator_variables, tmp_path):
        folder = write_folder(tmp_path / "d_models", discriminator_variables)
        try:
            found = arrays(load_discriminator(str(folder), 96))
            said = message(load_discriminator, folder, 384)
        finally:
            for path in folder.rglob("*.w_0"):
                path.unlink()  # 365 MB
        assert_equal(found, fluid.discriminator_state(discriminator_variables, 96))
        assert said.startswith(f"{folder}: ")
        assert "ho/fc2.w_0: expected shape [2048, 1], found [512, 1]" in said

    @pytest.mark.parametrize("load, first", [(load_generator, "n64s1"), (load_discriminator, "h0")])
    def test_a_folder_of_another_network(self, tmp_path, load, first):
        folder = write_folder(tmp_path, {"conv1_1_weights": np.ones((64, 3, 3, 3), "float32")})
        assert message(load, folder).startswith(f"{folder}: no sub-folder {first}/ ")

    @pytest.mark.parametrize("load, first", [(load_generator, "n64s1/c.w_0"), (load_discriminator, "h0/c.w_0")])
    def test_a_folder_that_holds_a_part_of_the_network(self, tmp_path, load, first):
        folder = write_folder(tmp_path, {first.replace("w", "b"): np.ones(64, "float32")})
        said = message(load, folder)
        assert said.startswith(f"{folder}: ") and "expected shape [64, 3, " in said

    @pytest.mark.parametrize("load", [load_generator, load_discriminator])
    def test_a_folder_that_is_not_fluids(self, tmp_path, load):
        assert message(load, tmp_path).startswith(f"{tmp_path}: empty")
        (tmp_path / "photo.txt").write_text("a photograph")
        first = "n64s1" if load is load_generator else "h0"
        assert message(load, tmp_path) == f"{tmp_path}: no sub-folder {first}/ with variables of the article's network"
        (tmp_path / "inside" / first).mkdir(parents=True)
        assert message(load, tmp_path).endswith(f"; it is in {tmp_path / 'inside'}: give that folder")


class TestUnusableFiles:
    def test_a_generator_for_a_discriminator(self, generator_file):
        said = message(load_discriminator, generator_file)
        assert said == f"{generator_file}: it is a generator. Give the discriminator: srgan_d.pdparams"

    @pytest.mark.slow
    def test_a_discriminator_for_a_generator(self, discriminator_file):
        said = message(load_generator, discriminator_file)
        assert said.startswith(f"{discriminator_file}: it is a discriminator, ") and "srgan_g.pdparams" in said

    @pytest.mark.slow
    def test_a_discriminator_of_another_size(self, discriminator_file):
        said = message(load_discriminator, discriminator_file)
        expected = "as a discriminator of 384 pixels: fc.weight: expected shape [2048, 1], found [512, 1]"
        assert said == f"{discriminator_file}, {expected}"

    @pytest.mark.parametrize("load", [load_generator, load_discriminator, read_pdparams])
    def test_missing(self, tmp_path, load):
        assert message(load, tmp_path / "none.pdparams") == f"{tmp_path / 'none.pdparams'}: no such file"

    def test_a_folder_where_a_file_belongs(self, tmp_path):
        assert message(read_pdparams, tmp_path).startswith(f"{tmp_path}: not a file")

    def test_cut_off(self, generator_file, tmp_path):
        content = generator_file.read_bytes()
        for length in (1, 2, 10, 100, 1000, len(content) // 2, len(content) - 10, len(content) - 1):
            assert refused(tmp_path / "a.pdparams", content[:length]).startswith("not a weight file, or damaged (")

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_generator_with_a_number_that_is_not_finite(self, generator, tmp_path, value):
        content = {**arrays(generator), "out_conv.bias": np.array([0, value, 0], "float32")}
        path = tmp_path / "g.pdparams"
        path.write_bytes(pickle.dumps(content))
        expected = f"{path}, as a generator: out_conv.bias: expected finite numbers, found float32"
        assert message(load_generator, path).startswith(expected)

    @pytest.mark.parametrize("value", [3, 0.5, None, "text", b"bytes", [1.0, 2.0], (), {"momentum": 0.9}])
    def test_a_dict_with_something_else_than_arrays(self, tmp_path, value):
        said = refused(tmp_path / "a.pdopt", pickle.dumps({"a": np.ones(2), "b": value}, protocol=2))
        assert said == f"expected a dict of arrays, found {type(value).__name__} under 'b'"

    @pytest.mark.parametrize("key", [0, None, b"a", ("a",)])
    def test_a_dict_with_other_keys_than_names(self, tmp_path, key):
        said = refused(tmp_path / "a.pdparams", pickle.dumps({key: np.ones(2)}, protocol=3))
        assert said.startswith(f"expected a dict of arrays, found {type(key).__name__} as a name")

    @pytest.mark.parametrize("content", [np.ones(2), [np.ones(2)], (), None, "text", 3])
    def test_no_dict(self, tmp_path, content):
        assert "expected a dict of arrays, found " in refused(
            tmp_path / "a.pdparams", pickle.dumps(content, protocol=4)
        )

    @pytest.mark.parametrize(
        "dtype", ["object", "U3", "S3", "V4", "complex64", "datetime64[s]", "timedelta64[s]", [("x", "f4")]]
    )
    def test_arrays_of_other_things_than_numbers(self, tmp_path, dtype):
        content = pickle.dumps({"a": np.zeros(2, dtype)}, protocol=4)
        assert "data type " in refused(tmp_path / "a.pdparams", content)

    @pytest.mark.parametrize(
        "damaged",
        [
            array(data=b"U\x04" + bytes(4)),
            array(data=b"U\x0c" + bytes(12)),
            array(shape=b"J\xfe\xff\xff\xff\x85"),
            array(shape=b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"),
            array(shape=text("2")),
            array(data=NONE),
            array(dtype=text("f4")),
            EMPTY + b"(tb",
            EMPTY + NONE + b"b",
            EMPTY + b"}" + text("shape") + ONE + b"sb",
        ],
    )
    def test_a_damaged_array(self, tmp_path, damaged):
        assert refused(tmp_path / "a.pdparams", a_dict(damaged)).startswith("not a weight file, or damaged (")


@contextlib.contextmanager
def extension(code, module, name):
    copyreg.add_extension(module, name, code)
    try:
        yield
    finally:
        copyreg.remove_extension(module, name, code)


def ways(marker):
    """os.mkdir(marker), in every way a pickle has to call a function."""
    folder = text(str(marker))
    function = global_("os", "mkdir")
    payload = call(function, folder)
    return {
        "GLOBAL, REDUCE": payload + b".",
        "STACK_GLOBAL": b"\x80\x04" + call(stack_global("os", "mkdir"), folder) + b".",
        "STACK_GLOBAL from the memo": text("os")
        + b"q\x05"
        + b"0"
        + call(b"h\x05" + text("mkdir") + b"\x93", folder)
        + b".",
        "INST": b"(" + folder + b"ios\nmkdir\n.",
        "OBJ": b"(" + function + folder + b"o.",
        "EXT1": call(b"\x82\xf0", folder) + b".",
        "EXT2": call(b"\x83\xf0\x00", folder) + b".",
        "EXT4": call(b"\x84\xf0\x00\x00\x00", folder) + b".",
        "a value": a_dict(payload),
        "a value beside an array": b"}(" + text("weight") + array() + text("x") + payload + b"u.",
        "deeper": a_dict(b"}" + text("x") + b"]" + payload + b"as"),
        "a key": b"}(" + payload + array() + b"u.",
        "thrown away before a good dict": payload + b"0" + a_dict(array()),
        "in an array's state": a_dict(array(data=payload)),
    }


class TestHostilePickles:
    @pytest.fixture
    def marker(self, tmp_path):
        return tmp_path / "it ran"

    @pytest.mark.parametrize("way", ways(""))
    def test_no_way_to_call_a_function_runs_it(self, tmp_path, marker, way):
        content = ways(marker)[way]
        with extension(0xF0, "os", "mkdir"):
            with contextlib.suppress(TypeError):  # what becomes of the result is not the question
                pickle.loads(content, encoding="latin1")
            assert marker.is_dir()  # with Python's own unpickler it does run
            marker.rmdir()
            copyreg.clear_extension_cache()
            said = refused(tmp_path / "a.pdparams", content)
        what = f"holds the pickle operation {way}" if way.startswith("EXT") else "asks for os.mkdir"
        assert said == f"it {what}, which weights do not need; refused, nothing was run"
        assert not marker.exists()

    @pytest.mark.parametrize("load", [load_generator, load_discriminator])
    def test_the_loaders_refuse_it_too(self, tmp_path, marker, load):
        path = tmp_path / "a.pdparams"
        path.write_bytes(ways(marker)["a value"])
        assert message(load, path).startswith(f"{path}: it asks for os.mkdir")
        assert not marker.exists()

    @pytest.mark.parametrize(
        "module, name",
        [
            ("os", "system"),
            ("posix", "system"),
            ("nt", "system"),
            ("subprocess", "Popen"),
            ("builtins", "eval"),
            ("builtins", "exec"),
            ("builtins", "getattr"),
            ("builtins", "open"),
            ("builtins", "__import__"),
            ("__builtin__", "eval"),
            ("importlib", "import_module"),
            ("functools", "partial"),
            ("pickle", "loads"),
            ("copyreg", "_reconstructor"),
            ("codecs", "encode"),
            ("_codecs", "decode"),
            ("collections", "deque"),
            ("collections", "OrderedDict.fromkeys"),
            ("numpy", "load"),
            ("numpy", "fromfile"),
            ("numpy", "ndarray.tofile"),
            ("numpy", "dtype.__class__"),
            ("numpy.core.multiarray", "scalar"),
            ("numpy._core.multiarray", "fromfile"),
            ("numpy._core.numeric", "_frombuffer"),
            ("paddle", "load"),
            ("paddle", "save"),
            ("paddle.framework.io", "load"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("models.weight_files.weights", "load_generator"),
            ("models.weight_files.pickles", "_ALLOWED"),
        ],
    )
    def test_names_what_it_was_asked_for(self, tmp_path, module, name):
        for function in (global_(module, name), stack_global(module, name)):
            said = refused(tmp_path / "a.pdparams", b"\x80\x04" + a_dict(call(function, text("x"))))
            assert said.startswith(f"it asks for {module}.{name}, which weights do not need")

    def test_imports_nothing(self, tmp_path, marker, monkeypatch):
        (tmp_path / "hostile_module.py").write_text(f"import os\nos.mkdir({str(marker)!r})\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        said = refused(tmp_path / "a.pdparams", a_dict(global_("hostile_module", "weights")))
        assert said.startswith("it asks for hostile_module.weights")
        assert not marker.exists() and "hostile_module" not in sys.modules

    @pytest.mark.parametrize("id_", [b"Phttp://example.org/weights\n", text("weights") + b"Q"])
    def test_persistent_ids(self, tmp_path, id_):
        assert "holds the pickle operation " in refused(tmp_path / "a.pdparams", a_dict(id_))

    @pytest.mark.parametrize("encoding", ["rot13", "zlib", "bz2", "utf-8", "idna", "unicode_escape"])
    def test_codecs_encode_to_anything_but_latin1(self, tmp_path, encoding):
        content = call(global_("_codecs", "encode"), text("x" * 99), text(encoding))
        assert f"_codecs.encode to '{encoding}'" in refused(tmp_path / "a.pdparams", a_dict(content))

    @pytest.mark.parametrize("way", ["REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ"])
    def test_ndarray_is_not_to_be_called(self, tmp_path, way):
        class_, shape = global_("numpy", "ndarray"), b"J\x00\x00\x00\x01\x85"
        content = {
            "REDUCE": class_ + shape + b"\x85R",
            "NEWOBJ": class_ + shape + b"\x85\x81",
            "NEWOBJ_EX": class_ + shape + b"\x85}\x92",
            "OBJ": b"(" + class_ + shape + b"o",
        }[way]
        assert isinstance(pickle.loads(content + b"."), np.ndarray)
        expected = "a call of numpy.ndarray" if way == "REDUCE" else f"it holds the pickle operation {way}, "
        assert expected in refused(tmp_path / "a.pdparams", a_dict(content))

    @pytest.mark.parametrize(
        "code", [b"]", b"}", text("O"), text("f4,O"), text("<f4"), ZERO, global_("numpy", "dtype")]
    )
    def test_dtype_of_anything_but_a_plain_number(self, tmp_path, code):
        content = call(global_("numpy", "dtype"), code, FALSE, TRUE)
        assert "not a weight file" in refused(tmp_path / "a.pdparams", a_dict(array(content + dtype_state())))

    def test_setting_a_dtypes_state_is_forgotten_after_the_file(self, tmp_path):
        no_copy = call(global_("numpy", "dtype"), text("f4"), FALSE, FALSE)
        swapped = dtype_state(order=text(">" if sys.byteorder == "little" else "<"))
        for content in (
            no_copy + swapped + b"0",
            F4 + swapped + b"0",
            no_copy + swapped + b"0" + no_copy + swapped + b"0",
        ):
            (tmp_path / "a.pdparams").write_bytes(content + a_dict(array()))
            np.testing.assert_array_equal(read_pdparams(tmp_path / "a.pdparams")["weight"], [1.5, -2])
            assert np.dtype("f4").isnative

    @pytest.mark.parametrize("kind", ["fields", "subarray"])
    def test_a_dtype_that_its_state_makes_more_of(self, tmp_path, kind):
        """A field at offset 100 of a 4-byte number is read from memory that is not the array's."""
        names, far = text("x") + b"\x85", F4 + b"Kd\x86"
        more = {
            "fields": dtype_state(names=names, fields=b"}" + text("x") + far + b"s"),
            "subarray": dtype_state(subarray=F4 + b"M\xff\xff\x85\x86"),
        }[kind]
        assert "not a weight file" in refused(tmp_path / "a.pdparams", a_dict(array(F4 + more)))

    def test_nothing_but_data_types_and_arrays_has_a_state(self, tmp_path):
        attributes = b"}" + text("hostile") + ONE + b"s"
        slots = NONE + b"}" + text("__doc__") + text("hostile") + b"s\x86"
        for module, name in pickles._ALLOWED:
            for changed in (attributes, slots):
                said = refused(tmp_path / "a.pdparams", global_(module, name) + changed + b"b0" + a_dict(array()))
                assert said.startswith("not a weight file, or damaged (at byte ")


# In a process of its own: NumPy crashes on some of them, and a damaged length can ask for all the memory there is.
DAMAGE = """
import pickle, random, resource, sys
import numpy as np
from common.errors import InputError
from models.weight_files.weights import read_pdparams

GIGABYTE = 1 << 30
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + GIGABYTE, size + GIGABYTE))
path, crafted = sys.argv[1], pickle.loads(sys.stdin.buffer.read())
luck = random.Random(0)
given = {"a.weight": np.arange(6, dtype="f4").reshape(2, 3), "b": np.array([True, False])}

def damaged():
    yield from crafted
    for i in range(4000):
        content = bytearray(pickle.dumps(given, protocol=2 + i % 3))
        for _ in range(luck.randint(1, 3)):
            content[luck.randrange(len(content))] = luck.randrange(256)
        yield content

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results = {"arrays": 0, "refused": 0}
for content in damaged():
    with open(path, "wb") as file:
        file.write(content)
    try:
        found = read_pdparams(path)
    except InputError as error:
        assert str(error).startswith(path + ": "), error
        results["refused"] += 1
    else:
        assert all(value.dtype.kind in "fiub" and value.dtype.names is None for value in found.values())
        results["arrays"] += 1
assert min(results.values()) > 100, results
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
assert grown < 300_000, f"{grown} KB of memory for files of 300 bytes"
print("read all")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the memory by Linux' rules")
def test_whatever_bytes_are_damaged_it_is_arrays_or_refused(tmp_path):
    three = b"K\x03" + text("<") + NONE
    states = [
        three + NONE + b"K\x01K\x02\x86" + MINUS + MINUS + ZERO,  # fields that are no dict
        three + MINUS + MINUS + ZERO,
        three + NONE + MINUS + MINUS + ZERO,
        three + NONE + NONE + MINUS + MINUS + b"K\x3f",  # the flags of an array of objects
        three + ONE + NONE + MINUS + MINUS + ZERO,
        b"",
    ]
    crafted = [a_dict(array(F4 + state(parts))) for parts in states]
    crafted.append(b"}r\xff\xff\xff\x02.")  # a memo of 50 million entries, of which it fills one
    command = [sys.executable, "-W", "ignore", "-c", DAMAGE, str(tmp_path / "a.pdparams")]
    given = pickle.dumps(crafted)
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, check=False, timeout=200)
    assert (done.returncode, done.stdout) == (0, b"read all\n"), done.stderr.decode()[-2000:]
    assert b"RuntimeError" not in done.stderr  # NumPy's, from where no caller can catch it


IMPORTS = """
import models, paddle
import io, zlib
import numpy as np
from PIL import Image

content = bytes(range(256)) * 1000
assert zlib.decompress(zlib.compress(content)) == content
picture = np.frombuffer(content, "uint8")[: 300 * 200 * 3].reshape(200, 300, 3)
file = io.BytesIO()
Image.fromarray(picture).save(file, "PNG")
assert (np.asarray(Image.open(file)) == picture).all()
file = io.BytesIO()
np.savez_compressed(file, picture=picture)
file.seek(0)
assert (np.load(file)["picture"] == picture).all()
print("all read back")
"""


@pytest.mark.slow
def test_zlib_pillow_and_npz_work_beside_paddle():
    """Without what `models` imports first, Paddle 2.6.2's zlib breaks each of them (PaddlePaddle issue 70538)."""
    command = [sys.executable, "-W", "ignore", "-c", IMPORTS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout) == (0, "all read back\n"), done.stderr[-2000:]
