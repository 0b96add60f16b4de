"""The project's commands, run in this process as from a shell: a new process takes seconds to load Paddle."""

import os
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, *arguments) -> int:
    """Run `python SCRIPT ARGUMENTS` in the working directory; its exit status. Its output is the test's (`capsys`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(os, "_exit", sys.exit)  # which would end the tests, with status 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as ended:
            return ended.code or 0
    return 0
