"""The training step of each stage: a batch in, updated networks and losses out."""

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
    """Adam for a network's weights, with the recipe's step size and beta1 and otherwise fluid's defaults."""
    return Adam(recipe.learning_rate, beta1=recipe.beta1, parameters=network.parameters())


@contextlib.contextmanager
def frozen(network):
    """A context in which gradients flow through `network` but none is computed for its weights."""
    trainable = [parameter for parameter in network.parameters() if not parameter.stop_gradient]
    for parameter in trainable:
        parameter.stop_gradient = True
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.stop_gradient = False


class PretrainStep:
    """Stage 1: one update of G on the content loss.

    recipe: a `train.recipe.Recipe`, of which `learning_rate`, `beta1` and `grad_accumulate` are read. precision: a
    `train.run.mixed_precision.Precision`.
    The attributes `networks` and `optimizers`, {name: …}, are saved and resumed by a run; `inputs`, {name: value},
    lists the other inputs of a step besides the recipe and the pictures.
    """

    def __init__(self, generator, recipe, precision=FP32):
        self.recipe, self.precision = recipe, precision
        self.networks = {"generator": generator}
        self.optimizers = {"generator": adam(generator, recipe)}
        self.inputs = {}

    def __call__(self, lr, hr, number: int = 0) -> dict:
        """Update G. lr [N,3,h,w], hr [N,3,4h,4w], float in [-1,1]; number, as in `GanStep`, changes nothing here.

        With `grad_accumulate` the N crops are computed in micro-batches, which saves memory and makes batch
        norm's batches smaller. Returns scalar tensors: {'mse'} and {'g_gradient'}, the norm of G's gradient.
        """
        generator, parts, terms = self.networks["generator"], _parts(self.recipe.grad_accumulate, lr, hr), []
        for lr_part, hr_part in parts:
            with self.precision.autocast():
                mse = losses.content(generator(lr_part), hr_part)
            self.precision.backward(mse / len(parts))
            terms.append({"mse": mse.detach()})
        norm = _update(self.optimizers["generator"], generator, self.precision)
        return {**_mean(terms), "g_gradient": norm}


class GanStep:
    """Stage 2: one update of D, then one of G against the updated D.

    vgg19: may be None; its loss is then left out and 0. recipe: a `train.recipe.Recipe`, of which the settings of Adam
    and the losses and `grad_accumulate` are read. precision: a `train.run.mixed_precision.Precision`.
    The attributes `networks` and `optimizers`, {name: …}, are saved and resumed by a run; `inputs`, {name: value},
    lists the other inputs of a step besides the recipe and the pictures.
    """

    def __init__(self, generator, discriminator, vgg19, recipe, precision=FP32):
        self.vgg19, self.recipe, self.precision = vgg19, recipe, precision
        self.networks = {"generator": generator, "discriminator": discriminator}
        self.optimizers = {name: adam(network, recipe) for name, network in self.networks.items()}
        self.inputs = {"VGG19": "used" if vgg19 else "left out"}

    def __call__(self, lr, hr, number: int = 0) -> dict:
        """Update D and G. lr [N,3,h,w], hr [N,3,4h,4w], float in [-1,1]; number: of the step in the run, from 0 on.

        In the first `d_warmup` steps G's weights do not change; in the `adv_ramp` steps after those the weight of
        the adversarial loss rises from 0. SR is computed once and serves both updates, except in micro-batches
        (`grad_accumulate`): keeping the graph of every part's SR would use the memory that micro-batches save.
        Returns scalar tensors: {'d_loss', 'g_loss', 'mse', 'vgg', 'adv'}, where g_loss is the weighted sum of the last
        three (with `l1` the mean absolute difference replaces mse in it) and the grid loss; {'d_hr', 'd_sr'},
        D's mean probability before its update that HR and SR are real; {'d_gradient', 'g_gradient'}, the norms of the
        gradients.
        D's update leaves no gradient in G, and G's none in D or VGG19.
        """
        parts = _parts(self.recipe.grad_accumulate, lr, hr)
        g_learns = number >= self.recipe.d_warmup
        d_terms, srs = self._update_d(parts, keep_graph=g_learns and len(parts) == 1)
        return {**d_terms, **self._update_g(parts, srs, number, g_learns)}

    def _update_d(self, parts: list, keep_graph: bool) -> tuple:
        """D's loss terms, and the SR of each part; with `keep_graph` gradients can flow through SR to G."""
        generator, discriminator = self.networks.values()
        srs, terms = [], []
        for lr_part, hr_part in parts:
            with self.precision.autocast():
                with paddle.set_grad_enabled(keep_graph):
                    sr = generator(lr_part)
                hr_logits, sr_logits = _judge(discriminator, hr_part, sr.detach(), self.recipe.freeze_bn)
                d_loss = losses.discrimination(hr_logits, sr_logits, self.recipe.label_smoothing)
            self.precision.backward(d_loss / len(parts))
            srs.append(sr)
            terms.append({"d_loss": d_loss.detach(), "d_hr": _probability(hr_logits), "d_sr": _probability(sr_logits)})
        norm = _update(self.optimizers["discriminator"], discriminator, self.precision)
        return {**_mean(terms), "d_gradient": norm}, srs

    def _update_g(self, parts: list, srs: list, number: int, g_learns: bool) -> dict:
        """G's loss terms; without `g_learns` they are computed, but G's weights do not change."""
        generator, discriminator = self.networks.values()
        terms = []
        with contextlib.ExitStack() as stack:
            for network in (discriminator, self.vgg19):
                if network is not None:
                    stack.enter_context(frozen(network))
            stack.enter_context(paddle.set_grad_enabled(g_learns))
            for (lr_part, hr_part), known in zip(parts, srs):
                with self.precision.autocast():
                    sr = known if len(parts) == 1 else generator(lr_part)
                    g_terms = _g_losses(discriminator, self.vgg19, sr, hr_part, self.recipe, number)
                if g_learns:
                    self.precision.backward(g_terms["g_loss"] / len(parts))
                terms.append({name: loss.detach() for name, loss in g_terms.items()})
        norm = _update(self.optimizers["generator"], generator, self.precision) if g_learns else paddle.zeros([])
        return {**_mean(terms), "g_gradient": norm}


