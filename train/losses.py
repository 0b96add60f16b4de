"""The losses: content (mean squared error), VGG (perceptual), adversarial, grid.

All are float32 scalars, means over the batch, whatever precision the networks computed in.
"""

import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer

from common.scale import SCALE

VGG_SIDE = 224  # the article resizes VGG19's input to the size that VGG19 was trained on
PIXELS_AT_A_TIME = VGG_SIDE**2  # VGG19's input pixels per pass on a CPU
# The normalization that Paddle's ImageNet networks were trained with, for RGB in 0..1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
GREY_LEVELS = 127.5  # per unit in [-1,1]
BLUR = 5  # side in pixels of the local mean that is subtracted to leave fine detail, as in `data.metrics.grid`
AREA = 4  # side, in squares of 4x4 pixels, of the area in which a grid is measured
TEXTURE = 16  # side, in pixels of VGG19's input, of the windows in which the strength of its maps is measured


def content(sr, hr):
    """Mean squared error between SR and HR, both [N,3,h,w] in [-1,1]."""
    return F.mse_loss(_float32(sr), hr)


def absolute(sr, hr):
    """Mean absolute difference between SR and HR, both [N,3,h,w] in [-1,1]."""
    return F.l1_loss(_float32(sr), hr)


def vgg_picture(picture, normalize: bool, resize: bool = True):
    """VGG19's input for pictures [N,3,h,w] in [-1,1]: [N,3,224,224], or [N,3,h,w] without `resize`.

    resize: as in the article; half-pixel bilinear, like `cv2.resize` (no antialiasing). normalize: with ImageNet's
    mean and standard deviation, as VGG19 was trained; False keeps [-1,1], as the article does.
    """
    if resize:
        picture = F.interpolate(picture, size=[VGG_SIDE, VGG_SIDE], mode="bilinear", align_corners=False, align_mode=0)
    if not normalize:
        return picture
    mean = paddle.to_tensor(IMAGENET_MEAN, dtype=picture.dtype).reshape([1, 3, 1, 1])
    std = paddle.to_tensor(IMAGENET_STD, dtype=picture.dtype).reshape([1, 3, 1, 1])
    return ((picture + 1) / 2 - mean) / std


