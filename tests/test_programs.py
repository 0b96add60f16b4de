"""The exported programs, read by other programs than the one that wrote them."""

import os
import re
from importlib.metadata import PackageNotFoundError

import numpy as np
import paddle
import pytest

from common.errors import InputError
from infer.engines import programs
from tests.helpers import generators, golden

needs_onnx_export = pytest.mark.skipif(bool(programs.onnx_missing()), reason=programs.onnx_missing() or "-")
SIZES = [(2, 3, 9, 14), (1, 3, 1, 1), (1, 3, 23, 3), (2, 3, 9, 14)]


@pytest.fixture(scope="module")
def pairs():
    """LR pictures and what the generator makes of them."""
    random, network = np.random.RandomState(0), generators.recorded()
    pictures = [random.uniform(-1, 1, size).astype("float32") for size in SIZES]
    with paddle.no_grad():
        return [(lr, network(paddle.to_tensor(lr)).numpy()) for lr in pictures]


def recorded_lr():
    return golden.nchw(golden.picture("lr", (2, 24, 32, 3)))


# ------------------------------------------------------------------------------------------------------------ Paddle


@pytest.fixture(scope="module")
def written_from():
    network = generators.recorded()
    network.train()  # what is written is of eval mode all the same
    return network


@pytest.fixture(scope="module")
def paddle_folder(written_from, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paddle é program")
    programs.write_paddle(written_from, folder)
    return folder


def paddle_program(folder):
    program = paddle.jit.load(str(folder / programs.WHOLE))
    program.eval()
    return lambda lr: program(paddle.to_tensor(lr)).numpy()


@pytest.mark.slow
def test_the_paddle_program_computes_any_size_and_batch_as_the_generator_does(paddle_folder, pairs):
    program = paddle_program(paddle_folder)
    for lr, sr in pairs:
        np.testing.assert_allclose(program(lr), sr, rtol=0, atol=1e-5)


def test_the_paddle_program_equals_the_recording(paddle_folder, recorded):
    np.testing.assert_allclose(paddle_program(paddle_folder)(recorded_lr()), recorded["g_eval"], rtol=0, atol=1e-5)


def test_the_paddle_programs_files(paddle_folder):
    program, weights = programs.paddle_files(paddle_folder)
    assert program.parent == weights.parent == paddle_folder
    assert program.suffix in (".pdmodel", ".json") and weights.name == f"{programs.WHOLE}.pdiparams"
    # What is folded in is left out: 34 convolutions of 3×3 before upsampling, two of 256 channels, one 1×1, biases.
    numbers = (3 * 9 + 1) * 64 + 33 * (64 * 9 + 1) * 64 + 2 * (64 * 9 + 1) * 256 + (256 + 1) * 12
    assert 4 * numbers <= weights.stat().st_size < 4 * numbers * 1.01


def test_writing_leaves_the_generator_as_it_was(paddle_folder, written_from):
    assert written_from.training
    expected = generators.numbers(generators.recorded())
    for name, array in generators.numbers(written_from).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


@pytest.mark.parametrize("ending", [".pdmodel", ".json"])
def test_both_paddles_programs_are_found(tmp_path, ending):
    for name in (f"{programs.WHOLE}{ending}", f"{programs.WHOLE}.pdiparams", f"{programs.WHOLE}.onnx", "other.pdmodel"):
        (tmp_path / name).write_bytes(b"")
    assert programs.paddle_files(tmp_path) == (
        tmp_path / f"{programs.WHOLE}{ending}",
        tmp_path / f"{programs.WHOLE}.pdiparams",
    )


def test_a_folder_without_a_program_is_named(tmp_path):
    (tmp_path / f"{programs.WHOLE}.pdiparams").write_bytes(b"")
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        programs.paddle_files(tmp_path)


# -------------------------------------------------------------------------------------------------------------- ONNX


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx é program")
    programs.write_onnx(generators.recorded(), folder)
    (path,) = folder.iterdir()
    return path


def onnx_program(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda lr: session.run(None, {"lr": lr})[0]


@needs_onnx_export
def test_the_onnx_program_computes_any_size_and_batch_as_the_generator_does(onnx_file, pairs):
    program = onnx_program(onnx_file)
    for lr, sr in pairs:
        np.testing.assert_allclose(program(lr), sr, rtol=0, atol=1e-5)


@needs_onnx_export
def test_the_onnx_program_equals_the_recording(onnx_file, recorded):
    np.testing.assert_allclose(onnx_program(onnx_file)(recorded_lr()), recorded["g_eval"], rtol=0, atol=1e-5)


@needs_onnx_export
def test_the_onnx_program_is_valid_with_free_axes_and_one_named_input(onnx_file):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(onnx_file))
    onnx.checker.check_model(model, full_check=True)
    (lr,) = model.graph.input
    (sr,) = model.graph.output
    assert lr.name == "lr"
    for value, fixed in ((lr, [None, 3, None, None]), (sr, None)):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        dims = [dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim]
        assert len(dims) == 4 and (fixed is None or dims == fixed)
        assert dims[0] is dims[2] is dims[3] is None
    operations = {node.op_type for node in model.graph.node}
    assert "DepthToSpace" in operations and "BatchNormalization" not in operations


@pytest.mark.slow
@needs_onnx_export
def test_onnx_is_written_without_a_word(tmp_path, capfd):
    programs.write_onnx(generators.recorded(), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == [f"{programs.WHOLE}.onnx"]


@pytest.mark.slow
@needs_onnx_export
def test_an_exporter_that_writes_nothing_is_said_with_its_own_words(tmp_path, monkeypatch):
    import paddle2onnx

    def export(*_, **__):
        os.write(2, b"[ERROR] operator unknown\n")

    monkeypatch.setattr(paddle2onnx, "export", export)
    with pytest.raises(InputError, match=r"paddle2onnx \S+ wrote no program.*operator unknown$"):
        programs.write_onnx(generators.recorded(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def installed(monkeypatch):
    """Sets the versions of packages that are installed."""

    def set_versions(**versions):
        def version(package):
            try:
                return versions[package.replace("-", "_")]
            except KeyError:
                raise PackageNotFoundError(package) from None

        monkeypatch.setattr(programs, "package_version", version)

    return set_versions


@pytest.mark.parametrize("build", ["paddlepaddle", "paddlepaddle_gpu"])
@pytest.mark.parametrize(
    "paddles, exporter, fits",
    [
        ("2.6.2", "1.3.1", True),
        ("2.6.2", "1.2.11", True),
        ("3.3.1", "2.1.0", True),
        ("3.0.0", "2.0.2rc3", True),
        ("2.6.2", "2.1.0", False),
        ("3.3.1", "1.3.1", False),
    ],
)
def test_which_paddle2onnx_goes_with_which_paddle(installed, build, paddles, exporter, fits):
    installed(**{build: paddles, "paddle2onnx": exporter})
    reason = programs.onnx_missing()
    assert (reason == "") == fits
    assert fits or (paddles in reason and exporter in reason)


def test_without_paddle2onnx_nothing_is_written_and_the_command_to_install_it_is_said(installed, tmp_path):
    installed(paddlepaddle=paddle.__version__)
    assert "pip install -r requirements/export.txt" in programs.onnx_missing()
    with pytest.raises(InputError, match="paddle2onnx is not installed: pip install -r requirements/export.txt"):
        programs.write_onnx(generators.recorded(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_versions_tell_programs_apart():
    assert paddle.__version__ in programs.version("paddle")
    assert programs.version("paddle") != programs.version("onnx")
    assert all(re.fullmatch(r"[\w.+-]+", programs.version(kind)) for kind in ("paddle", "onnx")), "a folder's name"
