"""A made-up replay in full, as its commands would have written it: five tests, five configurations, no servers."""

from __future__ import annotations

from typing import Any

import numpy as np

from prony.capacity import Capacity
from prony.document import Configuration, Document, Recommended, Test, Trial
from prony.doubts import KINDS, Doubt
from prony.report.series import Series
from prony.summary import Errors
from prony.verdict import Verdict

LIMITS = "p99 ≤ 1 s, errors ≤ 1 %, backlog not growing"
SPREAD = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
MACHINE = {
    "cpus": 2,
    "cpu": "AMD EPYC 7763 64-Core Processor",
    "memory_bytes": 8_323_059_712,
    "kernel": "6.8.0-45-generic",
    "python": "3.11.9",
}


def a_trial(
    number: str, label: str, *, offered: float, achieved: float | None, p50: float | None, **more: Any
) -> Trial:
    """A trial; what is not given is made to fit."""
    p99 = more.get("p99", None if p50 is None else 4 * p50)
    failed = more.get("failed", 0.0)
    spread: dict[str, float | None] = dict.fromkeys(SPREAD)
    if p50 is not None:
        spread |= {"mean": 1.2 * p50, "p50": p50, "p90": 2 * p50, "p95": 2.6 * p50, "p99": p99, "max": 9 * p50}
    requests = int(offered * 30)
    statuses = {"200": int(requests * (1 - failed)), "500": int(requests * failed)}
    return Trial(
        id=number,
        label=label,
        plan={"title": "gunicorn sync, 3 workers", "limits": LIMITS},
        offered_rps=offered,
        scheduled=requests,
        sent=requests,
        achieved_rps=achieved,
        duration_s=30.0,
        requests=requests,
        latency_s=spread,
        service_time_s=spread,
        send_lag_s={"p50": 0.0001, "p99": 0.0004, "max": 0.002},
        errors=Errors(
            share=failed,
            by_outcome={"ok": statuses["200"], "wrong_status": statuses["500"]},
            by_status={status: n for status, n in statuses.items() if n},
        ),
        generator={"cpu_s_per_request": 0.0003, "cpu_share": 0.11},
        tiers={
            "connections": {"most": 20.0, "limit": 20.0, "usable": 17.0, "refused": 0.0},
            "workers": {"slots": 3.0, "in_flight_mean": 2.8},
        },
        doubts=more.get("doubts", ()),
    )


def a_series(
    trial: str, *, offered: float, right: float, latency_s: float, growth: float = 1.0, seed: int = 1
) -> Series:
    """Half a minute in 60 bins: noise about a level, latency growing to `growth` times itself by the end."""
    random = np.random.default_rng(seed)
    t_s = np.arange(60) * 0.5
    arriving = random.poisson(offered / 2, 60) * 2.0
    answered = np.minimum(arriving, random.poisson(right / 2, 60) * 2.0)
    median = latency_s * np.exp(np.log(growth) * t_s / 30) * random.lognormal(0, 0.1, 60)
    tail = median * 3 * random.lognormal(0, 0.25, 60)
    connections = np.minimum(20, np.round(3 + 20 * t_s / 12 * (1 - right / max(offered, right + 1)) * 2))
    gaps = random.random(60) < 0.04
    return Series(
        trial=trial,
        bin_s=0.5,
        t_s=[float(t) for t in t_s],
        offered_rps=[float(v) for v in arriving],
        right_rps=[float(v) for v in answered],
        failed_rps=[float(max(0.0, v)) for v in (arriving - answered)] if growth <= 2 else [0.0] * 60,
        p50_s=[None if gap else float(v) for v, gap in zip(median, gaps, strict=True)],
        p99_s=[None if gap else float(v) for v, gap in zip(tail, gaps, strict=True)],
        connections=[float(v) for v in connections],
        in_flight=[float(v) for v in np.minimum(3, random.random(60) * 3 + (growth > 2) * 2)],
    )


def a_verdict(trial: str, tier: str, cause: str, *evidence: str, grade: str = "consistent") -> Verdict:
    """A verdict whose tier carries `grade`; its cause is consistent at most."""
    cause_grade = "consistent" if grade == "proven" else grade
    return Verdict(
        tier=tier,
        tier_grade=grade,
        cause=cause,
        cause_grade=cause_grade,
        evidence=evidence,
        figures={"errors.share": 0.88},
        trial=trial,
    )


def a_doubt(name: str, trial: str, text: str, voids: tuple[str, ...] = ()) -> Doubt:
    """A doubt of the closed list about one trial."""
    kind = "void" if voids else "note"
    return Doubt(name=name, kind=kind, voids=voids, text=text, todo=KINDS[name].todo, trial=trial)  # type: ignore[arg-type]


