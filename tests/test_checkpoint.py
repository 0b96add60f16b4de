"""Checkpoint files: whole or refused, the newest found, the optimizers' state restored by Paddle's own rules."""

import json
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from common.errors import InputError
from train.run import checkpoint

ROOT = Path(__file__).resolve().parents[1]
ARRAYS = {
    "generator/head_conv.weight": np.random.RandomState(0).randn(4, 3, 3, 3).astype("float32"),
    "generator/head_conv.bias": np.zeros(4, "float32"),
}
NOTE = {"progress": {"epoch": 3, "step": 2}, "text": "照片"}


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_what_is_saved_is_read_back_and_is_an_ordinary_numpy_archive(tmp_path):
    path = checkpoint.path_of(tmp_path / "new" / "folder", 12, 3)
    assert path.name == "epoch_000012_step_000003.npz"
    checkpoint.save(path, ARRAYS, NOTE)
    arrays, note = checkpoint.load(path)
    equal(arrays, ARRAYS)
    assert note == {"format": 1, **NOTE}
    with np.load(path) as archive:
        equal({name: archive[name] for name in archive.files if name != "note"}, ARRAYS)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("length", [0, 1, 100, -1, -100])
def test_a_cut_file_is_refused(tmp_path, length):
    path = checkpoint.path_of(tmp_path, 1, 0)
    checkpoint.save(path, ARRAYS, NOTE)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(InputError, match="damaged, or not a checkpoint"):
        checkpoint.load(path)


def test_a_file_that_cannot_be_read_now_is_not_called_damaged(tmp_path, monkeypatch):
    """Nor set aside: the run is not to go on from an older one while this one is whole."""
    save_at(tmp_path, (1, 0), (2, 0))

    def failing(error):
        def fail(*_, **__):
            raise error

        return fail

    for error, message in ((MemoryError(), "not enough memory"), (OSError(5, "Input/output error"), "cannot be read")):
        monkeypatch.setattr(zipfile, "ZipFile", failing(error))
        with pytest.raises(InputError, match=f"epoch_000002_step_000000.npz: .*{message}"):
            checkpoint.load_newest(tmp_path)
        monkeypatch.undo()
        assert len(checkpoint.list_checkpoints(tmp_path)) == 2


def test_a_newer_projects_checkpoint_ends_the_command_and_stays(tmp_path, monkeypatch):
    save_at(tmp_path, (1, 0))
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    save_at(tmp_path, (2, 0))
    monkeypatch.undo()
    with pytest.raises(InputError, match="a checkpoint of format 2"):
        checkpoint.load_newest(tmp_path)
    assert len(checkpoint.list_checkpoints(tmp_path)) == 2


