"""Recordings and summaries made by hand: simple arguments in, what a trial would have left behind out; no servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import structs

from prony.plan import Plan, read_document
from prony.recording import SAMPLE, Event, Recording, Samples
from prony.samples import CHECK_FAILED, NOT_SENT, OK, UNANSWERED, WRONG_STATUS
from prony.summary import Backlog, Errors, Summary, summarise

SECOND = 1_000_000_000
BEGAN_NS = 5_000 * SECOND
ANSWERS = (OK, WRONG_STATUS, CHECK_FAILED, UNANSWERED)  # of these a first byte may have come
SPREAD = ("mean", "p50", "p90", "p95", "p99", "p999", "max")


def a_plan(changes: Mapping[str, Any] | None = None) -> Plan:
    """A small valid plan, with dotted names changed."""
    document = {"app": {"entry": "shop.wsgi:application", "env": {"SECRET_KEY": "hunter2-hunter2"}}}
    return read_document(document, "prony.toml", Path("/nowhere/shop"), changes or {})


def evenly(rate_rps: float, duration_s: float) -> Any:
    """Instants at which requests are due, evenly spaced from 0."""
    return np.arange(round(rate_rps * duration_s)) / rate_rps


def some_samples(
    due_s: Any, *, service_s: Any = 0.01, lag_s: Any = 0.0001, status: Any = 200, outcome: Any = OK
) -> Samples:
    """Requests due at these seconds of the trial; every other argument is one value or one for each."""
    due = np.asarray(due_s, dtype=float)
    found = np.zeros(len(due), SAMPLE)
    found["due_ns"] = BEGAN_NS + np.rint(due * 1e9).astype(np.int64)
    found["sent_ns"] = found["due_ns"] + np.rint(np.asarray(lag_s) * 1e9).astype(np.int64)
    found["done_ns"] = found["sent_ns"] + np.rint(np.asarray(service_s) * 1e9).astype(np.int64)
    found["outcome"], found["status"], found["bytes"] = outcome, status, 100
    answered = np.isin(found["outcome"], ANSWERS) & (found["status"] > 0)
    found["first_byte_ns"] = np.where(answered, found["done_ns"], 0)
    found["status"] = np.where(answered, found["status"], 0)
    found["sent_ns"] = np.where(found["outcome"] == NOT_SENT, 0, found["sent_ns"])
    return found[np.argsort(found["done_ns"], kind="stable")]


def a_load(samples: Samples, duration_s: float, **other: Any) -> dict[str, Any]:
    """What the load engine would have said of these samples."""
    not_sent = int(np.count_nonzero(samples["outcome"] == NOT_SENT))
    open_ = int(np.count_nonzero(samples["outcome"] == UNANSWERED))
    return {
        "kind": "result",
        "started_ns": BEGAN_NS,
        "ended_ns": BEGAN_NS + round(duration_s * 1e9),
        "drained_ns": BEGAN_NS + round(duration_s * 1e9),
        "scheduled": len(samples),
        "sent": len(samples) - not_sent,
        "done": len(samples) - not_sent - open_,
        "connections_opened": 10,
        "retried": 0,
        "cpu_s": 0.1 * duration_s,
        "cpu_share": 0.1,
        "lag_p50_s": 0.0001,
        "lag_p99_s": 0.0001,
        "interrupted": False,
    } | other


def a_recording(
    samples: Samples,
    *,
    duration_s: float = 10.0,
    levels: Mapping[str, float] | None = None,
    counters: Mapping[str, float] | None = None,
    series: Mapping[str, tuple[Iterable[float], Iterable[float]]] | None = None,
    events: Iterable[Event] = (),
    load: Mapping[str, Any] | None = None,
    cut_off: bool = False,
    plan: Plan | None = None,
) -> Recording:
    """One trial's recording.

    Args:
        samples: As `some_samples` makes them.
        duration_s: Length of the sending window.
        levels: "tier.name" -> a level that was read ten times a second and never moved.
        counters: "tier.name" -> how fast a counter rose per second.
        series: "tier.name" -> (seconds of the trial, values), for all else.
        events: What happened.
        load: What differs in the load engine's own account.
        cut_off: Whether the trial ended before the engine gave its account.
        plan: What was run; a small plan where not given.
    """
    grid_s = np.arange(0, duration_s + 0.05, 0.1)
    named: dict[str, tuple[Any, Any]] = {name: (grid_s, np.full(len(grid_s), v)) for name, v in (levels or {}).items()}
    named |= {name: (grid_s, 7.0 + v * grid_s) for name, v in (counters or {}).items()}
    named |= dict(series or {})
    readings = {}
    for name, (instants_s, values) in named.items():
        tier, _, what = name.rpartition(".")
        instants = BEGAN_NS + np.rint(np.asarray(instants_s, dtype=float) * 1e9).astype(np.int64)
        readings[tier, what] = (instants, np.asarray(values, dtype=float))
    return Recording(
        id="1.1",
        label="a trial",
        role="run",
        start=1,
        plan=plan or a_plan(),
        began_ns=BEGAN_NS,
        status="interrupted" if cut_off else "done",
        samples=samples,
        readings=readings,
        events=tuple(events),
        load=None if cut_off else a_load(samples, duration_s, **(load or {})),
    )


def a_clean_recording(rate_rps: float = 100, duration_s: float = 50, **other: Any) -> Recording:
    """A calm trial about which nothing is to be doubted: 5 000 right answers within 10 ms."""
    levels = {"workers.slots": 3.0, "workers.in_flight": 1.0, "host.cores": 1.0, "canary.stack_s": 0.005}
    counters = {"app.cpu_s": 0.3, "database.cpu_s": 0.1, "host.busy_s": 0.4, "host.steal_s": 0.0}
    return a_recording(
        other.pop("samples", some_samples(evenly(rate_rps, duration_s))),
        duration_s=duration_s,
        levels=levels | other.pop("levels", {}),
        counters=counters | other.pop("counters", {}),
        **other,
    )


def a_queue(
    rate_rps: float, service_rps: float, duration_s: float, seed: int, *, drain_s: float = 1.0, fixed: bool = False
) -> Samples:
    """Poisson arrivals at one server with exponential (or fixed) service times, first come, first served: M/M/1."""
    random = np.random.default_rng(seed)
    due_s = np.cumsum(random.exponential(1 / rate_rps, round(2 * rate_rps * duration_s) + 50))
    due_s = due_s[due_s < duration_s]
    service_s = np.full(len(due_s), 1 / service_rps) if fixed else random.exponential(1 / service_rps, len(due_s))
    served = np.cumsum(service_s)
    done_s = served + np.maximum.accumulate(due_s - (served - service_s))
    end_s = duration_s + drain_s
    open_ = done_s > end_s
    return some_samples(
        due_s,
        service_s=np.where(open_, end_s, done_s) - due_s,
        lag_s=0.0,
        status=np.where(open_, 0, 200),
        outcome=np.where(open_, UNANSWERED, OK),
    )


@cache
def _calm() -> Summary:
    return summarise(a_clean_recording())


def a_summary(
    tiers: Mapping[str, float | None] | None = None,
    *,
    outcomes: Mapping[str, int] | None = None,
    statuses: Mapping[str, int] | None = None,
    latency_s: float | None = 0.01,
    growing: bool = False,
    **other: Any,
) -> Summary:
    """The figures of a calm trial, changed: `tiers` by "tier.name", `outcomes` by name, the rest by field."""
    calm = _calm()
    figures: dict[str, dict[str, float | None]] = {tier: dict.fromkeys(names) for tier, names in calm.tiers.items()}
    for name, value in (tiers or {}).items():
        tier, _, what = name.partition(".")
        assert what in figures[tier], f"there is no figure {name}"
        figures[tier][what] = value
    by_outcome = dict(outcomes or {"ok": 5000})
    requests = sum(by_outcome.values())
    wrong = requests - by_outcome.get("ok", 0)
    changes: dict[str, Any] = {
        "requests": requests,
        "scheduled": requests,
        "sent": requests,
        "tiers": figures,
        "errors": Errors(
            share=wrong / requests if requests else 0.0,
            by_outcome=by_outcome,
            by_status=dict(statuses or ({"200": by_outcome["ok"]} if by_outcome.get("ok") else {})),
        ),
        "latency_s": dict.fromkeys(SPREAD, latency_s),
        "backlog": Backlog(
            mean=1.0, slope_per_s=20.0 if growing else 0.0, rise=200.0 if growing else 0.0, growing=growing
        ),
    }
    return structs.replace(calm, **(changes | other))
