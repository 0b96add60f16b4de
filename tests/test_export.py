"""The export command, run as a user runs it, and what lies beside the program."""

import re
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import paddle
import pytest
from PIL import Image

from common.errors import InputError
from infer import Upscaler, export
from infer.engines import programs
from models.weight_files import weights
from tests.helpers import generators
from tests.helpers.programs import ended_process

ROOT = Path(__file__).resolve().parents[1]


def _why_not_onnx():
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        return "onnxruntime is not installed"
    return programs.onnx_missing()


needs_onnx = pytest.mark.skipif(bool(_why_not_onnx()), reason=_why_not_onnx() or "-")
KINDS = ["paddle", pytest.param("onnx", marks=needs_onnx)]


def run(*line, cwd=ROOT):
    line = [sys.executable, *map(str, line)]
    return subprocess.run(line, cwd=cwd, capture_output=True, encoding="utf-8", check=False, timeout=300)


@pytest.fixture(scope="module")
def exported(weights_file, tmp_path_factory):
    """Runs the command once for each kind: (result, folder)."""
    done = {}

    def get(kind):
        if kind not in done:
            folder = tmp_path_factory.mktemp("export") / f"for {kind} é" / "new"
            line = ["infer/export.py", "--weights", weights_file, "--to", folder, "--format", kind]
            done[kind] = run(*line), folder
        return done[kind]

    return get


