"""No command writes over what it reads, or into a folder that it reads."""

import pytest
from PIL import Image

from common.errors import InputError
from common.files import check_apart
from tests.helpers import commands

EVALUATE = "infer/evaluate.py --hr hr --lpips off --weights"
COMMANDS = {
    "a figure over a picture": f"{EVALUATE} g.pdparams --figure hr/a.png",
    "a figure among the pictures, through a link": f"{EVALUATE} g.pdparams --figure link/new.png",
    "figures over the weights, by another path": f"{EVALUATE} g.pdparams --csv hr/../g.pdparams",
    "results in a new folder among the article's weights": "infer/upscale.py hr/a.png --blend gm -o gm/n64s1/new/one",
    "a program among the article's weights": "infer/export.py --weights gm --to gm --format paddle",
    "training into its own pictures": "train/pretrain_g.py --data hr --output link",
    "training into the pictures of --valid": "train/train_gan.py --data hr --valid elsewhere --output elsewhere",
    "training into the usual weights of VGG19": "train/train_gan.py --data hr --output VGG19_pretrained/vgg19",
    "training over the best weights it starts from": "train/pretrain_g.py --data hr --valid hr "
    "--init elsewhere/pretrain_g_best.pdparams --output elsewhere",
    "training over the discriminator it starts from": "train/train_gan.py --data hr --no-vgg "
    "--init-d elsewhere/srgan_d.pdparams --output elsewhere",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures, and what poses as weights: each command is to stop before it reads them."""
    weights = ("g", "elsewhere/pretrain_g_best", "elsewhere/srgan_d", "gm/n64s1/b1/10.w_2")
    for name in ("hr/a.png", *(f"{name}.pdparams" for name in weights)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"weights")
    for name in "ab":
        Image.new("RGB", (40, 40)).save(tmp_path / f"hr/{name}.png")
    (tmp_path / "VGG19_pretrained/vgg19").mkdir(parents=True)  # the default of --vgg19
    (tmp_path / "link").symlink_to(tmp_path / "hr")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def state(folder) -> dict:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_that_is_read_is_written(folder, name, capsys):
    before = state(folder)
    assert commands.run(*COMMANDS[name].split()) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert "read (" in line and "; give another" in line
    assert state(folder) == before


def test_links_are_followed_and_other_places_are_accepted(folder):
    (folder / "hr/link.png").symlink_to(folder / "g.pdparams")
    with pytest.raises(InputError, match="--figure .*g.pdparams would replace"):
        check_apart([("--hr", folder / "hr/link.png")], files=[("--figure", folder / "g.pdparams")])
    read = [("--weights", folder / "g.pdparams"), ("--weights", folder / "gm"), ("--lpips", "")]
    flat = [("--hr", folder / "hr"), ("--lr", None)]
    check_apart(read, files=[("--csv", folder / "x.csv"), ("--figure", None)], folders=[("--to", folder)], flat=flat)
    below = folder / "hr" / "sub"
    check_apart(read, files=[("--csv", below / "x.csv")], folders=[("--output", below)], flat=flat)
