"""`benchmarks/fuzz.py`, with a few cases: the readers stand them, and it does find what is wrong."""

import signal

import pytest

from benchmarks import fuzz


def run(*flags):
    fuzz.main(fuzz.parser().parse_args(list(flags)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged EXIF
def test_damaged_files_are_read_or_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run("--cases", "60")
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == list(fuzz.READERS)
    assert not list(tmp_path.iterdir())


def test_an_error_of_another_kind_and_another_array_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(fuzz.READERS, "weights", lambda path: {}["name"])
    with pytest.raises(KeyError):
        run("--cases", "1", "--kinds", "weights")
    assert (tmp_path / "fuzzed/case.pdparams").is_file()
    load = fuzz.checkpoint.load
    monkeypatch.setattr(fuzz, "damage", lambda content, rng: content)
    monkeypatch.setattr(fuzz.checkpoint, "load", lambda path: ({**load(path)[0], "counter": 0}, load(path)[1]))
    with pytest.raises(AssertionError, match="other arrays"):
        run("--cases", "1", "--kinds", "checkpoints")
    assert signal.alarm(0) == 0, "nothing is left that would end this process"
