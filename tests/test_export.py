"""The export command and what lies beside the program."""

import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from common import command
from common.errors import InputError
from infer import Upscaler, export
from tests.helpers import generators


def _why_not_onnx():
    try:
        import onnxruntime  # noqa: F401

        export.paddle2onnx()
    except (ImportError, InputError) as error:
        return str(error)
    return ""


needs_onnx = pytest.mark.skipif(bool(_why_not_onnx()), reason=_why_not_onnx() or "-")
KINDS = ["paddle", pytest.param("onnx", marks=needs_onnx)]


def run(*flags) -> int:
    """The command's exit status, run in this process."""
    try:
        command.run(export.parser().parse_args(list(map(str, flags))), export.main)
    except SystemExit as stopped:
        return stopped.code
    return 0


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def exported(weights_file, tmp_path_factory):
    """Runs the command once for each kind: the folder."""
    folders = {}

    def get(kind):
        if kind not in folders:
            folders[kind] = tmp_path_factory.mktemp("export") / f"for {kind} é" / "new"
            assert run("--weights", weights_file, "--to", folders[kind], "--format", kind) == 0
        return folders[kind]

    return get


# ------------------------------------------------------------------------------------------------------ what it makes


@pytest.mark.parametrize("kind", KINDS)
def test_the_readmes_code_gives_the_networks_result(exported, kind, weights_file, tmp_path, uncorrected):
    """Copied out of it and run beside the program, by someone without this project; in twelve tiles."""
    folder = shutil.copytree(exported(kind), tmp_path / "elsewhere")
    names = set(files(folder)) - {"generator.pdiparams.info"}  # Paddle 2.6's, which nothing reads
    if kind == "onnx":
        assert names == {"README.md", "generator.onnx"}
    else:
        assert names in [{"README.md", "generator.pdiparams", f"generator.{ending}"} for ending in ("pdmodel", "json")]
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"up to {generators.REACH} pixels away" in text
    assert "{" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL), "nothing is left to be filled in"
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert f"TILE, REACH = {export.TILE}, {generators.REACH}\n" in code
    code = code.replace(f"TILE, REACH = {export.TILE}, ", "TILE, REACH = 8, ")
    photo = np.random.RandomState(0).randint(0, 256, (19, 26, 3)).astype("uint8")
    Image.fromarray(photo).save(folder / "photo.png")
    subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, check=True, timeout=120)
    sr = np.asarray(Image.open(folder / "photo_x4.png")).astype(int)
    expected = Upscaler(weights_file, engine="eager")(photo)
    assert sr.shape == expected.shape
    assert np.abs(sr - expected).max() <= 1
    assert np.mean(sr != expected) < 0.02, "only what is rounded up here and down there differs"


@needs_onnx
def test_a_blend_is_exported_beside_what_is_there(weights_file, other_file, exported, tmp_path):
    """--blend and --alpha, against onnxruntime and weights mixed here; any size and batch."""
    out = shutil.copytree(exported("paddle"), tmp_path / "out")
    line = ["--weights", weights_file, "--blend", other_file, "--alpha", "0.25"]
    assert run(*line, "--to", out, "--format", "onnx") == 0
    state = {name: 0.75 * array for name, array in generators.numbers(generators.recorded(0)).items()}
    for name, array in generators.numbers(generators.recorded(1)).items():
        state[name] += 0.25 * array
    network = generators.recorded()
    network.set_state_dict(state)
    compute = export.onnx_runtime(out)
    for shape in ((1, 3, 6, 9), (2, 3, 1, 1), (1, 3, 23, 3)):
        lr = np.random.RandomState(0).uniform(-1, 1, shape).astype("float32")
        with paddle.no_grad():
            np.testing.assert_allclose(compute(lr), network(paddle.to_tensor(lr)).numpy(), rtol=0, atol=1e-4)
    assert (out / "generator.pdiparams").read_bytes() == (exported("paddle") / "generator.pdiparams").read_bytes()
    text = (out / "README.md").read_text(encoding="utf-8")
    assert len(re.findall("```python", text)) == 2, "both programs are there and both are explained"


