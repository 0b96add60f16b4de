"""Paddle's dynamic graph: runs the network as trained, operation by operation. The reference, and for GPUs."""

import contextlib

BYTES_PER_PIXEL = dict.fromkeys(("fp32", "bf16", "fp16"), (4000, 16000))


def missing(device: str) -> str:
    try:
        import paddle  # noqa: F401
    except ImportError as error:
        return f"paddle cannot be loaded: pip install -r requirements-cpu.txt ({error})"
    return ""


def load(arrays: dict, precision: str, device: str, quantized=None) -> tuple:
    import paddle

    from models.weight_files.weights import build_generator

    paddle.set_device(device)
    generator = build_generator(arrays)
    generator.eval()
    dtype = {"fp32": None, "bf16": "bfloat16", "fp16": "float16"}[precision]

    def compute(part, array):
        paddle.set_device(device)  # the choice is a thread's
        mixed = paddle.amp.auto_cast(dtype=dtype, level="O1") if dtype else contextlib.nullcontext()
        with paddle.no_grad(), mixed:
            return part(paddle.to_tensor(array)).astype("float32")

    return (
        lambda lr: compute(generator.trunk, lr),
        lambda features: compute(generator.upsampling, features).numpy(),
    )
