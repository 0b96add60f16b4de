"""What one training step computes: networks and a batch in, losses out. Every batch norm is in train mode."""

import contextlib

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.optimizer import Adam

from common.scale import SCALE
from train import losses
from train.run import parallel
from train.run.mixed_precision import FP32


def adam(network, recipe) -> Adam:
    """The optimizer of a network's weights, with the recipe's step size and beta1; Adam's other defaults: fluid's."""
    return Adam(recipe.learning_rate, beta1=recipe.beta1, parameters=network.parameters())


@contextlib.contextmanager
def frozen(network):
    """While inside, gradients flow through `network` but none is computed for its weights."""
    trainable = [parameter for parameter in network.parameters() if not parameter.stop_gradient]
    for parameter in trainable:
        parameter.stop_gradient = True
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.stop_gradient = False


def pretrain_step(generator, optimizer, lr, hr, parts: int = 1, precision=FP32, health: bool = False) -> dict:
    """Stage 1: one update of G on the content loss.

    lr [N,3,h,w], hr [N,3,4h,4w], float in [-1,1]. parts: the N crops are computed in so many parts, which changes what
    batch norm sees and saves memory. precision: a `train.run.mixed_precision.Precision`.
    Returns {'mse'}, a scalar tensor; with `health` also {'g_gradient'}, the norm of G's gradient.
    """
    terms = []
    for lr_part, hr_part in _parts(parts, lr, hr):
        with precision.autocast():
            mse = losses.content(generator(lr_part), hr_part)
        precision.backward(mse / parts)
        terms.append({"mse": mse.detach()})
    return {**_mean(terms), **_update(optimizer, generator, precision, "g_gradient" if health else None)}


def gan_step(
    generator,
    discriminator,
    vgg19,
    g_optimizer,
    d_optimizer,
    lr,
    hr,
    recipe,
    precision=FP32,
    number: int = 0,
    health: bool = False,
) -> dict:
    """Stage 2: one update of D, then one of G against the updated D.

    lr [N,3,h,w], hr [N,3,4h,4w], float in [-1,1]; vgg19 may be None (its loss is then left out and 0); recipe: a
    `train.recipe.Recipe`, of which what concerns the losses and `grad_accumulate` are read; precision: a
    `train.run.mixed_precision.Precision`; number: that of the step in the run, from 0 on. In the first `d_warmup` steps
    G's weights stay as they are; in the `adv_ramp` steps after those the weight of the adversarial loss rises from 0.
    SR is computed once and serves both, except where the crops are computed in parts (`grad_accumulate`): keeping the
    graph of every part's SR would take the memory that the parts save.
    Returns {'d_loss', 'g_loss', 'mse', 'vgg', 'adv'}, scalar tensors; g_loss is the weighted sum of the last three
    (with `l1` the mean absolute difference takes mse's place in it) and of the grid loss. With `health` also {'d_hr',
    'd_sr'}, D's mean probability before its update that HR and SR are real, and {'d_gradient', 'g_gradient'}, the norms
    of the gradients.
    D's update leaves no gradient in G, and G's none in D or VGG19.
    """
    parts = _parts(recipe.grad_accumulate, lr, hr)
    g_learns = number >= recipe.d_warmup
    srs, terms = [], []
    for lr_part, hr_part in parts:
        with precision.autocast():
            with paddle.set_grad_enabled(g_learns and len(parts) == 1):
                sr = generator(lr_part)
            hr_logits, sr_logits = _judged(discriminator, hr_part, sr.detach(), recipe.freeze_bn)
            d_loss = losses.discrimination(hr_logits, sr_logits, recipe.label_smoothing)
        precision.backward(d_loss / len(parts))
        srs.append(sr)
        terms.append({"d_loss": d_loss.detach()})
        if health:
            terms[-1].update(d_hr=_probability(hr_logits), d_sr=_probability(sr_logits))
    result = {**_mean(terms), **_update(d_optimizer, discriminator, precision, "d_gradient" if health else None)}

    terms = []
    with contextlib.ExitStack() as stack:
        for network in (discriminator, vgg19):
            if network is not None:
                stack.enter_context(frozen(network))
        stack.enter_context(paddle.set_grad_enabled(g_learns))
        for (lr_part, hr_part), known in zip(parts, srs):
            with precision.autocast():
                sr = known if len(parts) == 1 else generator(lr_part)
                g_terms = _g_losses(discriminator, vgg19, sr, hr_part, recipe, number)
            if g_learns:
                precision.backward(g_terms["g_loss"] / len(parts))
            terms.append({name: loss.detach() for name, loss in g_terms.items()})
    result.update(_mean(terms))
    if g_learns:
        result.update(_update(g_optimizer, generator, precision, "g_gradient" if health else None))
    elif health:
        result["g_gradient"] = paddle.zeros([])
    return result


