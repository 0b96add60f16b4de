"""The article's VGG19: Paddle's ImageNet network, whose feature maps the perceptual loss compares."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))  # convolutions and channels of each block
CONVS = {  # name: (input channels, output channels), in the order of computation
    f"conv{block}_{i}": (channels if i > 1 else (3 if block == 1 else BLOCKS[block - 2][1]), channels)
    for block, (count, channels) in enumerate(BLOCKS, 1)
    for i in range(1, count + 1)
}
LAYERS = tuple(CONVS) + tuple(f"pool{block}" for block in range(1, 6))


def convolutions_to(layer: str) -> dict[str, tuple[int, int]]:
    """The part of CONVS that `VGG19.features(x, layer)` computes. Raises ValueError if `layer` is not in LAYERS."""
    names = list(CONVS)
    if layer in CONVS:
        count = names.index(layer) + 1
    else:
        count = sum(number for number, _ in BLOCKS[: LAYERS.index(layer) - len(CONVS) + 1])
    return {name: CONVS[name] for name in names[:count]}


class VGG19(nn.Layer):
    """VGG19's convolutions; its classifier, 494 MB of weights, is left out: nothing here classifies.

    conv_bias: True for weights whose convolutions have biases (paddle.vision's); the article's have none.
    deepest: a name in LAYERS, the deepest layer that `features` will be called with; deeper convolutions are omitted.
    """

    def __init__(self, conv_bias: bool = False, deepest: str = LAYERS[-1]):
        super().__init__()
        for name, (inputs, outputs) in convolutions_to(deepest).items():
            bias = None if conv_bias else False
            self.add_sublayer(name, nn.Conv2D(inputs, outputs, 3, padding=1, bias_attr=bias))

    def features(self, x: paddle.Tensor, layer: str, before_relu: bool = False) -> paddle.Tensor:
        """The feature maps of one layer for pictures [N,3,h,w]; no deeper layer is computed.

        layer: `conv1_1` … `conv5_4`, after the ReLU (the paper's VGG54 is `conv5_4`, its VGG22 `conv2_2`), or
        `pool1` … `pool5` (the article's is `pool5`: [N,512,h/32,w/32]). Raises ValueError for any other name.
        before_relu: the convolution's output before the ReLU (as in ESRGAN: arXiv 1809.00219, section 3.3).
        """
        return self.features_of_blocks(x, layer, before_relu)[-1]

    def features_of_blocks(self, x: paddle.Tensor, layer: str, before_relu: bool = False) -> list[paddle.Tensor]:
        """The feature maps of the last convolution of each block before `layer`'s, then those of `layer`.

        Arguments and errors as for `features`; for `conv3_4` these are the maps of conv1_2, conv2_2 and conv3_4.
        """
        if layer not in LAYERS:
            raise ValueError(f"VGG19 has no layer {layer!r}; it has {', '.join(LAYERS)}")
        results: list[paddle.Tensor] = []
        for block, (count, _) in enumerate(BLOCKS, 1):
            for i in range(1, count + 1):
                name = f"conv{block}_{i}"
                maps = getattr(self, name)(x)
                x = F.relu(maps)
                if layer == name:
                    return [*results, maps if before_relu else x]
            results.append(maps if before_relu else x)
            x = F.max_pool2d(x, 2, 2)
            if layer == f"pool{block}":
                results[-1] = x
                break
        return results
