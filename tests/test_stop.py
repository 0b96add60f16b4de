"""Signals: noted while a run trains, obeyed the second time. Real ones reach real runs in `tests/test_resume.py`."""

import os
import signal

import pytest

from train.run.stop import Stop, Stopped


def send(signum):
    """What Python does when a signal comes. A real one ends this process where OpenVINO has computed in it before."""
    signal.getsignal(signum)(signum, None)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_noted_and_raised_where_it_is_asked_for(signum):
    with Stop() as stop:
        stop.check()
        assert stop.signum == 0
        send(signum)
        assert stop.signum == signum
        with pytest.raises(Stopped) as stopped:
            stop.check()
    assert stopped.value.signum == signum


def test_the_second_ctrl_c_stops_at_once():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Stop(), pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
        send(signal.SIGINT)


def test_sigterm_after_ctrl_c_does_not_cut_the_step_short():
    """A launcher of several processes sends it after the terminal's Ctrl-C has reached all of them."""
    with Stop() as stop:
        send(signal.SIGINT)
        send(signal.SIGTERM)
        assert stop.signum == signal.SIGINT


def test_one_of_several_processes_outlasts_the_launchers_repetitions():
    with Stop(alone=False) as stop:
        for _ in range(3):
            send(signal.SIGTERM)
        assert stop.signum == signal.SIGTERM


def test_what_nohup_has_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.signum == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_handled_the_signals_before_does_so_after():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Stop():
        send(signal.SIGINT)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
