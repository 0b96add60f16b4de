"""The set-up of `make demo` and `make test`, with stand-ins for Python, pip and nvidia-smi that note what is asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Answers like an interpreter of version $VERSION: notes pip's calls in $LOG, makes environments that hold itself, and
# fails Paddle's check where $CHECK is not 0.
PYTHON = """#!/bin/sh
case "$1" in
  -c) case "$2" in
        *sys.exit*) case "$VERSION" in 3.[89]|3.1[0-2]) exit 0;; *) exit 1;; esac;;
        *) echo "$VERSION";;
      esac;;
  -) cat > /dev/null; [ "$CHECK" = 0 ] || { echo "Paddle sees no GPU" >&2; exit 1; };;
  -m) shift
      if [ "$1" = venv ]; then
          rm -rf "$3"; mkdir -p "$3/bin"
          sed "2i VERSION=$VERSION" "$0" > "$3/bin/python"; chmod +x "$3/bin/python"; echo "venv $3" >> "$LOG"
      else
          echo "$*" >> "$LOG"; case "$*" in *$FAIL*) exit 1;; esac
      fi;;
esac
"""


@pytest.fixture
def set_up(tmp_path):
    """Runs the set-up in a folder of its own and gives (result, what pip and venv were asked)."""
    for folder in (".ci", "requirements"):
        (tmp_path / folder).mkdir()
    for name in (".ci/set_up.sh", "requirements.txt", "requirements-cpu.txt", "requirements/dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    log = tmp_path / "log"

    def tool(name, text):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    tool("python3", PYTHON)

    def run(*arguments, gpu=False, check=1, version="3.11", fail="nothing"):
        log.write_text("")
        (tools / "nvidia-smi").unlink(missing_ok=True)
        if gpu:
            tool("nvidia-smi", "#!/bin/sh\n")
        environment = {"PATH": f"{tools}:/usr/bin:/bin", "LOG": str(log), "CHECK": str(check), "VERSION": version}
        line = ["sh", ".ci/set_up.sh", "venv", *arguments]
        result = subprocess.run(
            line,
            cwd=tmp_path,
            env={**environment, "FAIL": fail, "PYTHON": "python3"},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        return result, log.read_text()

    run.folder = tmp_path
    return run


def test_without_a_gpu_it_is_the_cpu_set_and_only_once(set_up):
    result, asked = set_up()
    assert result.returncode == 0 and "CPU set, as no nvidia-smi answers" in result.stdout
    assert "-r requirements-cpu.txt" in asked and "-r requirements.txt" not in asked
    assert "-r requirements/dev.txt" in asked, "make lint has its linter"
    assert set_up()[1] == ""


def test_with_a_gpu_that_passes_the_check_it_is_the_gpu_set(set_up):
    result, asked = set_up(gpu=True, check=0)
    assert "the GPU set; Paddle's own check succeeded" in result.stdout
    assert "-r requirements.txt" in asked and "requirements-cpu.txt" not in asked


def test_with_a_gpu_that_fails_the_check_it_is_the_cpu_set_and_says_why(set_up):
    result, asked = set_up(gpu=True)
    assert result.returncode == 0
    assert "check failed" in result.stdout and "compute capability" in result.stdout and "PADDLE=" in result.stdout
    assert asked.index("-r requirements.txt") < asked.rindex("uninstall") < asked.index("-r requirements-cpu.txt")


def test_a_named_paddle_is_taken_in_its_place(set_up):
    set_up()
    result, asked = set_up("paddlepaddle==3.3.1", gpu=True)
    assert "paddlepaddle==3.3.1" in result.stdout
    assert "uninstall" in asked and "paddlepaddle==3.3.1 -r venv/requirements-without-paddle.txt" in asked
    assert "paddle" not in (set_up.folder / "venv/requirements-without-paddle.txt").read_text().replace("Paddle", "")


def test_an_interrupted_set_up_is_done_again(set_up):
    set_up()
    result, _ = set_up("paddlepaddle==3.3.1", fail="paddlepaddle==3.3.1")
    assert result.returncode != 0
    assert "-r requirements-cpu.txt" in set_up()[1], "the environment is not taken for ready"


def test_an_environment_without_pip_or_of_another_python_is_made_anew(set_up):
    (set_up.folder / "venv/bin").mkdir(parents=True)
    (set_up.folder / "venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    (set_up.folder / "venv/bin/python").chmod(0o755)
    assert "venv venv" in set_up()[1]
    assert "venv venv" in set_up(version="3.12")[1]


def test_an_unfit_python_is_refused_with_the_way_out(set_up):
    result, asked = set_up(version="3.14")
    assert result.returncode == 1 and asked == ""
    assert "PYTHON=python3.11" in result.stderr and "PADDLE=" in result.stderr
    assert not os.path.exists(set_up.folder / "venv")
