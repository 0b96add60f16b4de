"""The two training commands, in this process, with tiny networks on small crops of small pictures."""

import contextlib
import dataclasses
import io
import json
import re

import cv2
import numpy as np
import paddle
import pytest

from common.errors import InputError
from data.standardize import standardize
from models.generator import Generator
from models.weight_files import weights
from tests.helpers import training
from tests.helpers.training import SMALL
from train import pretrain_g, train_gan, training_flags
from train.recipe import RECIPES
from train.run import run_json
from train.stages import PRETRAIN

EPOCH_INIT = r"\[\*\] Epoch_init: \[ {0}/ {1}\] time: \d+\.\d{{4}}s, mse: \d+\.\d{{8}}\n"
EPOCH = r"\[\*\] Epoch: \[ {0}/ {1}\] time: \d+\.\d{{4}}s, d_loss: \d+\.\d{{8}} g_loss: \d+\.\d{{8}} \(mse: \d"


def fails(module, *arguments, words):
    """The command refuses, in this process, and says these words."""
    with pytest.raises((InputError, SystemExit)) as stopped:
        module.main(module.PARSER.parse_args([*map(str, arguments)]))
    assert all(word in str(stopped.value) for word in words), stopped.value


def run(module, *arguments) -> tuple:
    """What the command prints, in this process, to standard output and to standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        module.main(module.PARSER.parse_args([*map(str, arguments)]))
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module", autouse=True)
def tiny():
    with training.tiny_networks():
        yield


@pytest.fixture(scope="module")
def stage1(photographs, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "output"
    return run(pretrain_g, "--data", photographs, "--output", output, "--epochs", 2, *SMALL), output


@pytest.fixture(scope="module")
def stage2(stage1, photographs):
    output = stage1[1]
    return run(train_gan, "--data", photographs, "--output", output, "--epochs", 1, "--no-vgg", *SMALL), output


def test_stage_1_prints_the_articles_lines(stage1):
    (out, err), _ = stage1
    lines = "".join(line + "\n" for line in out.splitlines() if line.startswith("[*]"))
    assert re.fullmatch("".join(EPOCH_INIT.format(epoch, 2) for epoch in range(3)), lines), lines
    assert "mse=" in err, "the progress bar shows the loss"


def test_stage_1_leaves_samples_figure_curve_and_weights(stage1):
    names = {path.name for path in stage1[1].iterdir() if not path.name.startswith(("srgan", "epoch_1"))}
    expected = {f"epoch_init_{epoch}_{kind}.jpg" for epoch in (1, 2) for kind in ("G", "4", "16")}
    expected |= {
        "pretrain_g.pdparams",
        "pretrain_g_figure.png",
        "pretrain_g_losses.png",
        "run.json",
        "log.csv",
        "checkpoints",
    }
    assert names == expected
    for name in ("epoch_init_2_G.jpg", "epoch_init_2_16.jpg"):
        assert cv2.imread(str(stage1[1] / name)).shape == (16, 16, 3)
    assert cv2.imread(str(stage1[1] / "epoch_init_2_4.jpg")).shape == (4, 4, 3)


def test_stage_2_prints_the_articles_lines_and_leaves_its_files(stage2):
    (out, err), output = stage2
    lines = [line for line in out.splitlines() if line.startswith("[*]")]
    assert len(lines) == 2
    for epoch, line in enumerate(lines):
        assert re.match(EPOCH.format(epoch, 1), line), line
    assert all(f"{name}=" in err for name in ("d_loss", "g_loss", "mse", "vgg", "adv"))
    for name in ("epoch_1_G.jpg", "epoch_1_4.jpg", "epoch_1_16.jpg", "srgan_g_figure.png", "srgan_g_losses.png"):
        assert (output / name).stat().st_size > 0
    assert paddle.load(str(output / "srgan_g.pdparams")).keys() == Generator().state_dict().keys()
    assert list(weights.load_discriminator(output / "srgan_d.pdparams", 16).fc.weight.shape) == [4, 1]


def test_stage_2_starts_from_stage_1(stage2):
    """Its generator has moved away from stage 1's by its Adam steps of at most 1e-3 each, and not further."""
    before, after = (paddle.load(str(stage2[1] / name)) for name in ("pretrain_g.pdparams", "srgan_g.pdparams"))
    steps = 2 * 2  # two epochs of two batches
    moved = [
        np.abs(after[k].numpy() - before[k].numpy()).max() for k in before if not k.endswith(("_mean", "_variance"))
    ]
    assert 0 < max(moved) < 1.5e-3 * steps


