"""A run: what it goes on from and what it refuses, which checkpoints and weights it keeps, what it measures, says."""

import json
import signal

import cv2
import numpy as np
import pytest

from common.errors import InputError
from data import lpips
from models.discriminator import Discriminator
from models.vgg19 import VGG19
from models.weight_files import weights
from tests.helpers import training
from tests.helpers.lpips_weights import random_weights
from train import loop, pretrain_g, train_gan
from train.report import gan_health, samples, validation
from train.report.reporter import Reporter

RUN = ["--hr-size", "16", "--batch-size", "2", "--sample-every", "100"]
STAGE1 = "pretrain_g"


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """And no figures, which take most of such a run's time: test_train.py has them."""
    monkeypatch.setattr(samples, "write_curves", lambda *_: None)
    monkeypatch.setattr(samples, "write_figure", lambda *_: None)
    with training.tiny_networks():
        yield


@pytest.fixture(scope="module")
def stage1(photographs, tmp_path_factory):
    """Stage 1's result, for stage 2 to start from."""
    output = tmp_path_factory.mktemp("stage 1")
    with training.tiny_networks():
        line = ["--data", str(photographs), "--output", str(output), *RUN, "--epochs", "0"]
        pretrain_g.main(pretrain_g.PARSER.parse_args(line))
    return output / "pretrain_g.pdparams"


@pytest.fixture
def train(photographs, tmp_path):
    def run(module, *flags):
        line = ["--data", str(photographs), "--output", str(tmp_path), *RUN, *map(str, flags)]
        module.main(module.PARSER.parse_args(line))

    return run


def checkpoint_epochs(output, stage=STAGE1):
    return [int(name[6:12]) for name in training.checkpoints(output, stage)]


# --------------------------------------------------------------------------------------------------------- going on


