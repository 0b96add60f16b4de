"""The documents are true: their commands and code run, their links lead somewhere, and what they name exists.

The flags of every command in the pages of the root, docs/, weights/, tests/ and the notebooks' texts are read by the
command's own parser; those of a newcomer, WHOLE, are run, in this process, on small photographs.
"""

import argparse
import os
import re
import runpy
import shlex
import shutil
import sys
from collections import Counter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.discriminator import Discriminator
from tests.helpers import commands, training
from tests.helpers.documents import (
    COMMAND,
    LANGUAGES,
    ROOT,
    anchors,
    docstring_commands,
    documents,
    exists,
    filled_in,
    unique,
)
from train.run import cpu

ROOMS = ("common", "models", "data", "train", "infer", "notebooks", "benchmarks", "tests", "docs", ".ci")
# The commands that run whole, in this order in one folder, and what is put behind them so that they take seconds (of a
# flag given twice the last counts; training has a tiny discriminator besides). Of the others only the flags are read.
TRAINING = ("--epochs", "0", "--hr-size", "16", "--batch-size", "2", "--crops-per-image", "1")
WHOLE = {
    "python infer/upscale.py photo.jpg": (),
    "python infer/evaluate.py --hr Set5/HR --lr Set5/LRbicx4": (),
    "python train/pretrain_g.py --recipe short --data photographs --valid Set5/HR": TRAINING,
    "python train/train_gan.py --recipe short --data photographs": (*TRAINING, "--no-vgg"),
    "python infer/upscale.py photo.jpg --weights output/srgan_g.pdparams -o upscaled": (),
    "python data/prepare.py --sample samples": (),
    "python data/prepare.py DIR": (),
}
# Commands that are not the project's, or have no flags.
ALLOWED = (
    ". .venv/bin/activate",
    "git clone ADDRESS srgan && cd srgan",
    "python notebooks/set_up.py",
    "python notebooks/set_up.py paddlepaddle==3.3.1",
    "visualdl --logdir output/visualdl",
)
USERS_PAGES = ("long-runs", "measuring", "results", "troubleshooting", "upscaling")  # those in Chinese too, NAME_cn.md
# Code whose reader brings something along: what stands before it, and what is then to hold after it.
PYTHON = {
    "from infer import Upscaler": (
        "import numpy; rgb = numpy.zeros((6, 8, 3), 'uint8')",
        "assert sr.shape == (24, 32, 3) and sr.dtype == 'uint8'",
    )
}

DOCUMENTS = documents()
SPANS = [span for document in DOCUMENTS for span in document.spans()]
COMMANDS = [command for document in DOCUMENTS for command in document.commands()]
PYTHON_BLOCKS = [block for document in DOCUMENTS for language, block in document.blocks if language == "python"]
CODE = {block.text: block for block in PYTHON_BLOCKS}.values()  # Chinese pages have the same
RUN_ELSEWHERE = "import onnxruntime"  # code with it: test_export.py


def test_the_documents_are_read():
    names = Counter(command.document for command in COMMANDS)
    assert names["README.md"] > 10 and names["docs/long-runs.md"] > 10
    assert {"docs/how-it-works.md", "docs/fidelity.md"} <= {document.name for document in DOCUMENTS}
    assert any("Upscaler" in block.text for block in CODE)
    unknown = [f"{one}" for document in DOCUMENTS for kind, one in document.blocks if kind not in LANGUAGES]
    assert not unknown, "nobody knows what to do with such a block; one that is not to be run is ```text"


@pytest.fixture(scope="module")
def world(tmp_path_factory, weights_file):
    """A folder with what the documents take for given."""
    folder = tmp_path_factory.mktemp("world")
    training.write_photographs(folder / "photographs")
    (folder / "DIR").symlink_to("photographs")
    (folder / "output").mkdir()
    shutil.copy(weights_file, folder / "output" / "srgan_g.pdparams")
    random = np.random.RandomState(0)
    for name in ("photo.jpg", "Set5/HR/baby.png", "Set5/HR/bird.png"):
        write_picture(folder / name, cv2.resize(random.randint(0, 256, (6, 7, 3)).astype("uint8"), (56, 48)))
    for name in ("baby.png", "bird.png"):
        hr = cv2.imread(str(folder / "Set5/HR" / name))
        write_picture(folder / "Set5/LRbicx4" / name, cv2.resize(hr, (14, 12), interpolation=cv2.INTER_AREA))
    return folder


