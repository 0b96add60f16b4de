"""The amount of memory that the network may use."""

import psutil

from common.errors import InputError

MOST_ON_CPU = 2_200_000_000  # bytes, with the result: so upscaling 4000×3000 stays under 3 GB, with the libraries
LEAST_ON_CPU = 300_000_000  # for a window with a tile of a useful size


def working_memory(device: str, result: int) -> int:
    """The bytes available for computing tiles, beside a result of `result` bytes that stays until it is written.

    Raises InputError if the result and the minimum for the tiles exceed the free memory.
    """
    free = psutil.virtual_memory().available
    if result + LEAST_ON_CPU > free:
        raise InputError(
            f"its result takes {result / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free; use a smaller picture"
        )
    if device == "cpu":
        return max(LEAST_ON_CPU, min(MOST_ON_CPU, free * 4 // 5) - result)
    import paddle

    # The result is in the host's memory. Memory that Paddle has reserved but does not use counts as free.
    total = paddle.device.cuda.get_device_properties(device).total_memory
    return (total - paddle.device.cuda.memory_allocated(device)) // 2
