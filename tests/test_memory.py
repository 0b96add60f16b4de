"""How much the network may work in: never what is not free, and less where the result takes much."""

import types

import paddle
import psutil
import pytest

from common.errors import InputError
from infer.memory import LEAST_ON_CPU, working_memory

GB = 10**9


@pytest.fixture
def free(monkeypatch):
    """Sets how much memory is free."""

    def set_free(count):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=count))

    return set_free


@pytest.mark.parametrize("available", [GB, 4 * GB, 64 * GB])
@pytest.mark.parametrize("result", [0, GB // 10, 576_000_000])
def test_with_the_result_it_stays_under_3_gb_and_under_what_is_free(free, available, result):
    """576 MB is what 16000×12000 pixels of RGB take: the issue's limit of 3 GB is for that, the libraries included."""
    free(available)
    total = working_memory("cpu", result) + result
    assert total <= min(2.5 * GB, available)
    assert working_memory("cpu", result) >= LEAST_ON_CPU


def test_a_larger_result_leaves_less(free):
    free(64 * GB)
    assert working_memory("cpu", 0) - working_memory("cpu", GB) == GB


@pytest.mark.parametrize("device", ["cpu", "gpu:1"])
def test_a_result_that_does_not_fit_is_refused_with_both_figures(free, device):
    free(4 * GB)
    with pytest.raises(InputError, match="takes 10.0 GB of memory, 4.0 GB are free"):
        working_memory(device, 10 * GB)


def test_on_a_gpu_it_is_a_part_of_what_paddle_has_not_taken(free, monkeypatch):
    properties = types.SimpleNamespace(total_memory=8 * GB)
    monkeypatch.setattr(paddle.device.cuda, "get_device_properties", {"gpu:1": properties}.__getitem__)
    monkeypatch.setattr(paddle.device.cuda, "memory_allocated", {"gpu:1": 2 * GB}.__getitem__)
    free(64 * GB)
    assert 2 * GB <= working_memory("gpu:1", 50 * GB) <= 6 * GB
