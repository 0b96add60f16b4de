"""The documents are true: their commands and code run, their links lead somewhere, and what they name exists.

The flags of every command in the pages of the root, docs/, weights/, tests/ and the notebooks' texts are read by the
command's own parser; those of a newcomer, WHOLE, are run, in this process, on small photographs.
"""

import argparse
import os
import re
import shlex
import shutil
from collections import Counter
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.discriminator import Discriminator
from tests.helpers import commands, training
from tests.helpers.documents import COMMAND, LANGUAGES, ROOT, anchors, documents, exists, filled_in, scripts, usage
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
}
# Commands that are not the project's, or have no flags.
ALLOWED = (
    ". .venv/bin/activate",
    "git clone ADDRESS srgan && cd srgan",
    "jupyter execute --inplace notebooks/srgan.ipynb",
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
SCRIPTS = scripts()
SPANS = [(document.name, span) for document in DOCUMENTS for span in document.spans()]
COMMANDS = {filled_in(text) for document in DOCUMENTS for text in document.commands()}
USAGE = {filled_in(text) for script in SCRIPTS for text in usage(ROOT / script)}
CODE = {text: document.name for document in DOCUMENTS for language, text in document.blocks if language == "python"}
RUN_ELSEWHERE = "import onnxruntime"  # code with it: test_export.py


def test_the_documents_are_read():
    names = Counter(document.name for document in DOCUMENTS for _ in document.commands())
    assert names["README.md"] > 10 and names["docs/long-runs.md"] > 10
    assert any("Upscaler" in text for text in CODE)
    unknown = [(document.name, kind) for document in DOCUMENTS for kind, _ in document.blocks if kind not in LANGUAGES]
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
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(random.randint(0, 256, (6, 7, 3)).astype("uint8")).resize((56, 48))
        picture.save(folder / name)
    (folder / "Set5/LRbicx4").mkdir()
    for path in (folder / "Set5/HR").iterdir():
        Image.open(path).resize((14, 12)).save(folder / "Set5/LRbicx4" / path.name)
    return folder


@pytest.mark.slow
def test_a_newcomers_commands_run_one_after_the_other(world, monkeypatch):
    monkeypatch.chdir(world)
    for command, more in WHOLE.items():
        assert command in COMMANDS, f"no document shows {command}"
        _, script, *arguments = shlex.split(command)
        with monkeypatch.context() as patch:
            patch.setattr(Discriminator.__init__, "__defaults__", (384, (4,) * 8))
            patch.setattr(cpu, "_with_onednn", lambda *_: None)  # whose programs take longer to make than two steps
            assert commands.run(script, *arguments, *more) == 0, command
    names = ("upscaled/photo_x4.jpg", "output/pretrain_g.pdparams", "output/srgan_g.pdparams", "samples")
    assert all((world / name).exists() for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("code", [code for code in CODE if RUN_ELSEWHERE not in code], ids=CODE.get)
def test_code_that_is_shown_runs(code, world, monkeypatch):
    monkeypatch.chdir(world)
    before, after = PYTHON.get(code.partition("\n")[0], ("", ""))
    exec(f"{before}\n{code}\n{after}", {})  # noqa: S102  as a reader would run it


@pytest.mark.parametrize("text", sorted(COMMANDS | USAGE))
def test_a_command_that_is_shown_exists_and_takes_its_flags(text):
    words = shlex.split(text)
    ci = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in (".ci/run", ".ci/set_up.sh", "Makefile"))
    if words[0] == "make":
        target = next(word for word in words[1:] if "=" not in word)
        assert re.search(rf"^make {target}\b", ci, re.MULTILINE), f".ci/run does not make {target}"
    elif words[0] == "pip":
        *call, file = words
        assert call == ["pip", "install", "-r"] and (ROOT / file).is_file()
        installed = ci + (ROOT / "notebooks" / "set_up.py").read_text(encoding="utf-8")
        assert f"-r {file}" in installed or f'"{file}"' in installed, f"{file} is not installed by .ci/run"
    elif text.startswith("python -m pytest "):
        assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    elif text not in ALLOWED:
        check_flags(words)


class Found(Exception):
    """Carries a command's parser out of it."""


_parsers = {}


def parser_of(script: str) -> argparse.ArgumentParser:
    """The parser with which a command reads its flags."""

    def note(self, *_):
        raise Found(self)

    if script not in _parsers:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(argparse.ArgumentParser, "parse_args", note)
            with pytest.raises(Found) as found:
                commands.run(script)
        _parsers[script] = found.value.args[0]
    return _parsers[script]


def flags_of(script: str) -> set:
    return set(parser_of(script)._option_string_actions)


def check_flags(words: list) -> None:
    """The command's own parser takes what follows its name, every flag in full."""
    script = next((word for word in words if word in SCRIPTS), None)
    assert script and words[0] == "python", f"{words}: which command is that?"
    arguments = words[words.index(script) + 1 :]
    shortened = {word for word in arguments if word.startswith("--")} - flags_of(script)
    assert not shortened, f"{script} has no {' '.join(shortened)}"
    try:
        parser_of(script).parse_args(arguments)
    except SystemExit as stopped:
        pytest.fail(f"{shlex.join(words)}: not what the command takes (exit status {stopped.code})")


def test_flags_that_are_named_exist():
    known = {flag for script in SCRIPTS for flag in flags_of(script)}
    # Those of other programs: commands that are run above.
    known.update(word for text in COMMANDS for word in text.split() if word.startswith("--"))
    named = [(where, flag) for where, span in SPANS for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)]
    wrong = {(where, flag) for where, flag in named if flag not in known and where != "docs/CHANGELOG.md"}
    assert not wrong, "the changelog names what was, too"


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
                wrong += [f"{document.name}: {link}, no such heading"] * (anchor not in anchors(text))
    assert not wrong, "\n".join(wrong)


def test_files_and_tests_that_are_named_exist():
    wrong, file = [], ""
    for where, span in SPANS:
        match = re.fullmatch(r"([\w.-]+(?:/[\w.-]+)*/?)?(?:::(\w+(?:::\w+)*))?", span)
        if not match or COMMAND.match(span):
            continue
        path, test = match.groups()
        is_path = path and (path.split("/")[0] in ROOMS and "/" in path or re.search(r"\.(py|md|sh|ipynb)$", path))
        if is_path and not exists(path, ROOMS):
            wrong.append((where, span))
        elif test:
            file = path or file  # `::test_b` is of the file named last
            text = next(ROOT.rglob(Path(file).name)).read_text(encoding="utf-8")
            wrong += [(where, span)] * (not re.search(rf"^ *def {test.rpartition('::')[2]}\(", text, re.MULTILINE))
    assert not wrong


def test_functions_that_are_named_exist():
    dotted = r"\b(?:models|data|train|infer|benchmarks)(?:\.[A-Za-z_]\w*)+"
    named = [(where, span) for where, span in SPANS if re.fullmatch(dotted, span)]
    diagrams = [(one.name, text) for one in DOCUMENTS for language, text in one.blocks if language == "mermaid"]
    named += [(where, name) for where, text in diagrams for name in re.findall(dotted, text)]
    assert len(named) > 30
    assert not [(where, name) for where, name in named if not resolves(name)]


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
    assert Counter(map(filled_in, english.commands())) == Counter(map(filled_in, chinese.commands()))
    assert set(english.spans()) == set(chinese.spans())
    assert [kind for kind, _ in english.blocks] == [kind for kind, _ in chinese.blocks]
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
