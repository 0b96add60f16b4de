"""The export command, and the code in docs/upscaling.md that uses what it writes."""

import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from common.errors import InputError
from infer import Upscaler, export
from tests.helpers import commands, generators

ROOT = Path(__file__).resolve().parents[1]


def _why_not_onnx():
    try:
        import onnxruntime  # noqa: F401
        import paddle2onnx
    except ImportError as error:
        return str(error)
    return "" if paddle.__version__.startswith("2.") == paddle2onnx.__version__.startswith("1.") else "another Paddle"


needs_onnx = pytest.mark.skipif(bool(_why_not_onnx()), reason=_why_not_onnx() or "-")


def run(*flags) -> int:
    return commands.run("infer/export.py", *flags)


@needs_onnx
def test_the_documents_code_gives_the_networks_result(weights_file, tmp_path, uncorrected):
    """Copied out of the page and run by someone without this project; in twelve tiles."""
    assert run("--weights", weights_file, "--to", tmp_path / "exported", "--format", "onnx") == 0
    assert [path.name for path in (tmp_path / "exported").iterdir()] == ["generator.onnx"]
    text = (ROOT / "docs/upscaling.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n([^`]*onnxruntime[^`]*)```", text)
    assert f"TILE, REACH = 192, {generators.REACH} " in code
    photo = np.random.RandomState(0).randint(0, 256, (19, 26, 3)).astype("uint8")
    Image.fromarray(photo).save(tmp_path / "photo.png")
    call = [sys.executable, "-I", "-c", code.replace("TILE, REACH = 192, ", "TILE, REACH = 8, ")]
    subprocess.run(call, cwd=tmp_path, check=True, timeout=120)
    sr = np.asarray(Image.open(tmp_path / "photo_x4.png")).astype(int)
    expected = Upscaler(weights_file, engine="eager")(photo)
    assert sr.shape == expected.shape and np.abs(sr - expected).max() <= 1
    assert np.mean(sr != expected) < 0.02, "only what is rounded up here and down there differs"


@pytest.mark.parametrize("kind", ["paddle", pytest.param("onnx", marks=needs_onnx)])
def test_a_blend_is_exported_beside_what_is_there(kind, weights_file, other_file, tmp_path):
    """--blend and --alpha, against weights mixed here; any size and batch."""
    (tmp_path / "README.md").write_text("mine")
    flags = ["--weights", weights_file, "--blend", other_file, "--alpha", "0.25"]
    assert run(*flags, "--to", tmp_path, "--format", kind) == 0
    first, second = (generators.numbers(generators.recorded(seed)) for seed in (0, 1))
    network = generators.recorded()
    network.set_state_dict({name: 0.75 * array + 0.25 * second[name] for name, array in first.items()})
    compute = export.FORMATS[kind][1](tmp_path)
    for shape in ((1, 3, 6, 9), (2, 3, 1, 1)):
        lr = np.random.RandomState(0).uniform(-1, 1, shape).astype("float32")
        with paddle.no_grad():
            np.testing.assert_allclose(compute(lr), network(paddle.to_tensor(lr)).numpy(), rtol=0, atol=1e-4)
    assert (tmp_path / "README.md").read_text() == "mine"


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def fails(weights_file, tmp_path, capfd):
    """Runs the command to an output folder and expects one line with these words, and nothing changed."""

    def check(*words, status=1, kind="paddle", weights=weights_file, to=tmp_path / "out"):
        before = contents(tmp_path)
        assert run("--weights", weights, "--to", to, "--format", kind) == status
        (error,) = (line for line in capfd.readouterr().err.splitlines() if line.startswith("error: "))
        assert all(str(word) in error for word in words), error
        assert contents(tmp_path) == before

    return check


def test_weights_and_an_output_that_cannot_be_used(tmp_path, fails):
    (tmp_path / "bad.pdparams").write_bytes(b"\x80\x02cos\nsystem\n.")
    fails("bad.pdparams", status=2, weights=tmp_path / "bad.pdparams")
    (tmp_path / "file").write_text("mine")
    fails(tmp_path / "file", "expected a folder", status=2, to=tmp_path / "file")


@needs_onnx
def test_without_the_packages_or_with_others_it_says_what_to_install(fails, monkeypatch):
    other = "2.1.0" if paddle.__version__.startswith("2.") else "1.3.1"
    monkeypatch.setitem(sys.modules, "paddle2onnx", types.SimpleNamespace(__version__=other))
    fails(f"paddle2onnx {other} does not work with Paddle {paddle.__version__}", kind="onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    fails("onnxruntime", "pip install -r requirements/export.txt", kind="onnx")


def test_a_program_that_differs_is_not_kept(tmp_path, weights_file, monkeypatch):
    """As an exporter with a defect would write it; what was there before stays as it was."""
    write, load = export.FORMATS["paddle"]
    monkeypatch.setitem(export.FORMATS, "paddle", (lambda _, to: write(generators.recorded(seed=1), to), load))
    (tmp_path / "generator.pdiparams").write_bytes(b"an earlier one")
    with pytest.raises(InputError, match="differs by .*: not kept"):
        export.write_program(generators.recorded(), "paddle", tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"an earlier one"]


@needs_onnx
def test_an_onnx_program_that_onnxruntime_refuses_is_not_kept(tmp_path, monkeypatch):
    broken = lambda _, folder: (Path(folder) / "generator.onnx").write_bytes(b"not ONNX")
    monkeypatch.setitem(export.FORMATS, "onnx", (broken, export.load_onnx))
    with pytest.raises(InputError, match="onnxruntime .* cannot load"):
        export.write_program(generators.recorded(), "onnx", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [np.nan, 0.1])
@pytest.mark.parametrize("size", export.CHECKED_SIZES)
def test_one_wrong_value_for_one_size_is_found(wrong, size):
    def enlarge(lr):
        return lr.repeat(4, 2).repeat(4, 3)

    def compute(lr):
        sr = enlarge(lr)
        if lr.shape == size:
            sr[-1, 1, 2, 3] += wrong
        return sr

    assert not export.largest_difference(compute, lambda lr: paddle.to_tensor(enlarge(lr.numpy()))) <= export.TOLERANCE
