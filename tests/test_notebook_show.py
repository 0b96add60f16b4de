"""`notebooks/show.py`: commands shown as they run, pictures side by side."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("IPython")

from common.errors import InputError
from notebooks import show

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def script(tmp_path):
    """A function that writes a script and returns its path."""

    def write(text: str):
        path = tmp_path / "a script.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_command_is_shown_with_its_arguments_and_all_that_it_writes(script, capfd):
    path = script(
        "import sys, os; print(sys.argv[1:], os.getcwd()); print('照片', file=sys.stderr); print('a\\rb', end='')"
    )
    show.run(str(path), "a b", 3, Path("c"))
    shown = capfd.readouterr().out
    assert shown == f"$ python {path} a b 3 c\n['a b', '3', 'c'] {ROOT}\n照片\na\rb"


def test_what_a_command_writes_is_shown_at_once(script, tmp_path, monkeypatch):
    """The command waits for a file that is made when its first line has been shown."""
    go = tmp_path / "go"
    path = script(
        "import os, time\nprint('first')\nfor _ in range(600):\n"
        f"    if os.path.exists({str(go)!r}): break\n    time.sleep(0.1)\n"
        "else: raise SystemExit('nobody saw it')"
    )
    screen = io.StringIO()
    screen.write = lambda text: go.touch() if "first" in text else None
    monkeypatch.setattr(sys, "stdout", screen)
    show.run(str(path))


def test_a_command_that_fails_is_an_error(script):
    with pytest.raises(InputError, match="exit status 3"):
        show.run(str(script("raise SystemExit(3)")))


def test_the_stop_button_is_ctrl_c_for_the_command_which_may_still_save(script, tmp_path):
    """In a process of its own, which gets the signal that the stop button sends."""
    saved = tmp_path / "saved"
    command = script(
        "import pathlib, sys, time\nprint('started')\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n"
        f"    time.sleep(0.5)\n    pathlib.Path({str(saved)!r}).touch()\n    print('saved')\n    sys.exit(130)"
    )
    notebook = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom notebooks import show\n"
        f"try:\n    show.run({str(command)!r})\n"
        "except KeyboardInterrupt:\n    print('stopped')"
    )
    line = [sys.executable, "-c", notebook]
    with subprocess.Popen(line, stdout=subprocess.PIPE, start_new_session=True) as process:
        read = b""
        while b"started\n" not in read:
            read += os.read(process.stdout.fileno(), 1000) or pytest.fail(read.decode())
        time.sleep(0.2)  # the command is past its print
        os.killpg(process.pid, signal.SIGINT)  # Jupyter signals the whole group
        read += process.stdout.read()
    assert saved.exists()
    assert read.endswith(b"saved\nstopped\n")
    assert process.returncode == 0


def test_of_many_epochs_some_samples_are_shown_the_first_and_the_last_among_them(tmp_path):
    for epoch in range(10, 130, 10):
        for end, side in (("G", 96), ("24", 24), ("96", 96)):
            Image.new("RGB", (side, side), (epoch, 0, 0)).save(tmp_path / f"epoch_{epoch}_{end}.jpg")
    (tmp_path / "epoch_init_10_G.jpg").write_bytes(b"another stage's")
    figure = show.samples(tmp_path, "epoch", 96)
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert len(titles) == 6
    assert (titles[0], titles[-1]) == ("epoch 10", "epoch 120")
    with pytest.raises(InputError, match="no samples"):
        show.samples(tmp_path / "..", "epoch_other", 96)


def test_a_picture_is_made_smaller_and_never_larger(tmp_path):
    Image.new("RGB", (2000, 500), (200, 10, 10)).save(tmp_path / "a.png")
    for width, size in ((800, (800, 200)), (3000, (2000, 500))):
        assert Image.open(io.BytesIO(show.picture(tmp_path / "a.png", width).data)).size == size


def test_the_detail_is_where_the_most_can_be_seen():
    for height, width in ((300, 451), (50, 600)):
        photo = np.full((height, width, 3), 120, np.uint8)
        photo[-44:-4, -44:-4] = np.random.RandomState(0).randint(0, 256, (40, 40, 3))
        sr = np.zeros((4 * height, 4 * width, 3), np.uint8)
        sr[-176:-16, -176:-16] = 255
        before, after = show.detail(photo, sr)
        assert before.shape == after.shape and after.shape[0] == after.shape[1] <= 480
        assert (after == 255).sum() == 3 * 160 * 160
        assert before[after[:, :, 0] == 255].std() > 5 * before[after[:, :, 0] == 0].std()
