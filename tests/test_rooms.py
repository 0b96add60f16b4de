"""The rooms and the import rule of docs/how-it-works.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {  # what a room may import of the project besides itself
    "common": set(),
    "models": {"common"},
    "data": {"models", "common"},
    "train": {"data", "models", "common"},
    "infer": {"data", "models", "common"},
    "notebooks": {"infer", "train", "data", "models", "common"},
    "benchmarks": {"infer", "train", "data", "models", "common"},
}
ROOMS = {*BELOW, "tests"}


def imported(path: Path) -> set:
    """The rooms that a file imports anything of, at its top or within its functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; the project has absolute ones"
            names.append(node.module)
    return {name.partition(".")[0] for name in names} & ROOMS


def test_imports_are_found_wherever_they_are(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("import os, infer.tiles\n\ndef f():\n    from train.steps import adam\n    import models\n")
    assert imported(path) == {"infer", "train", "models"}


@pytest.mark.parametrize("room", BELOW)
def test_an_import_never_goes_up(room):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files or room == "notebooks"
    upwards = {str(path.relative_to(ROOT)): imported(path) - BELOW[room] - {room} for path in files}
    assert not {path: rooms for path, rooms in upwards.items() if rooms}


def test_no_test_file_imports_another():
    """What several need is in tests/helpers/, which imports no test file either. A program given as a string counts."""
    test_file = re.compile(r"(?:from tests import |(?:from|import) tests\.)(?!helpers\b)(\w+)")
    files = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
    assert len(files) > 50
    found = {path.name: test_file.findall(path.read_text(encoding="utf-8")) for path in files}
    assert not {name: others for name, others in found.items() if set(others) - {Path(name).stem}}
