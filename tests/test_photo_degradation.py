"""`benchmarks/photo_degradation.py`: the sheet of examples."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks import photo_degradation
from data.photo import Blur, Jpeg, Noise, Resize
from tests.helpers import matlab

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "photo_degradation.py"


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, encoding="utf-8", check=False)


@pytest.mark.slow
def test_it_draws_sixteen_different_ones(tmp_path):
    (tmp_path / "data").mkdir()
    rgb = cv2.resize(matlab.noise(25, 30), (300, 250), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(rgb).save(tmp_path / "data" / "a.png")
    done = run("--data", tmp_path / "data", "--to", tmp_path / "sheet.png")
    assert done.returncode == 0, done.stderr
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(int)
    side, pitch = photo_degradation.HR_SIZE, photo_degradation.HR_SIZE + photo_degradation.MARGIN
    blocks = set()
    for i in range(16):
        top, left = (8 + i // 4 * (pitch + photo_degradation.CAPTION), 8 + i % 4 * pitch)
        block = sheet[top : top + side, left : left + side]
        np.testing.assert_array_equal(block, block[::4, ::4].repeat(4, 0).repeat(4, 1))
        assert block.std() > 10
        blocks.add(block.tobytes())
        below = sheet[top + side : top + side + photo_degradation.CAPTION, left : left + side]
        assert below.min() < 100 < below.mean(), "a caption, black on white"
    assert len(blocks) == 16


def test_the_caption_names_the_operations_in_their_order():
    operations = (Blur("disc", 3.0, 2.0), Resize(0.25, "area"), Noise(7.77, True, False, 0.5, 3), Jpeg(61))
    assert photo_degradation.caption(operations) == "disc 3.0, area 1×\nphoton noise 8 corr., JPEG 61"
    assert photo_degradation.caption(operations[1:2]) == "clean: MATLAB's bicubic"


@pytest.mark.slow
def test_a_small_picture_is_named(tmp_path):
    Image.new("RGB", (191, 300)).save(tmp_path / "small.png")
    done = run("--data", tmp_path, "--to", tmp_path.parent / "sheet.png")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "small.png is too small: 191x300 pixels; expected 192 or more" in done.stderr
