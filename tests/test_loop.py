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
from train.report import gan_health, validation
from train.report.reporter import Reporter

RUN = ["--hr-size", "16", "--batch-size", "2", "--sample-every", "100"]
STAGE1 = "pretrain_g"


@pytest.fixture(autouse=True)
def tiny():
    with training.tiny_networks():
        yield


@pytest.fixture
def train(photographs, tmp_path):
    def run(module, *flags):
        line = ["--data", str(photographs), "--output", str(tmp_path), *RUN, *map(str, flags)]
        module.main(module.PARSER.parse_args(line))

    return run


def checkpoint_epochs(output, stage=STAGE1):
    return [int(name[6:12]) for name in training.checkpoints(output, stage)]


# --------------------------------------------------------------------------------------------------------- going on


@pytest.mark.slow
def test_a_new_run_is_refused_where_one_could_be_resumed(train, tmp_path):
    train(pretrain_g, "--epochs", 0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(InputError, match=r"belongs to an earlier run.*--resume.*--output.*remove"):
        train(pretrain_g, "--epochs", 0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert checkpoint_epochs(tmp_path) == [1]


@pytest.mark.slow
def test_a_run_that_has_ended_stays_as_it_is_and_more_epochs_go_on(train, tmp_path, capsys):
    train(pretrain_g, "--epochs", 1)
    before = training.checkpoints(tmp_path, STAGE1)
    train(pretrain_g, "--epochs", 1, "--resume")
    assert "this run is complete" in capsys.readouterr().out
    assert list(training.checkpoints(tmp_path, STAGE1)) == list(before)
    train(pretrain_g, "--epochs", 2, "--resume")
    assert max(checkpoint_epochs(tmp_path)) == 3
    assert [row[1] for row in training.log(tmp_path)] == ["epoch", "0", "1", "2"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changed, said",
    [
        (["--learning-rate", "0.01"], "learning-rate 0.001 there, 0.01 here"),
        (["--schedule", "cosine"], "pretrain-schedule constant there, cosine here"),
    ],
)
def test_another_recipe_is_refused_unless_told_to(train, tmp_path, capsys, changed, said):
    train(pretrain_g, "--epochs", 0)
    with pytest.raises(InputError) as refused:
        train(pretrain_g, "--epochs", 2, "--resume", *changed)
    assert said in str(refused.value) and "--new-recipe" in str(refused.value)
    assert checkpoint_epochs(tmp_path) == [1]
    train(pretrain_g, "--epochs", 2, "--resume", "--new-recipe", *changed)
    printed = capsys.readouterr().out
    assert "continuing with another recipe: " in printed and said in printed
    assert max(checkpoint_epochs(tmp_path)) == 3


@pytest.mark.slow
def test_the_strength_of_photo_is_the_recipes_where_it_is_the_degradation(train):
    train(pretrain_g, "--epochs", 0, "--degradation", "photo")
    with pytest.raises(InputError, match="photo-strength 1.0 there, 0.5 here"):
        train(pretrain_g, "--epochs", 1, "--resume", "--degradation", "photo", "--photo-strength", 0.5)
    with pytest.raises(InputError, match="degradation photo there, bilinear here"):
        train(pretrain_g, "--epochs", 1, "--resume")


@pytest.mark.slow
def test_where_the_rate_follows_the_runs_length_its_length_is_the_recipes(train):
    train(pretrain_g, "--epochs", 1, "--schedule", "cosine")
    with pytest.raises(InputError, match="pretrain-epochs 1 there, 3 here"):
        train(pretrain_g, "--epochs", 3, "--resume", "--schedule", "cosine")


@pytest.mark.slow
def test_other_pictures_are_refused_unless_told_to(train, photographs, tmp_path):
    train(pretrain_g, "--epochs", 0)
    (tmp_path / "others").mkdir()
    for path in photographs.glob("[!.]*"):
        (tmp_path / "others" / f"x{path.name}").write_bytes(path.read_bytes())
    others = ["--epochs", 1, "--resume", "--data", str(tmp_path / "others")]
    with pytest.raises(InputError) as error:
        train(pretrain_g, *others)
    said = str(error.value)
    assert "added: xa.png, xb.jpg, xc.bmp, x照片 d.png; removed: a.png, b.jpg, c.bmp, 照片 d.png." in said
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


@pytest.mark.slow
@pytest.mark.parametrize("name, said", [("lr/cx4.png", r"c.bmp and cx4.png \(")])
def test_pairs_of_which_one_was_changed_are_refused(train, pairs, tmp_path, name, said):
    """Of the same name and size in pixels."""
    train(pretrain_g, "--epochs", 0, *pairs)
    train(pretrain_g, "--epochs", 1, "--resume", *pairs)
    bgr = cv2.imread(str(tmp_path / name))
    cv2.imwrite(str(tmp_path / name), bgr // 8 * 8)
    with pytest.raises(InputError, match=rf"the pairs: changed: {said}\w+\+\w+ there, \w+\+\w+ here\)\. Give"):
        train(pretrain_g, "--epochs", 2, "--resume", *pairs)
    assert max(checkpoint_epochs(tmp_path)) == 2


@pytest.mark.slow
def test_what_is_trained_on_is_the_lr_that_is_given(train, pairs, tmp_path, capsys):
    results = []
    for epoch, change in enumerate((lambda bgr: bgr, lambda bgr: bgr, lambda bgr: 255 - bgr)):
        for path in (tmp_path / "lr").glob("*.png"):
            bgr = cv2.imdecode(np.fromfile(path, "uint8"), cv2.IMREAD_COLOR)
            path.write_bytes(cv2.imencode(".png", change(bgr))[1].tobytes())
        output = tmp_path / f"output {epoch}"
        train(pretrain_g, "--epochs", 0, *pairs, "--augment", "--output", output)
        results.append(weights.read_pdparams(output / "pretrain_g.pdparams")["out_conv.weight"])
    np.testing.assert_array_equal(results[0], results[1])
    assert np.abs(results[0] - results[2]).max() > 1e-6
    assert f"4 pictures of {tmp_path / 'hr'}, LR of {tmp_path / 'lr'}: " in capsys.readouterr().out


@pytest.mark.slow
def test_pairs_that_do_not_match_are_named_before_the_first_step(train, pairs, tmp_path):
    (tmp_path / "lr" / "ax4.png").unlink()
    cv2.imwrite(str(tmp_path / "lr" / "bx4.png"), np.zeros((9, 9, 3), "uint8"))
    with pytest.raises(
        InputError, match=r"(?s)2 of 4 .*lacks the LR picture of .*a\.png.*bx4\.png has 9x9.*--skip-bad"
    ):
        train(pretrain_g, "--epochs", 0, *pairs)
    assert not (tmp_path / "pretrain_g.pdparams").exists()
    train(pretrain_g, "--epochs", 0, *pairs, "--skip-bad")
    assert (tmp_path / "pretrain_g.pdparams").exists()


@pytest.mark.slow
def test_other_sizes_of_the_same_names_are_other_pictures(train, photographs, tmp_path):
    """The crops' places follow from the sizes."""
    folder = tmp_path / "photographs"
    training.write_photographs(folder)
    train(pretrain_g, "--epochs", 0, "--data", folder)
    (folder / "a.png").write_bytes((photographs / "照片 d.png").read_bytes())
    with pytest.raises(InputError, match=r"the pictures: changed: a.png \(40x36 there, 43x36 here\)\. Give"):
        train(pretrain_g, "--epochs", 1, "--resume", "--data", folder)


@pytest.mark.slow
def test_fields_that_a_stage_does_not_read_may_change(train, tmp_path):
    train(pretrain_g, "--epochs", 0)
    train(pretrain_g, "--epochs", 1, "--resume", "--sample-every", 7)
    assert max(checkpoint_epochs(tmp_path)) == 2


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_checkpoint_of_the_other_stage_is_refused(train, tmp_path):
    train(pretrain_g, "--epochs", 0)
    train(train_gan, "--epochs", 0, "--no-vgg")
    (stage2,) = (tmp_path / "checkpoints" / "srgan_g").iterdir()
    stage2.replace(tmp_path / "checkpoints" / STAGE1 / "epoch_000009_step_000000.npz")
    with pytest.raises(InputError, match="belongs to srgan_g, not to pretrain_g"):
        train(pretrain_g, "--epochs", 20, "--resume")


@pytest.mark.slow
def test_stage_2_goes_on_without_stage_1s_file_but_not_with_another_loss(train, tmp_path, monkeypatch):
    train(pretrain_g, "--epochs", 0)
    train(train_gan, "--epochs", 0, "--no-vgg")
    (tmp_path / "pretrain_g.pdparams").unlink()
    train(train_gan, "--epochs", 1, "--no-vgg", "--resume")
    assert max(checkpoint_epochs(tmp_path, "srgan_g")) == 2
    monkeypatch.setattr(train_gan, "vgg19_of", lambda *_: VGG19())
    with pytest.raises(InputError, match="VGG19 left out there, used here"):
        train(train_gan, "--epochs", 2, "--vgg19", "x", "--resume")


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_signal_at_the_very_end_keeps_what_follows_from_starting(train, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Reporter, "history", lambda report, is_last: signal.getsignal(signal.SIGINT)(signal.SIGINT, None)
    )
    with pytest.raises(SystemExit) as stopped:
        train(pretrain_g, "--epochs", 0)
    assert stopped.value.code == 130 and checkpoint_epochs(tmp_path) == [1]


@pytest.mark.slow
def test_other_networks_are_refused_even_so(train, tmp_path, monkeypatch):
    train(pretrain_g, "--epochs", 0)
    train(train_gan, "--epochs", 0, "--no-vgg")
    with pytest.raises(
        InputError, match=r"srgan_g/epoch_000001_step_000000.npz: discriminator/convs.7.weight is float32"
    ):
        monkeypatch.setattr(Discriminator.__init__, "__defaults__", (384, (4,) * 7 + (5,)))
        train(train_gan, "--epochs", 1, "--no-vgg", "--resume")


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_a_killed_run_left_half_written_is_removed(train, tmp_path):
    folder = tmp_path / "checkpoints" / STAGE1
    folder.mkdir(parents=True)
    (folder / ".srgan-unfinished-01234567.npz").write_bytes(b"half")
    train(pretrain_g, "--epochs", 0, "--resume")
    assert [path.name for path in folder.iterdir()] == ["epoch_000001_step_000000.npz"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_best_of_what_was_measured_is_kept(train, tmp_path, valid, capsys):
    train(
        pretrain_g,
        "--epochs",
        6,
        "--valid",
        valid,
        "--valid-every",
        2,
        "--learning-rate",
        0.02,
        "--degradation",
        "bicubic",
    )
    header, *rows = training.log(tmp_path)
    measured = {int(row[1]): float(row[header.index("valid_psnr")]) for row in rows if row[header.index("valid_psnr")]}
    assert sorted(measured) == [0, 2, 4, 6]
    best = max(measured, key=measured.get)
    assert f"valid: {measured[best]:.2f} dB, SSIM" in capsys.readouterr().out

    figures = {}
    for name in ("pretrain_g_best", "pretrain_g"):
        generator = weights.load_generator(tmp_path / f"{name}.pdparams")
        generator.eval()
        figures[name] = validation.measure(generator, validation.pictures(valid))["valid_psnr"]
    assert figures["pretrain_g_best"] == pytest.approx(measured[best], abs=1e-3)
    assert figures["pretrain_g"] == pytest.approx(measured[6], abs=1e-3)
    kept = checkpoint_epochs(tmp_path)
    assert {best + 1, 7} <= set(kept) and len(kept) <= 4


@pytest.fixture
def lpips_weights(tmp_path, monkeypatch):
    """Weights of LPIPS where the commands look for them."""
    monkeypatch.chdir(tmp_path)
    lpips.write(lpips.WEIGHTS, random_weights())


def scripted(monkeypatch, psnr, distance):
    """What is measured is these values, one after the other; in stage 2 the first are those of stage 1's generator."""
    figures = iter(zip(psnr, distance))

    def measure(generator, pictures, lr_of, check_stop, distance):
        psnr, value = next(figures)
        return {
            "valid_psnr": psnr,
            "valid_ssim": 0.5,
            **({"valid_lpips": value} if distance else {}),
            "valid_grid": 0.5,
        }

    monkeypatch.setattr(validation, "measure", measure)


@pytest.mark.slow
@pytest.mark.parametrize("flags, best", [([], 1), (["--best-by", "psnr"], 2)])
def test_stage_2_keeps_the_best_by_lpips(train, tmp_path, valid, monkeypatch, lpips_weights, capsys, flags, best):
    train(pretrain_g, "--epochs", 0)
    scripted(monkeypatch, psnr=(20.5, 20, 21, 22, 21), distance=(0.3, 0.3, 0.1, 0.2, 0.2))
    train(train_gan, "--epochs", 3, "--no-vgg", "--valid", valid, "--valid-every", 1, *flags)
    with np.load(tmp_path / "checkpoints" / "srgan_g" / "epoch_000004_step_000000.npz") as archive:
        progress = json.loads(archive["note"].tobytes())["progress"]
    assert progress["best"]["epoch"] == best and progress["start"]["valid_lpips"] == 0.3
    assert (tmp_path / "srgan_g_best.pdparams").exists() and best + 1 in checkpoint_epochs(tmp_path, "srgan_g")
    header, *rows = training.log(tmp_path)
    found = [(row[header.index("valid_lpips")], row[header.index("valid_grid")]) for row in rows if row[0] == "srgan_g"]
    assert found == [("0.3", "0.5"), ("0.1", "0.5"), ("0.2", "0.5"), ("0.2", "0.5")]
    assert "valid: 21.00 dB, SSIM 0.5000 on Y, LPIPS 0.1000, grid 0.50 (mean of 2 pictures)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("module", [pretrain_g, train_gan])
def test_the_start_is_a_candidate_for_the_best(train, tmp_path, valid, monkeypatch, lpips_weights, capsys, module):
    train(pretrain_g, "--epochs", 0)
    start = tmp_path / "start.pdparams"
    (tmp_path / "pretrain_g.pdparams").replace(start)
    scripted(monkeypatch, psnr=(30, 29, 28), distance=(0.1, 0.15, 0.2))
    flags = ["--no-vgg"] if module is train_gan else []
    train(
        module, "--init", start, "--output", tmp_path / "o", "--epochs", 1, "--valid", valid, "--valid-every", 1, *flags
    )
    said = capsys.readouterr()
    (best,) = (tmp_path / "o").glob("*_best.pdparams")
    training.assert_same(weights.read_pdparams(best), weights.read_pdparams(start))
    assert f"no epoch was better than the start on --valid: {best}" in said.out
    assert ("LPIPS has risen to 0.1500 in epoch 0, from 0.1000" in said.err) == (module is train_gan)


@pytest.mark.slow
@pytest.mark.parametrize("flags, best", [([], 2), (["--best-by", "lpips"], 1)])
def test_stage_1_keeps_the_best_by_psnr(train, tmp_path, valid, monkeypatch, lpips_weights, capsys, flags, best):
    scripted(monkeypatch, psnr=(20, 21, 22, 21), distance=(0.3, 0.1, 0.2, 0.2))
    train(pretrain_g, "--epochs", 3, "--valid", valid, "--valid-every", 1, *flags)
    with np.load(tmp_path / "checkpoints" / STAGE1 / "epoch_000004_step_000000.npz") as archive:
        assert json.loads(archive["note"].tobytes())["progress"]["best"]["epoch"] == best
    assert ("LPIPS" in capsys.readouterr().out) == bool(flags)


@pytest.mark.slow
def test_without_lpips_weights_stage_2_says_how_to_get_them(train, tmp_path, valid, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train(pretrain_g, "--epochs", 0)
    train(train_gan, "--epochs", 1, "--no-vgg", "--valid", valid)
    said = capsys.readouterr().out
    assert (
        "LPIPS is not measured: weights/lpips_alex.npz is missing; get it with: python data/download.py lpips" in said
    )
    assert (tmp_path / "srgan_g_best.pdparams").exists()
    with pytest.raises(InputError, match="lpips_alex.npz: LPIPS's weights are missing"):
        train(train_gan, "--epochs", 2, "--no-vgg", "--valid", valid, "--best-by", "lpips", "--resume")


@pytest.mark.slow
def test_other_validation_pictures_have_a_best_of_their_own(train, tmp_path, valid, capsys):
    train(pretrain_g, "--epochs", 1, "--valid", valid, "--valid-every", 1)
    other = tmp_path / "other"
    other.mkdir()
    (other / "0.png").write_bytes((valid / "1.png").read_bytes())
    capsys.readouterr()
    train(pretrain_g, "--epochs", 2, "--valid", other, "--valid-every", 1, "--resume", "--learning-rate", 1e-3)
    assert "the best epoch so far no longer counts" in capsys.readouterr().out
    with np.load(tmp_path / "checkpoints" / STAGE1 / "epoch_000003_step_000000.npz") as archive:
        assert json.loads(archive["note"].tobytes())["progress"]["best"]["epoch"] == 2


def test_a_valid_folder_that_cannot_be_measured_on_is_named_before_training(train, tmp_path, photographs):
    (tmp_path / "valid").mkdir()
    (tmp_path / "valid" / "bad.png").write_bytes(b"text")
    with pytest.raises(InputError, match="bad.png"):
        train(pretrain_g, "--epochs", 1, "--valid", tmp_path / "valid")
    assert not list(tmp_path.rglob("*.npz"))


@pytest.mark.slow
def test_the_weights_for_users_are_the_moving_average(train, tmp_path):
    train(pretrain_g, "--epochs", 2, "--ema", 0.99)
    arrays = training.checkpoints(tmp_path, STAGE1)["epoch_000003_step_000000"]
    found = weights.read_pdparams(tmp_path / "pretrain_g.pdparams")
    for name in ("out_conv.weight", "head_bn.bias"):
        np.testing.assert_array_equal(found[name], arrays[f"ema/{name}"])
        assert not np.array_equal(found[name], arrays[f"generator/{name}"])


@pytest.mark.slow
def test_stage_2_begins_with_what_stage_1_reached_and_its_warnings_are_said_once(train, tmp_path, capsys, monkeypatch):
    train(pretrain_g, "--epochs", 3)
    monkeypatch.setattr(gan_health, "D_HR", -1.0)  # every D has won
    monkeypatch.setattr(gan_health, "D_SR", 2.0)
    capsys.readouterr()
    train(train_gan, "--epochs", 2, "--no-vgg")
    said = capsys.readouterr()
    assert "the start)" in said.out
    assert said.out.count("judged real") == 3
    assert said.err.count("warning: D has won") == 1
    train(train_gan, "--epochs", 4, "--no-vgg", "--resume")
    said = capsys.readouterr()
    assert "D has won" not in said.err and "the start)" not in said.out


@pytest.mark.slow
def test_while_d_warms_up_g_stays_as_it_is(train, tmp_path):
    train(pretrain_g, "--epochs", 0)
    train(train_gan, "--epochs", 1, "--no-vgg", "--d-warmup", 4)  # of 2 × 2 steps
    arrays = training.checkpoints(tmp_path, "srgan_g")["epoch_000002_step_000000"]
    before = training.checkpoints(tmp_path, STAGE1)["epoch_000001_step_000000"]
    assert not [name for name in arrays if name.startswith("optimizer/generator")]
    for name, array in before.items():
        if name.startswith("generator") and not name.endswith(("_mean", "_variance")):
            np.testing.assert_array_equal(arrays[name], array)
