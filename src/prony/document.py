"""What a verb found, as one document: the structs behind --json, docs/json.md, the report and the terminal alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from prony.capacity import Capacity, Curve
from prony.comparison import Comparison
from prony.doubts import Doubt
from prony.plan import Plan
from prony.summary import (
    Errors,
    Incident,
    Metered,
    RouteFigures,
    Sampled,
    Slice,
    Spent,
    Statement,
    StreamFigures,
    Summary,
    Waited,
    WarmUp,
)
from prony.verdict import Suggestion, Verdict


class Trial(Struct, frozen=True, kw_only=True):
    """One trial: durations in seconds, rates per second; a voided figure is null, a voided table empty.

    `exceptions` are those that the app did not handle itself, by type and SQLSTATE; `tier_errors` those of each tier by
    kind, from the trial's start to its end: a tier of which they are not known is not in it.
    """

    id: str
    label: str
    plan: dict[str, Any]
    offered_rps: float
    scheduled: int
    sent: int
    achieved_rps: float | None
    duration_s: float
    requests: int
    latency_s: dict[str, float | None]
    service_time_s: dict[str, float | None]
    send_lag_s: dict[str, float | None]
    errors: Errors
    generator: dict[str, float | None]
    tiers: dict[str, dict[str, float | None]]
    doubts: tuple[str, ...]
    incidents: tuple[Incident, ...] = ()
    routes: tuple[RouteFigures, ...] = ()
    retries: int = 0
    streams: tuple[StreamFigures, ...] = ()
    gauged: tuple[Metered, ...] = ()
    spent: tuple[Spent, ...] = ()
    statements: tuple[Statement, ...] = ()
    exceptions: dict[str, int] = {}
    tier_errors: dict[str, dict[str, int]] = {}
    waits: tuple[Waited, ...] = ()


class RouteCost(Struct, frozen=True, kw_only=True):
    """What one route costs by itself, whatever the mix; None where it was not measured or is not to be believed.

    Attributes:
        name: The route, as the plan has it.
        time_s: Median time of one request when nothing else is asked.
        requests: How many of those were asked.
        errors: The share of requests that failed, over all that were asked for this table.
        alone_rps: Right answers a second when nothing but this route is asked, by users enough to keep every slot busy.
        app_cpu_s: CPU time of the app servers for one request of it, then.
        database_cpu_s: CPU time of the database for one.
        bytes: Median length of an answer, head included.
        trials: Where these were measured.
    """

    name: str
    time_s: float | None
    requests: int
    errors: float
    alone_rps: float | None = None
    app_cpu_s: float | None = None
    database_cpu_s: float | None = None
    bytes: float | None = None
    trials: tuple[str, ...] = ()


class Test(Struct, frozen=True, kw_only=True):
    """One test of a replay: what the account saw, and what was found here.

    Attributes:
        account: What the account reports, in a sentence.
        load: What was sent, in words.
        text: What was found here, one sentence each.
        relief_trials: The trials of the experiment that tested the verdict.
    """

    name: str
    title: str
    account: str
    load: str
    trial: str
    verdict: Verdict
    text: tuple[str, ...]
    relief_trials: tuple[str, ...] = ()


class Configuration(Struct, frozen=True, kw_only=True):
    """One row of the table of configurations; None where it was not measured or is not to be believed.

    Attributes:
        p99_s: p99 latency at the highest rate of its capacity search that held.
        rush_errors: Share of failed requests under the rush of clients.
        rush_p99_s: p99 latency under it.
        memory_bytes: Most memory of the app tier (proportional set size) under the rush.
        connections: Most database connections of the app's under the rush.
    """

    name: str
    title: str
    changes: dict[str, Any]
    capacity: Capacity
    p99_s: float | None
    rush_rps: float | None
    rush_errors: float | None
    rush_p99_s: float | None
    memory_bytes: float | None
    connections: float | None
    rush_trial: str
    procfile: str


class Recommended(Struct, frozen=True, kw_only=True):
    """The configuration to use.

    Attributes:
        remeasured: How it held up in trials that did not choose it, in words.
        confirmed_rps: The rate it held there on every start; None when it held at none.
        soaked: Whether it held 80 % of it for a quarter of an hour.
    """

    name: str
    plan: str
    changes: dict[str, Any]
    why: str
    procfile: str
    environment: tuple[str, ...]
    remeasured: str
    confirmed_rps: float | None
    soaked: bool
    trials: tuple[str, ...]


class Document(Struct, frozen=True, kw_only=True):
    """Everything one command found."""

    prony: str
    verb: str
    title: str
    campaign: int
    started_at: str
    status: str
    machine: dict[str, Any]
    declared: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    capacities: tuple[Capacity, ...] = ()
    curves: tuple[Curve, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    tests: tuple[Test, ...] = ()
    configurations: tuple[Configuration, ...] = ()
    recommended: Recommended | None = None
    routes: tuple[RouteCost, ...] = ()
    next: tuple[Suggestion, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[Slice, ...] = ()
    requests: tuple[Sampled, ...] = ()
    warm_up: WarmUp | None = None


def trial_of(plan: Plan, summary: Summary, doubts: Iterable[Doubt]) -> Trial:
    """A trial's entry; `summary` is the believed one, with voided figures null."""
    doubts = list(doubts)
    no_rate = any(name in doubt.voids for doubt in doubts for name in ("all", "achieved_rps"))
    return Trial(
        id=summary.id,
        label=summary.label,
        plan=plan_of(plan),
        offered_rps=summary.offered_rps,
        scheduled=summary.scheduled,
        sent=summary.sent,
        achieved_rps=None if no_rate else summary.achieved_rps,
        duration_s=summary.duration_s,
        requests=summary.requests,
        latency_s=summary.latency_s,
        service_time_s=summary.service_time_s,
        send_lag_s=summary.send_lag_s,
        errors=summary.errors,
        generator=summary.generator,
        tiers=summary.tiers,
        doubts=tuple(doubt.name for doubt in doubts),
        incidents=summary.incidents,
        routes=summary.routes,
        retries=summary.retries,
        streams=summary.streams,
        gauged=summary.gauged,
        spent=summary.spent,
        statements=summary.statements,
        exceptions=summary.exceptions,
        tier_errors=summary.tier_errors,
        waits=summary.waits,
    )


