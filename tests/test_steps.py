"""The training steps: who gets a gradient when. Three follow the recorded trajectory in `tests/test_cpu.py`."""

import dataclasses
import itertools

import numpy as np
import paddle
import pytest
from paddle import nn

from train import steps
from train.recipe import Recipe
from train.steps import GanStep, PretrainStep


class TinyG(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 3 * 16, 1)
        self.calls = 0

    def forward(self, lr):
        self.calls += 1
        return paddle.tanh(nn.functional.pixel_shuffle(self.conv(lr), 4))


class TinyD(nn.Layer):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 16 * 16, 1)

    def forward(self, picture):
        return self.fc(picture.flatten(1))


class TinyVGG(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 1)

    def features_of_blocks(self, x, layer, before_relu):
        return [self.conv(x)]


class Spy:
    """An optimizer that, when it steps, notes which networks hold a gradient, and of what size."""

    def __init__(self, inner, networks, notes, name):
        self.inner, self.networks, self.notes, self.name = inner, networks, notes, name

    def step(self):
        held = {
            name: any(p.grad is not None and float(p.grad.abs().max()) > 0 for p in network.parameters())
            for name, network in self.networks.items()
        }
        self.notes.append((self.name, held))
        self.inner.step()

    def clear_grad(self, *args, **kwargs):
        self.inner.clear_grad(*args, **kwargs)


@pytest.fixture
def tiny():
    paddle.seed(0)
    networks = {"g": TinyG(), "d": TinyD(), "vgg": TinyVGG()}
    lr = paddle.uniform([2, 3, 4, 4], min=-1, max=1)
    hr = paddle.uniform([2, 3, 16, 16], min=-1, max=1)
    return networks, lr, hr


def test_d_first_then_g_and_no_gradient_where_none_belongs(tiny):
    networks, lr, hr = tiny
    notes = []
    step = GanStep(*networks.values(), Recipe())
    for name, optimizer in step.optimizers.items():
        step.optimizers[name] = Spy(optimizer, networks, notes, name[0])
    before = {name: [p.numpy().copy() for p in network.parameters()] for name, network in networks.items()}
    step(lr, hr)
    assert notes == [
        ("d", {"g": False, "d": True, "vgg": False}),
        ("g", {"g": True, "d": False, "vgg": False}),
    ]
    assert networks["g"].calls == 1
    for name, network in networks.items():
        assert all(p.grad is None for p in network.parameters())
        assert not any(p.stop_gradient for p in network.parameters()), "D and VGG19 can be trained again"
        moved = [not np.array_equal(old, p.numpy()) for old, p in zip(before[name], network.parameters())]
        assert all(moved) if name in "gd" else not any(moved)


def test_g_loss_is_the_recipes_weighted_sum_of_the_losses_against_the_updated_d(tiny):
    networks, lr, hr = tiny
    g, d, vgg = networks["g"], networks["d"], networks["vgg"]
    recipe = dataclasses.replace(Recipe(), mse_weight=0.5, vgg_weight=0.25, adv_weight=2.0)
    sr = g(lr).numpy()
    losses = {k: float(v) for k, v in GanStep(g, d, vgg, recipe)(lr, hr).items()}
    assert losses["mse"] == pytest.approx(np.mean((sr - hr.numpy()) ** 2), rel=1e-5)
    updated_logits = sr.reshape(2, -1) @ d.fc.weight.numpy() + d.fc.bias.numpy()
    assert losses["adv"] == pytest.approx(np.mean(np.log1p(np.exp(-updated_logits))), rel=1e-4)
    total = 0.5 * losses["mse"] + 0.25 * losses["vgg"] + 2.0 * losses["adv"]
    assert losses["g_loss"] == pytest.approx(total, rel=1e-5)


def test_without_vgg_its_loss_is_zero_and_left_out(tiny):
    networks, lr, hr = tiny
    g, d = networks["g"], networks["d"]
    losses = GanStep(g, d, None, Recipe())(lr, hr)
    assert float(losses["vgg"]) == 0
    total = float(losses["mse"]) + 1e-3 * float(losses["adv"])
    assert float(losses["g_loss"]) == pytest.approx(total, rel=1e-6)