def test_a_new_run_is_refused_where_one_could_be_resumed(train, tmp_path):
    train(pretrain_g, "--epochs", 0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(InputError, match=r"belongs to an earlier run.*--resume.*--output.*remove"):
        train(pretrain_g, "--epochs", 0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert checkpoint_epochs(tmp_path) == [1]


def test_a_run_that_has_ended_stays_as_it_is_and_more_epochs_go_on(train, tmp_path, capsys):
    train(pretrain_g, "--epochs", 1)
    before = training.checkpoints(tmp_path, STAGE1)
    train(pretrain_g, "--epochs", 1, "--resume")
    assert "this run is complete" in capsys.readouterr().out
    assert list(training.checkpoints(tmp_path, STAGE1)) == list(before)
    train(pretrain_g, "--epochs", 2, "--resume")
    assert max(checkpoint_epochs(tmp_path)) == 3
    assert [row[1] for row in training.log(tmp_path)] == ["epoch", "0", "1", "2"]


def test_another_recipe_is_refused_unless_told_to(train, tmp_path, capsys):
    train(pretrain_g, "--epochs", 0)
    for changed, said in (
        (["--learning-rate", "0.01"], "learning-rate 0.001 there, 0.01 here"),
        # Where the rate follows the run's length, its length is the recipe's.
        (["--schedule", "cosine"], "pretrain-epochs 0 there, 1 here; pretrain-schedule constant there, cosine here"),
        (
            ["--degradation", "photo", "--photo-strength", 0.5],
            "degradation bilinear there, photo here; photo-strength 1.0 there, 0.5 here",
        ),
    ):
        with pytest.raises(InputError) as refused:
            train(pretrain_g, "--epochs", 1, "--resume", *changed)
        assert said in str(refused.value) and "--new-recipe" in str(refused.value)
    assert checkpoint_epochs(tmp_path) == [1]
    train(pretrain_g, "--epochs", 1, "--resume", "--new-recipe", "--learning-rate", "0.01", "--sample-every", 7)
    assert "continuing with another recipe: learning-rate 0.001 there, 0.01 here\n" in capsys.readouterr().out
    assert max(checkpoint_epochs(tmp_path)) == 2


def test_other_pictures_are_refused_unless_told_to(train, photographs, tmp_path):
    train(pretrain_g, "--epochs", 0)
    (tmp_path / "others").mkdir()
    for path in photographs.glob("[!.]*"):
        (tmp_path / "others" / path.name.replace("b.jpg", "x.jpg")).write_bytes(path.read_bytes())
    (tmp_path / "others" / "a.png").write_bytes((photographs / "照片 d.png").read_bytes())  # crops follow from sizes
    others = ["--epochs", 1, "--resume", "--data", str(tmp_path / "others")]
    with pytest.raises(InputError) as error:
        train(pretrain_g, *others)
    said = "the pictures: only there: a.png 40x36, b.jpg 41x36; only here: a.png 43x36, x.jpg 41x36. Give"
    assert said in str(error.value)
    train(pretrain_g, *others, "--new-recipe")
    assert max(checkpoint_epochs(tmp_path)) == 2


@pytest.fixture
def pairs(photographs, tmp_path):
    """The flags for the photographs and LR of theirs, in folders of the test's own."""
    for name in ("hr", "lr"):
        (tmp_path / name).mkdir()
    for path in photographs.glob("[!.]*"):
        (tmp_path / "hr" / path.name).write_bytes(path.read_bytes())
        bgr = cv2.imdecode(np.fromfile(path, "uint8"), cv2.IMREAD_COLOR)
        lr = cv2.resize(bgr, (bgr.shape[1] // 4, bgr.shape[0] // 4), interpolation=cv2.INTER_AREA)
        (tmp_path / "lr" / f"{path.stem}x4.png").write_bytes(cv2.imencode(".png", lr)[1].tobytes())
    return ["--data", tmp_path / "hr", "--lr-data", tmp_path / "lr"]


def test_the_lr_that_is_given_is_trained_on_and_may_not_change(train, pairs, tmp_path, capsys):
    """Of the same names and sizes in pixels."""
    train(pretrain_g, "--epochs", 0, *pairs)
    assert f"4 pictures of {tmp_path / 'hr'}, LR of {tmp_path / 'lr'}: " in capsys.readouterr().out
    bgr = cv2.imread(str(tmp_path / "lr" / "cx4.png"))
    cv2.imwrite(str(tmp_path / "lr" / "cx4.png"), bgr // 8 * 8)
    pattern = r"the pairs: only there: c.bmp and cx4.png \w+\+\w+; only here: c.bmp and cx4.png \w+\+\w+\. Give"
    with pytest.raises(InputError, match=pattern):
        train(pretrain_g, "--epochs", 1, "--resume", *pairs)
    train(pretrain_g, "--epochs", 0, *pairs, "--output", tmp_path / "changed")
    one, other = (
        weights.read_pdparams(o / "pretrain_g.pdparams")["out_conv.weight"] for o in (tmp_path, tmp_path / "changed")
    )
    assert np.abs(one - other).max() > 1e-6


def test_another_batch_in_mid_epoch_begins_the_epoch_anew(train, tmp_path, capsys, monkeypatch):
    """Else its means would be those of some steps divided by the number of others."""
    many = ["--crops-per-image", 4, "--epochs", 0, "--save-every-minutes", 0, "--learning-rate", 1e-9]
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        patch.setattr(loop._Run, "_end_epoch", lambda run, stop: stop.__setattr__("signum", 2) or stop.check())
        train(pretrain_g, *many)
    assert stopped.value.code == 130
    train(pretrain_g, *many, "--batch-size", 4, "--resume", "--new-recipe")
    assert "an epoch had 8 steps and has 4 now: epoch 0 restarts" in capsys.readouterr().out
    header, row = training.log(tmp_path)
    train(pretrain_g, *many, "--batch-size", 4, "--output", tmp_path / "alone")
    assert float(row[header.index("mse")]) == pytest.approx(float(training.log(tmp_path / "alone")[1][4 - 1]), rel=0.2)


def test_stage_2_goes_on_without_stage_1s_file_but_not_as_another_run(train, stage1, tmp_path, monkeypatch):
    train(train_gan, "--epochs", 0, "--no-vgg", "--init", stage1)
    train(train_gan, "--epochs", 1, "--no-vgg", "--resume")
    newest = tmp_path / "checkpoints" / "srgan_g" / "epoch_000002_step_000000.npz"
    with monkeypatch.context() as patch, pytest.raises(InputError, match="VGG19 left out there, used here"):
        patch.setattr(train_gan, "vgg19_of", lambda *_: VGG19())
        train(train_gan, "--epochs", 2, "--vgg19", "x", "--resume")
    with monkeypatch.context() as patch, pytest.raises(InputError, match=f"{newest}: discriminator/convs.7.weight is"):
        patch.setattr(Discriminator.__init__, "__defaults__", (384, (4,) * 7 + (5,)))
        train(train_gan, "--epochs", 2, "--no-vgg", "--resume")
    (tmp_path / "checkpoints" / STAGE1).mkdir()
    newest.replace(tmp_path / "checkpoints" / STAGE1 / newest.name)
    with pytest.raises(InputError, match="belongs to srgan_g, not to pretrain_g"):
        train(pretrain_g, "--epochs", 20, "--resume")


def test_an_error_at_an_epochs_end_loses_none_of_its_steps(train, tmp_path, valid, monkeypatch):
    """A validation picture that has gone, a full disk: the checkpoint is of the epoch's last step."""

    def fail(*_):
        raise InputError("x.png: no such file")

    with monkeypatch.context() as patch, pytest.raises(InputError, match="x.png"):
        patch.setattr(validation, "measure", fail)
        train(pretrain_g, "--epochs", 1, "--valid", valid)
    assert list(training.checkpoints(tmp_path, STAGE1)) == ["epoch_000000_step_000002"]
    # The first resumed run makes no step of its own before it saves: the optimizer's moments are to go through it.
    train(pretrain_g, "--epochs", 0, "--valid", valid, "--resume")
    train(pretrain_g, "--epochs", 1, "--valid", valid, "--resume")
    train(pretrain_g, "--epochs", 1, "--valid", valid, "--output", tmp_path / "alone")
    found, wanted = (
        training.checkpoints(o, STAGE1)["epoch_000002_step_000000"] for o in (tmp_path, tmp_path / "alone")
    )
    training.assert_same(found, wanted)


def test_a_signal_at_the_very_end_keeps_what_follows_from_starting(train, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Reporter, "write_history", lambda report, is_last: signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
    )
    with pytest.raises(SystemExit) as stopped:
        train(pretrain_g, "--epochs", 0)
    assert stopped.value.code == 130 and checkpoint_epochs(tmp_path) == [1]


def test_a_damaged_checkpoint_is_passed_over(train, tmp_path, capsys):
    train(pretrain_g, "--epochs", 3)
    wanted = training.checkpoints(tmp_path, STAGE1)
    newest = tmp_path / "checkpoints" / STAGE1 / f"{max(wanted)}.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    train(pretrain_g, "--epochs", 3, "--resume")
    said = capsys.readouterr()
    assert f"{newest}: damaged" in said.err and "resuming from" in said.out
    training.assert_same(training.checkpoints(tmp_path, STAGE1)[newest.stem], wanted[newest.stem])


def test_a_checkpoint_without_what_it_needs_is_named(train, tmp_path):
    train(pretrain_g, "--epochs", 0)
    (path,) = (tmp_path / "checkpoints" / STAGE1).iterdir()
    with np.load(path) as archive:
        arrays = dict(archive)
    for spoil in (
        lambda note: note.pop("progress"),
        lambda note: note["progress"].update(mine=1),
        lambda note: note["progress"].update(epoch="3"),
        lambda note: note.update(recipe=None),
    ):
        note = json.loads(arrays["note"].tobytes())
        spoil(note)
        np.savez(path, **{**arrays, "note": np.frombuffer(json.dumps(note).encode(), "uint8")})
        with pytest.raises(InputError, match="epoch_000001_step_000000.npz: not a checkpoint of this project"):
            train(pretrain_g, "--epochs", 1, "--resume")


# ------------------------------------------------------------------------------------------------- what is measured


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    for i in range(2):
        small = np.random.RandomState(i).randint(0, 256, (6, 7, 3)).astype("uint8")
        bgr = cv2.resize(small, (45 + i, 38), interpolation=cv2.INTER_CUBIC)
        (folder / f"{i}.png").write_bytes(cv2.imencode(".png", bgr)[1].tobytes())
    return folder


def test_the_best_of_what_was_measured_is_kept(train, tmp_path, valid, capsys):
    flags = ["--valid", valid, "--valid-every", 2, "--learning-rate", 0.02, "--degradation", "bicubic"]
    train(pretrain_g, "--epochs", 6, *flags)
    header, *rows = training.log(tmp_path)
    measured = {int(row[1]): float(row[header.index("valid_psnr")]) for row in rows if row[header.index("valid_psnr")]}
    assert sorted(measured) == [0, 2, 4, 6]
    best = max(measured, key=measured.get)
    assert f"valid: {measured[best]:.2f} dB, SSIM" in capsys.readouterr().out

    figures = {}
    for name in ("pretrain_g_best", "pretrain_g"):
        generator = weights.load_generator(tmp_path / f"{name}.pdparams")
        generator.eval()
        figures[name] = validation.measure(generator, validation.find_pictures(valid))["valid_psnr"]
    assert figures["pretrain_g_best"] == pytest.approx(measured[best], abs=1e-3)
    assert figures["pretrain_g"] == pytest.approx(measured[6], abs=1e-3)
    kept = checkpoint_epochs(tmp_path)
    assert {best + 1, 7} <= set(kept) and len(kept) <= 4


@pytest.fixture
def lpips_weights(tmp_path, monkeypatch):
    """Weights of LPIPS where the commands look for them."""
    monkeypatch.chdir(tmp_path)
    lpips.write(lpips.WEIGHTS, random_weights())


def measure(monkeypatch, psnr, distance):
    """Make these values what is measured, one after the other; with a given start the first are the start's."""
    figures = iter(zip(psnr, distance))

    def measured(generator, pictures, lr_of, check_stop, distance):
        psnr, value = next(figures)
        return {
            "valid_psnr": psnr,
            "valid_ssim": 0.5,
            **({"valid_lpips": value} if distance else {}),
            "valid_grid": 0.5,
        }

    monkeypatch.setattr(validation, "measure", measured)


def progress_of(output, stage: str, epoch: int) -> dict:
    with np.load(output / "checkpoints" / stage / f"epoch_{epoch:06d}_step_000000.npz") as archive:
        return json.loads(archive["note"].tobytes())["progress"]


@pytest.mark.parametrize("flags, best", [([], 1), (["--best-by", "psnr"], 2)])
def test_stage_2_saves_the_best_by_lpips(
    train, stage1, tmp_path, valid, monkeypatch, lpips_weights, capsys, flags, best
):
    measure(monkeypatch, psnr=(20.5, 20, 21, 22, 21), distance=(0.3, 0.3, 0.1, 0.2, 0.2))
    flags = ["--no-vgg", "--init", stage1, "--valid", valid, "--valid-every", 1, *flags]
    train(train_gan, "--epochs", 3, *flags)
    progress = progress_of(tmp_path, "srgan_g", 4)
    assert progress["best"]["epoch"] == best and progress["start"]["valid_lpips"] == 0.3
    assert (tmp_path / "srgan_g_best.pdparams").exists() and best + 1 in checkpoint_epochs(tmp_path, "srgan_g")
    header, *rows = training.log(tmp_path)
    assert [row[header.index("valid_lpips")] for row in rows] == ["0.3", "0.1", "0.2", "0.2"]
    assert "valid: 21.00 dB, SSIM 0.5000 on Y, LPIPS 0.1000, grid 0.50 (mean of 2 pictures)" in capsys.readouterr().out


@pytest.mark.parametrize("module", [pretrain_g, train_gan])
def test_the_start_is_a_candidate_for_the_best(
    train, stage1, tmp_path, valid, monkeypatch, lpips_weights, capsys, module
):
    measure(monkeypatch, psnr=(30, 29, 28), distance=(0.1, 0.15, 0.2))
    flags = ["--no-vgg"] if module is train_gan else []
    train(module, "--init", stage1, "--epochs", 1, "--valid", valid, "--valid-every", 1, *flags)
    said = capsys.readouterr()
    (best,) = tmp_path.glob("*_best.pdparams")
    training.assert_same(weights.read_pdparams(best), weights.read_pdparams(stage1))
    assert f"no epoch was better than the start on --valid: {best}" in said.out
    assert ("LPIPS has risen to 0.1500 in epoch 0, from 0.1000" in said.err) == (module is train_gan)


def test_stage_1_saves_the_best_by_psnr_and_does_not_measure_lpips(
    train, tmp_path, valid, monkeypatch, lpips_weights, capsys
):
    measure(monkeypatch, psnr=(20, 21, 22, 21), distance=(0.3, 0.1, 0.2, 0.2))
    train(pretrain_g, "--epochs", 3, "--valid", valid, "--valid-every", 1)
    assert progress_of(tmp_path, STAGE1, 4)["best"]["epoch"] == 2
    assert "LPIPS" not in capsys.readouterr().out


def test_without_lpips_weights_stage_2_says_how_to_get_them(train, stage1, tmp_path, valid, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["--no-vgg", "--init", stage1, "--valid", valid]
    train(train_gan, "--epochs", 0, *flags)
    said = "LPIPS is not measured: weights/lpips_alex.npz is missing; get it with: python data/download.py lpips"
    assert said in capsys.readouterr().out and (tmp_path / "srgan_g_best.pdparams").exists()
    with pytest.raises(InputError, match="lpips_alex.npz: LPIPS's weights are missing"):
        train(train_gan, "--epochs", 2, *flags, "--best-by", "lpips", "--resume")


def test_other_validation_pictures_have_a_best_of_their_own(train, tmp_path, valid, capsys):
    train(pretrain_g, "--epochs", 1, "--valid", valid, "--valid-every", 1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.png").write_bytes((valid / "1.png").read_bytes())
    capsys.readouterr()
    train(pretrain_g, "--epochs", 2, "--valid", other, "--valid-every", 1, "--resume", "--learning-rate", 1e-3)
    assert "the best epoch so far no longer counts" in capsys.readouterr().out
    assert progress_of(tmp_path, STAGE1, 3)["best"]["epoch"] == 2


def test_a_valid_folder_that_cannot_be_measured_on_is_named_before_training(train, tmp_path, photographs):
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid" / "bad.png").write_bytes(b"text")
    with pytest.raises(InputError, match="bad.png"):
        train(pretrain_g, "--epochs", 1, "--valid", tmp_path / "valid")
    assert not list(tmp_path.rglob("*.npz"))


def test_the_weights_for_users_are_the_moving_average(train, tmp_path):
    train(pretrain_g, "--epochs", 2, "--ema", 0.99)
    arrays = training.checkpoints(tmp_path, STAGE1)["epoch_000003_step_000000"]
    found = weights.read_pdparams(tmp_path / "pretrain_g.pdparams")
    for name in ("out_conv.weight", "head_bn.bias"):
        np.testing.assert_array_equal(found[name], arrays[f"ema/{name}"])
        assert not np.array_equal(found[name], arrays[f"generator/{name}"])


def test_stage_2_begins_with_what_stage_1_reached_and_its_warnings_are_said_once(
    train, stage1, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(gan_health, "D_HR", -1.0)  # every D has won
    monkeypatch.setattr(gan_health, "D_SR", 2.0)
    train(train_gan, "--epochs", 2, "--no-vgg", "--init", stage1)
    said = capsys.readouterr()
    assert "the start)" in said.out
    assert said.out.count("judged real") == 3
    assert said.err.count("warning: D has won") == 1
    train(train_gan, "--epochs", 3, "--no-vgg", "--init", stage1, "--resume")
    said = capsys.readouterr()
    assert "D has won" not in said.err and "the start)" not in said.out


def test_while_d_warms_up_g_stays_as_it_is(train, stage1, tmp_path):
    train(train_gan, "--epochs", 1, "--no-vgg", "--d-warmup", 4, "--init", stage1)  # of 2 × 2 steps
    arrays = training.checkpoints(tmp_path, "srgan_g")["epoch_000002_step_000000"]
    assert not [name for name in arrays if name.startswith("optimizer/generator")]
    for name, array in weights.read_pdparams(stage1).items():
        if not name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(arrays[f"generator/{name}"], array)
