"""The project's documents, taken apart: blocks, commands, inline code, links and headings."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"(python3?|pip3?|make|git|visualdl|jupyter|sh|bash|curl|wget|conda|apt-get) \S")
LANGUAGES = {"": "shell", "sh": "shell", "bash": "shell", "python": "python", "mermaid": "names", "text": "nothing"}
IGNORED = [line.rstrip("*") for line in (ROOT / ".gitignore").read_text().splitlines() if line and line[0] not in "#!"]


class Shown(NamedTuple):
    """Something that a document shows. document: its path, with the cell's number if it is a notebook."""

    document: str
    line: int
    text: str

    def __str__(self):
        return f"{self.document}:{self.line} {self.text}"


class Document(NamedTuple):
    """blocks: [(language, Shown)] of the fenced ones; prose: the text without them, with as many lines."""

    name: str
    folder: Path
    blocks: list
    prose: str

    def spans(self) -> list:
        """The inline code, one Shown each; line breaks within it are spaces."""
        matches = re.finditer(r"`((?:[^`\n]|\n(?!\s*\n))+)`", self.prose)
        return [
            Shown(self.name, self.prose.count("\n", 0, match.start()) + 1, " ".join(match.group(1).split()))
            for match in matches
        ]

    def commands(self) -> list:
        """The commands of shell blocks and of inline code, one Shown each."""
        blocks = [block for language, block in self.blocks if LANGUAGES.get(language) == "shell"]
        in_blocks = [command for block in blocks for command in block_commands(block)]
        return [*in_blocks, *(span for span in self.spans() if COMMAND.match(span.text))]

    def links(self) -> list:
        text = re.sub(r"`[^`]*`", "", self.prose)
        return [*re.findall(r"\]\(\s*<?([^)\s>]+)", text), *re.findall(r"(?:src|href)=[\"']([^\"']+)", text)]


def parse(name: str, folder: Path, text: str) -> Document:
    blocks, prose = [], []
    fence = re.compile(r"^( *)```(\S*)\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)
    last = 0
    for match in fence.finditer(text):
        line = text.count("\n", 0, match.start(3)) + 1
        blocks.append((match.group(2), Shown(name, line, match.group(3))))
        prose += [text[last : match.start()], "\n" * match.group().count("\n")]
        last = match.end()
    return Document(name, folder, blocks, "".join([*prose, text[last:]]))


def block_commands(block: Shown) -> list:
    """The lines of a shell block without comments and prompts; continued lines are joined."""
    text = re.sub(r"\\\n[ ]*", "\0", block.text)  # a joined line still counts as two
    result, line = [], block.line
    for row in text.split("\n"):
        command = re.sub(r"^\s*\$ |(^|\s)#.*", "", row.replace("\0", "")).strip()
        if command:
            result.append(Shown(block.document, line, " ".join(command.split())))
        line += 1 + row.count("\0")
    return result


def documents() -> list:
    """All pages of the root, docs/, weights/ and tests/, and the text cells of the notebooks."""
    pages = [path for folder in ("", "docs", "weights") for path in sorted((ROOT / folder).glob("*.md"))]
    result = [
        parse(path.relative_to(ROOT).as_posix(), path.parent, path.read_text(encoding="utf-8"))
        for path in [*pages, *(ROOT / "tests").rglob("*.md")]
    ]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
            if cell["cell_type"] == "markdown":
                name = f"{path.relative_to(ROOT).as_posix()}[{number}]"
                result.append(parse(name, path.parent, "".join(cell["source"])))
    return result


def docstring_commands() -> list:
    """The commands in the modules' usage: indented lines, a comment two spaces or more behind."""
    result = []
    for room in ("data", "train", "infer", "benchmarks"):
        for path in sorted((ROOT / room).glob("*.py")):
            lines = path.read_text(encoding="utf-8").partition('"""\n\n')[0].split("\n")
            for number, line in enumerate(lines, 1):
                usage = re.match(r" {4}(python \S.*?)(?: {2,}.*)?$", line)
                if usage:
                    result.append(Shown(path.relative_to(ROOT).as_posix(), number, usage.group(1)))
    return result


def unique(shown: list) -> list:
    """The first of those with the same text."""
    return list({filled_in(one.text): one for one in reversed(shown)}.values())[::-1]


def filled_in(text: str) -> str:
    """A command with something in place of what a reader fills in (<address>, …)."""
    return re.sub(r"(?<!\S)<[^<>]+>", "ADDRESS", text).replace(" …", "")


def anchors(text: str) -> set:
    """The anchors that GitHub gives to the headings of a text."""
    titles = re.findall(r"^#+ +(.+?) *#*$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "") for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in plain}


def exists(path: str, rooms: tuple) -> bool:
    """Whether the project has such a file, or .gitignore says that the user brings or makes it."""
    path = path.rstrip("/")
    if "/" not in path and "." in path:  # a bare file name
        return any((ROOT / path).exists() or any((ROOT / room).rglob(path)) for room in rooms)
    parts = Path(path).parts
    parents = ("/".join(parts[: end + 1]) for end in range(len(parts)))
    return (ROOT / path).exists() or any(map(_is_ignored, parents))


def _is_ignored(path: str) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch(f"/{path}" if line[0] == "/" else name, line.rstrip("/")) for line in IGNORED)
