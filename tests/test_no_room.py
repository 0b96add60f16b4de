"""Upscaling where the user's folder cannot be written to, or where no program has room: the cache prevents nothing."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.weight_files import weights
from tests.helpers import generators

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the limit on a file's size is POSIX")


@pytest.fixture
def folder(tmp_path):
    weights.save(generators.recorded(), tmp_path / "g.pdparams")
    noise = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    return tmp_path


def upscale(folder, output, limit=None, **environment):
    def limited():
        import resource

        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    line = [
        sys.executable,
        "-W",
        "ignore",
        ROOT / "infer" / "upscale.py",
        "a.png",
        "--weights",
        "g.pdparams",
        "-o",
        output,
    ]
    line += ["--precision", "fp32", "--engine", "paddle"]
    return subprocess.run(
        line,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        preexec_fn=limited,
    )


@pytest.mark.slow
def test_wherever_it_runs_the_picture_is_the_same(folder):
    """As it should be; with no home at all; with a limit on files that the picture keeps and the program doesn't."""
    results = [
        upscale(folder, "as ever", XDG_CACHE_HOME=str(folder / "cache")),
        upscale(folder, "no home", HOME="/proc/none", XDG_CACHE_HOME=""),
        upscale(folder, "no room", limit=500_000, XDG_CACHE_HOME=str(folder / "full")),
    ]
    for result in results:
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
    expected = np.asarray(Image.open(folder / "as ever" / "a_x4.png")).astype(int)
    for name in ("no home", "no room"):
        found = np.asarray(Image.open(folder / name / "a_x4.png")).astype(int)
        assert np.abs(found - expected).max() <= 1
    assert "programs are exported anew each time" in results[1].stderr
    assert "computing eagerly" in results[2].stderr
    assert not list((folder / "full").rglob("*.pdmodel")), "half a program is not kept"


def test_what_the_exporter_needs_a_home_for_leaves_nothing_in_the_users(folder):
    (folder / "home").mkdir()
    result = upscale(folder, "o", HOME=str(folder / "home"), XDG_CACHE_HOME=str(folder / "cache"))
    assert result.returncode == 0, result.stderr
    assert not list((folder / "home").rglob("to_static_tmp"))
