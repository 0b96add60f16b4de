import numpy as np
import pytest

from models.weight_files.variables import select
from tests.helpers import errors

TABLE = {"conv.weight": ("c.w_0", (2, 3)), "conv.bias": ("c.b_0", (2,))}


def variables(**changed):
    return {"c.w_0": np.arange(6, dtype="float32").reshape(2, 3), "c.b_0": np.ones(2, "float32"), **changed}


def message(found, table=None):
    return errors.message(select, found, table or TABLE, "some/file")


def test_takes_what_the_table_names_and_leaves_the_rest():
    state = select(variables(other=np.zeros(9), counter=np.array([7])), TABLE, "some/file")
    assert set(state) == {"conv.weight", "conv.bias"}
    np.testing.assert_array_equal(state["conv.weight"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(state["conv.bias"], [1, 1])


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4"])
def test_any_float_becomes_float32(dtype):
    given = np.asfortranarray(np.array([[0.5, -1.25, 2], [3, 4, 1024]], dtype))
    array = select(variables(**{"c.w_0": given}), TABLE, "some/file")["conv.weight"]
    assert array.dtype == np.float32 and array.dtype.isnative
    np.testing.assert_array_equal(array, [[0.5, -1.25, 2], [3, 4, 1024]])


def test_names_a_missing_variable_and_its_shape():
    assert message({"c.b_0": np.ones(2, "float32")}) == "some/file: c.w_0: expected shape [2, 3], not found"


@pytest.mark.parametrize("shape", [(3, 2), (6,)])
def test_names_a_misshapen_variable_and_both_shapes(shape):
    expected = f"some/file: c.w_0: expected shape [2, 3], found {list(shape)}"
    assert message(variables(**{"c.w_0": np.zeros(shape, "float32")})) == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.1e6, -1e38])
def test_refuses_weights_that_no_training_makes(value):
    said = message(variables(**{"c.b_0": np.array([1, value])}))
    assert said.startswith("some/file: c.b_0: expected finite numbers such as training makes, found float64 ")
    select(variables(**{"c.b_0": np.array([1, -1e6])}), TABLE, "some/file")


@pytest.mark.parametrize("value, is_right", [(0, True), (1e12, True), (-1e-6, False), (1e13, False)])
def test_a_variance_is_not_negative_and_may_be_the_square_of_a_weight(value, is_right):
    table = {"bn._variance": ("bn.w_2", (2,))}
    given = {"bn.w_2": np.array([1, value], "float32")}
    if is_right:
        np.testing.assert_array_equal(select(given, table, "some/file")["bn._variance"], given["bn.w_2"])
    else:
        assert message(given, table).startswith("some/file: bn.w_2: expected finite numbers")


@pytest.mark.parametrize("dtype", ["int64", "complex64", "object"])
def test_refuses_what_is_no_float(dtype):
    assert f"c.b_0: expected finite numbers such as training makes, found {dtype} " in message(
        variables(**{"c.b_0": np.zeros(2, dtype)})
    )


def test_lists_four_problems_and_counts_the_others():
    table = {f"layer{i}": (f"v{i}", (i,)) for i in range(7)}
    shown = "; ".join(f"v{i}: expected shape [{i}], not found" for i in range(4))
    assert message({"v6": np.zeros(6)}, table) == f"some/file: {shown}; and 2 more of 7"
