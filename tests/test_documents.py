"""The documents are true: their commands and code run, their links lead somewhere, and what they name exists.

Every command in the pages of the root, docs/, weights/, tests/ and the notebooks' texts is run in a copy of the
project, which also has what the documents presuppose (photographs, weights, data sets, all small). SHORT says what is
added to a command so that it takes seconds, ELSEWHERE which test runs it instead. A command without a rule fails: write
the rule.
"""

import argparse
import json
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from fnmatch import fnmatch
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import paddle
import pytest

from data import lpips
from infer.engines.programs import onnx_missing
from models.weight_files.vgg19_weights import FORMS
from tests.helpers import golden, training
from tests.helpers.fluid_files import write_folder
from tests.helpers.lpips_weights import random_weights

ROOT = Path(__file__).resolve().parents[1]
IGNORED = [line.rstrip("*") for line in (ROOT / ".gitignore").read_text().splitlines() if line and line[0] not in "#!"]
ROOMS = ("common", "models", "data", "train", "infer", "notebooks", "benchmarks", "tests", "docs", ".ci")
LANGUAGES = {"": "shell", "sh": "shell", "bash": "shell", "python": "python", "mermaid": "names", "text": "nothing"}
COMMAND = re.compile(r"(python3?|pip3?|make|git|visualdl|jupyter|sh|bash|curl|wget|conda|apt-get) \S")

# What makes a command short, by how it begins (the longest counts): the flags put behind it, of which the last one of a
# kind counts, and why. Training commands have the tiny networks of tests/helpers/training.py besides.
TRAINING = ("--epochs", "0", "--hr-size", "16", "--batch-size", "2", "--sample-every", "1")
SHORT = {
    "python data/prepare.py": ((), "it takes a second"),
    "python train/pretrain_g.py": (TRAINING, "one epoch of small crops"),
    "python train/train_gan.py": (TRAINING, "one epoch of small crops"),
    "python train/train_gan.py --": ((*TRAINING, "--no-vgg"), "VGG19 takes seconds: the command without flags has it"),
    "python -m paddle.distributed.launch": ((*TRAINING, "--no-vgg"), "as above"),
    "python infer/upscale.py": ((), "the pictures are small"),
    "python infer/upscale.py holiday --longest": (("--longest", "100"), "the pictures are small"),
    "python benchmarks/training_curve.py": ((), "it takes a second"),
    "python infer/evaluate.py": ((), "the pictures are small"),
    "python infer/combine.py": ((), "it takes a second"),
    "python infer/export.py": ((), "it takes seconds"),
}
# Commands of which only the flags are tried here: the test that runs them whole, and why it is not this one.
ELSEWHERE = {
    "data/download.py": ("tests/test_download.py::test_div2k", "it needs a server"),
    "benchmarks/upscale.py": (
        "tests/test_benchmark_upscale.py::test_every_engine_has_a_row_and_pytorch_computes_the_same",
        "it takes a minute",
    ),
    "benchmarks/large_picture.py": (
        "tests/test_large_picture.py::test_it_prints_a_line_for_each_format",
        "by itself its picture is large",
    ),
    "benchmarks/photo_degradation.py": (
        "tests/test_photo_degradation.py::test_it_draws_sixteen_different_ones",
        "it needs larger pictures",
    ),
    "infer/app.py": (
        "tests/test_app.py::test_a_photo_is_uploaded_compared_and_downloaded",
        "it serves until it is stopped",
    ),
    "notebooks/run.py": (
        "tests/test_notebook.py::test_the_command_executes_a_notebook_and_stores_it",
        "it takes minutes",
    ),
    "benchmarks/train_step.py": (
        "tests/test_train_step.py::test_it_prints_a_table_with_every_way",
        "it takes a minute",
    ),
    "benchmarks/compressed.py": (
        "tests/test_compressed.py::test_it_prints_a_row_for_each_quality_and_method_and_draws_a_figure",
        "it measures a whole set several times",
    ),
    "benchmarks/real_esrgan.py": (
        "tests/test_real_esrgan.py::test_it_writes_a_result_a_picture_and_prints_the_ratio",
        "it needs ncnn",
    ),
    "benchmarks/fuzz.py": ("tests/test_fuzz.py::test_damaged_files_are_read_or_refused", "it takes minutes"),
}
# Of docs/, those that are in Chinese too, NAME_cn.md.
USERS_PAGES = ("long-runs", "measuring", "results", "troubleshooting", "upscaling")
# Code whose reader brings something along: what stands before it, and what is then to hold after it.
PYTHON = {
    "from infer import Upscaler": (
        "import numpy; rgb = numpy.zeros((6, 8, 3), 'uint8')",
        "assert sr.shape == (24, 32, 3) and sr.dtype == 'uint8'",
    )
}
WRITES = (
    "-o",
    "--to",
    "--output",
    "--figure",
    "--tradeoff",
    "--csv",
    "--json",
    "--sample",
)  # what follows is there afterwards


