"""What one training step computes: networks and a batch in, losses out. Every batch norm is in train mode."""

import contextlib

from paddle.optimizer import Adam

from train import losses


def adam(network, recipe) -> Adam:
    """The optimizer of a network's weights, with the recipe's step size and beta1; Adam's other defaults are fluid's."""
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


def _update(optimizer, loss) -> None:
    loss.backward()
    optimizer.step()
    optimizer.clear_grad(set_to_zero=False)


def pretrain_step(generator, optimizer, lr, hr) -> dict:
    """Stage 1: one update of G on the content loss.

    lr [N,3,h,w], hr [N,3,4h,4w], float in [-1,1]. Returns {'mse'}, a scalar tensor.
    """
    mse = losses.content(generator(lr), hr)
    _update(optimizer, mse)
    return {"mse": mse.detach()}


def gan_step(generator, discriminator, vgg19, g_optimizer, d_optimizer, lr, hr, recipe) -> dict:
    """Stage 2: one update of D, then one of G against the updated D. SR is computed once and serves both.

    lr [N,3,h,w], hr [N,3,4h,4w], float in [-1,1]; vgg19 may be None (its loss is then left out and 0); recipe: a
    `train.recipe.Recipe`, of which the loss weights, `vgg_layer` and `vgg_normalize` are read.
    Returns {'d_loss', 'g_loss', 'mse', 'vgg', 'adv'}, scalar tensors; g_loss is the weighted sum of the last three.
    D's update leaves no gradient in G, and G's none in D or VGG19.
    """
    sr = generator(lr)
    d_loss = losses.discrimination(discriminator(hr), discriminator(sr.detach()))
    _update(d_optimizer, d_loss)

    with contextlib.ExitStack() as stack:
        stack.enter_context(frozen(discriminator))
        mse = losses.content(sr, hr)
        adv = losses.adversarial(discriminator(sr))
        g_loss = recipe.mse_weight * mse + recipe.adv_weight * adv
        vgg = mse.detach() * 0
        if vgg19 is not None:
            stack.enter_context(frozen(vgg19))
            vgg = losses.perceptual(vgg19, sr, hr, recipe.vgg_layer, recipe.vgg_normalize)
            g_loss = g_loss + recipe.vgg_weight * vgg
        _update(g_optimizer, g_loss)
    terms = {"d_loss": d_loss, "g_loss": g_loss, "mse": mse, "vgg": vgg, "adv": adv}
    return {name: loss.detach() for name, loss in terms.items()}
