"""Learning rates against their formulas, at the points where those are known."""

import pytest

from train.schedule import SCHEDULES, learning_rate


def rates(schedule, steps, base=8.0):
    return [learning_rate(schedule, base, step, steps) for step in range(steps)]


def test_constant():
    assert rates("constant", 5) == [8] * 5


def test_step_is_the_papers_stage_2():
    """10^5 updates at 10^-4 and another 10^5 at 10^-5."""
    assert learning_rate("step", 1e-4, 10**5 - 1, 2 * 10**5) == 1e-4
    assert learning_rate("step", 1e-4, 10**5, 2 * 10**5) == pytest.approx(1e-5)


def test_cosine_warms_up_over_a_hundredth():
    found = rates("cosine", 1000)
    assert found[:10] == pytest.approx([0.8, 1.6, 2.4, 3.2, 4.0, 4.8, 5.6, 6.4, 7.2, 8.0])
    assert found[10] == 8
    assert all(later < earlier for earlier, later in zip(found[10:], found[11:]))


def test_cosine_falls_by_the_cosine_of_30_degrees_60_90():
    base, warm_up, rest = 8.0, 20, 1980
    known = {0: 1, rest // 6: (1 + 3**0.5 / 2) / 2, rest // 3: 3 / 4, rest // 2: 1 / 2, 2 * rest // 3: 1 / 4}
    for done, share in known.items():
        assert learning_rate("cosine", base, warm_up + done, 2000) == pytest.approx(base * share)
    # Near its end 1 - cos(x) is x squared over 2.
    assert learning_rate("cosine", base, 1999, 2000) == pytest.approx(base * (3.14159265 / rest) ** 2 / 4, rel=1e-4)


def test_cosine_warms_up_over_2000_steps_at_most():
    assert learning_rate("cosine", 8.0, 999, 10**6) == pytest.approx(4)
    assert learning_rate("cosine", 8.0, 2000, 10**6) == 8
    assert learning_rate("cosine", 8.0, 2001, 10**6) < 8


@pytest.mark.parametrize("steps", [1, 2, 3, 99])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_short_runs_start_at_the_base_and_never_stand_still(schedule, steps):
    found = rates(schedule, steps)
    assert found[0] == 8
    assert all(0 < rate <= 8 for rate in found)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="'linear'.*constant, step, cosine"):
        learning_rate("linear", 1.0, 0, 10)