# ---------------------------------------------------------------------------------------------- what the documents show


def is_ignored(path: str) -> bool:
    """Whether .gitignore leaves out what has this path in the project."""
    name = path.rpartition("/")[2]
    return any(fnmatch(f"/{path}" if line[0] == "/" else name, line.rstrip("/")) for line in IGNORED)


class Shown(NamedTuple):
    """Something that a document shows. document: its path, of a notebook's cell with the cell's number."""

    document: str
    line: int
    text: str

    def __str__(self):
        return f"{self.document}:{self.line} {self.text}"


class Document(NamedTuple):
    """blocks: [(language, Shown)] of the fenced ones; prose: the text without them, of as many lines."""

    name: str
    folder: Path
    blocks: list
    prose: str


def parse(name: str, folder: Path, text: str) -> Document:
    blocks, prose = [], []
    fence = re.compile(r"^( *)```(\S*)\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)
    last = 0
    for found in fence.finditer(text):
        line = text.count("\n", 0, found.start(3)) + 1
        blocks.append((found.group(2), Shown(name, line, found.group(3))))
        prose += [text[last : found.start()], "\n" * found.group().count("\n")]
        last = found.end()
    return Document(name, folder, blocks, "".join([*prose, text[last:]]))


def spans(document: Document) -> list:
    """The inline code, one Shown each, line breaks within it made spaces."""
    found = re.finditer(r"`((?:[^`\n]|\n(?!\s*\n))+)`", document.prose)
    return [
        Shown(document.name, document.prose.count("\n", 0, one.start()) + 1, " ".join(one.group(1).split()))
        for one in found
    ]


def block_commands(block: Shown) -> list:
    """The lines of a shell block: comments and prompts left out, continued lines joined."""
    text = re.sub(r"\\\n[ ]*", lambda joined: "\0", block.text)  # a joined line still counts as two
    result, line = [], block.line
    for row in text.split("\n"):
        command = re.sub(r"^\s*\$ |(^|\s)#.*", "", row.replace("\0", "")).strip()
        if command:
            result.append(Shown(block.document, line, " ".join(command.split())))
        line += 1 + row.count("\0")
    return result


def commands(document: Document) -> list:
    blocks = [block for language, block in document.blocks if LANGUAGES.get(language) == "shell"]
    in_blocks = [command for block in blocks for command in block_commands(block)]
    return [*in_blocks, *(span for span in spans(document) if COMMAND.match(span.text))]


def documents() -> list:
    found = []
    folders = (ROOT, ROOT / "docs", ROOT / "weights")
    for path in [
        *(path for folder in folders for path in sorted(folder.glob("*.md"))),
        *(ROOT / "tests").rglob("*.md"),
    ]:
        found.append(parse(path.relative_to(ROOT).as_posix(), path.parent, path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                found.append(parse(f"{path.relative_to(ROOT).as_posix()}[{number}]", path.parent, text))
    return found


def docstring_commands() -> list:
    """The commands in the usage of the modules: indented lines, a comment two spaces or more behind."""
    found = []
    for room in ("data", "train", "infer", "benchmarks"):
        for path in sorted((ROOT / room).glob("*.py")):
            lines = path.read_text(encoding="utf-8").partition('"""\n\n')[0].split("\n")
            for number, line in enumerate(lines, 1):
                usage = re.match(r" {4}(python \S.*?)(?: {2,}.*)?$", line)
                if usage:
                    found.append(Shown(path.relative_to(ROOT).as_posix(), number, usage.group(1)))
    return found


def unique(shown: list) -> list:
    """The first of those with the same text; what a reader is to fill in (<address>, …) does not tell them apart."""
    return list({filled_in(one.text): one for one in reversed(shown)}.values())[::-1]


def filled_in(text: str) -> str:
    """A command with what a reader puts in its place."""
    return re.sub(r"(?<!\S)<[^<>]+>", "ADDRESS", text).replace(" …", "")


DOCUMENTS = documents()
SPANS = [span for document in DOCUMENTS for span in spans(document)]
COMMANDS = [command for document in DOCUMENTS for command in commands(document)]
CODE = [block for document in DOCUMENTS for language, block in document.blocks if language == "python"]


def of(name: str, shown: list) -> list:
    return [one.text for one in shown if one.document == name]


def test_commands_are_found_wherever_they_are_shown():
    text = """# A title
Call `make demo` or `python a.py --one
1`, which `pip` does not.

- with care:

  ```
  $ python b.py  # not c.py

  python d.py \\
      --two "2 3"
  # nothing
  git clone <it> there && cd there
  ```
| `python e.py` |

```python
import f
```
"""
    document = parse("X.md", ROOT, text)
    assert [(one.line, one.text) for one in commands(document)] == [
        (8, "python b.py"),
        (10, 'python d.py --two "2 3"'),
        (13, "git clone <it> there && cd there"),
        (2, "make demo"),
        (2, "python a.py --one 1"),
        (15, "python e.py"),
    ]
    assert document.blocks[1] == ("python", Shown("X.md", 18, "import f\n"))


def test_the_documents_are_read():
    assert len(of("README.md", COMMANDS)) > 15 and len(of("docs/long-runs.md", COMMANDS)) > 10
    assert {"docs/how-it-works.md", "docs/fidelity.md"} <= {document.name for document in DOCUMENTS}
    assert any("Upscaler" in block.text for block in CODE)
    unknown = {
        f"{one.document}:{one.line} {kind}" for d in DOCUMENTS for kind, one in d.blocks if kind not in LANGUAGES
    }
    assert not unknown, "nobody knows what to do with such a block; one that is not to be run is ```text"


# ---------------------------------------------------------------------------------------------------- commands that run


@pytest.fixture(scope="module")
def given(tmp_path_factory, weights_file):
    """A copy of the project with what the documents take for given."""
    folder = tmp_path_factory.mktemp("given") / "srgan"

    def left_out(parent: str, names: list) -> list:
        inside = Path(parent).relative_to(ROOT)
        return [name for name in names if name == ".git" or is_ignored((inside / name).as_posix())]

    shutil.copytree(ROOT, folder, ignore=left_out)

    for name in ("photographs", "photos", "BSDS500", "data/DIV2K/DIV2K_train_HR"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        training.write_photographs(folder / name)
    for name in ("c.bmp", "照片 d.png"):  # two are one step, which is enough beside VGG19
        (folder / "data/DIV2K/DIV2K_train_HR" / name).unlink()
    for name in ("DIR", "PHOTO", "照片"):  # what a reader is to replace
        (folder / name).symlink_to("photographs")
    random = np.random.RandomState(0)
    for name in ("photo.jpg", "holiday/a.jpg", "holiday/b.png", *(f"samples/{n}.png" for n in PHOTOGRAPHS)):
        write_picture(folder / name, random.randint(0, 256, (48, 56, 3)))
    for name in ("baby.png", "bird.png"):
        hr = cv2.resize(random.randint(0, 256, (6, 7, 3)).astype("uint8"), (56, 48))
        write_picture(folder / "Set5" / "HR" / name, hr)
        write_picture(folder / "Set5" / "LRbicx4" / name, cv2.resize(hr, (14, 12), interpolation=cv2.INTER_AREA))

    (folder / "output").mkdir()
    for name in ("pretrain_g", "srgan_g"):
        shutil.copy(weights_file, folder / "output" / f"{name}.pdparams")
    write_folder(folder / "models" / "g_models", golden.generator_variables())
    write_vgg19(folder / "weights" / "VGG19_pretrained.pdparams")
    lpips.write(folder / lpips.WEIGHTS, random_weights())
    return folder


PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")


def write_picture(path: Path, rgb) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, np.asarray(rgb, "uint8"))[1].tobytes())


def write_vgg19(path: Path) -> None:
    """A file of the form that data/download.py brings, of zeros."""
    (form,) = (form for form in FORMS if "legendary_models" in form.title)
    paddle.save({name: paddle.zeros(shape) for name, shape in form.table(False).values()}, str(path))


@pytest.fixture
def world(given, tmp_path):
    """One of each command's own, where it finds `given`; gone afterwards."""
    folder = tmp_path / "srgan"
    shutil.copytree(given, folder, symlinks=True)
    yield folder
    shutil.rmtree(tmp_path)


def environment(world: Path) -> dict:
    # tests/__init__ hides GPUs by an empty list, which the launcher of several processes takes for a list of none.
    changed = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return {**changed, "HOME": str(world / "home"), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def run(words: list, world: Path) -> None:
    result = subprocess.run(
        words, cwd=world, env=environment(world), check=False, capture_output=True, encoding="utf-8", timeout=500
    )
    if result.returncode or "Traceback" in result.stderr:
        pytest.fail(f"{shlex.join(words)}: exit status {result.returncode}\n{result.stdout}\n{result.stderr}")


def run_short(beginning: str, words: list, world: Path) -> None:
    """A command of SHORT with its flags put behind it; what it is to write is there afterwards."""
    if "--visualdl" in words and not find_spec("visualdl"):
        pytest.skip("the package visualdl is not installed")
    if "onnx" in words and (onnx_missing() or not find_spec("onnxruntime")):
        pytest.skip(onnx_missing() or "the package onnxruntime is not installed")
    written = [world / target for flag, target in zip(words, words[1:]) if flag in WRITES]
    for path in written:
        if path.is_file():
            path.unlink()
    script = script_of(words)
    check_flags(script, words)
    line = [sys.executable, *words[1:], *SHORT[beginning][0]]
    if script.startswith("train/") and "srresnet" not in words:  # whose weights are of the network's own size
        (world / "tiny.py").write_text(training.TINY.format(root=str(world)), encoding="utf-8")
        line.insert(line.index(script), "tiny.py")
    run(line, world)
    assert all(path.exists() for path in written), f"not written by {shlex.join(line)}: {written}"


def run_visualdl(words: list, world: Path) -> None:
    """The server answers."""
    if not find_spec("visualdl"):
        pytest.skip("the package visualdl is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Without a language VisualDL 2.5.3 answers with an error of its own.
    page = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Accept-Language": "en"})
    process = subprocess.Popen(
        [*words, "--port", str(port)],
        cwd=world,
        env=environment(world),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(120):
            assert process.poll() is None
            try:
                with urllib.request.urlopen(page, timeout=10) as answer:
                    assert b"<title>VisualDL</title>" in answer.read()
                    return
            except urllib.error.HTTPError:
                raise
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.5)
        pytest.fail("it does not answer")
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def check_make(words: list, world: Path) -> None:
    """.ci/run makes that target; variables reach what is called."""
    (target,) = (word for word in words[1:] if "=" not in word)
    assert re.search(rf"^make {target}\b", ci_text(), re.MULTILINE), f".ci/run does not make {target}"
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    said = subprocess.run([*words, "-n"], cwd=world, check=True, capture_output=True, encoding="utf-8").stdout
    for word in words[1:]:
        if "=" in word:
            assert word.partition("=")[2] in said, f"{word} changes nothing"


def check_activation(words: list) -> None:
    """The script of the environment that the Makefile makes."""
    venv = re.search(r"^VENV \?= (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE).group(1)
    assert words == [".", f"{venv}/bin/activate"]


def ci_text() -> str:
    """What CI runs, as a user would type it; a command that is a line of it needs no other rule."""
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in (".ci/run", ".ci/set_up.sh", "Makefile"))
    return re.sub(r"\\\n|^\s+|\.venv/bin/|\$\(VENV\)/bin/", "", text, flags=re.MULTILINE)


def check_pip(words: list) -> None:
    """A file of requirements is there and installed by CI."""
    _, install, flag, file = words
    assert (install, flag) == ("install", "-r")
    assert (ROOT / file).is_file(), f"{file} is not there"
    assert f"-r {file}" in ci_text(), f"{file} is not installed by .ci/run"


def check_clone(text: str, world: Path) -> None:
    """The copy as a repository, cloned from by that line."""
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    config = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "Makefile", "README.md"], ["commit", "-q", "-m", "a"]):
        subprocess.run(["git", *config, *words], cwd=world, check=True, env=environment(world))
    (world / "elsewhere").mkdir()
    line = text.replace("ADDRESS", shlex.quote(str(world)))
    run(["sh", "-e", "-c", f"{line} && cmp Makefile {shlex.quote(str(world / 'Makefile'))}"], world / "elsewhere")


def script_of(words: list) -> str:
    """The project's script that a command starts, '' where it is none."""
    return next((word for word in words if re.fullmatch(r"\w+/\w+\.py", word)), "") if words[0] == "python" else ""


@pytest.mark.slow
@pytest.mark.parametrize("shown", unique(COMMANDS), ids=str)
def test_a_command_that_is_shown_runs(shown, request):
    text = filled_in(shown.text)
    words = shlex.split(text)
    script = script_of(words)
    beginning = max((known for known in SHORT if text.startswith(known)), key=len, default="")
    if text in ci_text().split("\n"):
        return
    if text.startswith("git clone"):
        check_clone(text, request.getfixturevalue("world"))
    elif words[0] == ".":
        check_activation(words)
    elif words[0] == "make":
        check_make(words, request.getfixturevalue("world"))
    elif words[0] == "pip":
        check_pip(words)
    elif words[0] == "visualdl":
        run_visualdl(words, request.getfixturevalue("world"))
    elif script == "notebooks/set_up.py":  # it has no flags, and here pip has nothing to fetch
        run([sys.executable, script], request.getfixturevalue("world"))
    elif text.startswith("python -m pytest "):  # not the tests within the tests: that it finds some
        run([*words, "--collect-only", "-q"], request.getfixturevalue("world"))
    elif beginning:
        run_short(beginning, words, request.getfixturevalue("world"))
    elif script in ELSEWHERE:
        check_flags(script, words)
    else:
        pytest.fail(f"{shown}: no rule of this file runs it, and .ci/run does not: add it to SHORT or ELSEWHERE")


@pytest.mark.parametrize("script", ELSEWHERE)
def test_what_is_run_elsewhere_is_run_there(script):
    file, _, name = ELSEWHERE[script][0].partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert re.search(rf"^ *def {name}\(", text, re.MULTILINE)
    room, stem = Path(script).parent.name, Path(script).stem
    assert re.search(rf"{room}/{stem}\.py|{room}\W+{stem}\b|from {room} import .*\b{stem}\b", text)


@pytest.mark.slow
@pytest.mark.parametrize("shown", CODE, ids=lambda shown: f"{shown.document}:{shown.line}")
def test_code_that_is_shown_runs(shown, world):
    before, after = PYTHON.get(shown.text.partition("\n")[0], ("", ""))
    run([sys.executable, "-c", f"{before}\n{shown.text}\n{after}"], world)


# ------------------------------------------------------------------------------------------------------ flags and usage


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
    found = [path for room in rooms for path in sorted((ROOT / room).glob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in found if "command.run(" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("shown", docstring_commands(), ids=str)
def test_the_usage_in_a_module_is_what_the_command_takes(shown):
    words = shlex.split(filled_in(shown.text))
    script = script_of(words)
    assert script in scripts(), f"{shown}: which command is that?"
    check_flags(script, words)


@pytest.mark.slow
def test_flags_that_are_named_exist():
    everyones = {flag for script in scripts() for flag in flags_of(script)}
    # Those of other programs: commands that are run above.
    everyones.update(word for shown in COMMANDS for word in shown.text.split() if word.startswith("--"))
    wrong = []
    for span in SPANS:
        named = re.findall(r"(?<![\w-])--[a-z][\w-]*", span.text)
        owners = [script for script in scripts() if script in span.text]
        known = flags_of(owners[0]) if len(owners) == 1 and not COMMAND.match(span.text) else everyones
        wrong += [f"{span}: no {flag}" for flag in named if flag not in known]
    assert not wrong, "\n".join(wrong)


# ---------------------------------------------------------------------------------------------- links, names, languages


def slug(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set:
    return {slug(title) for title in re.findall(r"^#+ +(.+?) *#*$", text, re.MULTILINE)}


def links(document: Document) -> list:
    text = re.sub(r"`[^`]*`", "", document.prose)
    return [*re.findall(r"\]\(\s*<?([^)\s>]+)", text), *re.findall(r"(?:src|href)=[\"']([^\"']+)", text)]


def test_links_lead_somewhere():
    wrong = []
    for document in DOCUMENTS:
        for link in links(document):
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


def test_an_anchor_is_githubs():
    assert anchors("# 2 `a.py` — [b](c), D's_e\n\ntext\n## 第二阶段:训练\n") == {"2-apy--b-ds_e", "第二阶段训练"}


def is_there(path: str) -> bool:
    """Whether the project has such a file, or the user brings or makes it (it is in .gitignore)."""
    path = path.rstrip("/")
    if "/" not in path and "." in path:  # a bare file name
        return any((ROOT / path).exists() or any((ROOT / room).rglob(path)) for room in ROOMS)
    parts = Path(path).parts
    return (ROOT / path).exists() or any(is_ignored("/".join(parts[: end + 1])) for end in range(len(parts)))


def test_files_and_tests_that_are_named_exist():
    wrong = []
    for document in DOCUMENTS:
        file = ""
        for span in spans(document):
            whole = re.fullmatch(r"([\w.-]+(?:/[\w.-]+)*/?)?(?:::(\w+(?:::\w+)*))?", span.text)
            if not whole or COMMAND.match(span.text):
                continue
            path, test = whole.groups()
            is_path = path and (path.split("/")[0] in ROOMS and "/" in path or re.search(r"\.(py|md|sh|ipynb)$", path))
            if (
                is_path
                and not is_there(path)
                or path
                and re.match(r"requirements\S*\.txt$", path)
                and not is_there(path)
            ):
                wrong.append(str(span))
            elif test:
                file = path or file  # `::test_b` is of the file named last
                text = next(ROOT.rglob(Path(file).name)).read_text(encoding="utf-8")
                wrong += [str(span)] * (not re.search(rf"^ *def {test.rpartition('::')[2]}\(", text, re.MULTILINE))
    assert not wrong, "not there:\n" + "\n".join(wrong)


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
    found = import_module(module)
    for attribute in attributes.split("."):
        module = f"{module}.{attribute}"
        if not hasattr(found, attribute):
            try:
                import_module(module)
            except ImportError:
                return attribute in getattr(found, "__dataclass_fields__", {})
        found = getattr(found, attribute)
    return True


BOTH = {name: name.replace(".md", "_cn.md") for name in ("README.md", *(f"docs/{page}.md" for page in USERS_PAGES))}


def test_every_chinese_page_is_compared():
    assert {document.name for document in DOCUMENTS if document.name.endswith("_cn.md")} == set(BOTH.values())


@pytest.mark.parametrize("name", BOTH)
def test_both_languages_show_the_same(name):
    english, chinese = (next(document for document in DOCUMENTS if document.name == one) for one in (name, BOTH[name]))
    assert Counter(filled_in(one.text) for one in commands(english)) == Counter(
        filled_in(one.text) for one in commands(chinese)
    )
    assert {span.text for span in spans(english)} == {span.text for span in spans(chinese)}
    assert len(english.blocks) == len(chinese.blocks)
    assert numbers(english) and numbers(english) == numbers(chinese)
    # Headings, and so the anchors, are in the page's language, and Chinese pages link to Chinese ones.
    english, chinese = (Counter(re.sub("#.*", "#", link) for link in links(one)) for one in (english, chinese))
    switch = Path(name).name
    assert english - Counter({Path(BOTH[name]).name: 1}) == Counter(
        {re.sub(r"_cn\.md", ".md", link): count for link, count in (chinese - Counter({switch: 1})).items()}
    )
    there = {Path(one).name for one in BOTH} - {switch}
    pages = [link for link in chinese if "weights/" not in link]  # the model card is in English
    assert not [link for link in pages if Path(link.rstrip("#")).name in there], "there is a Chinese page"


def numbers(document: Document) -> Counter:
    """The numbers in its tables, but those of one digit: stage 1 is 第一阶段."""
    cells = [line for line in document.prose.split("\n") if line.startswith("|")]
    return Counter(re.findall(r"\d+(?:[.,]\d+)+|\d{2,}", "\n".join(cells)))


def test_chinese_sentences_have_full_width_punctuation():
    """Half-width only in code, links, formulas and numbers (4,000)."""
    wrong = []
    for document in DOCUMENTS:
        text = re.sub(r"`[^`]*`|\]\([^)]*\)|\$+[^$]*\$+", "", document.prose)
        found = re.findall(r"[^\n]*(?:[\u4e00-\u9fff][,:;()!?]|[,:;()!?](?!\[)[\u4e00-\u9fff])[^\n]*", text)
        wrong += [f"{document.name}: {line}" for line in found]
    assert not wrong, "\n".join(wrong)
