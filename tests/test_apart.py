"""No command writes over what it reads, or into a folder that it reads."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from common.errors import InputError
from common.files import check_apart

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def folder(tmp_path):
    """Pictures, and what poses as weights: each command is to stop before it reads them."""
    (tmp_path / "hr").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 40)).save(tmp_path / "hr" / name)
    (tmp_path / "g.pdparams").write_bytes(b"weights")
    (tmp_path / "g_models").mkdir()
    (tmp_path / "g_models" / "conv0.w_0").write_bytes(b"weights")
    (tmp_path / "gm" / "n64s1" / "b1").mkdir(parents=True)
    (tmp_path / "gm" / "n64s1" / "b1" / "10.w_2").write_bytes(b"weights")
    (tmp_path / "data" / "DIV2K" / "DIV2K_train_HR").mkdir(parents=True)  # the default of --data
    (tmp_path / "VGG19_pretrained" / "vgg19").mkdir(parents=True)  # and of --vgg19
    (tmp_path / "link").symlink_to(tmp_path / "hr")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


def state(folder) -> dict:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


COMMANDS = {
    "figure over a picture": "infer/evaluate.py --hr hr --weights g.pdparams --lpips off --figure hr/a.png",
    "figure among the pictures": "infer/evaluate.py --hr hr --weights g.pdparams --lpips off --figure hr/new.png",
    "csv over the weights": "infer/evaluate.py --hr hr --weights g.pdparams --lpips off --csv g.pdparams",
    "json over the weights, by another path": "infer/evaluate.py --hr hr --weights g.pdparams --lpips off "
    "--json hr/../g.pdparams",
    "csv among the article's weights": "infer/evaluate.py --hr hr --weights g_models --lpips off --csv g_models/x.csv",
    "figure over a result": "infer/evaluate.py --hr hr --sr hr --lpips off --figure hr/a.png",
    "figure through a link": "infer/evaluate.py --hr hr --weights g.pdparams --lpips off --figure link/new.png",
    "csv over a variable of the article's": "infer/evaluate.py --hr hr --weights gm --lpips off "
    "--csv gm/n64s1/b1/10.w_2",
    "results in a folder of the article's weights": "infer/upscale.py hr/a.png --weights gm -o gm/n64s1",
    "results in a new folder there": "infer/upscale.py hr/a.png --weights g.pdparams --blend gm -o gm/n64s1/new/one",
    "results among the article's weights": "infer/upscale.py hr/a.png --weights g_models -o g_models",
    "a program among the article's weights": "infer/export.py --weights g_models --to g_models --format paddle",
    "training into its own pictures": "train/pretrain_g.py --data hr --output hr",
    "training into its own pictures, by a link": "train/pretrain_g.py --data hr --output link",
    "training into the pictures of --valid": "train/train_gan.py --data hr --valid elsewhere --output elsewhere",
    "training into the usual pictures": "train/pretrain_g.py --output data/DIV2K/DIV2K_train_HR",
    "training into the usual weights of VGG19": "train/train_gan.py --data hr --output VGG19_pretrained/vgg19",
    "training over the best weights it starts from": "train/pretrain_g.py --data hr --valid hr "
    "--init elsewhere/pretrain_g_best.pdparams --output elsewhere",
    "training over the weights it starts from, without a checkpoint": "train/pretrain_g.py --data hr --resume "
    "--init elsewhere/pretrain_g.pdparams --output elsewhere",
    "training over the discriminator it starts from": "train/train_gan.py --data hr --no-vgg "
    "--init-d elsewhere/srgan_d.pdparams --output elsewhere",
    "training over the weights it starts from": "train/pretrain_g.py --data hr --init elsewhere/pretrain_g.pdparams "
    "--output elsewhere",
}


# Those of training load Paddle, each in a process of its own.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if "training" in name else name for name in COMMANDS]
)
def test_nothing_that_is_read_is_written(folder, name):
    for result in ("pretrain_g", "pretrain_g_best", "srgan_d"):
        (folder / "elsewhere" / f"{result}.pdparams").write_bytes(b"weights")
    script, *arguments = COMMANDS[name].split()
    before = state(folder)
    line = [sys.executable, "-W", "ignore", ROOT / script, *arguments]
    result = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode in (1, 2) and "read (" in result.stderr and "; give another" in result.stderr, (
        result.stderr
    )
    assert result.stderr.count("\n") == 1
    assert state(folder) == before


def test_a_picture_of_the_folder_that_is_a_link(tmp_path):
    (tmp_path / "hr").mkdir()
    (tmp_path / "a.png").touch()
    (tmp_path / "hr" / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(InputError, match="--figure .*a.png would replace"):
        check_apart([("--hr", tmp_path / "hr" / "a.png")], files=[("--figure", tmp_path / "a.png")])


def test_what_is_apart_is_let_be(folder):
    read = [("--weights", folder / "g.pdparams"), ("--weights", folder / "gm"), ("--lpips", "")]
    flat = [("--hr", folder / "hr"), ("--lr", None)]
    check_apart(read, files=[("--csv", folder / "x.csv"), ("--json", None)], folders=[("--to", folder)], flat=flat)
    below = folder / "hr" / "sub"
    check_apart(read, files=[("--csv", below / "x.csv")], folders=[("--output", below)], flat=flat)