def _judged(discriminator, hr, sr, together: bool) -> tuple:
    """D's logits of HR and SR; together in one pass, which is the same where batch norm does not look at the batch."""
    if together:
        return tuple(paddle.split(discriminator(paddle.concat([hr, sr])), 2))
    return discriminator(hr), discriminator(sr)


def _g_losses(discriminator, vgg19, sr, hr, recipe, number: int) -> dict:
    """G's loss on [N,3,h,w] pictures in step `number` and its terms: {'g_loss', 'mse', 'vgg', 'adv'}."""
    mse = losses.content(sr, hr)
    adv = losses.adversarial(discriminator(sr))
    ramp = min(1.0, (number - recipe.d_warmup + 1) / recipe.adv_ramp) if recipe.adv_ramp else 1.0
    g_loss = recipe.mse_weight * (losses.absolute(sr, hr) if recipe.l1 else mse) + ramp * recipe.adv_weight * adv
    vgg = mse.detach() * 0
    if vgg19 is not None:
        vgg = losses.perceptual(vgg19, sr, hr, recipe, _shift(recipe, number))
        g_loss = g_loss + recipe.vgg_weight * vgg
    if recipe.grid_weight:
        g_loss = g_loss + recipe.grid_weight * losses.grid(sr, hr)
    return {"g_loss": g_loss, "mse": mse, "vgg": vgg, "adv": adv}


def _shift(recipe, number: int) -> tuple:
    """Rows and columns that VGG19 does not see in step `number`: drawn by it, so that a resumed run draws the same."""
    if not recipe.vgg_shift:
        return 0, 0
    return tuple(np.random.default_rng((recipe.seed, number)).integers(0, SCALE, 2).tolist())


def _parts(count: int, lr, hr) -> list:
    """[(lr, hr)] of equal parts of a batch. Raises ValueError if it cannot be divided so."""
    if lr.shape[0] % count:
        raise ValueError(f"{lr.shape[0]} crops cannot be computed in {count} equal parts")
    return [(lr, hr)] if count == 1 else list(zip(paddle.split(lr, count), paddle.split(hr, count)))


def _mean(terms: list) -> dict:
    return terms[0] if len(terms) == 1 else {name: sum(term[name] for term in terms) / len(terms) for name in terms[0]}


def _probability(logits):
    return F.sigmoid(logits.detach().astype("float32")).mean()


def _update(optimizer, network, precision, norm_name) -> dict:
    """One step of `optimizer` along the gradients of `network`, averaged over the processes: {norm_name: their norm}.

    {} where norm_name is None.
    """
    parallel.average_gradients(network.parameters())
    precision.unscale(optimizer)
    norms = {}
    if norm_name:
        each = [paddle.linalg.norm(parameter.grad) for parameter in network.parameters() if parameter.grad is not None]
        norms[norm_name] = paddle.linalg.norm(paddle.stack(each))
    precision.step(optimizer)
    optimizer.clear_grad(set_to_zero=False)
    return norms