def write_picture(path: Path, picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


@pytest.mark.slow
def test_a_newcomers_commands_run_one_after_the_other(world, monkeypatch):
    monkeypatch.chdir(world)
    shown = {command.text for command in COMMANDS}
    for command, more in WHOLE.items():
        assert command in shown, f"no document shows {command}"
        _, script, *arguments = shlex.split(command)
        with monkeypatch.context() as patch:
            patch.setattr(Discriminator.__init__, "__defaults__", (384, (4,) * 8))
            patch.setattr(cpu, "_with_onednn", lambda *_: None)  # whose programs take longer to make than two steps
            assert commands.run(script, *arguments, *more) == 0, command
    names = ("upscaled/photo_x4.jpg", "output/pretrain_g.pdparams", "output/srgan_g.pdparams", "samples")
    assert all((world / name).exists() for name in names)


def check_others(words: list) -> None:
    """A command of `make` or `pip`: the target, the file of requirements exists, and CI has it."""
    ci = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in (".ci/run", ".ci/set_up.sh", "Makefile"))
    if words[0] == "make":
        (target,) = (word for word in words[1:] if "=" not in word)
        assert re.search(rf"^make {target}\b", ci, re.MULTILINE), f".ci/run does not make {target}"
        return
    file = words[-1]
    assert words[:-1] == ["pip", "install", "-r"] and (ROOT / file).is_file()
    installed = ci + (ROOT / "notebooks" / "set_up.py").read_text(encoding="utf-8")
    assert f"-r {file}" in installed or f'"{file}"' in installed, f"{file} is not installed by .ci/run"


def script_of(words: list) -> str:
    """The project's script that a command starts, or ''."""
    return next((word for word in words if re.fullmatch(r"\w+/\w+\.py", word)), "") if words[0] == "python" else ""


@pytest.mark.parametrize("shown", unique(COMMANDS), ids=str)
def test_a_command_that_is_shown_exists_and_takes_its_flags(shown):
    text = filled_in(shown.text)
    words = shlex.split(text)
    script = script_of(words)
    if text in ALLOWED:
        return
    if words[0] in ("make", "pip"):
        check_others(words)
    elif text.startswith("python -m pytest "):
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    else:
        assert script in scripts(), f"{shown}: which command is that?"
        check_flags(script, words)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shown",
    [one for one in CODE if RUN_ELSEWHERE not in one.text],
    ids=lambda shown: f"{shown.document}:{shown.line}",
)
def test_code_that_is_shown_runs(shown, world, monkeypatch):
    monkeypatch.chdir(world)
    before, after = PYTHON.get(shown.text.partition("\n")[0], ("", ""))
    exec(f"{before}\n{shown.text}\n{after}", {})  # noqa: S102  as a reader would run it


class Found(Exception):
    """Carries a command's parser out of it."""


_parsers = {}


def parser_of(script: str) -> argparse.ArgumentParser:
    """The parser with which a command reads its flags."""
    if script.startswith("notebooks/"):
        pytest.importorskip("nbclient")

    def note(self, *_):
        raise Found(self)

    if script not in _parsers:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", note)
            patch.setattr(sys, "path", [*sys.path])
            patch.setattr(sys, "argv", [script])
            with pytest.raises(Found) as found:
                runpy.run_path(str(ROOT / script), run_name="__main__")
        _parsers[script] = found.value.args[0]
    return _parsers[script]


def flags_of(script: str) -> set:
    return set(parser_of(script)._option_string_actions)


def check_flags(script: str, words: list) -> None:
    """The command's own parser takes what follows its name, every flag in full."""
    arguments = words[words.index(script) + 1 :]
    shortened = {word for word in arguments if word.startswith("--")} - flags_of(script)
    assert not shortened, f"{script} has no {' '.join(shortened)}"
    try:
        parser_of(script).parse_args(arguments)
    except SystemExit as stopped:
        pytest.fail(f"{shlex.join(words)}: not what the command takes (exit status {stopped.code})")


