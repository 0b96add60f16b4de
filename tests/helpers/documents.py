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


class Document(NamedTuple):
    """name: its path, with the cell's number if it is a notebook. blocks: [(language, text)] of the fenced ones."""

    name: str
    folder: Path
    blocks: list
    prose: str

    def spans(self) -> list:
        """The inline code; line breaks within it are spaces."""
        return [" ".join(text.split()) for text in re.findall(r"`((?:[^`\n]|\n(?!\s*\n))+)`", self.prose)]

    def commands(self) -> list:
        """The commands of shell blocks and of inline code."""
        shell = [text for language, text in self.blocks if LANGUAGES.get(language) == "shell"]
        lines = [line for text in shell for line in re.sub(r"\\\n *", "", text).split("\n")]
        stripped = [re.sub(r"^\s*\$ |(^|\s)#.*", "", line).strip() for line in lines]  # of prompts and comments
        inline = [span for span in self.spans() if COMMAND.match(span)]
        return [" ".join(line.split()) for line in [*stripped, *inline] if line]

    def links(self) -> list:
        text = re.sub(r"`[^`]*`", "", self.prose)
        return [*re.findall(r"\]\(\s*<?([^)\s>]+)", text), *re.findall(r"(?:src|href)=[\"']([^\"']+)", text)]


def parse(name: str, folder: Path, text: str) -> Document:
    fence = re.compile(r"^( *)```(\S*)\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)
    return Document(name, folder, [(match[1], match[2]) for match in fence.findall(text)], fence.sub("", text))


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


def scripts() -> list:
    """The project's commands."""
    files = [path for room in ("data", "train", "infer", "benchmarks") for path in sorted((ROOT / room).glob("*.py"))]
    return [path.relative_to(ROOT).as_posix() for path in files if "command.run(" in path.read_text(encoding="utf-8")]


def usage(path: Path) -> list:
    """The commands in a module's docstring: indented lines, a comment two spaces or more behind."""
    docstring = path.read_text(encoding="utf-8").partition('"""\n\n')[0]
    return re.findall(r"^ {4}(python \S.*?)(?: {2,}.*)?$", docstring, re.MULTILINE)


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
