"""Fixtures that several test files share."""

import numpy as np
import paddle
import pytest

from tests import golden


@pytest.fixture(scope="module")
def constant_initial_weights():
    """Drawing 89 million normal numbers takes seconds a network; for tests that do not depend on the initial weights."""
    paddle.nn.initializer.set_global_initializer(paddle.nn.initializer.Constant(0.01))
    yield
    paddle.nn.initializer.set_global_initializer(None)


@pytest.fixture(scope="module")
def recorded():
    """The recordings of seed 0: {name: array}."""
    with np.load(golden.GOLDEN / "golden_seed0.npz") as file:
        return dict(file)
