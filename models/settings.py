"""Numbers of the article's networks, for code that reads or folds weights and needs no Paddle."""

FEATURES, RESIDUAL_BLOCKS = 64, 16  # the generator's channels between the layers, and its residual blocks

# The article passes both values to fluid.layers.batch_norm. Paddle's momentum is the weight of the old moving statistic
# at each step (in other frameworks it is the weight of the new one).
BN_MOMENTUM = 0.99
BN_EPSILON = 1e-3
