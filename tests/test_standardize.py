"""From pictures to tensors and back, by the article's formula."""

import numpy as np
import paddle
import pytest

from data.standardize import destandardize, standardize


@pytest.mark.parametrize("kind", [np.asarray, paddle.to_tensor])
def test_standardize_is_the_articles_formula_and_destandardize_undoes_it(kind):
    levels = np.arange(256 * 3, dtype="int64").reshape(1, 16, 16, 3) % 256
    x = standardize(kind(levels.astype("uint8")))
    assert list(x.shape) == [1, 3, 16, 16] and x.dtype == paddle.float32
    np.testing.assert_allclose(x.numpy(), (levels / 127.5 - 1).transpose(0, 3, 1, 2), atol=1e-6)
    np.testing.assert_array_equal(destandardize(x), levels)


def test_destandardize_rounds_and_keeps_to_the_range():
    x = paddle.to_tensor(np.array([-1.1, -1, 0.4 / 127.5 - 1, 0.6 / 127.5 - 1, 1, 1.1], "float32").reshape(1, 1, 1, 6))
    assert destandardize(x).ravel().tolist() == [0, 0, 0, 1, 255, 255]
