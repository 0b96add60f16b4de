"""Numbers of the article's networks, for code that reads or folds weights and needs no Paddle."""

FEATURES, RESIDUAL_BLOCKS = 64, 16  # the generator's channels between the layers, and its residual blocks

# The article passes both values to fluid.layers.batch_norm. Paddle's momentum is the weight of the old moving statistic
# at each step (in other frameworks it is the weight of the new one).
BN_MOMENTUM = 0.99
BN_EPSILON = 1e-3
# The distance in LR pixels up to which an SR pixel depends on the input. Each 3×3 convolution adds 1: the head's, two a
# block, the tail's and the first upsampling's; the second one's, at twice the side, half a pixel, rounded up.
REACH = 1 + 2 * RESIDUAL_BLOCKS + 1 + 2