# ---------------------------------------------------------------------------------------------------- what goes wrong


@pytest.fixture
def fails(weights_file, tmp_path, capfd):
    """Runs the command to an output folder and expects one line with these words, and nothing written."""

    def check(*words, status=1, kind="paddle", weights=weights_file, to=tmp_path / "out"):
        before = files(tmp_path)
        assert run("--weights", weights, "--to", to, "--format", kind) == status
        errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1
        assert all(str(word) in errors[0] for word in words), errors
        assert files(tmp_path) == before

    return check


@pytest.mark.parametrize("content", [None, b"", b"\x80\x02cos\nsystem\n."])
def test_weights_that_cannot_be_used(tmp_path, fails, content):
    path = tmp_path / "bad.pdparams"
    if content is not None:
        path.write_bytes(content)
    fails(path, status=2, weights=path)


@pytest.mark.parametrize("package", ["paddle2onnx", pytest.param("onnxruntime", marks=needs_onnx)])
def test_without_a_package_it_says_what_to_install(package, fails, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    fails(package, "pip install -r requirements/export.txt", kind="onnx")


def test_a_paddle2onnx_for_another_paddle_is_refused(monkeypatch):
    other = "2.1.0" if paddle.__version__.startswith("2.") else "1.3.1"
    monkeypatch.setitem(sys.modules, "paddle2onnx", types.SimpleNamespace(__version__=other))
    with pytest.raises(InputError, match=f"paddle2onnx {other} does not work with Paddle {paddle.__version__}"):
        export.paddle2onnx()


def test_a_program_that_differs_is_not_kept(tmp_path, fails, monkeypatch):
    """As an exporter with a defect would write it; what was there before stays as it was."""
    write, load = export.FORMATS["paddle"]
    wrong = lambda _, folder: write(generators.recorded(seed=1), folder)
    monkeypatch.setitem(export.FORMATS, "paddle", (wrong, load))
    (tmp_path / "generator.pdiparams").write_bytes(b"an earlier one")
    (tmp_path / "README.md").write_text(export.HEAD, encoding="utf-8")
    fails("differs", "not kept", to=tmp_path)
    assert (tmp_path / "generator.pdiparams").read_bytes() == b"an earlier one"
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == export.HEAD


@needs_onnx
def test_an_onnx_program_that_onnxruntime_refuses_is_not_kept(fails, monkeypatch):
    broken = lambda _, folder: (Path(folder) / "generator.onnx").write_bytes(b"not ONNX")
    monkeypatch.setitem(export.FORMATS, "onnx", (broken, export.onnx_runtime))
    fails("onnxruntime", kind="onnx")


@pytest.mark.parametrize("wrong", [np.nan, 0.1])
@pytest.mark.parametrize("size", export.CHECKED_SIZES)
def test_one_wrong_value_for_one_size_is_found(wrong, size):
    def enlarged(lr):
        return lr.repeat(4, 2).repeat(4, 3)

    def compute(lr):
        sr = enlarged(lr)
        if lr.shape == size:
            sr[-1, 1, 2, 3] += wrong
        return sr

    def generator(lr):
        return paddle.to_tensor(enlarged(lr.numpy()))

    assert export.largest_difference(enlarged, generator) == 0
    assert not export.largest_difference(compute, generator) <= export.TOLERANCE


def test_an_output_that_is_a_file_and_another_readme_are_not_replaced(tmp_path, fails):
    (tmp_path / "file").write_text("mine")
    fails(tmp_path / "file", "expected a folder", status=2, to=tmp_path / "file")
    (tmp_path / "README.md").write_text("mine")
    fails(tmp_path / "README.md", "--to", status=2, to=tmp_path)
