"""[[traffic.phase]], think times and sessions in prony.toml: what they become, and what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from prony.errors import PlanError
from prony.plan import Plan, changed, read_file
from prony.plan.requests import Phase

ENTRY = '[app]\nentry = "shop:app"\n'


def plan_of(folder: Path, traffic: str) -> Plan:
    (folder / "prony.toml").write_text(ENTRY + traffic, encoding="utf-8")
    return read_file(folder / "prony.toml", ())


def phase(folder: Path, keys: str, before: str = "") -> Phase:
    [found] = plan_of(folder, f"[traffic]\n{before}\n[[traffic.phase]]\n{keys}").traffic.phases
    return found


def refused(folder: Path, traffic: str) -> str:
    with pytest.raises(PlanError) as caught:
        plan_of(folder, traffic)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("keys", "stretches", "text"),
    [
        ('shape = "hold"\nlevel = 50\nduration = "10s"', [(10, 50, 50)], "hold 50 in 10 s"),
        ('shape = "ramp"\nfrom = 1\nto = 200\nduration = "1m"', [(60, 1, 200)], "ramp 1 → 200 in 60 s"),
        (
            'shape = "steps"\nfrom = 10\nto = 30\nsteps = 3\nduration = "6s"',
            [(2, 10, 10), (2, 20, 20), (2, 30, 30)],
            "steps 10 → 30 in 6 s",
        ),
        (
            'shape = "spike"\nfrom = 5\nto = 90\nlasts = "2s"\nduration = "10s"',
            [(4, 5, 5), (2, 90, 90), (4, 5, 5)],
            "spike 5, at most 90 in 10 s",
        ),
        ('shape = "rush"\nto = 250\nduration = "60s"', [(60, 1, 250)], "rush 1 → 250 in 60 s"),
    ],
    ids=["hold", "ramp", "steps", "spike", "rush"],
)
def test_a_shape_becomes_its_stretches(
    tmp_path: Path, keys: str, stretches: list[tuple[float, float, float]], text: str
) -> None:
    found = phase(tmp_path, keys)
    assert list(found.stretches) == stretches
    assert found.text == text
    assert found.duration_s == sum(seconds for seconds, _, _ in stretches)


RECORD = '[rate]\nstep = "60s"\nrps = [1.0, 4.0, 0.0]\n[[request]]\npath = "/"\n'


@pytest.mark.parametrize(
    ("keys", "stretches"),
    [
        ("", [(60, 1, 1), (60, 4, 4), (60, 0, 0)]),
        ('duration = "9s"\ntimes = 2', [(3, 2, 2), (3, 8, 8), (3, 0, 0)]),
    ],
    ids=["as it was", "in nine seconds at twice the rate"],
)
def test_a_recorded_rate_is_repeated_scaled_in_time_and_rate(
    tmp_path: Path, keys: str, stretches: list[tuple[float, float, float]]
) -> None:
    (tmp_path / "log.toml").write_text(RECORD)
    found = phase(tmp_path, f'shape = "recorded"\n{keys}', 'file = "log.toml"')
    assert list(found.stretches) == stretches
    assert found.text == f"recorded 0 to {max(s[1] for s in stretches):g} in {3 * stretches[0][0]:g} s"


def test_phases_follow_each_other_and_say_how_long_the_load_lasts(tmp_path: Path) -> None:
    traffic = plan_of(
        tmp_path,
        '[[traffic.phase]]\nshape = "rush"\nto = 20\nduration = "6s"\n'
        '[[traffic.phase]]\nshape = "hold"\nlevel = 20\nduration = "4s"\n',
    ).traffic
    assert list(traffic.profile) == [(6, 1, 20), (4, 20, 20)]
    assert traffic.duration_s == 10
    assert traffic.named_load
    assert traffic.arrivals == "poisson"
    assert [traffic.rate_rps, traffic.users, traffic.most_users] == [None] * 3


def test_phases_of_a_closed_loop_are_users(tmp_path: Path) -> None:
    traffic = plan_of(
        tmp_path, '[traffic]\narrivals = "closed"\n[[traffic.phase]]\nshape = "rush"\nto = 20\nduration = "6s"\n'
    ).traffic
    assert (traffic.arrivals, traffic.users, traffic.most_users) == ("closed", None, 20)


TWO = '[traffic]\nthink = "1s"\n[[traffic.phase]]\nshape = "rush"\nto = 20\nduration = "6s"\n'


def test_another_load_takes_the_place_of_the_phases_and_none_leaves_them(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, TWO)
    at_rate = plan.loaded(rate_rps=5).traffic
    assert (at_rate.phases, at_rate.rate_rps, at_rate.duration_s, at_rate.arrivals) == ((), 5, 10.0, "poisson")
    closed = plan.loaded(users=5, duration_s=3).traffic
    assert (closed.phases, closed.users, closed.duration_s, closed.arrivals) == ((), 5, 3, "closed")
    assert plan.loaded(users=5, think_s=0).traffic.think_s == 0
    kept = plan.loaded(duration_s=3, arrivals="constant").traffic
    assert (kept.phases, kept.duration_s, kept.arrivals) == (plan.traffic.phases, 6, "constant")
    assert changed(plan, {"server.workers": 5}).traffic == plan.traffic


def test_thinking_is_a_pause_or_pauses_that_differ(tmp_path: Path) -> None:
    fixed = plan_of(tmp_path, '[traffic]\nusers = 5\nthink = "2s"\n').traffic
    assert (fixed.think_s, fixed.think_sigma) == (2, 0)
    drawn = plan_of(tmp_path, '[traffic]\nusers = 5\nthink = { median = "2s", sigma = 0.8 }\n').traffic
    assert (drawn.think_s, drawn.think_sigma) == (2, 0.8)


def test_a_session_belongs_to_visitors_who_arrive(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "[traffic]\nrate = 4\nrequests_per_session = 5\n")
    assert plan.traffic.session == 5
    assert plan.loaded(rate_rps=8).traffic.session == 5
    assert plan.loaded(users=8).traffic.session is None


HOLD = '[[traffic.phase]]\nshape = "hold"\nlevel = 5\nduration = "5s"\n'


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ("[traffic]\nphase = 3\n", ("phase: found 3", "tables [[traffic.phase]]")),
        ("[traffic]\nphase = []\n", ("found 0", "1 to 1000")),
        ("[[traffic.phase]]\nlevel = 5\n", ("shape: is missing", "hold, ramp, steps, spike, rush, recorded")),
        ('[[traffic.phase]]\nshape = "rampe"\n', ('"rampe"', "Did you mean ramp?")),
        ("[[traffic.phase]]\nshape = 7\n", ("found 7", "hold, ramp")),
        (HOLD + "steps = 3\n", ('beside shape = "hold"', "takes level, duration", "belongs to steps")),
        (HOLD + "durration = 3\n", ("durration", "unknown key", "Did you mean duration?")),
        (
            '[[traffic.phase]]\nshape = "hold"\nduration = "5s"\n',
            ("[[traffic.phase]] level is missing", "from 0 to 200000"),
        ),
        ('[[traffic.phase]]\nshape = "hold"\nlevel = -1\nduration = "5s"\n', ("level: found -1", "from 0 to 200000")),
        (
            '[traffic]\narrivals = "closed"\n[[traffic.phase]]\nshape = "hold"\nlevel = 20001\nduration = "5s"\n',
            ("found 20001", "from 0 to 20000"),
        ),
        ('[[traffic.phase]]\nshape = "hold"\nlevel = 0\nduration = "5s"\n', ("no requests at all",)),
        (
            '[traffic]\narrivals = "closed"\n[[traffic.phase]]\nshape = "hold"\nlevel = 0.5\nduration = "5s"\n',
            ("fewer than one user",),
        ),
        ('[[traffic.phase]]\nshape = "hold"\nlevel = 5\nduration = "0.1s"\n', ("found 0.1 s in all", "from 0.5 s")),
        ('[[traffic.phase]]\nshape = "hold"\nlevel = 5\nduration = "20h"\n' * 2, ("in all", "86400 s")),
        ('[[traffic.phase]]\nshape = "hold"\nlevel = 200000\nduration = "1h"\n', ("phases that make over 50000000",)),
        (
            '[[traffic.phase]]\nshape = "spike"\nfrom = 5\nto = 9\nlasts = "5s"\nduration = "5s"\n',
            ("lasts: found 5 s", "less than `duration`"),
        ),
        ('[[traffic.phase]]\nshape = "recorded"\n', ("no recorded rate", "[traffic] file")),
        ('[traffic]\narrivals = "closed"\n[[traffic.phase]]\nshape = "recorded"\n', ("not how many users",)),
        ("[traffic]\nrate = 5\n" + HOLD, ("rate beside [[traffic.phase]]",)),
        ("[traffic]\nusers = 5\n" + HOLD, ("users beside [[traffic.phase]]",)),
        ('[traffic]\nduration = "5s"\n' + HOLD, ("duration beside [[traffic.phase]]",)),
        (
            "[traffic]\nrequests_per_session = 5\n",
            ("requests_per_session: found it without", "rate or [[traffic.phase]]"),
        ),
        ("[traffic]\nrequests_per_session = 5\nusers = 5\n", ("requests_per_session: found it without",)),
        ("[traffic]\nrequests_per_session = 0.5\nrate = 5\n", ("requests_per_session: found 0.5", "from 1 to 100")),
        ('[traffic]\nusers = 5\nthink = { median = "2s" }\n', ("[traffic.think] sigma is missing",)),
        ('[traffic]\nusers = 5\nthink = { mean = "2s", sigma = 1 }\n', ("mean", "Did you mean median?")),
        ('[traffic]\nusers = 5\nthink = { median = "2s", sigma = 9 }\n', ("sigma: found 9", "from 0 to 5")),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(tmp_path: Path, traffic: str, said: tuple[str, ...]) -> None:
    message = refused(tmp_path, traffic)
    assert message.startswith((str(tmp_path / "prony.toml"), "prony.toml"))
    for each in said:
        assert each in message


def test_a_session_beside_journeys_is_refused_for_they_are_sessions_already(tmp_path: Path) -> None:
    (tmp_path / "journeys.py").write_text("async def buy(visitor):\n    await visitor.get('/')\n")
    message = refused(
        tmp_path, '[traffic]\nrate = 4\nrequests_per_session = 5\n[[traffic.journey]]\nrun = "journeys.py:buy"\n'
    )
    assert "requests_per_session" in message
    assert "sessions already" in message
