"""What the benchmarks share: turns, processes, parts of a time. No time is asserted."""

import itertools
import os
from types import SimpleNamespace

import pytest

from benchmarks import side_by_side
from common.errors import InputError


def test_the_first_round_is_not_counted_and_calls_take_turns():
    clock, order = itertools.count(), []
    calls = {name: lambda name=name: order.append(name) or next(clock) for name in "ab"}
    assert side_by_side.rounds(calls, 2, SimpleNamespace(update=lambda: None)) == {"a": [2, 4], "b": [3, 5]}
    assert order == list("ababab")


def load_that_dies():
    os.kill(os.getpid(), 9)


def doubling():
    return lambda number: 2 * number


def test_a_process_computes_what_it_is_asked_and_one_that_is_killed_is_named():
    with side_by_side.workers({("doubling", ""): doubling}) as running:
        assert [running["doubling", ""].result(number) for number in (3, 4)] == [6, 8]
        assert running["doubling", ""].peak_memory() > 1
    loads = {("paddle", "bf16"): load_that_dies}
    with pytest.raises(InputError, match="paddle bf16: .* status -9"), side_by_side.workers(loads):
        pass


def test_the_parts_of_a_time_and_the_rest(monkeypatch):
    now, waits = [0.0], []

    def take(seconds):
        now[0] += seconds
        return seconds

    monkeypatch.setattr(side_by_side.time, "perf_counter", lambda: now[0])
    watch = side_by_side.Stopwatch(("a", "b", "c"), synchronize=lambda: waits.append(now[0]))
    assert watch.wrap("a", take)(3.0) == 3.0
    take(2.0)
    watch.wrap("a", take)(4.0)
    watch.wrap("b", take)(1.0)
    assert watch.lap() == {"a": 7.0, "b": 1.0, "c": 0.0, "rest": 2.0, "all": 10.0}
    assert waits == [0, 0, 3, 5, 9, 9, 10, 10, 10], "at the beginning and end of each part, and of all"
    watch.wrap("a", take)(5.0)
    assert watch.lap() == {"a": 5.0, "b": 0.0, "c": 0.0, "rest": 0.0, "all": 5.0}
