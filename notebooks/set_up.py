"""Installs what the project needs into this Python; an installed Paddle and its dependencies stay as they are.

    python notebooks/set_up.py                        # the installed Paddle, or Paddle 2.6.2 for the GPU or CPU here
    python notebooks/set_up.py paddlepaddle==3.3.1    # another Paddle

The notebook calls `set_up`, and `make` this file. It uses only Python's standard library and no module of the project,
as it runs before any package is installed.
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


def installed() -> dict:
    """{name, in lower case with hyphens: version} of this Python's packages."""
    importlib.invalidate_caches()
    named = ((entry.metadata["Name"], entry.version) for entry in metadata.distributions())
    return {_normal(name): version for name, version in named if name}


def _normal(requirement: str) -> str:
    """The name of the package that a requirement names, in lower case with hyphens."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement).group()).lower()


def beside_paddle(packages: dict, requirements: list, dependencies: set) -> tuple:
    """(requirements for pip to install, requirements that pip must not change), two lists, beside an installed Paddle.

    packages: from `installed`; a Paddle that pip does not know, such as one built from source, is not in it.
    requirements: lines of the project's file. dependencies: Paddle's.
    Paddle, NumPy and Paddle's dependencies are not requested and keep their versions. There are two exceptions: Pillow,
    as the project needs a newer version than Paddle; and NumPy 2 beside Paddle 2, which does not run with it.
    """
    paddle = next((name for name in sorted(packages) if name.startswith("paddlepaddle")), "")
    kept = {paddle, "numpy", *dependencies} & set(packages) - {"pillow"}
    if packages.get(paddle, "").startswith("2.") and not packages.get("numpy", "1").startswith("1."):
        kept -= {"numpy"}
    omitted = {*PADDLES, *kept}
    if any(name in packages for name in OPENCVS):
        omitted.add("opencv-python")  # all of them provide the module cv2 and would overwrite each other
    wanted = [line for line in for_paddle(packages.get(paddle, ""), requirements) if _normal(line) not in omitted]
    return wanted, [f"{name}=={packages[name]}" for name in sorted(kept)]


def for_paddle(version: str, requirements: list) -> list:
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
    before = installed()
    present = next((name for name in sorted(before) if name.startswith("paddlepaddle")), "")
    if paddle:
        print(f"the Paddle that was named: {paddle}")
        for other in {*PADDLES} & set(before):  # both provide the module paddle
            _run([sys.executable, "-m", "pip", "uninstall", "--yes", other])
        base = "requirements.txt" if "gpu" in paddle else "requirements-cpu.txt"
        others = [line for line in read_requirements(base) if _normal(line) not in PADDLES]
        _pip_install([paddle, *for_paddle(paddle.partition("==")[2] or "3", others)])
    elif present or find_spec("paddle"):
        print(f"{f'{present} {before[present]}' if present else 'a Paddle that pip does not know'} stays as it is")
        needs = {_normal(text) for text in metadata.requires(present) or ()} if present else set()
        _pip_install(*beside_paddle(before, read_requirements("requirements.txt"), needs))
    else:
        _install_paddle()
    _check()
    after = installed()
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
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]:
        first, last = (".".join(map(str, python)) for python in PYTHONS)
        raise SetUpError(
            f"Paddle 2.6.2 is not built for Python {sys.version.split()[0]}: take Python {first} to {last}, or another "
            f"Paddle: python notebooks/set_up.py {NEWER} (make PADDLE={NEWER})"
        )
    if _answers("nvidia-smi"):
        print("a GPU answers: installing the GPU set, requirements.txt")
        _pip_install(read_requirements("requirements.txt"))
        try:
            return _check(is_gpu=True)
        except SetUpError as error:
            print(
                f"{error}\npaddlepaddle-gpu 2.6.2 wants CUDA 11.8, cuDNN 8 and a GPU of compute capability 6.1 to 8.6; "
                f"for newer ones: PIP_EXTRA_INDEX_URL={GPU_INDEX} python notebooks/set_up.py paddlepaddle-gpu==3.3.1\n"
                "taking the CPU set instead, requirements-cpu.txt"
            )
            _run([sys.executable, "-m", "pip", "uninstall", "--yes", *PADDLES])
    else:
        print("no GPU answers (nvidia-smi): installing the CPU set, requirements-cpu.txt")
    return _pip_install(read_requirements("requirements-cpu.txt"))


def _replace_opencv() -> None:
    """Put OpenCV's build without windows in the place of the usual one if the system lacks what that one loads."""
    done = subprocess.run([sys.executable, "-c", "import cv2"], capture_output=True, encoding="utf-8", check=False)
    if done.returncode and "cannot open shared object" in done.stderr:
        version = installed()["opencv-python"]
        print(f"{done.stderr.splitlines()[-1]}\nopencv-python-headless takes the place of opencv-python")
        _run([sys.executable, "-m", "pip", "uninstall", "--yes", "opencv-python"])
        # Forced, as it may be there already with its files replaced.
        _pip_install(["--force-reinstall", "--no-deps", f"opencv-python-headless=={version}"])


def _check(is_gpu: bool = False) -> None:
    _replace_opencv()
    _run([sys.executable, "-c", CHECK.format(is_gpu=is_gpu)])


def _answers(program: str) -> bool:
    try:
        return subprocess.run([program], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _pip_install(wanted: list, constraints=()) -> None:
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
        set_up(*sys.argv[1:2])
    except SetUpError as error:
        sys.exit(f"error: {error}")
