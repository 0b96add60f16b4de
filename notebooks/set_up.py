"""Installs what the project needs into this Python; an installed Paddle and NumPy stay as they are.

    python notebooks/set_up.py                        # the installed Paddle, or Paddle 2.6.2 for the GPU or CPU here
    python notebooks/set_up.py paddlepaddle==3.3.1    # another Paddle

The notebook calls `set_up`, and `make` this file. It uses only Python's standard library and no module of the project,
as it runs before any package is installed.
"""

import importlib
import re
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PADDLES = ("paddlepaddle-gpu", "paddlepaddle")
OPENCVS = ("opencv-contrib-python", "opencv-python-headless", "opencv-contrib-python-headless")
LOADED_AS = {"numpy": "numpy", "pillow": "PIL", "matplotlib": "matplotlib", "opencv-python": "cv2"}  # names of modules
PYTHONS = ((3, 8), (3, 12))  # the first and last versions for which Paddle 2.6.2 is built
NEWER = "paddlepaddle==3.3.1"
GPU_INDEX = "https://www.paddlepaddle.org.cn/packages/stable/cu126/"  # Paddle 3 for GPUs is not on PyPI

# `common` must be imported before Paddle: see there.
CHECK = """
import common, paddle
print("Paddle", paddle.__version__, "on", paddle.get_device(), flush=True)
if {is_gpu}:
    assert paddle.device.cuda.device_count(), "Paddle sees no GPU"
    paddle.utils.run_check()
"""


class SetUpError(Exception):
    """The set-up cannot go on; the message says why and what to do."""


def installed_packages() -> dict:
    """{name, in lower case with hyphens: version} of this Python's packages."""
    importlib.invalidate_caches()
    named = ((entry.metadata["Name"], entry.version) for entry in metadata.distributions())
    return {_normal(name): version for name, version in named if name}


def _normal(requirement: str) -> str:
    """The name of the package that a requirement names, in lower case with hyphens."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def requirements_beside_paddle(packages: dict, requirements: list) -> list:
    """The requirements for pip beside an installed Paddle: it and NumPy keep their versions.

    packages: from `installed_packages`; a Paddle that pip does not know, such as one built from source, is not in it.
    requirements: lines of the project's file. NumPy 2 beside Paddle 2, which does not run with it, goes. What else
    Paddle needs pip changes only where something requires it: Pillow.
    """
    paddle = _paddle_in(packages)
    fixed = {paddle, "numpy"} & set(packages)
    if packages.get(paddle, "").startswith("2.") and not packages.get("numpy", "1").startswith("1."):
        fixed -= {"numpy"}
    omitted = {*PADDLES, *fixed}
    if any(name in packages for name in OPENCVS):
        omitted.add("opencv-python")  # all of them provide the module cv2 and would overwrite each other
    others = [line for line in adapt_to_paddle(packages.get(paddle, ""), requirements) if _normal(line) not in omitted]
    return [f"{name}=={packages[name]}" for name in sorted(fixed)] + others


def _paddle_in(packages: dict) -> str:
    return next((name for name in sorted(packages) if name.startswith("paddlepaddle")), "")


def adapt_to_paddle(version: str, requirements: list) -> list:
    """The requirements for a version of Paddle: the bounds that only Paddle 2 needs, built for NumPy 1, go with it."""
    is_2 = not version or version.startswith("2.")
    return requirements if is_2 else [re.sub(r"^(numpy|opencv-python)<.*", r"\1", line) for line in requirements]


def read_requirements(name: str) -> list:
    """The lines of one of the project's requirements files, without comments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def set_up(paddle: str = "") -> None:
    """Install missing packages, report the changes, and check that Paddle and OpenCV can be loaded.

    paddle: a requirement that names another Paddle than the installed one or 2.6.2.
    Raises SetUpError if packages loaded by this process were replaced (restart it), if there is no Paddle for this
    Python, or if pip or Paddle fails.
    """
    before = installed_packages()
    present = _paddle_in(before)
    if paddle:
        print(f"the Paddle that was named: {paddle}")
        for other in {*PADDLES} & set(before):  # both provide the module paddle
            _pip("uninstall", "--yes", other)
        base = "requirements.txt" if "gpu" in paddle else "requirements-cpu.txt"
        others = [line for line in read_requirements(base) if _normal(line) not in PADDLES]
        _pip("install", paddle, *adapt_to_paddle(paddle.partition("==")[2] or "3", others))
    elif present or find_spec("paddle"):
        print(f"{f'{present} {before[present]}' if present else 'a Paddle that pip does not know'} stays as it is")
        _pip("install", *requirements_beside_paddle(before, read_requirements("requirements.txt")))
    else:
        _install_paddle()
    _check()
    after = installed_packages()
    added = ", ".join(f"{name} {after[name]}" for name in sorted(set(after) - set(before)))
    print("installed:", added or "nothing new")
    replaced = [name for name in sorted(before) if after.get(name) != before[name]]
    for name in replaced:
        print(f"{name}: {before[name]} before, {after.get(name)} now")
    if any(LOADED_AS.get(name) in sys.modules for name in replaced):
        raise SetUpError(
            "loaded packages were replaced: restart the kernel (menu Kernel) and run from the first cell again"
        )


def _install_paddle() -> None:
    """Paddle 2.6.2 for the GPU, if there is one and it works with it, or for the CPU."""
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        first, last = (".".join(map(str, python)) for python in PYTHONS)
        raise SetUpError(
            f"Paddle 2.6.2 is not built for Python {sys.version.split()[0]}: take Python {first} to {last}, or another "
            f"Paddle: python notebooks/set_up.py {NEWER} (make PADDLE={NEWER})"
        )
    if shutil.which("nvidia-smi"):
        _pip("install", *read_requirements("requirements.txt"))
        try:
            return _check(is_gpu=True)
        except SetUpError as error:
            print(
                f"{error}\npaddlepaddle-gpu 2.6.2 wants CUDA 11.8, cuDNN 8 and a GPU of compute capability 6.1 to 8.6; "
                f"for newer ones: PIP_EXTRA_INDEX_URL={GPU_INDEX} python notebooks/set_up.py paddlepaddle-gpu==3.3.1\n"
                "taking the CPU set instead, requirements-cpu.txt"
            )
            _pip("uninstall", "--yes", *PADDLES)
    return _pip("install", *read_requirements("requirements-cpu.txt"))


def _check(is_gpu: bool = False) -> None:
    """Load Paddle and OpenCV, whose build without windows takes its place if the system lacks what that needs."""
    done = subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True, encoding="utf-8", check=False)
    if done.returncode and "cannot open shared object" in done.stderr:
        version = installed_packages()["opencv-python"]
        print(f"{done.stderr.splitlines()[-1]}\nopencv-python-headless takes the place of opencv-python")
        _pip("uninstall", "--yes", "opencv-python")
        # Forced, as it may be there already with its files replaced.
        _pip("install", "--force-reinstall", "--no-deps", f"opencv-python-headless=={version}")
    _run([sys.executable, "-c", CHECK.format(is_gpu=is_gpu)])


def _pip(*words) -> None:
    """Run pip, which contacts no server if everything is installed already."""
    _run([sys.executable, "-m", "pip", words[0], "--quiet", "--disable-pip-version-check", *words[1:]])


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
        set_up(*sys.argv[1:2])
    except SetUpError as error:
        sys.exit(f"error: {error}")
