"""The recorded results of the article's networks, and the rule by which their weights and pictures were drawn.

Nothing of the port is used here: names, shapes and numbers come from `tests/recordings/README.md`.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings"
SHARED = Path(__file__).resolve().parents[3] / "shared"
DATA = SHARED / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not on this machine")


def _random(tag: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(tag.encode()) & 0x7FFFFFFF)


def weight(name: str, shape: tuple, kind: str = "", seed: int = 0) -> np.ndarray:
    """The weight NAME of the recordings; kind is 'scale' or 'variance' for those of a batch norm."""
    n = _random(f"{seed}/{name}").standard_normal(shape).astype("float32")
    if len(shape) == 4:
        gain = 0.5 if name.startswith(("n64", "n256", "out")) else 1.0
        return (n * gain * float(np.sqrt(2 / np.prod(shape[1:])))).astype("float32")
    if len(shape) == 2:
        return (n * float(np.sqrt(1 / shape[0]))).astype("float32")
    n = (n * 0.1).astype("float32")
    return {"": n, "scale": n + 1, "variance": np.abs(n) + 1}[kind].astype("float32")


def constant(name: str, shape: tuple, kind: str = "", seed: int = 0) -> np.ndarray:
    """Stands in for `weight`: one number a name, so that two variables are told apart at no cost."""
    return np.broadcast_to(np.float32((zlib.crc32(name.encode()) & 0xFFFFFF) / 2**5), shape)  # below 2^19


def picture(tag: str, shape: tuple, seed: int = 0) -> np.ndarray:
    """The picture batch TAG of the recordings, float32 [N,h,w,3] in [-1,1]."""
    b, h, w, c = shape
    r = _random(f"{seed}/image/{tag}")
    low = r.uniform(-1, 1, (b, h // 8 + 1, w // 8 + 1, c))
    x = low.repeat(8, 1).repeat(8, 2)[:, :h, :w] + 0.15 * r.standard_normal(shape)
    return np.clip(x, -1, 1).astype("float32")


def nchw(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def _bn(name: str, channels: int, first: int = 0, shift: int = 0) -> dict:
    c = (channels,)
    return {
        f"{name}.w_{first}": (c, "scale"),
        f"{name}.b_{shift}": (c, ""),
        f"{name}.w_{first + 1}": (c, ""),
        f"{name}.w_{first + 2}": (c, "variance"),
    }


def _conv(name: str, out: int, inputs: int, k: int) -> dict:
    return {f"{name}.w_0": ((out, inputs, k, k), ""), f"{name}.b_0": ((out,), "")}


def generator_variables(seed: int = 0) -> dict:
    """The article's generator: {variable: array}, every name spelled as its page spells it."""
    rows = {**_conv("n64s1/c", 64, 3, 3), **_bn("batch_norm_0", 64)}
    for i in range(16):
        for conv, bn in (("c1", "b1"), ("c2", "b2")):
            rows.update({**_conv(f"n64s1/{conv}/{i}", 64, 64, 3), **_bn(f"n64s1/{bn}/{i}", 64)})
    rows.update({**_conv("n64s1/c/m", 64, 64, 3), **_bn("n64s1/b2/15", 64, first=3, shift=1)})
    rows.update({**_conv("n256s1/1", 256, 64, 3), **_conv("n256s1/2", 256, 64, 3), **_conv("out", 3, 64, 1)})
    return {name: weight(name, shape, kind, seed) for name, (shape, kind) in rows.items()}


def discriminator_variables(seed: int = 0, fc_inputs: int = 2048) -> dict:
    """The article's discriminator with the two branches and the layer it never uses: {variable: array}."""
    rows, inputs = {}, 3
    for i, channels in enumerate((64, 128, 256, 512, 1024, 2048, 1024, 512)):
        rows.update(_conv(f"h{i}/c", channels, inputs, 4))
        if i:
            rows.update(_bn(f"h{i}/bn", channels))
        inputs = channels
    for branch, bn, channels, k in (("c", "bn", 128, 1), ("c2", "bn2", 128, 3), ("c3", "bn3", 512, 3)):
        rows.update({**_conv(f"res/{branch}", channels, 512, k), **_bn(f"res/{bn}", channels)})
    for fc, size in (("fc", 1024), ("fc2", 1)):
        rows.update({f"ho/{fc}.w_0": ((fc_inputs, size), ""), f"ho/{fc}.b_0": ((size,), "")})
    return {name: weight(name, shape, kind, seed) for name, (shape, kind) in rows.items()}


def vgg19_variables(seed: int = 0, prefix: str = "vgg19_") -> dict:
    """The article's VGG19 convolutions: {variable: array}; `prefix` names them, the numbers stay the same."""
    result, inputs = {}, 3
    for block, (count, channels) in enumerate(((2, 64), (2, 128), (4, 256), (4, 512), (4, 512)), 1):
        for i in range(1, count + 1):
            name = f"conv{block}_{i}_weights"
            result[prefix + name] = weight(f"vgg19_{name}", (channels, inputs, 3, 3), "", seed)
            inputs = channels
    return result
