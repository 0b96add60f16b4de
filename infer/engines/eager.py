"""Paddle's dynamic graph: the network as it was trained, operation by operation. The reference, and the slowest."""

import contextlib

PROGRAM = None


def missing(device: str) -> str:
    return ""


def bytes_per_pixel(precision: str) -> int:
    return 16000


def load(generator, precision: str, device: str):
    import paddle

    paddle.set_device(device)
    generator.to(device)  # it was made where Paddle computes by itself
    dtype = {"fp32": None, "bf16": "bfloat16", "fp16": "float16"}[precision]

    def compute(lr):
        mixed = paddle.amp.auto_cast(dtype=dtype, level="O1") if dtype else contextlib.nullcontext()
        with paddle.no_grad(), mixed:
            return generator(paddle.to_tensor(lr)).astype("float32").numpy()

    return compute