@pytest.fixture
def command(monkeypatch, capfd):
    """Runs the command in this process: (exit status, standard output, standard error)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["export.py", *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(ROOT / "infer" / "export.py"), run_name="__main__")
        except SystemExit as stopped:
            status = stopped.code
        return (status, *capfd.readouterr())

    return call


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------------ what it makes


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_the_program_and_a_readme_and_says_how_close_it_is(exported, kind):
    result, folder = exported(kind)
    assert result.returncode == 0, result.stderr
    names = {path.name for path in folder.iterdir()} - {"generator.pdiparams.info"}  # Paddle 2.6's, which nothing reads
    if kind == "onnx":
        assert names == {"README.md", "generator.onnx"}
    else:
        assert names in [{"README.md", "generator.pdiparams", f"generator.{ending}"} for ending in ("pdmodel", "json")]
    (line,) = result.stdout.splitlines()
    assert str(folder) in line and kind in line
    assert 0 <= float(re.search(r"by at most (\S+)", line).group(1)) < 1e-3
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tile", [export.TILE, 8])
def test_the_code_in_the_readme_runs_and_gives_the_upscalers_result(exported, kind, tile, weights_file, tmp_path):
    """Copied out of it and run beside the program, by someone without this project; in one tile and in twelve."""
    folder = shutil.copytree(exported(kind)[1], tmp_path / "elsewhere")
    text = (folder / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert f"TILE, REACH = {export.TILE}, {generators.REACH}\n" in code
    code = code.replace(f"TILE, REACH = {export.TILE}, ", f"TILE, REACH = {tile}, ")
    photo = np.random.RandomState(0).randint(0, 256, (19, 26, 3)).astype("uint8")
    Image.fromarray(photo).save(folder / "photo.png")
    result = run("-I", "-c", code, cwd=folder)
    assert result.returncode == 0, result.stderr
    found = np.asarray(Image.open(folder / "photo_x4.png")).astype(int)
    expected = Upscaler(weights_file, engine="eager")(photo)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1
    assert np.mean(found != expected) < 0.02, "only what is rounded up here and down there differs"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_says_what_goes_in_and_how_far_it_reaches(exported, kind):
    text = (exported(kind)[1] / "README.md").read_text(encoding="utf-8")
    assert "`lr`" in text and "[N,3,h,w]" in text and "[-1,1]" in text and "[N,3,4h,4w]" in text
    assert f"up to {generators.REACH} pixels away" in text
    assert "{" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL), "nothing is left to be filled in"


@needs_onnx
def test_a_blend_is_exported_beside_what_is_there(weights_file, exported, tmp_path, command):
    """--blend and --alpha, against onnxruntime and weights mixed here."""
    import onnxruntime

    out = shutil.copytree(exported("paddle")[1], tmp_path / "out")
    weights.save(generators.recorded(seed=1), tmp_path / "other.pdparams")
    line = ["--weights", weights_file, "--blend", tmp_path / "other.pdparams", "--alpha", "0.25"]
    status, _, errors = command(*line, "--to", out, "--format", "onnx")
    assert status == 0, errors
    state = {name: 0.75 * array for name, array in generators.numbers(generators.recorded(0)).items()}
    for name, array in generators.numbers(generators.recorded(1)).items():
        state[name] += 0.25 * array
    network = generators.recorded()
    network.set_state_dict(state)
    lr = np.random.RandomState(0).uniform(-1, 1, (1, 3, 6, 9)).astype("float32")
    session = onnxruntime.InferenceSession(str(out / "generator.onnx"), providers=["CPUExecutionProvider"])
    with paddle.no_grad():
        np.testing.assert_allclose(session.run(None, {"lr": lr})[0], network(paddle.to_tensor(lr)).numpy(), atol=1e-4)
    assert (out / "generator.pdiparams").read_bytes() == (exported("paddle")[1] / "generator.pdiparams").read_bytes()
    text = (out / "README.md").read_text(encoding="utf-8")
    assert len(re.findall("```python", text)) == 2, "both programs are there and both are explained"


# ---------------------------------------------------------------------------------------------------- what goes wrong


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["paddle", "onnx"])
@pytest.mark.parametrize("content", [None, b"", b"text", b"\x80\x02cos\nsystem\n."])
def test_weights_that_cannot_be_used_are_exit_status_2_and_nothing_is_written(tmp_path, command, kind, content):
    path = tmp_path / "bad.pdparams"
    if content is not None:
        path.write_bytes(content)
    status, output, errors = command("--weights", path, "--to", tmp_path / "out", "--format", kind)
    assert (status, output) == (2, "")
    assert errors.startswith("error: ") and errors.count("\n") == 1 and str(path) in errors
    assert not (tmp_path / "out").exists()


def test_a_blend_that_cannot_be_used_is_exit_status_2(weights_file, tmp_path, command):
    line = ["--weights", weights_file, "--blend", tmp_path / "none.pdparams", "--to", tmp_path / "out"]
    status, output, errors = command(*line, "--format", "paddle")
    assert (status, output) == (2, "") and str(tmp_path / "none.pdparams") in errors
    assert not (tmp_path / "out").exists()


PADDLES_NOTE = re.compile(r"[IW]\d{4} [\d:.]+ +\d+ \w+\.cc:\d+\] ")


def fails(result, *words, status=1):
    found, output, errors = result
    assert (found, output) == (status, ""), errors
    # Paddle notes there, once a process, that its executor runs; a command by itself has told it not to.
    errors = "".join(line for line in errors.splitlines(keepends=True) if not PADDLES_NOTE.match(line))
    assert errors.startswith("error: ") and errors.count("\n") == 1
    for word in words:
        assert word in errors


def test_without_paddle2onnx_it_says_what_to_install_and_nothing_is_written(
    weights_file, tmp_path, command, monkeypatch
):
    package_version = programs.package_version

    def version(package):
        if package == "paddle2onnx":
            raise PackageNotFoundError(package)
        return package_version(package)

    monkeypatch.setattr(programs, "package_version", version)
    result = command("--weights", weights_file, "--to", tmp_path / "out", "--format", "onnx")
    fails(result, "paddle2onnx is not installed", "pip install -r requirements/export.txt")
    assert files(tmp_path) == []


@needs_onnx
def test_without_onnxruntime_it_says_what_to_install_and_nothing_is_written(
    weights_file, tmp_path, command, monkeypatch
):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = command("--weights", weights_file, "--to", tmp_path / "out", "--format", "onnx")
    fails(result, "onnxruntime", "pip install -r requirements/export.txt")
    assert files(tmp_path) == []


@pytest.mark.slow
def test_a_program_that_differs_is_not_kept(weights_file, tmp_path, command, monkeypatch):
    """As an exporter with a defect would write it; what was there before stays as it was."""
    write_paddle = programs.write_paddle
    monkeypatch.setattr(
        programs, "write_paddle", lambda generator, folder, parts: write_paddle(generators.recorded(seed=1), folder)
    )
    (tmp_path / "generator.pdiparams").write_bytes(b"an earlier one")
    (tmp_path / "README.md").write_text(export.HEAD, encoding="utf-8")
    fails(command("--weights", weights_file, "--to", tmp_path, "--format", "paddle"), "differs", "not kept")
    assert files(tmp_path) == ["README.md", "generator.pdiparams"]
    assert (tmp_path / "generator.pdiparams").read_bytes() == b"an earlier one"
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == export.HEAD
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_a_killed_export_left_is_removed(tmp_path, monkeypatch):
    def fails(kind, generator, folder):
        assert list(tmp_path.iterdir()) == [Path(folder)]
        raise InputError("reason")

    monkeypatch.setattr(programs, "write", fails)
    (tmp_path / f".exporting-{ended_process()}-abcdefgh").mkdir()
    with pytest.raises(InputError, match="reason"):
        export.write_program(None, "paddle", tmp_path)
    assert list(tmp_path.iterdir()) == []


@needs_onnx
def test_an_onnx_program_that_onnxruntime_refuses_is_not_kept(weights_file, tmp_path, command, monkeypatch):
    monkeypatch.setattr(
        programs,
        "write_onnx",
        lambda generator, folder, parts: (Path(folder) / "generator.onnx").write_bytes(b"not ONNX"),
    )
    result = command("--weights", weights_file, "--to", tmp_path / "out", "--format", "onnx")
    assert files(tmp_path) == []
    fails(result, "onnxruntime")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.1, -0.1])
@pytest.mark.parametrize("size", range(len(export.CHECKED_SIZES)))
def test_one_wrong_value_for_one_size_is_found(wrong, size):
    def compute(lr):
        sr = expected(lr)
        if lr.shape == export.CHECKED_SIZES[size]:
            sr[-1, 1, 2, 3] += wrong
        return sr

    def expected(lr):
        return lr.repeat(4, 2).repeat(4, 3)

    assert export.largest_difference(expected, expected) == 0
    assert not export.largest_difference(compute, expected) <= export.TOLERANCE


def test_the_sizes_that_are_checked_are_two_and_the_tolerance_is_small():
    assert len({size[2:] for size in export.CHECKED_SIZES}) == len({size[0] for size in export.CHECKED_SIZES}) == 2
    assert export.TOLERANCE <= 1e-3


def test_an_output_that_is_a_file_is_named(weights_file, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    result = command("--weights", weights_file, "--to", tmp_path / "file", "--format", "paddle")
    fails(result, str(tmp_path / "file"), "expected a folder", status=2)
    assert (tmp_path / "file").read_text() == "mine"


def test_another_readme_is_not_replaced(weights_file, tmp_path, command):
    (tmp_path / "README.md").write_text("mine")
    result = command("--weights", weights_file, "--to", tmp_path, "--format", "paddle")
    fails(result, str(tmp_path / "README.md"), "--to", status=2)
    assert files(tmp_path) == ["README.md"] and (tmp_path / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    "changes, word",
    [
        (["--format", "torch"], "--format"),
        (["--format", "paddle", "--alpha", "1.5"], "--alpha"),
        (["--format", "paddle", "--alpha", "nan"], "--alpha"),
        ([], "--format"),
    ],
)
def test_bad_flags_are_exit_status_2(weights_file, tmp_path, command, changes, word):
    status, _, errors = command("--weights", weights_file, "--to", tmp_path / "out", *changes)
    assert status == 2 and word in errors
    assert not (tmp_path / "out").exists()
