"""Fixtures that several test files share."""

import signal
import threading

import numpy as np
import paddle
import pytest

from data import transfer
from infer import colour
from models.weight_files import weights
from tests.helpers import fluid_files, generators, golden, training
from tests.helpers.file_server import Server

SLOW_FIXTURES = {"browser", "classified", "executed", "passes", "upscaled"}


def pytest_collection_modifyitems(items):
    """Tests are slow, too, if a fixture takes seconds."""
    for item in items:
        if SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def own_signal_handlers():
    """What a command that runs in this process changes is undone: Ctrl-C is to end the tests with their report."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # Where the tests run in the background or under `nohup` these two are ignored, and so by what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def uncorrected(monkeypatch):
    """The network's own pixels: without what keeps LR's colours (test_colour.py)."""
    monkeypatch.setattr(colour, "MARGIN", 0)
    monkeypatch.setattr(colour, "match", lambda sr, lr: None)


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory):
    """The recordings' generator as a `.pdparams` file."""
    path = tmp_path_factory.mktemp("weights") / "generator.pdparams"
    weights.save(generators.recorded(), path)
    return path


@pytest.fixture(scope="session")
def other_file(tmp_path_factory):
    """Another generator as a `.pdparams` file."""
    path = tmp_path_factory.mktemp("weights") / "other.pdparams"
    weights.save(generators.recorded(seed=1), path)
    return path


@pytest.fixture(scope="session")
def photographs(tmp_path_factory):
    """A folder of four small pictures to train on."""
    folder = tmp_path_factory.mktemp("data") / "photographs"
    training.write_photographs(folder)
    return folder


@pytest.fixture(scope="session")
def g_models(tmp_path_factory):
    """The recordings' generator as a user of the article has it: a folder of fluid's, byte for byte (test_fluid.py)."""
    return fluid_files.write_folder(tmp_path_factory.mktemp("article") / "g_models", golden.generator_variables())


@pytest.fixture(scope="module")
def constant_initial_weights():
    """Drawing 89 million normal numbers takes seconds a network; for tests that do not depend on them."""
    paddle.nn.initializer.set_global_initializer(paddle.nn.initializer.Constant(0.01))
    yield
    paddle.nn.initializer.set_global_initializer(None)


@pytest.fixture(scope="module")
def recorded():
    """The recordings of seed 0: {name: array}."""
    with np.load(golden.RECORDINGS / "golden_seed0.npz") as file:
        return dict(file)


@pytest.fixture
def server(monkeypatch):
    """A web server of the test's own, see `tests.helpers.file_server.Server`; downloads try again without a pause."""
    monkeypatch.setattr(transfer, "PAUSE", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
