"""The set-up: what is installed beside an installed Paddle and what never is; the environment that `make` makes."""

import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from notebooks import set_up

ROOT = Path(__file__).resolve().parents[1]
AISTUDIO = {"paddlepaddle-gpu": "2.6.1.post117", "numpy": "1.23.5", "protobuf": "3.20.2", "pillow": "8.4.0"}


class Machine:
    """Stands in for `subprocess.run`: notes what is run; pip changes the packages as it is told."""

    def __init__(self, packages, after=None, has_gpu=False, gpu_works=True, has_libgl=True):
        self.packages, self.after = dict(packages), after or {}
        self.has_gpu, self.gpu_works, self.has_libgl = has_gpu, gpu_works, has_libgl
        self.lines, self.installs = [], []

    def run(self, line, **_):
        self.lines.append(line)
        if "install" in line:
            self.packages.update(self.after)
            self.installs.append(line[line.index("--disable-pip-version-check") + 1 :])
        if line[1:] == ["-c", "import cv2"] and not self.has_libgl:
            stderr = "Traceback\nImportError: libGL.so.1: cannot open shared object file: No such file or directory\n"
            return types.SimpleNamespace(returncode=1, stderr=stderr)
        is_gpu_check = line[1:2] == ["-c"] and "if True" in line[2]
        return types.SimpleNamespace(returncode=int(is_gpu_check and not self.gpu_works), stdout="output\n", stderr="")


@pytest.fixture
def machine(monkeypatch):
    def make(*arguments, **settings):
        result = Machine(*arguments, **settings)
        monkeypatch.setattr(set_up.subprocess, "run", result.run)
        monkeypatch.setattr(set_up, "installed_packages", lambda: dict(result.packages))
        monkeypatch.setattr(set_up.shutil, "which", lambda program: "nvidia-smi" if result.has_gpu else None)
        monkeypatch.setattr(set_up, "find_spec", lambda module: None)
        return result

    return make


def names(requirements):
    return {set_up._normal(line) for line in requirements}


def test_on_ai_studio_paddle_and_numpy_stay(machine, capsys):
    studio = machine(AISTUDIO, after={"psutil": "5.9"})
    set_up.set_up()
    (wanted,) = studio.installs
    packages = {"opencv-python", "setuptools", "pillow", "scikit-image", "matplotlib", "tqdm", "psutil", "openvino"}
    assert wanted[:2] == ["numpy==1.23.5", "paddlepaddle-gpu==2.6.1.post117"] and names(wanted[2:]) == packages
    assert "opencv-python<4.12" in wanted
    said = capsys.readouterr().out
    assert "paddlepaddle-gpu 2.6.1.post117 stays as it is" in said and "installed: psutil 5.9" in said


@pytest.mark.parametrize(
    "packages, fixed",
    [
        ({"paddlepaddle-xpu": "2.6.1", "numpy": "1.26.4"}, ["numpy==1.26.4", "paddlepaddle-xpu==2.6.1"]),
        ({"paddlepaddle": "3.3.1", "numpy": "2.2.0"}, ["numpy==2.2.0", "paddlepaddle==3.3.1"]),
        ({"paddlepaddle": "2.6.2", "numpy": "2.2.0"}, ["paddlepaddle==2.6.2"]),  # it cannot load NumPy 2
    ],
)
def test_every_paddle_stays_with_the_numpy_that_it_runs_with(machine, packages, fixed):
    studio = machine(packages)
    set_up.set_up()
    assert [line for line in studio.installs[0] if "==" in line] == fixed
    assert ("numpy<2" in studio.installs[0]) == (len(fixed) == 1)
    assert ("opencv-python" in studio.installs[0]) == ("3.3.1" in str(packages)), "its bound is Paddle 2's alone"


def test_replacing_a_loaded_package_asks_for_a_restart(machine, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "PIL", raising=False)
    machine(AISTUDIO, after={"pillow": "10.4.0"})
    set_up.set_up()
    monkeypatch.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    machine({"paddlepaddle": "2.6.2", "numpy": "2.2.0"}, after={"numpy": "1.26.4"})
    with pytest.raises(set_up.SetUpError, match="restart the kernel"):
        set_up.set_up()
    assert "numpy: 2.2.0 before, 1.26.4 now" in capsys.readouterr().out


def test_without_a_paddle_it_is_the_cpu_set_or_the_gpu_set(machine, capsys):
    bare = machine({"numpy": "1.26.4"})
    set_up.set_up()
    assert {"paddlepaddle==2.6.2", "numpy<2", "openvino"} <= set(bare.installs[0])
    gpu = machine({}, has_gpu=True)
    set_up.set_up()
    assert len(gpu.installs) == 1 and "paddlepaddle-gpu==2.6.2" in gpu.installs[0]


