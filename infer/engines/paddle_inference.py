"""Paddle Inference: the exported program, optimised as a whole; with oneDNN on a CPU."""

import numpy as np

from common.device import cores
from infer.engines.native_output import native_output
from infer.engines.programs import WHOLE, paddle_files

# Not in two parts: for a program of the trunk alone Paddle 2.6.2 keeps the maps of all layers, 22 kB per pixel.
PROGRAM, PARTS = "paddle", (WHOLE,)
GPU_MEMORY_MB = 256  # reserved at the start; more is allocated when needed


def missing(device: str) -> str:
    return ""


def bytes_per_pixel(precision: str) -> dict:
    return {WHOLE: {"fp32": 12000, "bf16": 16000, "fp16": 12000}[precision]}


def load(program, precision: str, device: str, part: str = WHOLE):
    from paddle import inference

    files = paddle_files(program, part)
    config = inference.Config(*map(str, files))
    config.disable_glog_info()
    if files[0].suffix == ".pdmodel":  # 3.x's programs have no such pass, and Paddle 3.3.1 fails when looking it up
        config.enable_memory_optim()
    if device == "cpu":
        config.disable_gpu()
        config.enable_mkldnn()
        config.set_mkldnn_cache_capacity(10)  # window sizes: by default the preparations for all sizes are kept
        config.set_cpu_math_library_num_threads(cores())
        if precision == "bf16":
            config.enable_mkldnn_bfloat16()
    else:
        kinds = inference.PrecisionType
        precisions = {"fp32": kinds.Float32, "bf16": kinds.Bfloat16, "fp16": kinds.Half}
        config.enable_use_gpu(GPU_MEMORY_MB, int(device.partition(":")[2] or 0), precisions[precision])
    with native_output():  # a list of its optimisations
        predictor = inference.create_predictor(config)
    lr_handle = predictor.get_input_handle(predictor.get_input_names()[0])
    sr_handle = predictor.get_output_handle(predictor.get_output_names()[0])

    def compute(lr):
        lr_handle.copy_from_cpu(np.ascontiguousarray(lr))
        predictor.run()
        return sr_handle.copy_to_cpu()

    return compute
