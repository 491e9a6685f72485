"""A search whose trials say nothing of some goal, or were disturbed: what the others, and the end, make of it."""

from __future__ import annotations

import numpy as np
import pytest

from prony.capacity import Goal, Search
from prony.capacity.search import RISE
from tests.unit.test_capacity import encloses


def test_what_is_not_to_be_believed_for_one_set_of_limits_counts_for_the_other() -> None:
    """Sends were late above 150: a latency that was broken is not to be believed, one that held is."""
    search = Search(start=100, goals=(Goal(name="loose"), Goal(name="tight")))
    trials = 0
    while (ask := search.ask()) is not None and trials < 200:
        tight = ask.load <= 120 if ask.load < 150 else None
        search.tell(ask.load <= 300, tight, why="late_sends")
        trials += 1
    assert encloses(search.result(goal=0), 300)
    assert search.result(goal=0).high is not None
    assert encloses(search.result(goal=1), 120)
    assert search.result(goal=0).trials > search.result(goal=1).trials


def test_one_set_of_limits_that_cannot_be_told_above_a_load_leaves_the_other_its_end() -> None:
    search = Search(start=100, goals=(Goal(name="loose"), Goal(name="tight")))
    while (ask := search.ask()) is not None:
        search.tell(ask.load <= 300, True if ask.load < 150 else None, why="late_sends")
    assert encloses(search.result(goal=0), 300)
    assert search.result(goal=0).high is not None
    assert search.result(goal=1).high is None
    assert search.result(goal=1).at_least == "late_sends"


def test_one_set_of_limits_of_which_nothing_can_be_told_does_not_end_the_search_for_the_other() -> None:
    search, asks = Search(start=100, goals=(Goal(name="loose"), Goal(name="tight"))), 0
    while (ask := search.ask()) is not None:
        asks += 1
        search.tell(ask.load <= 300, None, why="late_sends")
    assert encloses(search.result(goal=0), 300)
    assert search.result(goal=0).high is not None
    assert search.result(goal=1).text == "unknown (late_sends)"
    assert asks < 60


@pytest.mark.parametrize("most", [1, 2, 3, 10, 13, 14, 100])
def test_users_beyond_which_nothing_is_believed_end_the_search_with_at_least_so_many(most: int) -> None:
    search, asks = Search(start=10, users=True, least=1), 0
    while (ask := search.ask()) is not None:
        asks += 1
        assert asks < 200
        search.tell(True if ask.load <= most else None, why="generator_busy")
    found = search.result()
    assert found.high_users is None
    assert found.low_users is not None
    assert most / RISE**2 - 1 <= found.low_users <= most


def test_a_capacity_below_all_that_is_looked_at_ends_the_search_on_a_disturbed_machine_too() -> None:
    search, asks = Search(start=10), 0
    while (ask := search.ask()) is not None:
        asks += 1
        assert asks < 60
        search.tell(False, weak=True)
    assert search.result().low is None
    assert ask is None


def test_trials_that_fail_on_a_disturbed_machine_weigh_little() -> None:
    """Four of ten are disturbed and then fail from 80 on, where else they hold up to 100."""

    def found(*, told: bool) -> tuple[int, float]:
        inside, widths = 0, []
        for seed in range(40):
            random, search = np.random.default_rng(seed), Search(start=60)
            for _ in range(40):
                ask = search.ask()
                if ask is None:
                    break
                disturbed = random.random() < 0.4
                held = ask.load <= (80 if disturbed else 100) * np.exp(random.normal(0, 0.015))
                search.tell(held, weak=disturbed and told)
            low, high = search.known()
            assert low is not None
            assert high is not None
            inside += encloses(search.result(), 100)
            widths.append(high / low)
        return inside, float(np.median(widths))

    inside, width = found(told=True)
    assert inside >= 36
    assert width < found(told=False)[1]
