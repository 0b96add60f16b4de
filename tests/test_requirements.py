"""The GPU set and the CPU set are the same but for the build of Paddle and the engine for CPUs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def requirements(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_two_sets_differ_in_paddle_and_the_cpu_engine_alone():
    gpu, cpu = requirements("requirements.txt"), requirements("requirements-cpu.txt")
    assert gpu[0] == "paddlepaddle-gpu==2.6.2" and cpu[0] == "paddlepaddle==2.6.2"
    assert [*gpu[1:], "openvino"] == cpu[1:]


def test_upscaling_needs_a_part_of_the_cpu_set():
    assert set(requirements("requirements-upscale.txt")) < set(requirements("requirements-cpu.txt"))


OPTIONAL = sorted(f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt"))


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONAL)
def test_what_is_optional_leaves_the_base_as_it_is(name):
    """pip is asked what it would install on top: nothing that the base pins, in another version than it allows."""
    if name == "requirements/app.txt" and sys.version_info < (3, 10):
        pytest.skip("Gradio needs Python 3.10")
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    result = subprocess.run([*pip, "-r", name], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    if result.returncode and "No matching distribution" in result.stderr:
        pytest.skip("no package index can be reached")
    assert result.returncode == 0, result.stderr
    items = [item["metadata"] for item in json.loads(result.stdout)["install"]]
    found = {item["name"].lower(): item["version"] for item in items}
    # The first major versions that do not go with Paddle 2.6, or, of Pillow, that were not tested.
    too_new = {"numpy": 2, "pandas": 3, "pillow": 13}
    assert not {name: found[name] for name in too_new if int(found.get(name, "0").partition(".")[0]) >= too_new[name]}
    assert not any(package.startswith("paddlepaddle") for package in found)
