"""Paddle's dynamic graph: runs the network as trained, operation by operation. The reference, and the slowest."""

import contextlib

from infer.engines.programs import TRUNK, UPSAMPLING, WHOLE

PROGRAM, PARTS = None, (TRUNK, UPSAMPLING)


def missing(device: str) -> str:
    return ""


def bytes_per_pixel(precision: str) -> dict:
    return {TRUNK: 4000, UPSAMPLING: 16000}


def load(generator, precision: str, device: str, part: str = WHOLE):
    import paddle

    paddle.set_device(device)
    generator.to(device)  # the generator was created on Paddle's default device
    dtype = {"fp32": None, "bf16": "bfloat16", "fp16": "float16"}[precision]
    network = {WHOLE: generator, TRUNK: generator.trunk, UPSAMPLING: generator.upsampling}[part]

    def compute(array):
        mixed = paddle.amp.auto_cast(dtype=dtype, level="O1") if dtype else contextlib.nullcontext()
        with paddle.no_grad(), mixed:
            result = network(paddle.to_tensor(array)).astype("float32")
        return result if part == TRUNK else result.numpy()

    return compute