def test_a_folder_is_one_runs(tmp_path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from train.run import checkpoint\n"
        "with checkpoint.lock(sys.argv[2]):\n"
        "    print('inside', flush=True); sys.stdin.read()"
    )
    line = [sys.executable, "-c", code, str(ROOT), str(tmp_path / "new")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(InputError, match="another run is writing here"), checkpoint.lock(tmp_path / "new"):
            pass
        process.kill()
        process.wait()
        with checkpoint.lock(tmp_path / "new"):
            pass


def test_a_hostile_archive_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = checkpoint.path_of(tmp_path, 1, 0)
    for member in (
        {"note": np.array([Hostile()], object)},
        {"note": np.array([1]), "x": np.array([Hostile()], object)},
    ):
        np.savez(path, **member)
        with pytest.raises(InputError, match="damaged, or not a checkpoint"):
            checkpoint.load(path)
    assert not (tmp_path / "ran").exists()


def test_no_flipped_bit_changes_anything_unnoticed(tmp_path):
    path, rng = checkpoint.path_of(tmp_path, 1, 0), random.Random(0)
    checkpoint.save(path, ARRAYS, NOTE)
    whole, refused = path.read_bytes(), 0
    for i in range(300):
        content = bytearray(whole)
        # Half of them in the directory, which no checksum covers.
        content[rng.randrange(whole.index(b"PK\1\2") if i % 2 else 0, len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        try:
            arrays, note = checkpoint.load(path)
        except checkpoint.Damaged as error:
            assert str(error).startswith(f"{path}: damaged")
            refused += 1
        else:  # a date or the like
            equal(arrays, ARRAYS)
            assert note == {"format": 1, **NOTE}
    assert refused > 150


def test_arrays_that_another_program_left_out_are_missed(tmp_path):
    path = checkpoint.path_of(tmp_path, 1, 0)
    checkpoint.save(path, ARRAYS, NOTE)
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    del members["generator/head_conv.bias"]
    np.savez(path, **members)
    with pytest.raises(checkpoint.Damaged, match="it has 1 of 2 arrays"):
        checkpoint.load(path)


def test_a_checkpoint_of_an_earlier_version_is_read(tmp_path):
    """It does not have the number of its arrays."""
    path = checkpoint.path_of(tmp_path, 1, 0)
    np.savez(path, **ARRAYS, note=np.frombuffer(json.dumps({"format": 1, **NOTE}).encode(), "uint8"))
    arrays, note = checkpoint.load(path)
    equal(arrays, ARRAYS)
    assert note == {"format": 1, **NOTE}


def test_what_is_not_finite_is_not_saved(tmp_path):
    path = checkpoint.path_of(tmp_path, 1, 0)
    with pytest.raises(InputError, match="generator/head_conv.bias is not finite"):
        checkpoint.save(path, {**ARRAYS, "generator/head_conv.bias": np.full(4, np.nan, "float32")}, NOTE)
    assert list(tmp_path.iterdir()) == []


def save_at(folder, *places):
    for epoch, step in places:
        checkpoint.save(checkpoint.path_of(folder, epoch, step), ARRAYS, {"place": [epoch, step]})


def test_the_newest_is_by_epoch_and_step_as_numbers(tmp_path):
    assert checkpoint.load_newest(tmp_path / "not there") is None
    save_at(tmp_path, (9, 0), (999999, 3), (1000000, 2), (1000000, 0))
    (tmp_path / "notes.txt").write_text("mine")
    assert checkpoint.load_newest(tmp_path)[2]["place"] == [1000000, 2]
    assert [path.name[6:-4] for path in checkpoint.list_checkpoints(tmp_path)] == [
        "1000000_step_000002", "1000000_step_000000", "999999_step_000003", "000009_step_000000",
    ]  # fmt: skip


def test_damaged_ones_are_passed_over_by_name_and_set_aside(tmp_path, capsys):
    save_at(tmp_path, (1, 0), (2, 0), (3, 0))
    for epoch in (2, 3):
        path = checkpoint.path_of(tmp_path, epoch, 0)
        path.write_bytes(path.read_bytes()[:500])
    path, arrays, note = checkpoint.load_newest(tmp_path)
    assert path == checkpoint.path_of(tmp_path, 1, 0) and note["place"] == [1, 0]
    equal(arrays, ARRAYS)
    said = capsys.readouterr().err
    assert "epoch_000003_step_000000.npz: damaged" in said and "epoch_000002_step_000000.npz: damaged" in said
    assert checkpoint.list_checkpoints(tmp_path) == [path]
    assert len(list(tmp_path.glob("*.damaged"))) == 2


def test_where_all_are_damaged_they_stay_and_it_is_an_error(tmp_path):
    save_at(tmp_path, (1, 0))
    checkpoint.path_of(tmp_path, 1, 0).write_bytes(b"")
    with pytest.raises(InputError, match="none of its 1 checkpoints is valid"):
        checkpoint.load_newest(tmp_path)
    assert checkpoint.path_of(tmp_path, 1, 0).exists()


def test_the_last_three_and_the_best_are_kept(tmp_path):
    save_at(tmp_path, *((epoch, 0) for epoch in range(8)))
    checkpoint.prune(tmp_path, checkpoint.path_of(tmp_path, 2, 0))
    assert [int(path.name[6:12]) for path in checkpoint.list_checkpoints(tmp_path)] == [7, 6, 5, 2]
    checkpoint.prune(tmp_path, None)
    assert [int(path.name[6:12]) for path in checkpoint.list_checkpoints(tmp_path)] == [7, 6, 5]


def test_a_full_disk_is_an_error_and_the_checkpoint_before_stays(tmp_path):
    resource = pytest.importorskip("resource")
    save_at(tmp_path, (1, 0))
    # A limit on the size of files stands in for the disk: the kernel refuses the write just so.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limits[1]))
    try:
        with pytest.raises(OSError, match="any previous file is kept.*epoch_000002_step_000000.npz"):
            checkpoint.save(checkpoint.path_of(tmp_path, 2, 0), {"x": np.zeros(100000, "float32")}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_000001_step_000000.npz"]


# ---------------------------------------------------------------------------------------- networks and optimizers


def arrays_of(name, network, optimizer=None):
    variables = checkpoint.network_variables(name, network)
    if optimizer:
        variables.update(checkpoint.optimizer_variables(name, optimizer, network))
    return {key: value.numpy() for key, value in variables.items()}


def small_network():
    return nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Conv2D(4, 1, 1))


def learn(network, optimizer, steps, start):
    for step in range(start, start + steps):
        x = paddle.to_tensor(np.random.RandomState(step).randn(2, 3, 6, 6).astype("float32"))
        (network(x) ** 2).mean().backward()
        optimizer.step()
        optimizer.clear_grad()


def test_a_network_and_its_adam_go_on_as_if_they_had_never_stopped():
    """Against Paddle going on by itself, in the same process, where every name of Paddle's differs."""
    network = small_network()
    adam = paddle.optimizer.Adam(1e-2, parameters=network.parameters())
    learn(network, adam, 3, start=0)
    arrays = arrays_of("g", network, adam)
    assert "g/0.weight" in arrays and "optimizer/g/0.weight/moment1_0" in arrays
    assert len(arrays) == 4 + 4 + 4 * 6, "weights and statistics; two moments and two powers for each weight"
    other = small_network()
    other_adam = paddle.optimizer.Adam(1e-2, parameters=other.parameters())
    checkpoint.restore_network("g", other, arrays, "here")
    checkpoint.restore_optimizer("g", other_adam, other, arrays, "here")
    learn(network, adam, 3, start=3)
    learn(other, other_adam, 3, start=3)
    equal(arrays_of("g", other), arrays_of("g", network))


def test_arrays_of_another_network_are_named():
    network = small_network()
    adam = paddle.optimizer.Adam(1e-2, parameters=network.parameters())
    learn(network, adam, 1, start=0)
    moment = "optimizer/g/2.bias/moment1_0"
    for name, array, message in (
        ("g/0.weight", None, r"it lacks g/0.weight, of shape \[4, 3, 3, 3\]"),
        ("g/2.bias", np.zeros(2, "f4"), r"g/2.bias is float32 \[2\]; this run's is .* \[1\]"),
        ("g/2.bias", np.zeros(1, "f8"), r"g/2.bias is float64 \[1\]"),
        (moment, None, rf"it lacks {moment}, of shape \[1\]"),
        (moment, np.zeros(3, "f4"), rf"{moment} is float32 \[3\]"),
    ):
        arrays = {**arrays_of("g", network, adam), name: array}
        with pytest.raises(InputError, match=f"^here: {message}"):
            checkpoint.restore_network("g", network, arrays, "here")
            checkpoint.restore_optimizer("g", adam, network, arrays, "here")