def scripts() -> list:
    """The project's commands."""
    rooms = ["data", "train", "infer", "benchmarks", *["notebooks"] * bool(find_spec("nbclient"))]
    files = [path for room in rooms for path in sorted((ROOT / room).glob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in files if "command.run(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("shown", docstring_commands(), ids=str)
def test_the_usage_in_a_module_is_what_the_command_takes(shown):
    words = shlex.split(filled_in(shown.text))
    script = script_of(words)
    assert script in scripts(), f"{shown}: which command is that?"
    check_flags(script, words)


def test_flags_that_are_named_exist():
    everyones = {flag for script in scripts() for flag in flags_of(script)}
    # Those of other programs: commands that are run above.
    everyones.update(word for shown in COMMANDS for word in shown.text.split() if word.startswith("--"))
    wrong = []
    for span in SPANS:
        if span.document == "docs/CHANGELOG.md":  # it names what was, too
            continue
        named = re.findall(r"(?<![\w-])--[a-z][\w-]*", span.text)
        owners = [script for script in scripts() if script in span.text] if named else []
        known = flags_of(owners[0]) if len(owners) == 1 and not COMMAND.match(span.text) else everyones
        wrong += [f"{span}: no {flag}" for flag in named if flag not in known]
    assert not wrong, "\n".join(wrong)


def test_links_lead_somewhere():
    wrong = []
    for document in DOCUMENTS:
        for link in document.links():
            path, _, anchor = link.partition("#")
            if re.match(r"\w+:", path):
                continue
            target = document.folder / path if path else None
            if target and not target.exists():
                wrong.append(f"{document.name}: {link}")
            elif anchor:
                text = target.read_text(encoding="utf-8") if target else document.prose
                if anchor not in anchors(text):
                    wrong.append(f"{document.name}: {link}, no such heading")
    assert not wrong, "\n".join(wrong)


def test_files_and_tests_that_are_named_exist():
    wrong = []
    for document in DOCUMENTS:
        file = ""
        for span in document.spans():
            match = re.fullmatch(r"([\w.-]+(?:/[\w.-]+)*/?)?(?:::(\w+(?:::\w+)*))?", span.text)
            if not match or COMMAND.match(span.text):
                continue
            path, test = match.groups()
            is_path = path and (path.split("/")[0] in ROOMS and "/" in path or re.search(r"\.(py|md|sh|ipynb)$", path))
            if is_path and not exists(path, ROOMS):
                wrong.append(str(span))
            elif test:
                file = path or file  # `::test_b` is of the file named last
                text = next(ROOT.rglob(Path(file).name)).read_text(encoding="utf-8")
                wrong += [str(span)] * (not re.search(rf"^ *def {test.rpartition('::')[2]}\(", text, re.MULTILINE))
    assert not wrong, "missing:\n" + "\n".join(wrong)


def test_functions_that_are_named_exist():
    dotted = r"\b(?:models|data|train|infer|benchmarks)(?:\.[A-Za-z_]\w*)+"
    named = [(str(span), span.text) for span in SPANS if re.fullmatch(dotted, span.text)]
    diagrams = [block for document in DOCUMENTS for language, block in document.blocks if language == "mermaid"]
    named += [(f"{one.document}:{one.line}", name) for one in diagrams for name in re.findall(dotted, one.text)]
    assert len(named) > 30
    wrong = [f"{where}: {name}" for where, name in named if not resolves(name)]
    assert not wrong, "\n".join(wrong)


def resolves(name: str) -> bool:
    """Whether a dotted name is a module or something in one."""
    module, _, attributes = name.partition(".")
    value = import_module(module)
    for attribute in attributes.split("."):
        module = f"{module}.{attribute}"
        if not hasattr(value, attribute):
            try:
                import_module(module)
            except ImportError:
                return attribute in getattr(value, "__dataclass_fields__", {})
        value = getattr(value, attribute)
    return True


BOTH = {f"docs/{page}.md": f"docs/{page}_cn.md" for page in USERS_PAGES}
BOTH["README.md"] = "docs/README_cn.md"


@pytest.mark.parametrize("name", BOTH)
def test_both_languages_show_the_same(name):
    assert {document.name for document in DOCUMENTS if document.name.endswith("_cn.md")} == set(BOTH.values())
    english, chinese = (next(document for document in DOCUMENTS if document.name == one) for one in (name, BOTH[name]))
    assert Counter(filled_in(one.text) for one in english.commands()) == Counter(
        filled_in(one.text) for one in chinese.commands()
    )
    assert {span.text for span in english.spans()} == {span.text for span in chinese.spans()}
    assert len(english.blocks) == len(chinese.blocks)
    assert numbers(english) and numbers(english) == numbers(chinese)
    # Headings, and so the anchors, are in the page's language, and Chinese pages link to Chinese ones. The first link
    # is that to the other language.
    chinese_of = Counter(BOTH.get(link, link) for link in targets(english)[1:])
    assert chinese_of == Counter(targets(chinese)[1:])


def targets(document) -> list:
    """What a document's links lead to, as paths in the project, without anchors."""
    links = [link.partition("#")[0] for link in document.links()]
    folder = os.path.relpath(document.folder, ROOT)
    return [link if "://" in link else os.path.normpath(f"{folder}/{link}") if link else "" for link in links]


def numbers(document) -> Counter:
    """The numbers in its tables, but those of one digit: stage 1 is 第一阶段."""
    cells = [line for line in document.prose.split("\n") if line.startswith("|")]
    return Counter(re.findall(r"\d+(?:[.,]\d+)+|\d{2,}", "\n".join(cells)))