def _judge(discriminator, hr, sr, together: bool) -> tuple:
    """D's logits of HR and SR. together: in one pass, which gives the same result if D's batch norm is frozen."""
    if together:
        return tuple(paddle.split(discriminator(paddle.concat([hr, sr])), 2))
    return discriminator(hr), discriminator(sr)


def _g_losses(discriminator, vgg19, sr, hr, recipe, number: int) -> dict:
    """G's loss on [N,3,h,w] pictures in step `number` and its terms: {'g_loss', 'mse', 'vgg', 'adv'}."""
    mse = losses.content(sr, hr)
    adv = losses.adversarial(discriminator(sr))
    done = max(0, number - recipe.d_warmup + 1)  # in the warm-up G does not learn, but its loss is shown and logged
    ramp = min(1.0, done / recipe.adv_ramp) if recipe.adv_ramp else 1.0
    g_loss = recipe.mse_weight * (losses.absolute(sr, hr) if recipe.l1 else mse) + ramp * recipe.adv_weight * adv
    vgg = mse.detach() * 0
    if vgg19 is not None:
        vgg = losses.perceptual(vgg19, sr, hr, recipe, _shift(recipe, number))
        g_loss = g_loss + recipe.vgg_weight * vgg
    if recipe.grid_weight:
        g_loss = g_loss + recipe.grid_weight * losses.grid(sr, hr)
    return {"g_loss": g_loss, "mse": mse, "vgg": vgg, "adv": adv}


def _shift(recipe, number: int) -> tuple:
    """Rows and columns cropped from VGG19's input: random, but the same for the same step `number` in a resumed run."""
    if not recipe.vgg_shift:
        return 0, 0
    return tuple(np.random.default_rng((recipe.seed, number)).integers(0, SCALE, 2).tolist())


def _parts(count: int, lr, hr) -> list:
    """[(lr, hr)] of equal parts of a batch. Raises ValueError if the batch cannot be divided evenly."""
    if lr.shape[0] % count:
        raise ValueError(f"{lr.shape[0]} crops cannot be computed in {count} equal parts")
    return [(lr, hr)] if count == 1 else list(zip(paddle.split(lr, count), paddle.split(hr, count)))


def _mean(terms: list) -> dict:
    return terms[0] if len(terms) == 1 else {name: sum(term[name] for term in terms) / len(terms) for name in terms[0]}


def _probability(logits):
    return F.sigmoid(logits.detach().astype("float32")).mean()


def _update(optimizer, network, precision):
    """One step of `optimizer` along the gradients of `network`, averaged over the processes; returns their norm."""
    parallel.average_gradients(network.parameters())
    precision.unscale(optimizer)
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    # Neither paddle.linalg.norm nor squares that are summed: on a CPU they take 5 times as long for D's 90 million.
    norm = sum(paddle._C_ops.squared_l2_norm(gradient).sum() for gradient in gradients).sqrt()
    precision.step(optimizer)
    optimizer.clear_grad(set_to_zero=False)
    return norm
