"""`benchmarks/fuzz.py`, with a few cases: the readers stand them, and it does find what is wrong."""

import pytest

from benchmarks import fuzz
from common.errors import InputError


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged EXIF
def test_damaged_files_are_read_or_refused(tmp_path, capsys):
    fuzz.main(fuzz.parser().parse_args(["--cases", "60", "--keep", str(tmp_path)]))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == list(fuzz.READERS)
    assert all(line.endswith(" refused, 0 failed") for line in lines)


def test_an_error_of_another_kind_is_a_failure_and_its_file_is_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(fuzz.READERS, "weights", lambda path: {}["name"])
    with pytest.raises(InputError, match="3 cases failed"):
        fuzz.main(fuzz.parser().parse_args(["--cases", "3", "--kinds", "weights", "--keep", str(tmp_path)]))
    assert len(list(tmp_path.glob("weights-0-*"))) == 3


def test_another_array_in_a_checkpoint_is_a_failure(tmp_path, monkeypatch):
    whole = fuzz.whole_files(tmp_path)
    (tmp_path / "case.npz").write_bytes(whole["checkpoints"][0][1])
    fuzz.read_checkpoint(tmp_path / "case.npz")
    monkeypatch.setitem(fuzz.ARRAYS, "counter", fuzz.ARRAYS["counter"] + 1)
    with pytest.raises(AssertionError, match="other arrays"):
        fuzz.read_checkpoint(tmp_path / "case.npz")
