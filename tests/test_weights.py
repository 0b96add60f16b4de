import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from models.discriminator import Discriminator
from models.generator import Generator
from models.weight_files import fluid
from models.weight_files.weights import load_discriminator, load_generator, read_pdparams, save
from tests.helpers import golden
from tests.helpers.errors import message
from tests.helpers.fluid_files import write_folder

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


@pytest.fixture
def discriminator_file(tmp_path, monkeypatch):
    """A narrow discriminator for 96 pixels: the article's has 356 MB."""
    monkeypatch.setattr(Discriminator.__init__, "__defaults__", (384, (4,) * 8))
    save(Discriminator(96), tmp_path / "d.pdparams")
    return tmp_path / "d.pdparams"


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

    def test_discriminator(self, discriminator_file):
        assert_equal(arrays(load_discriminator(discriminator_file, 96)), read_pdparams(discriminator_file))

    def test_paddle_reads_what_save_wrote(self, generator, generator_file):
        assert_equal(paddle.load(str(generator_file)), arrays(generator))

    def test_weights_that_are_not_finite_are_not_saved(self, tmp_path):
        network = paddle.nn.Linear(2, 2)
        network.bias.set_value(np.array([1, np.inf], "float32"))
        path = tmp_path / "a.pdparams"
        path.write_bytes(b"old")
        said = message(save, network, path)
        assert said.startswith(f"{path}: not written") and "bias" in said
        assert path.read_bytes() == b"old"


class TestFluidFolders:
    def test_generator(self, recorded, g_models):
        network = load_generator(g_models)
        network.eval()
        lr = paddle.to_tensor(golden.nchw(golden.picture("lr", (2, 24, 32, 3))))
        with paddle.no_grad():
            np.testing.assert_allclose(network(lr).numpy(), recorded["g_eval"], rtol=0, atol=1e-5)

    @pytest.mark.parametrize("load, first", [(load_generator, "n64s1/c.w_0"), (load_discriminator, "h0/c.w_0")])
    def test_a_folder_that_holds_a_part_of_the_network(self, tmp_path, load, first):
        folder = write_folder(tmp_path, {first.replace("w", "b"): np.ones(64, "float32")})
        said = message(load, folder)
        assert said.startswith(f"{folder}: ") and "expected shape [64, 3, " in said


class TestUnusableFiles:
    def test_nothing_and_a_folder(self, tmp_path):
        for load in (load_generator, load_discriminator, read_pdparams):
            assert message(load, tmp_path / "none.pdparams") == f"{tmp_path / 'none.pdparams'}: no such file"
        assert message(read_pdparams, tmp_path).startswith(f"{tmp_path}: not a file")
        write_folder(tmp_path, {"conv1_1_weights": np.ones((64, 3, 3, 3), "float32")})
        assert message(load_generator, tmp_path) == f"{tmp_path}: no variables of the article's generator in it"
        assert message(load_discriminator, tmp_path) == f"{tmp_path}: no variables of the article's discriminator in it"

    def test_a_generator_for_a_discriminator(self, generator_file):
        said = message(load_discriminator, generator_file)
        assert said == f"{generator_file}: it is a generator. Give the discriminator: srgan_d.pdparams"

    def test_a_discriminator_for_a_generator(self, discriminator_file):
        said = message(load_generator, discriminator_file)
        assert said.startswith(f"{discriminator_file}: it is a discriminator, ") and "srgan_g.pdparams" in said

    def test_a_discriminator_of_another_size(self, discriminator_file):
        said = message(load_discriminator, discriminator_file)
        expected = "as a discriminator of 384 pixels: fc.weight: expected shape [16, 1], found [4, 1]"
        assert said == f"{discriminator_file}, {expected}"

    def test_cut_off(self, generator_file, tmp_path):
        content = generator_file.read_bytes()
        for length in (2, 100, len(content) // 2, len(content) - 1):
            assert refused(tmp_path / "a.pdparams", content[:length]).startswith("not a weight file, or damaged (")


def test_a_generators_arrays_are_read_without_paddle():
    program = """
import sys
from models.weight_files.shipped import weights_path
from models.weight_files.weights import generator_arrays
arrays = generator_arrays(weights_path("srgan"))
assert "paddle" not in sys.modules
import numpy, models.generator
state = models.generator.Generator().state_dict()
assert [(name, list(a.shape)) for name, a in arrays.items()] == [(name, v.shape) for name, v in state.items()]
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], cwd=ROOT, check=True, timeout=100)


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
