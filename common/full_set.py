"""Imported by the commands that need more than upscaling does: where it is missing, they end with one line."""

import sys
from importlib.util import find_spec

_missing = [name for name in ("paddle", "skimage", "matplotlib") if find_spec(name) is None]
if _missing:
    sys.exit(
        f"error: {', '.join(_missing)} not installed: training, measuring and exporting need "
        "pip install -r requirements-cpu.txt (or requirements.txt, for a GPU)"
    )
