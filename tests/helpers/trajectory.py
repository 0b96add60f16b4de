"""Three recorded training steps of the article's networks, followed by the port's."""

import dataclasses

import numpy as np
import paddle

from models.discriminator import Discriminator
from models.generator import Generator
from models.vgg19 import VGG19
from models.weight_files import fluid
from models.weight_files.variables import select
from models.weight_files.vgg19_weights import FORMS, table
from tests.helpers import golden
from train.recipe import RECIPES
from train.steps import GanStep


def follow(prepare, count: int = 3) -> None:
    """The first steps of the networks after `prepare(generator, discriminator, vgg19)`, compared with the recording.

    The weights are compared after all three.
    """
    recorded = np.load(golden.RECORDINGS / "trajectory_seed0.npz")
    generator, discriminator, vgg19 = Generator(), Discriminator(), VGG19()
    generator.set_state_dict(fluid.generator_state(golden.generator_variables()))
    discriminator.set_state_dict(fluid.discriminator_state(golden.discriminator_variables()))
    vgg19.set_state_dict(select(golden.vgg19_variables(), table(FORMS[0]), "VGG19"))
    prepare(generator, discriminator, vgg19)
    recipe = dataclasses.replace(RECIPES["article"], learning_rate=1e-4)
    step = GanStep(generator, discriminator, vgg19, recipe)
    # d_loss, mse, vgg, adv, g_loss: the tolerances of the recording's page.
    tolerances = [[1e-4] * 5, [3e-2, 2e-3, 2e-3, 3e-2, 2e-3], [3e-2, 2e-3, 2e-3, 3e-2, 2e-3]]
    for k, tolerance in enumerate(tolerances[:count]):
        lr = paddle.to_tensor(golden.nchw(golden.picture(f"lr{k}", (2, 96, 96, 3))))
        hr = paddle.to_tensor(golden.nchw(golden.picture(f"hr{k}", (2, 384, 384, 3))))
        losses = step(lr, hr)
        found = np.array([float(losses[name]) for name in ("d_loss", "mse", "vgg", "adv", "g_loss")])
        assert (np.abs(found / recorded["losses"][k] - 1) < tolerance).all(), (k, found, recorded["losses"][k])
    if count < 3:
        return
    g, d = generator.state_dict(), discriminator.state_dict()
    after = {
        "out.w_0": g["out_conv.weight"],
        "n64s1/c.w_0": g["head_conv.weight"],
        "n64s1/b2/15.w_3": g["tail_bn.weight"],
        "h0/c.w_0": d["convs.0.weight"],
        "h7/bn.w_0": d["bns.6.weight"],
        "ho/fc2.w_0": d["fc.weight"],
    }
    for name, value in after.items():
        # Three Adam steps of 1e-4 move a weight by 3e-4 at most, and by half of that here on average: a weight that
        # was never updated, or the wrong way, fails.
        assert np.abs(value.numpy() - recorded[f"w/{name}"]).mean() < 4e-5, name
        kind = "scale" if value.ndim == 1 else ""
        moved = np.abs(value.numpy() - golden.weight(name, tuple(value.shape), kind)).mean()
        assert moved > 1e-4, name
