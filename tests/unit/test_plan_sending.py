"""How a load is sent, in prony.toml: retries, redirects, streams, time limits, https; what is refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from prony.errors import PlanError
from prony.load.spec import LoadSpec
from prony.plan import Plan, read_file
from prony.plan.requests import Stream
from prony.trial.spec import spec_of

ENTRY = '[app]\nentry = "shop:app"\n'


def plan_of(folder: Path, traffic: str) -> Plan:
    (folder / "prony.toml").write_text(ENTRY + traffic, encoding="utf-8")
    return read_file(folder / "prony.toml", ())


def sent(folder: Path, traffic: str) -> LoadSpec:
    return spec_of(plan_of(folder, traffic).loaded(rate_rps=5, users=None, duration_s=1), 80)


def test_what_is_said_of_sending_reaches_the_load_engine(tmp_path: Path) -> None:
    spec = sent(
        tmp_path,
        '[traffic]\nconnect_timeout = "1s"\nfirst_byte_timeout = "2s"\ntimeout = "3s"\nretries = 2\nbackoff = "50ms"\n'
        "keep_alive = false\nhttps = true\n"
        '[[traffic.request]]\npath = "/events"\nstream = { events = 5, for = "10s" }\n'
        'expect = { type = "text/event-stream" }\n[[traffic.request]]\npath = "/"\n',
    )
    assert (spec.connect_timeout_s, spec.first_byte_timeout_s, spec.timeout_s) == (1, 2, 3)
    assert (spec.retries, spec.backoff_s, spec.keep_alive, spec.https) == (2, 0.05, False, True)
    assert spec.requests[0].stream is not None
    assert (spec.requests[0].stream.events, spec.requests[0].stream.for_s) == (5, 10)
    assert spec.requests[1].stream is None


def test_a_stream_is_read_to_its_end_where_nothing_else_is_said(tmp_path: Path) -> None:
    [request] = plan_of(tmp_path, '[[traffic.request]]\npath = "/events"\nstream = {}\n').traffic.requests
    assert request.stream == Stream()


def test_redirects_are_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    spec = sent(tmp_path, '[[traffic.request]]\npath = "/old"\nredirects = true\n[[traffic.request]]\npath = "/"\n')
    assert [request.redirects for request in spec.requests] == [True, False]


@pytest.mark.parametrize(
    ("traffic", "said"),
    [
        ('[traffic]\nretries = 1\n[[traffic.request]]\npath = "/"\nredirects = true\n', "found 1 beside redirects"),
        ('[[traffic.request]]\npath = "/"\nredirects = true\nstream = {}\n', "both stream and redirects"),
        ('[[traffic.request]]\npath = "/"\nstream = {}\nexpect = { contains = "x" }\n', "found contains beside stream"),
        ('[[traffic.request]]\npath = "/"\nstream = { event = 3 }\n', "events"),
        ('[[traffic.request]]\npath = "/"\nstream = { events = 0 }\n', "events: found 0"),
        ('[[traffic.request]]\npath = "/"\nstream = true\n', "stream: found true"),
        ("[traffic]\nretries = 11\n", "retries: found 11"),
        ('[traffic]\nconnect_timeout = "0s"\n', "connect_timeout: found"),
        ("[traffic]\ngenerators = 0\n", "generators: found 0"),
    ],
)
def test_what_does_not_go_is_refused_in_one_paragraph(tmp_path: Path, traffic: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan_of(tmp_path, traffic)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert "allowed" in caught.value.message or "did you mean" in caught.value.message.lower()
