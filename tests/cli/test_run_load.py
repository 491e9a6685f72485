"""Which load `prony run` and `prony explain` take: the command line's, or that of prony.toml."""

from __future__ import annotations

from typing import Any

import click
import pytest

from prony.cli.run import under_load
from prony.plan import Plan
from tests.unit.recording_case import a_plan

PHASE = {"shape": "ramp", "duration": "30s", "from": 1, "to": 200}
PHASED = {"traffic.phase": [PHASE]}
CLOSED = PHASED | {"traffic.arrivals": "closed"}


def load_of(written: dict[str, Any], **given: Any) -> Plan:
    return under_load(a_plan(written), **dict.fromkeys(("rate", "users", "duration", "arrivals")) | given)


def test_phases_of_prony_toml_are_used_where_no_load_is_named() -> None:
    traffic = load_of(PHASED).traffic
    assert list(traffic.profile) == [(30, 1, 200)]
    assert (traffic.arrivals, traffic.duration_s) == ("poisson", 30)
    assert load_of(PHASED, arrivals="constant").traffic.arrivals == "constant"
    assert load_of(CLOSED).traffic.arrivals == "closed"


def test_a_rate_or_users_take_the_place_of_phases() -> None:
    traffic = load_of(PHASED, rate=50, duration=5, arrivals="constant").traffic
    assert (traffic.phases, traffic.rate_rps, traffic.duration_s, traffic.arrivals) == ((), 50, 5, "constant")
    traffic = load_of(CLOSED, rate=50).traffic
    assert (traffic.phases, traffic.rate_rps, traffic.arrivals) == ((), 50, "poisson")
    traffic = load_of(PHASED, users=7).traffic
    assert (traffic.phases, traffic.users, traffic.arrivals) == ((), 7, "closed")


@pytest.mark.parametrize(
    ("written", "given", "said"),
    [
        ({}, {"rate": 5, "users": 5}, "both --rate and --users"),
        ({}, {"users": 5, "arrivals": "poisson"}, "--arrivals poisson beside --users"),
        ({}, {"arrivals": "constant"}, "--arrivals constant without a rate"),
        (CLOSED, {"arrivals": "constant"}, "--arrivals constant without a rate"),
        (PHASED, {"duration": 5}, r"--duration beside the \[\[traffic.phase\]\]"),
        ({"traffic.rate": 4, "traffic.requests_per_session": 100}, {"rate": 200_000}, "over 50000000 requests"),
    ],
)
def test_what_does_not_go_together_is_refused(written: dict[str, Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        load_of(written, **given)