def perceptual(vgg19, sr, hr, recipe, shift=(0, 0)):
    """Mean squared error between VGG19's maps of SR and HR, both [N,3,h,w] in [-1,1]; with `l1` mean absolute error.

    Added to it is `vgg_texture` times the same error between the local strengths of the maps, of the layer's and of the
    last convolution's of each block before.
    recipe: a `train.recipe.Recipe`, of which the fields that start with `vgg_` are read, except `vgg_weight` and
    `vgg_shift`, and `l1`. shift: (rows, columns) cropped from the top and the left of both, so that VGG19's poolings
    start at another of the 4×4 pixels that G makes of one LR pixel and cannot always favour the same ones.
    """
    top, left = shift
    sr, hr = sr[:, :, top:, left:], hr[:, :, top:, left:]

    error = F.l1_loss if recipe.l1 else F.mse_loss

    def maps(picture):
        x = vgg_picture(picture, recipe.vgg_normalize, recipe.vgg_resize)
        blocks = [_float32(y) for y in vgg19.features_of_blocks(x, recipe.vgg_layer, recipe.vgg_before_relu)]
        texture = blocks if recipe.vgg_texture else []
        return blocks[-1], [strength(y, 2 * round(TEXTURE / 2 * y.shape[2] / x.shape[2])) for y in texture]

    def distance(sr, hr):
        with paddle.no_grad():
            hr_maps, hr_texture = maps(hr)
        sr_maps, sr_texture = maps(sr)
        total = error(sr_maps, hr_maps)
        for one, other in zip(sr_texture, hr_texture):
            total = total + recipe.vgg_texture * error(one, other)
        return total

    if not sr.place.is_cpu_place():
        return distance(sr, hr)  # a GPU is faster with larger batches
    pixels = VGG_SIDE**2 if recipe.vgg_resize else sr.shape[2] * sr.shape[3]
    return _InParts.apply(sr, hr, distance, max(1, PIXELS_AT_A_TIME // pixels))


def strength(maps, window: int):
    """The root mean square of maps [N,C,h,w] in square windows, which overlap by half: [N,C,2·h//window-1,…].

    window: their side, an even number; 2 if it is less, and in smaller maps as large as fits.
    LR does not determine where a texture's features are, but it tells how many there are. This is the diagonal of the
    Gram matrices that the texture loss of EnhanceNet compares (arXiv 1612.07919, section 4.2.3); without it, the VGG
    loss prefers no texture to one in the wrong place.
    """
    # In two steps, since Paddle's pooling on a CPU adds up each of the overlapping windows anew.
    half = max(1, min(window, *maps.shape[2:]) // 2)
    squares = F.avg_pool2d(maps.square(), half, stride=half)
    squares = F.avg_pool2d(squares, [min(2, side) for side in squares.shape[2:]], stride=1)
    return (squares + 1e-3).sqrt()  # the constant keeps the gradient finite where maps are 0


class _InParts(PyLayer):
    """A mean over crops and its gradient, computed for `count` crops at a time: VGG19's maps take gigabytes.

    The gradient, which is only as large as the crops, is computed together with the loss, and the maps are then freed.
    """

    @staticmethod
    def forward(context, sr, hr, distance, count: int):
        total, gradients = 0.0, []
        for start in range(0, sr.shape[0], count):
            part, hr_part = sr[start : start + count].detach(), hr[start : start + count]
            part.stop_gradient = sr.stop_gradient
            with paddle.set_grad_enabled(not sr.stop_gradient):
                loss = distance(part, hr_part) * (part.shape[0] / sr.shape[0])
            if not sr.stop_gradient:
                loss.backward()
                gradients.append(part.grad)
            total = total + loss.detach()
        context.gradient = paddle.concat(gradients) if gradients else None
        return total

    @staticmethod
    def backward(context, gradient):
        return context.gradient * gradient


def grid(sr, hr):
    """How strongly the error repeats every 4 pixels within areas of 16x16; sr and hr [N,3,h,w] in [-1,1].

    In grey levels squared: the error minus its 5x5 mean is averaged in each area over each of the 16 phases (the pixels
    at the same position in squares of 4x4); the result is the variance of these 16 means, averaged over areas, channels
    and pictures. Areas find a local grid, on an edge or a cheek; over the whole picture its parts may cancel, and
    `data.metrics.grid` then misses it. h and w: 8 or more.
    """
    error = (_float32(sr) - hr) * GREY_LEVELS
    border = BLUR // 2
    fine = error[:, :, border:-border, border:-border] - F.avg_pool2d(error, BLUR, stride=1)
    rows, columns = (side // SCALE * SCALE for side in fine.shape[2:])
    phases = F.pixel_unshuffle(fine[:, :, :rows, :columns], SCALE)  # [N,3·16,h/4,w/4]
    area = min(AREA, *phases.shape[2:])
    means = F.avg_pool2d(phases, area, stride=max(1, area // 2))
    means = means.reshape([means.shape[0], hr.shape[1], SCALE**2, -1])
    return (means - means.mean(axis=2, keepdim=True)).square().mean()


def adversarial(sr_logits):
    """-log D(G(LR)) from D's logits [N,1]; its gradient does not vanish when D wins (as in the article and paper)."""
    sr_logits = _float32(sr_logits)
    return F.binary_cross_entropy_with_logits(sr_logits, paddle.ones_like(sr_logits))


def discrimination(hr_logits, sr_logits, label_smoothing: float = 0.0):
    """(-log D(HR) - log(1 - D(G(LR)))) / 2 from D's logits [N,1]; the factor 1/2 is the article's.

    label_smoothing: HR's label is 1 minus this value; SR's stays 0 (one-sided: Salimans et al., arXiv 1606.03498,
    section 3.4).
    """
    hr_logits, sr_logits = _float32(hr_logits), _float32(sr_logits)
    real = F.binary_cross_entropy_with_logits(hr_logits, paddle.full_like(hr_logits, 1 - label_smoothing))
    fake = F.binary_cross_entropy_with_logits(sr_logits, paddle.zeros_like(sr_logits))
    return (real + fake) / 2


def _float32(x):
    return x if x.dtype == paddle.float32 else x.astype("float32")
