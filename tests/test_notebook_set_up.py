"""`notebooks/set_up.py`: what is installed beside an installed Paddle, and what never is."""

import subprocess
import sys
import types
from importlib import metadata

import pytest

from notebooks import set_up

WANTED = set_up.read_requirements("requirements.txt")
AISTUDIO = {
    "paddlepaddle-gpu": "2.6.1.post117",
    "numpy": "1.23.5",
    "protobuf": "3.20.2",
    "pillow": "8.4.0",
    "tqdm": "4.60",
}
STANDS_ON = {"numpy", "protobuf", "pillow", "httpx"}


def names(lines):
    return {line.split("=")[0].split("<")[0].split(">")[0] for line in lines}


def test_paddle_and_what_it_stands_on_are_neither_asked_for_nor_changed():
    wanted, kept = set_up.beside_paddle(AISTUDIO, WANTED, STANDS_ON)
    assert names(wanted) == {"opencv-python", "setuptools", "Pillow", "scikit-image", "matplotlib", "tqdm", "psutil"}
    assert kept == ["numpy==1.23.5", "paddlepaddle-gpu==2.6.1.post117", "protobuf==3.20.2"]


def test_paddle_3_keeps_its_numpy_2():
    wanted, kept = set_up.beside_paddle({"paddlepaddle": "3.3.1", "numpy": "2.2.0"}, WANTED, {"numpy"})
    assert "numpy" not in names(wanted)
    assert kept == ["numpy==2.2.0", "paddlepaddle==3.3.1"]


def test_a_numpy_2_that_paddle_2_cannot_load_is_replaced():
    wanted, kept = set_up.beside_paddle({"paddlepaddle": "2.6.2", "numpy": "2.2.0"}, WANTED, {"numpy"})
    assert "numpy<2" in wanted
    assert kept == ["paddlepaddle==2.6.2"]


@pytest.mark.parametrize("opencv", ["opencv-contrib-python", "opencv-python-headless"])
def test_another_build_of_opencv_is_not_overwritten(opencv):
    wanted, _ = set_up.beside_paddle({**AISTUDIO, opencv: "4.6.0.66"}, WANTED, STANDS_ON)
    assert not [line for line in wanted if line.startswith("opencv")]
    wanted, _ = set_up.beside_paddle({**AISTUDIO, "opencv-python": "4.6.0.66"}, WANTED, STANDS_ON)
    assert [line for line in wanted if line.startswith("opencv")] == ["opencv-python<4.12"]


def test_this_pythons_packages_and_what_paddle_requires_are_known():
    found = set_up.installed()
    assert found["numpy"] == metadata.version("numpy")
    paddle = set_up.paddle_of(found)
    assert {"numpy", "protobuf", "pillow"} <= set_up.required_by(paddle)


class Machine:
    """Stands in for `subprocess.run`: notes what is run; pip changes the packages as it is told."""

    def __init__(self, packages, after=None, has_gpu=False, gpu_works=True):
        self.packages, self.after = dict(packages), after or {}
        self.has_gpu, self.gpu_works = has_gpu, gpu_works
        self.lines = []

    def run(self, line, **_):
        self.lines.append(line)
        if line == ["nvidia-smi"]:
            if not self.has_gpu:
                raise FileNotFoundError("nvidia-smi")
            return types.SimpleNamespace(returncode=0, stdout="")
        if "install" in line:
            self.packages.update(self.after)
            self.constraints = open(line[line.index("--constraint") + 1], encoding="utf-8").read().split()  # noqa: SIM115
        is_gpu_check = line[1] == "-c" and "if True" in line[2]
        return types.SimpleNamespace(returncode=int(is_gpu_check and not self.gpu_works), stdout="said by it\n")

    def installs(self):
        return [line for line in self.lines if "install" in line]


@pytest.fixture
def machine(monkeypatch):
    def make(*arguments, **settings):
        result = Machine(*arguments, **settings)
        monkeypatch.setattr(set_up.subprocess, "run", result.run)
        monkeypatch.setattr(set_up, "installed", lambda: dict(result.packages))
        monkeypatch.setattr(set_up, "required_by", lambda package: STANDS_ON)
        monkeypatch.setattr(set_up, "find_spec", lambda module: None)
        return result

    return make