def test_run_json_holds_recipe_versions_and_the_earlier_stage(stage2):
    runs = json.loads((stage2[1] / "run.json").read_text(encoding="utf-8"))
    assert runs["train_gan"]["recipe"]["hr_size"] == 16 and runs["train_gan"]["flags"]["no_vgg"]
    assert runs["train_gan"]["versions"]["paddle"] == paddle.__version__
    assert runs["pretrain_g"]["recipe"]["pretrain_epochs"] == 2


@pytest.mark.parametrize("content", ["", "[]", '{"stage": ["x"]}'])
def test_a_strange_run_json_is_replaced(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    run_json.write(PRETRAIN, pretrain_g.PARSER.parse_args(["--output", str(tmp_path)]), RECIPES["article"])
    assert list(json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))) == ["pretrain_g"]


def test_the_final_weights_work_in_eval_mode(stage1):
    """They hold statistics estimated anew: after six steps those of training (momentum 0.99) are still mostly their
    initial mean 0 and variance 1."""
    generator = weights.load_generator(stage1[1] / "pretrain_g.pdparams")
    r = np.random.RandomState(0)
    lr = cv2.resize(r.randint(0, 256, (3, 3, 3)).astype("uint8"), (16, 16), interpolation=cv2.INTER_CUBIC)
    x = standardize(paddle.to_tensor(lr[None]))
    with paddle.no_grad():
        maps = generator.head_conv(x)
    spread = maps.numpy().var(axis=(0, 2, 3))
    ratio = np.median(generator.head_bn._variance.numpy() / spread)
    assert 0.2 < ratio < 5, ratio


# ------------------------------------------------------------------------------------------------- what goes wrong


def test_no_pictures_names_the_places_and_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails(pretrain_g, words=[*training_flags.DATA_FOLDERS, "python data/download.py div2k"])


def test_stage_2_without_a_start_names_the_included_one_and_stage_1s_command(photographs, tmp_path):
    line = ["--data", photographs, "--output", tmp_path, "--no-vgg", *SMALL]
    fails(train_gan, *line, words=["pretrain_g.pdparams", "--init srgan", "python train/pretrain_g.py"])


def test_stage_2_without_vgg19_names_the_places_and_the_command(stage1, photographs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = ["--data", photographs, "--init", stage1[1] / "pretrain_g.pdparams"]
    fails(train_gan, *line, words=[*training_flags.VGG19_PATHS, "python data/download.py vgg19", "--no-vgg"])


def test_a_loss_that_nothing_ties_to_the_picture_is_said(capsys):
    for changes, vgg19, is_warned in (
        ({"mse_weight": 0.0}, None, True),
        ({"mse_weight": 0.0}, "VGG19", False),
        ({}, None, False),
    ):
        train_gan.warn_without_content(dataclasses.replace(RECIPES["article"], **changes), vgg19)
        assert ("--mse-weight 1" in capsys.readouterr().err) == is_warned


def test_an_output_that_is_a_file_is_named(photographs, tmp_path):
    (tmp_path / "file").write_text("mine")
    line = ["--data", photographs, "--output", tmp_path / "file", *SMALL]
    with pytest.raises(OSError, match=str(tmp_path / "file")):
        pretrain_g.main(pretrain_g.PARSER.parse_args([*map(str, line)]))
    assert (tmp_path / "file").read_text() == "mine"


def test_too_few_pictures_say_what_would_do(photographs, tmp_path):
    line = ["--data", photographs, "--output", tmp_path, "--hr-size", 16]
    fails(pretrain_g, *line, words=["4 pictures", "one batch of 32", "--batch-size 4", "--crops-per-image 8"])


def test_small_and_bad_pictures_are_named_and_can_be_left_out(photographs, tmp_path, capsys):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in photographs.glob("[!.]*"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "text.png").write_bytes(b"text")
    (folder / "tiny.png").write_bytes(cv2.imencode(".png", np.zeros((8, 9, 3), "uint8"))[1].tobytes())
    line = ["--data", folder, "--output", tmp_path / "out", *SMALL]
    fails(pretrain_g, *line, words=["2 of 6 pictures", "text.png", "tiny.png", "9×8", "--skip-bad"])
    arguments = pretrain_g.PARSER.parse_args([*map(str, line), "--skip-bad"])
    assert (
        len(training_flags.open_crops(arguments, training_flags.recipe_of(arguments, pretrain_g.PARSER)).pictures) == 4
    )


@pytest.mark.parametrize(
    "bad, word",
    [
        ("--batch-size 0", "--batch-size: '0' is not a whole number of 1 or more"),
        ("--learning-rate nan", "--learning-rate: 'nan' is not a number above 0"),
        ("--hr-size 98", "--hr-size is 98; it must be a multiple of 4"),
        ("--ema 1", "--ema"),
        ("--vgg-layer fc6", "--vgg-layer"),
        ("--schedule linear", "--schedule"),
        ("--seed -1", "--seed"),
        ("--augment maybe", "--augment"),
        ("--no-vgg --vgg19 x", "not allowed with"),
        ("--lr-data x --degradation bicubic", "--lr-data provides it: give one of them"),
        ("--photo-strength 1", "--photo-strength requires --degradation photo: give both"),
        ("--valid-lr x", "--valid-lr requires --valid"),
    ],
)
def test_bad_flags_are_exit_status_2(bad, word, capsys):
    with pytest.raises(SystemExit) as stopped:
        train_gan.main(train_gan.PARSER.parse_args(bad.split()))
    assert stopped.value.code == 2
    assert word in capsys.readouterr().err


def test_a_device_that_is_not_there_is_an_error(photographs, tmp_path):
    line = ["--data", photographs, "--output", tmp_path, "--device"]
    fails(pretrain_g, *line, "gpu:99", words=["gpu:99", "--device cpu"])
    fails(pretrain_g, *line, "tpu", words=["--device tpu: must be cpu, gpu or gpu:N"])


def test_what_is_not_finite_stops_the_run_and_keeps_the_last_good_weights(photographs, tmp_path):
    (tmp_path / "pretrain_g.pdparams").write_bytes(b"good")
    line = ["--data", photographs, "--output", tmp_path, "--learning-rate", "1e38", "--epochs", 0, *SMALL]
    fails(pretrain_g, *line, words=["not finite", str(tmp_path / "pretrain_g.pdparams")])
    assert (tmp_path / "pretrain_g.pdparams").read_bytes() == b"good"


def test_a_full_disk_is_an_error_and_what_was_saved_stays(photographs, tmp_path):
    resource = pytest.importorskip("resource")
    (tmp_path / "pretrain_g.pdparams").write_bytes(b"good")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="any previous file is kept"):
            run(pretrain_g, "--data", photographs, "--output", tmp_path, "--epochs", 0, *SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "pretrain_g.pdparams").read_bytes() == b"good"
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