def test_a_gpu_build_that_does_not_work_is_replaced_by_the_cpu_set(machine, capsys):
    gpu = machine({}, has_gpu=True, gpu_works=False)
    set_up.set_up()
    assert "paddlepaddle-gpu==2.6.2" in gpu.installs[0] and "paddlepaddle==2.6.2" in gpu.installs[1]
    assert any("uninstall" in line for line in gpu.lines)
    said = capsys.readouterr().out
    assert "compute capability" in said and set_up.GPU_INDEX in said and "paddlepaddle-gpu==3" in said


def test_a_named_paddle_is_taken_and_without_the_bounds_of_paddle_2(machine):
    bare = machine({"paddlepaddle-gpu": "2.6.2", "numpy": "1.26.4"})
    set_up.set_up("paddlepaddle==3.3.1")
    assert "uninstall" in bare.lines[0] and bare.lines[0][-1] == "paddlepaddle-gpu"
    assert {"paddlepaddle==3.3.1", "numpy", "opencv-python", "openvino"} <= set(bare.installs[0])
    bare = machine({})
    set_up.set_up("paddlepaddle==2.6.1")
    assert {"paddlepaddle==2.6.1", "numpy<2", "opencv-python<4.12"} <= set(bare.installs[0])


def test_without_libgl_opencv_s_headless_build_takes_its_place(machine, capsys):
    slim = machine({**AISTUDIO, "opencv-python": "4.11.0.86"}, has_libgl=False)
    set_up.set_up()
    assert slim.installs[1][-1] == "opencv-python-headless==4.11.0.86"
    assert any(line[-2:] == ["--yes", "opencv-python"] for line in slim.lines)
    assert "libGL.so.1" in capsys.readouterr().out
    gpu = machine({"opencv-python": "4.11.0.86"}, has_gpu=True, has_libgl=False)
    set_up.set_up()
    places = [i for i, line in enumerate(gpu.lines) if "if True" in line[-1] or "headless" in line[-1]]
    assert "headless" in gpu.lines[places[0]][-1], "the GPU is not blamed for it"


def test_a_python_without_paddle_is_named_before_anything_is_installed(machine, monkeypatch):
    bare = machine({})
    info = types.SimpleNamespace(version_info=(3, 13, 0, "final", 0), version="3.13", executable=sys.executable)
    monkeypatch.setattr(set_up, "sys", info)
    with pytest.raises(set_up.SetUpError, match=r"Python 3\.8 to 3\.12, or .* paddlepaddle==3"):
        set_up.set_up()
    assert not bare.lines


def test_it_needs_nothing_that_it_installs():
    """In a Python that has no package at all."""
    code = "import sys; sys.path[:0] = [sys.argv[1]]; import notebooks.set_up; print(sorted(sys.modules))"
    line = [sys.executable, "-I", "-S", "-c", code, str(ROOT)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "'PIL'" not in done.stdout and "'numpy'" not in done.stdout


# ---------------------------------------------------------------------------------------------------- .ci/set_up.sh

# Answers like a Python that notes what it is asked in $LOG, makes environments that hold itself, and fails at $FAIL.
PYTHON = """#!/bin/sh
case "$1" in
  --version) echo "Python 3.11.7";;
  -c) exit 0;;
  *) echo "$*" >> "$LOG"; case "$*" in *$FAIL*) exit 1;; esac
     if [ "$2" = venv ]; then rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python"; fi;;
esac
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_make_s_environment_is_made_once_and_again_after_a_failure(tmp_path):
    for name in (".ci/set_up.sh", "requirements.txt", "requirements-cpu.txt", "requirements/dev.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "python3").write_text(PYTHON)
    (tmp_path / "tools" / "python3").chmod(0o755)
    log = tmp_path / "log"

    def run(*arguments, fail="nothing"):
        log.write_text("")
        environment = {"PATH": f"{tmp_path / 'tools'}:/usr/bin:/bin", "LOG": str(log), "FAIL": fail}
        line = ["sh", ".ci/set_up.sh", "venv", *arguments]
        done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False)
        return done.returncode, log.read_text().splitlines()

    made = ["-m venv --clear venv", "notebooks/set_up.py"]
    status, lines = run()
    assert status == 0 and lines[:2] == made and lines[2].endswith("-r requirements/dev.txt")
    assert run() == (0, [])
    status, lines = run("paddlepaddle==3.3.1", fail="set_up.py")
    assert status != 0 and lines[1] == "notebooks/set_up.py paddlepaddle==3.3.1"
    assert run()[1][:2] == made, "an environment that was not completed is made again"
