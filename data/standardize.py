"""Between uint8 pictures, as everything but the networks has them, and the tensors that the networks compute with."""

import numpy as np
import paddle


def standardize(pictures_uint8):
    """On the device: uint8 [N,h,w,3], 0..255, to float32 [N,3,h,w] in [-1,1] (the article's x / 127.5 - 1).

    An array goes to the device as the bytes it is.
    """
    if isinstance(pictures_uint8, np.ndarray):
        pictures_uint8 = paddle.to_tensor(pictures_uint8)
    return paddle.transpose(pictures_uint8.astype("float32"), [0, 3, 1, 2]) / 127.5 - 1


def destandardize(pictures) -> np.ndarray:
    """Float [N,3,h,w] in [-1,1] to uint8 [N,h,w,3], 0..255, rounded to the nearest grey level."""
    levels = ((pictures.numpy() + 1) * 127.5).round().clip(0, 255)
    return levels.astype("uint8").transpose(0, 2, 3, 1)
