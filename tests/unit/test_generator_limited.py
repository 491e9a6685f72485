"""A run that the generator limited never becomes a capacity: from its recording, by doubts, to the search's result."""

from __future__ import annotations

import pytest

from prony.capacity import Search, judge
from prony.capacity.search import INVALID_ALL
from prony.doubts import doubts_of
from prony.plan import Limits
from prony.recording import Recording
from prony.summary import summarise
from tests.unit.recording_case import a_clean_recording
from tests.unit.test_doubts import RAISED_BY

OURS = ("sent_short", "late_sends", "uneven_sends", "generator_busy", "generator_exhausted")
BROKEN = Limits(latency_s={"p99": 1e-4}, errors=0.5)  # no recording here is as quick


def held(recording: Recording, limits: Limits) -> bool | None:
    summary = summarise(recording)
    return judge(summary, doubts_of(recording, summary), limits).held


def test_the_same_limits_do_break_where_the_generator_was_well() -> None:
    assert held(a_clean_recording(), BROKEN) is False


@pytest.mark.parametrize("name", OURS)
def test_limits_that_broke_while_the_generator_was_at_its_own_limit_bound_nothing(name: str) -> None:
    recording = RAISED_BY[name]()
    assert held(recording, BROKEN) is None
    search = Search(start=100)
    trials = 0
    while (ask := search.ask()) is not None:
        trials += 1
        search.tell(True if ask.load < 110 else held(recording, BROKEN))
    found = search.result()
    assert found.high_rps is None, "a rate that our own generator could not send is no upper end"
    assert "not to be believed" in found.at_least
    assert found.low_rps == 100
    assert trials <= 1 + INVALID_ALL
