"""Programs in a Python of their own, where a test would change this one or measure its memory."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_python(program: str, *arguments, flags=("-B",)) -> subprocess.CompletedProcess:
    """Run a program text from the project's folder; flags: Python's."""
    command = [sys.executable, *flags, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
