"""A baseline and fresh figures at the gate: what passes, what fails, and what cannot be told."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from msgspec import structs

from prony.cli import cli
from prony.cli.gate import _check_figures, _how, _load
from prony.comparison import Gain
from prony.comparison.gate import Baseline, Gate, verdict
from prony.errors import DoubtError
from prony.plan import Plan, read_document
from prony.report.gate import junit, junit_of_error, markdown, markdown_of_error

UP = {"saturated_rps"}


def test_a_figure_that_could_be_told_on_too_few_starts_makes_no_baseline() -> None:
    few = {"saturated_rps": (90.0,) * 10, "latency_p50_s": (None,) * 7 + (0.1,) * 3}
    with pytest.raises(DoubtError, match="latency_p50_s is to be judged, and could be told on 3 of 10 starts only"):
        _check_figures(structs.replace(baseline(), figures=few))
    _check_figures(structs.replace(baseline(), figures=few, allowed={"saturated_rps": 0.1}))


def test_where_there_is_no_comparison_the_files_of_a_ci_page_say_why() -> None:
    text = 'The app "shop" would not start.\n    \x1b[31mKeyError\x1b[0m \x00\nTry: prony check'
    [error] = ET.fromstring(junit_of_error(text)).iter("error")  # noqa: S314 - our own text
    message = " ".join(error.attrib["message"].split())
    assert message == 'The app "shop" would not start. KeyError Try: prony check'
    assert markdown_of_error(text).splitlines()[4].startswith("    KeyError")


def test_requests_that_differ_in_more_than_their_share_are_another_load() -> None:
    def plan(**changes: object) -> Plan:
        requests = [{"path": "/", "weight": 1}, {"path": "/", "weight": 3}, {"path": "/b", "weight": 4, **changes}]
        document = {"app": {"entry": "shop:app"}, "traffic": {"request": requests}}
        return read_document(document, "prony.toml", Path("/"))

    assert _load(plan()) == {"GET /": 0.5, "GET /b": 0.5}
    assert _how(plan()) == _how(plan())
    assert _how(plan(expect={"status": 404})) != _how(plan())


def test_what_a_check_learned_makes_no_baseline_another_load() -> None:
    document = {"app": {"entry": "shop:app"}, "traffic": {"request": [{"path": "/"}]}}
    before = read_document(document, "prony.toml", Path("/"))
    [request] = before.traffic.requests
    learned = structs.replace(request, expect=structs.replace(request.expect, contains="Welcome"))
    after = structs.replace(before, traffic=structs.replace(before.traffic, requests=(learned,)))
    assert _how(after) == _how(before)


def baseline() -> Baseline:
    values: dict[str, tuple[float | None, ...]] = {}
    for seed, name in enumerate(("saturated_rps", "latency_p50_s")):
        values[name] = tuple(float(value) for value in drawn(seed))
    return Baseline(
        prony="0",
        title="it",
        machine="m",
        load={"GET /": 1.0},
        boxes=(),
        rate_rps=9,
        trial_s=5,
        figures=values,
        allowed=dict.fromkeys(values, 0.1),
    )


def judged(now: dict[str, list[float]]) -> tuple[Gain, ...]:
    """What the gate says of starts that come to this, one after the other, for as long as it asks for them."""
    gate = Gate(baseline(), most=10, higher_is_better=UP)
    while gate.contest.ask() is not None:
        gate.contest.tell({name: values[gate.contest.told] for name, values in now.items()})
    return gate.judged


def drawn(seed: int, scale: float = 1.0) -> np.ndarray:
    return 100 * scale * np.exp(np.random.default_rng(seed).normal(0, 0.015, 10))


@pytest.mark.parametrize(
    ("rps", "latency", "outcome"),
    [(1.0, 1.0, "passed"), (0.7, 1.0, "failed"), (1.0, 1.4, "failed"), (1.5, 0.5, "passed"), (0.95, 1.05, "passed")],
)
def test_what_surely_lost_more_than_is_allowed_fails(rps: float, latency: float, outcome: str) -> None:
    now = {"saturated_rps": list(drawn(7, rps)), "latency_p50_s": list(drawn(8, latency))}
    assert verdict(judged(now)) == outcome


def test_what_was_not_measured_is_unknown_unless_another_figure_failed() -> None:
    now = {"saturated_rps": list(drawn(7)), "latency_p50_s": [math.nan] * 10}
    assert verdict(judged(now)) == "unknown"
    now["saturated_rps"] = list(drawn(7, 0.5))
    assert verdict(judged(now)) == "failed"
    assert verdict([]) == "unknown"


def test_junit_and_markdown_tell_each_figure() -> None:
    now = {"saturated_rps": list(drawn(7, 0.5)), "latency_p50_s": [math.nan] * 10}
    found = judged(now)
    suite = ET.fromstring(junit('a "title" <&', found))  # noqa: S314 - our own
    assert suite.attrib == {"name": 'a "title" <&', "tests": "2", "failures": "1", "errors": "1"}
    assert [case[0].tag for case in suite] == ["failure", "error"]
    text = markdown("it", found)
    assert "| saturated_rps |" in text
    assert "**failed**" in text


def test_a_missing_or_foreign_baseline_and_an_unknown_figure_name_what_to_do(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "other.json"
    for _ in range(2):
        result = CliRunner().invoke(cli, ["gate", "--baseline", str(path)])
        assert "baseline" in str(result.exception)
        path.write_text("{}", encoding="utf-8")
    result = CliRunner().invoke(cli, ["gate", "--write", "--allow", "speed=1"])
    assert result.exit_code == 2
    assert "latency_p99_s" in result.output