def test_the_pretrain_step_is_adam_on_the_mean_squared_error(tiny):
    networks, lr, hr = tiny
    g = networks["g"]
    before, sr = g.conv.bias.numpy().copy(), g(lr).numpy()
    losses = PretrainStep(g, Recipe())(lr, hr)
    assert set(losses) == {"mse", "g_gradient"}
    assert float(losses["mse"]) == pytest.approx(np.mean((sr - hr.numpy()) ** 2), rel=1e-5)
    # Adam's first step is the learning rate, against the sign of the gradient.
    error = (sr - hr.numpy()) * (1 - sr**2)
    gradient = np.array([error[:, c // 16, c % 16 // 4 :: 4, c % 4 :: 4].sum() for c in range(48)])
    np.testing.assert_allclose(g.conv.bias.numpy() - before, -1e-3 * np.sign(gradient), rtol=1e-2)


def after_a_gan_step(recipe, networks, lr, hr, number=0):
    """Weights and losses after a step of fresh copies of the networks, which have no batch norm."""
    copies = {"g": TinyG(), "d": TinyD(), "vgg": TinyVGG()}
    for name, copy in copies.items():
        copy.set_state_dict(networks[name].state_dict())
    losses = GanStep(*copies.values(), recipe)(lr, hr, number)
    state = {f"{name}.{key}": value.numpy() for name in "gd" for key, value in copies[name].state_dict().items()}
    return state, {name: float(value) for name, value in losses.items()}


def test_a_step_in_parts_is_the_step_of_the_whole_batch(tiny):
    networks, lr, hr = tiny
    whole, losses = after_a_gan_step(Recipe(batch_size=2), networks, lr, hr)
    parts, parts_losses = after_a_gan_step(Recipe(batch_size=2, grad_accumulate=2), networks, lr, hr)
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, atol=2e-5, err_msg=name)
    assert parts_losses == pytest.approx(losses, rel=1e-4)
    with pytest.raises(ValueError, match="2 crops cannot be computed in 3 equal parts"):
        GanStep(*networks.values(), Recipe(batch_size=3, grad_accumulate=3))(lr, hr)
    g, g2 = TinyG(), TinyG()
    g2.set_state_dict(g.state_dict())
    recipes = Recipe(batch_size=2), Recipe(batch_size=2, grad_accumulate=2)
    mse = [float(PretrainStep(x, recipe)(lr, hr)["mse"]) for x, recipe in zip((g, g2), recipes)]
    assert mse[0] == pytest.approx(mse[1], rel=1e-5)
    np.testing.assert_allclose(g.conv.weight.numpy(), g2.conv.weight.numpy(), atol=2e-5)


def test_with_frozen_statistics_d_judges_hr_and_sr_in_one_pass(tiny):
    """The same losses and weights, where no batch norm looks at the batch."""
    networks, lr, hr = tiny
    apart, losses = after_a_gan_step(Recipe(), networks, lr, hr)
    together, expected = after_a_gan_step(Recipe(freeze_bn=True), networks, lr, hr)
    assert losses == pytest.approx(expected, rel=1e-5)
    for name, value in together.items():
        np.testing.assert_allclose(apart[name], value, atol=2e-5, err_msg=name)
    sizes = []
    networks["d"].register_forward_pre_hook(lambda layer, inputs: sizes.append(len(inputs[0])))
    for recipe in (Recipe(), Recipe(freeze_bn=True)):
        GanStep(networks["g"], networks["d"], None, recipe)(lr, hr)
    assert sizes == [2, 2, 2, 4, 2]


def test_in_warm_up_d_alone_learns(tiny):
    networks, lr, hr = tiny
    before = {f"g.{key}": value.numpy() for key, value in networks["g"].state_dict().items()}
    recipe = Recipe(d_warmup=3)
    frozen, losses = after_a_gan_step(recipe, networks, lr, hr, number=2)
    learnt, expected = after_a_gan_step(recipe, networks, lr, hr, number=3)
    for name, value in frozen.items():
        np.testing.assert_array_equal(value, before[name] if name in before else learnt[name])
    assert losses.pop("g_gradient") == 0 and expected.pop("g_gradient") > 0
    assert losses == pytest.approx(expected, rel=1e-6)


def test_the_adversarial_weight_rises_after_the_warm_up(tiny):
    networks, lr, hr = tiny
    recipe = Recipe(d_warmup=2, adv_ramp=4, mse_weight=0.0, vgg_weight=0.0, adv_weight=0.5)
    shares = []
    for number in (0, 1, 2, 3, 5, 6, 100):
        _, losses = after_a_gan_step(recipe, networks, lr, hr, number=number)
        shares.append(losses["g_loss"] / (0.5 * losses["adv"]))
    assert shares == pytest.approx([0, 0, 0.25, 0.5, 1, 1, 1], rel=1e-5)


def test_with_l1_gs_loss_has_absolute_differences(tiny):
    networks, lr, hr = tiny
    recipe = Recipe(l1=True, mse_weight=2.0, vgg_weight=0.0, adv_weight=0.0)
    _, losses = after_a_gan_step(recipe, networks, lr, hr)
    sr = networks["g"](lr).numpy()
    assert losses["g_loss"] == pytest.approx(2 * np.abs(sr - hr.numpy()).mean(), rel=1e-5)
    assert losses["mse"] == pytest.approx(np.square(sr - hr.numpy()).mean(), rel=1e-5)


def test_what_vgg19_does_not_see_is_drawn_by_the_steps_number():
    draws = [steps._shift(Recipe(vgg_shift=True, seed=1), number) for number in range(400)]
    assert draws == [steps._shift(Recipe(vgg_shift=True, seed=1), number) for number in range(400)]
    assert draws != [steps._shift(Recipe(vgg_shift=True, seed=2), number) for number in range(400)]
    assert set(draws) == set(itertools.product(range(4), range(4)))
    assert steps._shift(Recipe(), 7) == (0, 0)


def test_health_is_ds_mean_probability_and_the_norms_of_the_gradients(tiny):
    networks, lr, hr = tiny
    d, flat_hr = networks["d"], hr.numpy().reshape(2, -1)
    flat_sr = networks["g"](lr).numpy().reshape(2, -1)
    weight, bias = d.fc.weight.numpy(), d.fc.bias.numpy()
    p_hr, p_sr = (1 / (1 + np.exp(-(flat @ weight + bias))) for flat in (flat_hr, flat_sr))
    _, losses = after_a_gan_step(Recipe(), networks, lr, hr)
    assert losses["d_hr"] == pytest.approx(p_hr.mean(), rel=1e-4)
    assert losses["d_sr"] == pytest.approx(p_sr.mean(), rel=1e-4)
    # d loss / d logit is (p - 1) / 2N for HR and p / 2N for SR.
    to_logits = np.concatenate([p_hr - 1, p_sr]) / 4
    to_weight = np.concatenate([flat_hr, flat_sr]).T @ to_logits
    assert losses["d_gradient"] == pytest.approx(np.hypot(np.linalg.norm(to_weight), to_logits.sum()), rel=1e-4)

    g, squares = networks["g"], []
    step = PretrainStep(g, Recipe())
    step.optimizers["generator"].step = lambda: squares.extend(float((p.grad**2).sum()) for p in g.parameters())
    found = step(lr, hr)
    assert float(found["g_gradient"]) == pytest.approx(np.sqrt(sum(squares)), rel=1e-5)


def test_label_smoothing_is_of_the_real_label_alone(tiny):
    networks, lr, hr = tiny
    _, plain = after_a_gan_step(Recipe(), networks, lr, hr)
    _, smooth = after_a_gan_step(Recipe(label_smoothing=0.1), networks, lr, hr)
    d = networks["d"]
    logits = hr.numpy().reshape(2, -1) @ d.fc.weight.numpy() + d.fc.bias.numpy()
    # -(0.9 log p + 0.1 log(1 - p)) is -log p + 0.1 logit; half of the mean is in D's loss.
    assert smooth["d_loss"] - plain["d_loss"] == pytest.approx(0.1 * logits.mean() / 2, rel=1e-3, abs=1e-6)
