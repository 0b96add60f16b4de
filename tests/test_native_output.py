"""Keeping back what libraries print past Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infer.engines.native_output import native_output

ROOT = Path(__file__).resolve().parents[1]


def test_what_is_written_to_the_descriptors_is_kept_back_and_given(capfd):
    with native_output() as said:
        os.write(1, b"out, ")
        os.write(2, b"err, ")
        os.write(1, b"caf\xe9")
    assert said == ["out, err, caf\ufffd"]
    assert capfd.readouterr() == ("", "")


def test_what_a_started_program_writes_is_kept_back_too(capfd):
    with native_output() as said:
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    assert said == ["from a child\n"]
    assert capfd.readouterr() == ("", "")


def test_the_block_may_fail(capfd):
    open_before = sorted(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else []
    with pytest.raises(KeyError), native_output() as said:
        os.write(2, b"the reason")
        raise KeyError
    assert said == ["the reason"]
    os.write(1, b"out")
    os.write(2, b"err")
    assert capfd.readouterr() == ("out", "err")
    if open_before:
        assert sorted(os.listdir("/proc/self/fd")) == open_before


def test_a_block_in_a_block(capfd):
    with native_output() as outer:
        os.write(1, b"1 ")
        with native_output() as inner:
            os.write(1, b"2 ")
        os.write(1, b"3 ")
    assert (outer, inner) == (["1 3 "], ["2 "])
    assert capfd.readouterr() == ("", "")


def test_what_python_prints_comes_out_before_and_after_the_block_and_not_from_inside():
    """Into a pipe, where Python's own output waits in a buffer."""
    code = (
        "import os, sys; from infer.engines.native_output import native_output\n"
        "print('before'); print('before', file=sys.stderr)\n"
        "with native_output() as said:\n"
        "    print('inside'); print('inside', file=sys.stderr); os.write(1, b'native')\n"
        "print('after'); print('after', file=sys.stderr)\n"
        "assert 'native' in said[0] and said[0].count('inside') == 2, said"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    line = [sys.executable, "-c", code]
    result = subprocess.run(line, capture_output=True, encoding="utf-8", cwd=ROOT, env=environment, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "before\nafter\n", "before\nafter\n")