def _test(number: int, name: str, title: str, account: str, load: str, verdict: Verdict, *text: str) -> Test:  # noqa: PLR0917
    relief = ("11", "12") if name == "gevent" else ()
    return Test(
        name=name,
        title=title,
        account=account,
        load=load,
        trial=str(number),
        verdict=verdict,
        text=text,
        relief_trials=relief,
    )


def _tests() -> tuple[Test, ...]:
    return (
        _test(
            1,
            "never-set-up",
            "The page that was never set up",
            "Every answer was 400; the average was 600 ms and the maximum 4 s. The test tested nothing.",
            "60 requests a second for 30 s",
            a_verdict("1", "app", "wrong_answers", "1800 of 1800 requests failed (100.0%); answers: 1800 × 400.",
                      "Not a valid test of anything: hardly an answer was right, from the first second on."),
            "Not one answer was right, so its latency is not the app's and is not shown.",
        ),
        _test(
            2,
            "seeded",
            "A seeded table",
            "All 200; average 47 ms, maximum about 150 ms. Perhaps everything came from the table cache.",
            "33 requests a second for 30 s",
            a_verdict("2", "none", "none", "The limits held."),
            "Every answer was right; the median was 11 ms.",
            "100 % of the blocks read came from Postgres's cache.",
        ),
        _test(
            3,
            "sync",
            "Five times the load on gunicorn's default sync workers",
            "The average was 14 s.",
            "150 requests a second for 30 s",
            a_verdict("3", "workers", "connection_per_request", "Limit broken: backlog grew by 41 requests a second.",
                      "2.9 of 3 slots were taken on average; up to 611 connections queued before them.",
                      "1.00 database connections were opened per request, which took 71% of the 27.4 ms that a request "
                      "spent in the app."),
            "Requests came faster than they were served: the backlog grew by 41 requests a second.",
            "A mean of 14 s after 5 minutes needs a capacity only 9 % below the rate; here it is 27 % below.",
        ),
        _test(
            4,
            "gevent",
            "gunicorn with gevent workers",
            "Almost 90 % errors: each greenlet opened its own database connection, far past the database's limit.",
            "30 requests a second for 30 s",
            a_verdict("4", "connections", "connections_exhausted",
                      "790 of 900 requests failed (87.8%); answers: 110 × 200, 790 × 500.",
                      "In the app: 790 × django.db.utils.OperationalError [53300].",
                      "The database refused connections: Postgres's own log holds 788 refusals (SQLSTATE 53300).",
                      "With 40 instead of 20 connections the errors fell from 88 % to 61 %; a placebo moved nothing.",
                      grade="proven"),
            "88 % of the requests failed: the database has 20 connections, and 17 of them are an app's to use.",
        ),
        _test(
            5,
            "waitress",
            "waitress, which the account ends on",
            "No result is given.",
            "30 requests a second for 30 s",
            a_verdict("5", "unknown", "unknown", "Neither the CPU nor the slots were used up: cannot tell.",
                      grade="unknown"),
            "It cures the errors: a fixed pool of 4 threads never asks for more than 4 connections.",
        ),
    )  # fmt: skip


def _configurations() -> tuple[Configuration, ...]:
    def row(name: str, title: str, low: float | None, high: float | None, **more: Any) -> Configuration:
        at_least = "" if high is not None else "the machine's own limit came first"
        return Configuration(
            name=name,
            title=title,
            changes=more.get("changes", {}),
            capacity=Capacity(
                title=title, low_rps=low, high_rps=high, at_least=at_least, starts=4, trials=9, limits=LIMITS
            ),
            p99_s=more.get("p99"),
            rush_rps=more.get("rush"),
            rush_errors=more.get("errors"),
            rush_p99_s=more.get("rush_p99"),
            memory_bytes=more.get("memory"),
            connections=more.get("connections"),
            rush_trial=more.get("trial", ""),
            procfile=f"web: gunicorn config.wsgi --name {name}",
        )

    return (
        row("sync", "gunicorn sync, 3 workers", 98, 117, p99=0.41, rush=108.0, errors=0.0, rush_p99=1.84,
            memory=141e6, connections=3, trial="6"),
        row("gevent", "gunicorn gevent, 3 workers × 1000 connections each", None, 14, rush=3.6, errors=0.878,
            memory=166e6, connections=20, trial="7", changes={"server.worker_class": "gevent"}),
        row("gthread", "gunicorn gthread, 3 workers × 4 threads", 131, 152, p99=0.212, rush=139.2, errors=0.0,
            rush_p99=0.94, memory=158e6, connections=12, trial="8",
            changes={"server.worker_class": "gthread", "server.threads": 4}),
        row("reuse", "gunicorn gthread, 3 workers × 4 threads, connections kept", 310, None, p99=0.0874, rush=338.0,
            errors=0.0, rush_p99=0.391, memory=161e6, connections=12, trial="9",
            changes={"server.worker_class": "gthread", "server.threads": 4, "app.conn_max_age": 60}),
        row("waitress", "waitress, 4 threads", 74, 88, p99=0.36, rush=81.5, errors=0.004, rush_p99=2.2, memory=74e6,
            connections=4, trial="10", changes={"server.kind": "waitress"}),
    )  # fmt: skip


