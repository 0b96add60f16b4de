"""No command writes over what it reads, or into a folder that it reads."""

import pytest
from PIL import Image

from common.errors import InputError
from common.files import check_apart
from tests.helpers import commands


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures, and what poses as weights: each command is to stop before it reads them."""
    for name in ("hr/a.png", "hr/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 40)).save(tmp_path / name)
    weights = ("g.pdparams", "gm/n64s1/b1/10.w_2", *(f"elsewhere/{name}.pdparams" for name in RESULTS))
    for name in weights:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"weights")
    for name in ("data/DIV2K/DIV2K_train_HR", "VGG19_pretrained/vgg19"):  # the defaults of --data and --vgg19
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "hr")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder) -> dict:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


RESULTS = ("pretrain_g", "pretrain_g_best", "srgan_d")
EVALUATE = "infer/evaluate.py --hr hr --lpips off --weights"
COMMANDS = {
    "a figure over a picture": f"{EVALUATE} g.pdparams --figure hr/a.png",
    "a figure among the pictures, through a link": f"{EVALUATE} g.pdparams --figure link/new.png",
    "figures over the weights, by another path": f"{EVALUATE} g.pdparams --csv hr/../g.pdparams",
    "figures over a variable of the article's": f"{EVALUATE} gm --csv gm/n64s1/b1/10.w_2",
    "results in a new folder among the article's weights": "infer/upscale.py hr/a.png --blend gm -o gm/n64s1/new/one",
    "a program among the article's weights": "infer/export.py --weights gm --to gm --format paddle",
    "training into its own pictures": "train/pretrain_g.py --data hr --output link",
    "training into the pictures of --valid": "train/train_gan.py --data hr --valid elsewhere --output elsewhere",
    "training into the usual pictures": "train/pretrain_g.py --output data/DIV2K/DIV2K_train_HR",
    "training into the usual weights of VGG19": "train/train_gan.py --data hr --output VGG19_pretrained/vgg19",
    "training over the weights it starts from": "train/pretrain_g.py --data hr --init elsewhere/pretrain_g.pdparams "
    "--output elsewhere",
    "training over the best weights it starts from": "train/pretrain_g.py --data hr --valid hr "
    "--init elsewhere/pretrain_g_best.pdparams --output elsewhere",
    "training over the discriminator it starts from": "train/train_gan.py --data hr --no-vgg "
    "--init-d elsewhere/srgan_d.pdparams --output elsewhere",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_that_is_read_is_written(folder, name, capsys):
    before = state(folder)
    assert commands.run(*COMMANDS[name].split()) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "read (" in line and "; give another" in line
    assert state(folder) == before


def test_a_picture_of_the_folder_that_is_a_link(tmp_path):
    (tmp_path / "hr").mkdir()
    (tmp_path / "a.png").touch()
    (tmp_path / "hr" / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(InputError, match="--figure .*a.png would replace"):
        check_apart([("--hr", tmp_path / "hr" / "a.png")], files=[("--figure", tmp_path / "a.png")])


def test_other_places_are_accepted(folder):
    read = [("--weights", folder / "g.pdparams"), ("--weights", folder / "gm"), ("--lpips", "")]
    flat = [("--hr", folder / "hr"), ("--lr", None)]
    check_apart(read, files=[("--csv", folder / "x.csv"), ("--figure", None)], folders=[("--to", folder)], flat=flat)
    below = folder / "hr" / "sub"
    check_apart(read, files=[("--csv", below / "x.csv")], folders=[("--output", below)], flat=flat)