# --------------------------------------------------------------------------------------------------------- defaults


@pytest.mark.parametrize("parser", [pretrain_g.PARSER, train_gan.PARSER])
def test_every_flag_has_a_help_text_that_says_its_default(parser):
    for action in parser._actions:
        assert action.help, action.dest
        if action.option_strings and action.nargs != 0:
            assert "(default: " in action.help, action.dest


def test_with_no_flag_the_recipe_is_the_articles():
    assert training_flags.recipe_of(pretrain_g.PARSER.parse_args([]), pretrain_g.PARSER) == RECIPES["article"]
    assert training_flags.recipe_of(train_gan.PARSER.parse_args([]), train_gan.PARSER) == RECIPES["article"]


def test_given_weights_have_a_learning_rate_of_their_own_in_stage_1():
    def rate(module, *flags):
        return training_flags.recipe_of(module.PARSER.parse_args(flags), module.PARSER).learning_rate

    assert rate(pretrain_g) == 1e-3 and rate(pretrain_g, "--init", "srresnet") == 1e-4
    assert rate(pretrain_g, "--init", "srresnet", "--learning-rate", "1e-3") == 1e-3
    assert rate(pretrain_g, "--init", "srresnet", "--recipe", "photo") == 5e-4  # it is made for such a start


def test_samples_of_tiny_epochs_are_a_hundred_steps_apart_unless_told():
    class Crops:
        def steps(self, batch_size):
            return 8

    for flags, expected in (([], 13), (["--sample-every", "1"], 1), (["--recipe", "paper"], 100)):
        arguments = pretrain_g.PARSER.parse_args(flags)
        recipe = training_flags.recipe_of(arguments, pretrain_g.PARSER)
        assert training_flags.with_rarer_samples(arguments, recipe, Crops()).sample_every == expected


def test_epochs_is_the_stages_own():
    parse = pretrain_g.PARSER.parse_args(["--epochs", "7", "--recipe", "paper", "--augment", "off"])
    recipe = training_flags.recipe_of(parse, pretrain_g.PARSER)
    assert (recipe.pretrain_epochs, recipe.gan_epochs, recipe.augment) == (7, 4000, False)
    recipe = training_flags.recipe_of(train_gan.PARSER.parse_args(["--epochs", "7"]), train_gan.PARSER)
    assert (recipe.pretrain_epochs, recipe.gan_epochs) == (50, 7)
