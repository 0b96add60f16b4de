"""Upscaling where only requirements-upscale.txt is installed; the other commands say what to install."""

import subprocess
import sys

import numpy as np
from PIL import Image

from infer import Upscaler
from tests.helpers.programs import ROOT

# Runs a command of the project; what requirements-upscale.txt does not list cannot be imported.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(("paddle", "skimage", "matplotlib", "scipy", "onnxruntime"), None))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*line):
    line = [sys.executable, "-c", WITHOUT, *map(str, line)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_writes_the_same_pixels(weights_file, tmp_path):
    photo = np.random.RandomState(0).randint(0, 256, (9, 14, 3)).astype("uint8")
    Image.fromarray(photo).save(tmp_path / "photo.png")
    ended = run("infer/upscale.py", tmp_path / "photo.png", "-o", tmp_path, "--weights", weights_file)
    assert ended.returncode == 0, ended.stderr
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photo_x4.png")), Upscaler(weights_file)(photo))


def test_other_commands_say_what_to_install():
    for script in ("train/train_gan.py", "infer/evaluate.py", "infer/export.py"):
        ended = run(script)
        assert ended.returncode == 1 and ended.stderr.count("\n") == 1
        assert "paddle, skimage, matplotlib not installed" in ended.stderr
        assert "pip install -r requirements-cpu.txt" in ended.stderr
