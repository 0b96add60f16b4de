"""The recipes' numbers, as the article's author and the paper published them."""

import dataclasses
import re
from pathlib import Path

import pytest

from train.recipe import GAN_RECIPES, RECIPES, Recipe

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_articles_numbers():
    published = {
        "pretrain_epochs": 50,
        "gan_epochs": 2000,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "beta1": 0.9,
        "hr_size": 384,
        "degradation": "bilinear",
        "crops_per_image": 1,
        "augment": False,
        "sample_every": 10,
        "seed": 0,
        "mse_weight": 1.0,
        "vgg_weight": 2e-6,
        "adv_weight": 1e-3,
        "vgg_layer": "pool5",
        "vgg_normalize": False,
        "vgg_resize": True,
        # What the article does not have is off.
        "pretrain_schedule": "constant",
        "gan_schedule": "constant",
        "grad_accumulate": 1,
        "icnr": False,
        "small_init": False,
        "ema": 0.0,
        "amp": False,
        "vgg_before_relu": False,
        "vgg_shift": False,
        "vgg_texture": 0.0,
        "l1": False,
        "adv_ramp": 0,
        "grid_weight": 0.0,
        "freeze_bn": False,
        "d_rate": 1.0,
        "d_warmup": 0,
        "label_smoothing": 0.0,
        # Of another degradation than its own.
        "photo_strength": 1.0,
        "photo_clean": 0.2,
    }
    assert dataclasses.asdict(RECIPES["article"]) == published


def test_the_papers_numbers():
    paper = RECIPES["paper"]
    assert (paper.hr_size, paper.degradation, paper.batch_size, paper.learning_rate) == (96, "bicubic", 16, 1e-4)
    assert (paper.mse_weight, paper.vgg_weight, paper.adv_weight) == (0, 0.006, 1e-3)
    assert (paper.vgg_layer, paper.vgg_normalize, paper.augment) == ("conv5_4", True, True)
    steps = 800 // paper.batch_size
    assert steps * paper.pretrain_epochs == 10**6
    assert steps * paper.gan_epochs == 2 * 10**5
    # Only stage 2 goes on with a tenth of the learning rate in its second half.
    assert (paper.pretrain_schedule, paper.gan_schedule) == ("constant", "step")
    assert not (paper.icnr or paper.small_init or paper.vgg_resize)


def test_stage_2_has_the_same_article_and_paper():
    assert {name: GAN_RECIPES[name] for name in ("article", "paper")} == {
        name: RECIPES[name] for name in ("article", "paper")
    }


@pytest.mark.parametrize("change", [{"hr_size": 98}, {"hr_size": 4, "grid_weight": 0.1}, {"grad_accumulate": 3}])
def test_values_that_do_not_go_together_are_refused_by_their_flag(change):
    name = next(iter(change)).replace("_", "-")
    with pytest.raises(ValueError, match=rf"^{name} is .*must be"):
        Recipe(**change)


@pytest.mark.parametrize("document", ["long-runs.md", "long-runs_cn.md"])
@pytest.mark.parametrize("column, name", list(enumerate(("article", "paper", "short", "photo"), 1)))
def test_the_documents_tables_show_the_recipes(document, column, name):
    rows = [line.split("|")[1:-1] for line in (DOCS / document).read_text("utf-8").splitlines() if line[:1] == "|"]
    assert f"`{name}`" in rows[0][column]
    cells = [re.sub(r"stage [12]|第[一二]阶段", "", row[column]) for row in rows[3:7]]
    shown = [[float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:e-\d+)?", cell)] for cell in cells]
    stage1, stage2 = RECIPES[name], GAN_RECIPES[name]

    def of_both(field):
        return list(dict.fromkeys((getattr(stage1, field), getattr(stage2, field))))

    epochs = [stage1.pretrain_epochs + 1, stage2.gan_epochs + 1]
    crops = [stage1.crops_per_image, stage2.crops_per_image]
    assert shown == [
        of_both("hr_size"),
        of_both("batch_size"),
        of_both("learning_rate"),
        epochs + (crops if crops != [1, 1] else []),
    ]
