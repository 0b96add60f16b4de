"""The rooms and the import rule of docs/how-it-works.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {  # what a room may import of the project besides itself
    "common": set(),
    "models": {"common"},
    "data": {"models", "common"},
    "train": {"data", "models", "common"},
    "infer": {"data", "models", "common"},
    "notebooks": {"infer", "train", "data", "models", "common"},
    "benchmarks": {"infer", "train", "data", "models", "common"},
}


def rooms_imported(path: Path) -> set:
    """The rooms that a file imports anything of, at its top or within its functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; the project has absolute ones"
            names.append(node.module)
    return {name.partition(".")[0] for name in names} & {*MAY_IMPORT, "tests"}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room):
    imports = {str(path.relative_to(ROOT)): rooms_imported(path) for path in (ROOT / room).rglob("*.py")}
    assert any(imports.values()) or room == "common"
    assert not {path: rooms for path, rooms in imports.items() if rooms - MAY_IMPORT[room] - {room}}


def test_no_test_file_imports_another():
    """What several need is in tests/helpers/, which imports no test file either. A program given as a string counts."""
    test_file = re.compile(r"(?:from tests import |(?:from|import) tests\.)(?!helpers\b)(\w+)")
    for path in sorted((ROOT / "tests").rglob("*.py")):
        others = set(test_file.findall(path.read_text(encoding="utf-8"))) - {path.stem}
        assert not others or path == Path(__file__), f"{path} imports {others}"