def plan_of(plan: Plan) -> dict[str, Any]:
    """A plan as the document shows it: what makes trials differ, nothing secret."""
    traffic = plan.traffic
    return {
        "title": plan.title,
        "destination": plan.destination and {"url": plan.destination.url, **structs.asdict(plan.destination)},
        "app": plan.app.entry or None,
        "server": {"kind": plan.server.kind, "worker_class": plan.server.worker_class, **plan.server.knobs}
        if plan.server.kind
        else None,
        "slots": plan.server.slots if plan.server.kind else None,
        "database": None
        if plan.database is None
        else {
            "kind": plan.database.kind,
            "max_connections": plan.database.max_connections,
            "round_trip_s": plan.database.round_trip_s,
        },
        "traffic": {
            "arrivals": traffic.arrivals,
            "rate_rps": traffic.rate_rps,
            "users": traffic.users,
            "phases": [
                {
                    "shape": each.shape,
                    "duration_s": each.duration_s,
                    "from": each.stretches[0][1],
                    "to": each.stretches[-1][2],
                    "most": each.most,
                    "text": each.text,
                }
                for each in traffic.phases
            ],
            "turns": None
            if traffic.turns is None
            else {
                "length_s": traffic.turns.length_s,
                "rest_s": traffic.turns.rest_s,
                "own": len(traffic.turns.own),
                "count": traffic.turns.count,
            },
            "requests_per_session": traffic.session,
            "think_s": traffic.think_s,
            "think_sigma": traffic.think_sigma,
            "duration_s": traffic.duration_s,
            "seed": traffic.seed,
        },
        "limits": plan.limits.text,
    }
