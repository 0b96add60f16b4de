"""How much memory the network may work in."""

import psutil

MOST_ON_CPU = 10**9  # bytes: a 16000×12000 result takes 1.4 GB besides, and larger tiles gain little


def working_memory(device: str) -> int:
    """Bytes for the tiles being computed: half of what is free, on a CPU 1 GB at most."""
    if device == "cpu":
        return min(MOST_ON_CPU, psutil.virtual_memory().available // 2)
    import paddle

    # Free memory is not asked of the driver: what Paddle has reserved and not used counts as free too.
    total = paddle.device.cuda.get_device_properties(device).total_memory
    return (total - paddle.device.cuda.memory_allocated(device)) // 2