def _trials() -> tuple[Trial, ...]:
    shared = ("shared_core",)
    few, wrong = ("few_samples",), ("nothing_valid",)
    return (
        a_trial("1", "test 1: never set up", offered=60, achieved=None, p50=None, failed=1.0, doubts=wrong),
        a_trial("2", "test 2: seeded", offered=33.3, achieved=33.2, p50=0.011, doubts=shared),
        a_trial("3", "test 3: sync", offered=150, achieved=109.4, p50=None, doubts=("backlog_growing", *shared)),
        a_trial("4", "test 4: gevent", offered=30, achieved=3.67, p50=0.034, p99=None, failed=0.878, doubts=few),
        a_trial("5", "test 5: waitress", offered=30, achieved=29.9, p50=0.0124, doubts=shared),
        *(
            a_trial(str(n), f"rush: {name}", offered=rate, achieved=rate * 0.97, p50=0.08 + n / 100, doubts=shared)
            for n, (name, rate) in enumerate(
                [("sync", 111), ("gevent", 120), ("gthread", 143), ("reuse", 348), ("waitress", 84)], start=6
            )
        ),
        a_trial("11", "relief of test 4: 40 connections", offered=30, achieved=11.7, p50=0.03, failed=0.61),
        a_trial("12", "relief of test 4: placebo", offered=30, achieved=3.6, p50=0.03, failed=0.88),
    )  # fmt: skip


def a_replay() -> Document:
    """The connected page, replayed: everything a document can hold."""
    trials = _trials()
    voided = ("latency_s", "service_time_s")
    return Document(
        prony="0.1.0",
        verb="replay",
        title="The connected page",
        campaign=7,
        started_at="2026-11-20T19:45:23Z",
        status="done",
        machine=MACHINE,
        declared=(
            "A round trip of 1 ms to the database was added.",
            "Tests lasted 30 s where the account's lasted 5 minutes.",
        ),
        trials=trials,
        doubts=(
            a_doubt("nothing_valid", "1", "0 right of 1800; answers: 1800 × 400", (*voided, "achieved_rps")),
            a_doubt("backlog_growing", "3", "the backlog grew by 41 requests a second at 150 rps", voided),
            a_doubt("few_samples", "4", "110 answers; not enough for p99, p999", ("latency_s.p99", "latency_s.p999")),
            *(
                a_doubt("shared_core", trial.id, "app and database on core 0")
                for trial in trials
                if "shared_core" in trial.doubts
            ),
        ),
        tests=_tests(),
        configurations=_configurations(),
        recommended=Recommended(
            name="reuse",
            plan="gunicorn gthread, 3 workers × 4 threads, connections kept",
            changes={"server.worker_class": "gthread", "server.threads": 4, "app.conn_max_age": 60},
            why="It holds the limits at the highest rate, and asks for 12 database connections where 17 are usable.",
            procfile="web: gunicorn config.wsgi --worker-class gthread --workers 3 --threads 4 --max-requests 0",
            environment=("CONN_MAX_AGE=60", "WEB_CONCURRENCY=3"),
            remeasured="On 3 fresh starts that had no part in choosing it, it held 310 requests a second each time.",
            confirmed_rps=310.0,
            soaked=False,
            trials=("9",),
        ),
    )


def series_of_replay() -> dict[str, Series]:
    """The course of each test's trial, and of one rush."""
    return {
        "1": a_series("1", offered=60, right=0, latency_s=0.006, seed=1),
        "2": a_series("2", offered=33, right=40, latency_s=0.011, seed=2),
        "3": a_series("3", offered=150, right=110, latency_s=0.05, growth=160, seed=3),
        "4": a_series("4", offered=30, right=4, latency_s=0.034, seed=4),
        "5": a_series("5", offered=30, right=40, latency_s=0.0124, seed=5),
        "9": a_series("9", offered=348, right=360, latency_s=0.05, seed=9),
    }
