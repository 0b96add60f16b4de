"""Installs the packages that the notebook lacks, without changing an installed Paddle or its dependencies.

    python notebooks/set_up.py

It uses only Python's standard library and no module of the project, which needs Pillow: it runs before any package is
installed.
"""

import importlib
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PADDLES = ("paddlepaddle-gpu", "paddlepaddle")
OPENCVS = ("opencv-python", "opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
LOADED_AS = {"numpy": "numpy", "pillow": "PIL", "matplotlib": "matplotlib", "opencv-python": "cv2"}  # names of modules
PYTHONS = ((3, 8), (3, 12))  # the first and last versions for which Paddle 2.6.2 is built


class SetUpError(Exception):
    """The notebook cannot go on; the message says why and what to do."""


# `common` must be imported before Paddle: see there.
CHECK = """
import common, paddle
print("Paddle", paddle.__version__, "on", paddle.get_device(), flush=True)
if {is_gpu}:
    assert paddle.device.cuda.device_count(), "Paddle sees no GPU"
    paddle.utils.run_check()
"""


def installed() -> dict:
    """{name, in lower case with hyphens: version} of this Python's packages."""
    importlib.invalidate_caches()
    found = ((entry.metadata["Name"], entry.version) for entry in metadata.distributions())
    return {_normal(name): version for name, version in found if name}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def paddle_of(packages: dict):
    """The package name of the installed Paddle (there is a package for each type of device), or None."""
    return next((name for name in sorted(packages) if name.startswith("paddlepaddle")), None)


def required_by(package: str) -> set:
    """The names of the packages that an installed one requires."""
    return {_normal(re.match(r"[\w.-]+", text).group()) for text in metadata.requires(package) or ()}


def beside_paddle(packages: dict, requirements: list, stands_on: set) -> tuple:
    """(requirements for pip to install, requirements that pip must not change), two lists, if a Paddle is installed.

    packages: from `installed`; a Paddle that pip does not know, such as one built from source, is not in it.
    requirements: the lines of the project's file. stands_on: Paddle's dependencies.
    Paddle, NumPy and Paddle's dependencies are not requested and keep their versions. There are two exceptions: Pillow,
    as the project needs a newer version than Paddle; and NumPy 2 beside Paddle 2, which does not run with it.
    """
    paddle = paddle_of(packages)
    kept = {paddle, "numpy", *stands_on} & set(packages) - {"pillow"}
    if packages.get(paddle, "").startswith("2.") and not packages.get("numpy", "1").startswith("1."):
        kept -= {"numpy"}
    left_out = {*PADDLES, *kept}
    if any(name in packages for name in OPENCVS[1:]):
        left_out.add(OPENCVS[0])  # all of them provide the module cv2 and would overwrite each other
    wanted = [line for line in requirements if _normal(re.match(r"[\w.-]+", line).group()) not in left_out]
    return wanted, [f"{name}=={packages[name]}" for name in sorted(kept)]


def read_requirements(name: str) -> list:
    """The lines of one of the project's requirements files, without comments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def set_up() -> None:
    """Install missing packages, report the changes, and check that Paddle can be loaded.

    Raises SetUpError if packages loaded by this process were replaced (restart it), if there is no Paddle for this
    Python, or if pip or Paddle fails.
    """
    before = installed()
    paddle = paddle_of(before)
    if paddle:
        print(f"{paddle} {before[paddle]} is installed and stays as it is")
        _pip_install(*beside_paddle(before, read_requirements("requirements.txt"), required_by(paddle)))
        _check()
    elif find_spec("paddle"):
        print("a Paddle that pip does not know is installed and stays as it is")
        _pip_install(*beside_paddle(before, read_requirements("requirements.txt"), set()))
        _check()
    else:
        _install_paddle()
    after = installed()
    print(
        "installed:", ", ".join(f"{name} {after[name]}" for name in sorted(set(after) - set(before))) or "nothing new"
    )
    replaced = [name for name in sorted(before) if after.get(name) != before[name]]
    for name in replaced:
        print(f"{name}: {before[name]} before, {after.get(name)} now")
    if any(LOADED_AS.get(name) in sys.modules for name in replaced):
        raise SetUpError(
            "loaded packages were replaced: restart the kernel (menu Kernel) and run from the first cell again"
        )


def _install_paddle() -> None:
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        first, last = (".".join(map(str, python)) for python in PYTHONS)
        raise SetUpError(
            f"there is no Paddle here, and Paddle 2.6.2 is not built for Python {sys.version.split()[0]}: take a "
            f"kernel of Python {first} to {last}, or install another Paddle and run this again"
        )
    if _answers("nvidia-smi"):
        print("no Paddle is installed and there is a GPU: installing the GPU set, requirements.txt")
        _pip_install(read_requirements("requirements.txt"), [])
        try:
            return _check(is_gpu=True)
        except SetUpError as error:
            print(f"{error}\nthe GPU build does not work here: taking the CPU set instead, requirements-cpu.txt")
            _run([sys.executable, "-m", "pip", "uninstall", "--yes", *PADDLES])
    else:
        print("no Paddle is installed and no GPU answers: installing the CPU set, requirements-cpu.txt")
    _pip_install(read_requirements("requirements-cpu.txt"), [])
    return _check()


def _check(is_gpu: bool = False) -> None:
    _run([sys.executable, "-c", CHECK.format(is_gpu=is_gpu)])


def _answers(program: str) -> bool:
    try:
        return subprocess.run([program], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _pip_install(wanted: list, constraints: list) -> None:
    """Run pip, which contacts no server if all of `wanted` is installed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "constraints.txt")
        file.write_text("\n".join(constraints) + "\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--constraint", str(file), *wanted])


def _run(line: list) -> None:
    """Run a program and show its output when it has ended."""
    done = subprocess.run(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    if done.stdout:
        print(done.stdout.rstrip())
    if done.returncode:
        raise SetUpError(f"{' '.join(line[1:4])} ended with exit status {done.returncode}; the reason is above")


if __name__ == "__main__":
    try:
        set_up()
    except SetUpError as error:
        sys.exit(f"error: {error}")