def test_on_ai_studio_only_what_is_missing_is_installed_and_said(machine, capsys):
    studio = machine(AISTUDIO, after={"psutil": "5.9"})
    set_up.set_up()
    (install,) = studio.installs()
    assert not [word for word in install if word.startswith(("paddle", "numpy", "openvino", "pytest", "ruff"))]
    assert studio.constraints == ["numpy==1.23.5", "paddlepaddle-gpu==2.6.1.post117", "protobuf==3.20.2"]
    said = capsys.readouterr().out
    assert "paddlepaddle-gpu 2.6.1.post117 is installed and stays as it is" in said
    assert "installed: psutil 5.9" in said


@pytest.mark.parametrize("paddle", ["paddlepaddle-xpu", "paddlepaddle-dcu"])
def test_a_paddle_for_another_device_stays(paddle, machine, capsys):
    studio = machine({paddle: "2.6.1", "numpy": "1.26.4"})
    set_up.set_up()
    (install,) = studio.installs()
    assert not [word for word in install if word.startswith("paddle")]
    assert studio.constraints == ["numpy==1.26.4", f"{paddle}==2.6.1"]
    assert f"{paddle} 2.6.1 is installed and stays as it is" in capsys.readouterr().out


def test_a_paddle_that_pip_does_not_know_stays(machine, monkeypatch, capsys):
    studio = machine({"numpy": "2.2.0"})
    monkeypatch.setattr(set_up, "find_spec", lambda module: module == "paddle" or None)
    set_up.set_up()
    (install,) = studio.installs()
    assert not [word for word in install if word.startswith(("paddle", "numpy"))]
    assert studio.constraints == ["numpy==2.2.0"]
    assert "a Paddle that pip does not know is installed" in capsys.readouterr().out


def test_replacing_a_loaded_package_asks_for_a_restart(machine, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    machine({"paddlepaddle": "2.6.2", "numpy": "2.2.0"}, after={"numpy": "1.26.4"})
    with pytest.raises(set_up.SetUpError, match="restart the kernel"):
        set_up.set_up()
    assert "numpy: 2.2.0 before, 1.26.4 now" in capsys.readouterr().out


def test_replacing_what_is_not_loaded_does_not(machine, monkeypatch):
    monkeypatch.delitem(sys.modules, "PIL", raising=False)
    machine(AISTUDIO, after={"pillow": "10.4.0"})
    set_up.set_up()


def test_without_a_paddle_the_cpu_set_is_installed(machine, capsys):
    bare = machine({"numpy": "1.26.4"}, after={"paddlepaddle": "2.6.2"})
    set_up.set_up()
    (install,) = bare.installs()
    assert {"paddlepaddle==2.6.2", "numpy<2", "openvino"} <= set(install)
    assert "CPU set" in capsys.readouterr().out


def test_without_a_paddle_and_with_a_gpu_its_set_is_installed(machine):
    gpu = machine({}, after={"paddlepaddle-gpu": "2.6.2"}, has_gpu=True)
    set_up.set_up()
    (install,) = gpu.installs()
    assert "paddlepaddle-gpu==2.6.2" in install


def test_a_gpu_build_that_does_not_work_is_replaced_by_the_cpu_set(machine, capsys):
    gpu = machine({}, has_gpu=True, gpu_works=False)
    set_up.set_up()
    first, second = gpu.installs()
    assert "paddlepaddle-gpu==2.6.2" in first
    assert "paddlepaddle==2.6.2" in second
    assert any("uninstall" in line for line in gpu.lines[gpu.lines.index(first) : gpu.lines.index(second)])
    assert "taking the CPU set instead" in capsys.readouterr().out


@pytest.mark.parametrize("version", [(3, 7), (3, 13)])
def test_a_python_without_paddle_is_said_before_anything_is_installed(machine, monkeypatch, version):
    bare = machine({})
    info = types.SimpleNamespace(version_info=(*version, 0, "final", 0), version="3.x", executable=sys.executable)
    monkeypatch.setattr(set_up, "sys", info)
    with pytest.raises(set_up.SetUpError, match=r"Python 3\.8 to 3\.12"):
        set_up.set_up()
    assert not bare.lines


def test_a_failing_pip_is_an_error(machine, monkeypatch):
    machine(AISTUDIO)
    failed = types.SimpleNamespace(returncode=1, stdout="no matching distribution\n")
    monkeypatch.setattr(set_up.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(set_up.SetUpError, match="pip install ended with exit status 1"):
        set_up.set_up()


def test_it_needs_nothing_that_it_installs():
    """In a Python that has no package at all."""
    code = "import sys; sys.path[:0] = [sys.argv[1]]; import notebooks.set_up; print(sorted(sys.modules))"
    line = [sys.executable, "-I", "-S", "-c", code, str(set_up.ROOT)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "'PIL'" not in done.stdout and "'numpy'" not in done.stdout
