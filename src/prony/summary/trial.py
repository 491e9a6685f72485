"""A recording in, the figures of its trial out: rates, latencies, errors, and what each tier did meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from prony import stats
from prony.recording import OUTCOMES, Recording, Samples
from prony.samples import NOT_SENT, OK, UNANSWERED
from prony.summary.gauged import Metered, gauged_of
from prony.summary.routes import RouteFigures, routes_of
from prony.summary.sampled import Spent, sampled_of, spent_of
from prony.summary.spread import spread
from prony.summary.statements import Statement, statements_of
from prony.summary.streams import StreamFigures, streams_of
from prony.summary.tier_errors import tier_errors_of
from prony.summary.tiers import tiers_of
from prony.summary.turns import in_turns, overlap_share
from prony.summary.waits import Waited, waits_of
from prony.summary.windowed import Window, Windowed
from prony.traffic import profiles

BIN_S = 0.1
INCIDENTS_MAX = 50
DISPERSION_BIN_NS = 10_000_000
DISPERSION_LEAST = 4000  # requests: of fewer, chance alone moves it by over 5 %
TROUBLE = (
    "died",
    "worker_timeout",
    "worker_killed",
    "worker_failed",
    "descriptors_exhausted",
    "out_of_memory",
    "throttled",
    "queue_full",
    "connections_exhausted",
    "upstream_failed",
    "limited",
    "pooler_refused",
    "pooler_error",
    "blocked",
    "deadlock",
    "slow_command",
    "restarted",
    "database_error",
    "log_error",
    "connect_error",
    "queue_depth",
    "hook_off",
)


class Errors(Struct, frozen=True, kw_only=True):
    """Requests that failed: their share of those due, and counts by outcome, by status and by what an answer lacked."""

    share: float
    by_outcome: dict[str, int]
    by_status: dict[str, int]
    by_check: dict[str, int] = {}


class Backlog(Struct, frozen=True, kw_only=True):
    """Requests due and not yet answered: their mean, and their growth over the last two thirds of the window."""

    mean: float
    slope_per_s: float
    rise: float
    growing: bool


class Summary(Struct, frozen=True, kw_only=True):
    """The figures of one trial, before any doubt has voided one. Durations in seconds, rates per second.

    Attributes:
        phases: How the rate, or the number of users, went over time, in words; none where it did not change.
        session: Requests of a visitor's session on average; None where each arrival was one request.
        offered_rps: Requests due ÷ length of the sending window: a mean where there are phases. Where several plans
            took turns, that is how long this one was loaded.
        achieved_rps: Right answers that came within the sending window, or this plan's turns, ÷ the same length.
        answered: Answers that came at all, right or wrong.
        exceptions: Exceptions the gauge counted in the app, by type and SQLSTATE.
        egress_refused: What the app tried to reach outside, by host.
        happened: Events that speak of trouble, by kind: how often.
        incidents: The same one by one, those alike together.
        latency_s: From the instant a request was due to its last byte, over requests that were answered.
        service_time_s: From the instant it was sent.
        routes: The same by route, in the plan's order.
        send_lag_s: sent - due: our own lateness.
        destination: What was loaded, where prony had not started it; empty where there was a stack.
        dispersion: Variance to mean of how many requests were due, and sent, in bins of 10 ms, where there are enough
            of an open loop's to tell: 1 for Poisson arrivals.
        retries: Of the requests, those with which a client tried again.
        overlap_share: Of plans that took turns, in what share of the others' time this one was still being answered.
        tier_errors: Errors of each tier by kind, the most frequent first, from the trial's start to its end; a tier of
            which they are not known is not in it.
        waits: What Postgres's connections waited for, by the names of wait events.
        statements: What Postgres itself says of the app's statements.
        gauged: What the gauge saw by the app's own routes, by statement, by host called and by cache command.
        spent: Where sampled requests spent their time: those about the median, and the slowest.
        streams: What became of streamed answers; wherever else they count, they are done with their first event.
    """

    id: str
    label: str
    title: str
    arrivals: str
    users: int | None
    phases: tuple[str, ...] = ()
    session: float | None = None
    offered_rps: float
    scheduled: int
    sent: int
    achieved_rps: float
    duration_s: float
    requests: int
    answered: int
    latency_s: dict[str, float | None]
    service_time_s: dict[str, float | None]
    send_lag_s: dict[str, float | None]
    errors: Errors
    backlog: Backlog
    generator: dict[str, float | None]
    tiers: dict[str, dict[str, float | None]]
    exceptions: dict[str, int]
    egress_refused: dict[str, int]
    happened: dict[str, int]
    incidents: tuple[Incident, ...]
    cut_off: bool
    routes: tuple[RouteFigures, ...] = ()
    destination: str = ""
    dispersion: dict[str, float | None] = {}
    retries: int = 0
    streams: tuple[StreamFigures, ...] = ()
    gauged: tuple[Metered, ...] = ()
    spent: tuple[Spent, ...] = ()
    overlap_share: float | None = None
    statements: tuple[Statement, ...] = ()
    tier_errors: dict[str, dict[str, int]] = {}
    waits: tuple[Waited, ...] = ()


class Incident(Struct, frozen=True):
    """Something that went wrong while a trial ran, with its figures in words, and how often."""

    kind: str
    tier: str
    text: str
    times: int


def summarise(recording: Recording) -> Summary:
    """The figures of a trial, also of one that was cut off."""
    samples, plan = recording.served, recording.plan
    window = sending_window(recording)
    duration_s = max(window.duration_s, 1e-9)
    turns = plan.traffic.turns
    loaded_s = duration_s if turns is None else turns.loaded_s
    answered = samples[(samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)]
    right = samples[(samples["outcome"] == OK) & (samples["done_ns"] <= window.end_ns)]
    if turns is not None:
        right = right[in_turns(turns, (right["done_ns"] - window.start_ns) / 1e9)]
    load = recording.load or {}
    scheduled = int(load.get("scheduled", len(samples)))
    sent = int(load.get("sent", np.count_nonzero(samples["outcome"] != NOT_SENT)))
    was_sent = samples[samples["sent_ns"] > 0]
    lag_s = (was_sent["sent_ns"] - was_sent["due_ns"]) / 1e9
    tiers = tiers_of(recording, window, int(np.count_nonzero(answered["done_ns"] <= window.end_ns)))
    return Summary(
        id=recording.id,
        label=recording.label,
        title=plan.title,
        arrivals=plan.traffic.arrivals,
        users=plan.traffic.users,
        phases=tuple(phase.text for phase in plan.traffic.phases),
        session=plan.traffic.session,
        offered_rps=scheduled / loaded_s,
        scheduled=scheduled,
        sent=sent,
        achieved_rps=len(right) / loaded_s,
        duration_s=duration_s,
        requests=len(samples),
        answered=len(answered),
        latency_s=spread((answered["done_ns"] - answered["due_ns"]) / 1e9),
        service_time_s=spread((answered["done_ns"] - answered["sent_ns"]) / 1e9),
        send_lag_s={name: value for name, value in spread(lag_s).items() if name in {"p50", "p99", "max"}},
        errors=_errors(samples, load.get("failed_checks", {})),
        backlog=_backlog(recording, window),
        generator=_generator(recording, window),
        tiers=tiers,
        exceptions=_events_by_text(recording, "exception"),
        egress_refused=_events_by_text(recording, "egress_refused"),
        happened={kind: recording.count(kind) for kind in TROUBLE if recording.count(kind)},
        incidents=_incidents(recording),
        routes=routes_of(recording),
        destination="" if plan.destination is None else plan.destination.url,
        dispersion=_dispersion(recording, window),
        retries=int(np.count_nonzero(samples["attempt"])),
        streams=streams_of(recording),
        gauged=gauged_of(recording),
        spent=spent_of(sampled_of(recording)),
        overlap_share=_overlap_share(recording, window),
        statements=statements_of(recording),
        tier_errors=tier_errors_of(recording, tiers),
        waits=waits_of(recording, window),
        cut_off=recording.load is None or bool(recording.load.get("interrupted")),
    )


def _overlap_share(recording: Recording, window: Window) -> float | None:
    turns, samples = recording.plan.traffic.turns, recording.samples
    if turns is None or recording.load is None:  # cut off: when the turns began is not known
        return None
    never_ns = np.where(samples["sent_ns"] > 0, window.end_ns, samples["due_ns"])
    done_ns = np.where(samples["done_ns"] > 0, samples["done_ns"], never_ns)
    return overlap_share(turns, (samples["due_ns"] - window.start_ns) / 1e9, (done_ns - window.start_ns) / 1e9)


def sending_window(recording: Recording) -> Window:
    """When requests were being sent: as the engine says, or from the samples of a trial that was cut off."""
    load = recording.load
    if load is not None:
        return Window(int(load["started_ns"]), int(load["ended_ns"]))
    if len(recording.samples) == 0:
        return Window(recording.began_ns, recording.began_ns)
    return Window(int(recording.samples["due_ns"].min()), int(recording.samples["done_ns"].max()))


def latencies_s(recording: Recording) -> Any:
    """Latency in seconds of each request that was answered."""
    samples = recording.served
    answered = samples[(samples["first_byte_ns"] > 0) & (samples["done_ns"] > 0) & (samples["outcome"] < UNANSWERED)]
    return (answered["done_ns"] - answered["due_ns"]) / 1e9


def _errors(samples: Samples, by_check: dict[str, int]) -> Errors:
    outcomes, counts = np.unique(samples["outcome"], return_counts=True)
    by_outcome = {OUTCOMES[o]: int(n) for o, n in zip(outcomes, counts, strict=True)}
    answered = samples[samples["status"] > 0]
    statuses, counts = np.unique(answered["status"], return_counts=True)
    wrong = sum(n for name, n in by_outcome.items() if name != "ok")
    return Errors(
        share=wrong / len(samples) if len(samples) else 0.0,
        by_outcome=by_outcome,
        by_status={str(s): int(n) for s, n in zip(statuses, counts, strict=True)},
        by_check=dict(by_check),
    )


def _backlog(recording: Recording, window: Window) -> Backlog:
    """Growing: by over 3 % of the offered rate, and by more than queueing at random would (4 standard deviations).

    Where the rate itself changes more requests are under way while it is higher, however quick they are (Little's law):
    then their latency, by when they were due, must grow by over 3 % of the time as well.
    """
    samples = recording.served
    if len(samples) == 0 or window.duration_s < 5 * BIN_S:
        return Backlog(mean=0.0, slope_per_s=0.0, rise=0.0, growing=False)
    begin_ns = window.start_ns + (window.end_ns - window.start_ns) // 3
    grid_ns = np.arange(begin_ns, window.end_ns, int(BIN_S * 1e9))
    done_ns = np.where(samples["outcome"] == UNANSWERED, 0, samples["done_ns"])
    levels = stats.outstanding(samples["due_ns"], done_ns, grid_ns)
    line = stats.trend(grid_ns / 1e9, levels)
    offered = len(samples) / window.duration_s
    chance = 4 + 4 * np.sqrt(max(line.mean, 0.0))
    growing = recording.plan.traffic.arrivals != "closed" and line.slope_per_s > 0.03 * offered and line.rise > chance
    if growing and recording.plan.traffic.profile:
        growing = _latency_slope(samples, begin_ns) > 0.03
    return Backlog(mean=line.mean, slope_per_s=line.slope_per_s, rise=line.rise, growing=bool(growing))


def _latency_slope(samples: Samples, begin_ns: int) -> float:
    """By how many seconds latency grew each second, over requests due from an instant on; the line of bins' medians."""
    later = np.sort(samples[samples["due_ns"] >= begin_ns], order="due_ns")
    bins, firsts = np.unique((later["due_ns"] - begin_ns) // int(BIN_S * 1e9), return_index=True)
    latency_s = (later["done_ns"] - later["due_ns"]) / 1e9
    medians = np.array([np.median(part) for part in np.split(latency_s, firsts[1:])]) if len(later) else latency_s
    return stats.trend(bins * BIN_S, medians).slope_per_s


def _dispersion(recording: Recording, window: Window) -> dict[str, float | None]:
    """Over whole bins of the window, around what phases expect of each; of arrivals that a schedule set.

    Clients' tries again, and what follows in a journey or a session, are none of these.
    """
    samples = recording.samples
    ours = samples[(samples["sent_ns"] > 0) & (samples["attempt"] == 0)]
    edges_ns = np.arange(window.start_ns, window.end_ns, DISPERSION_BIN_NS)
    traffic = recording.plan.traffic
    waits = traffic.arrivals == "closed" or traffic.journeys or traffic.session is not None
    if waits or len(edges_ns) < 201 or len(ours) < DISPERSION_LEAST:
        return {"due": None, "sent": None}
    counts = {name: np.histogram(ours[f"{name}_ns"], edges_ns)[0] for name in ("due", "sent")}
    asked = _expected(traffic.profile, (edges_ns - window.start_ns) / 1e9)
    return {
        name: float(((each - (each.mean() if asked is None else asked)) ** 2).mean() / each.mean())
        for name, each in counts.items()
    }


def _expected(profile: tuple[tuple[float, float, float], ...], edges_s: Any) -> Any:
    """Arrivals expected between each two instants; None where the rate did not change."""
    stretches = tuple(profiles.Stretch(*each) for each in profile)
    return np.diff(profiles.expected(stretches, edges_s)) if stretches else None


def _generator(recording: Recording, window: Window) -> dict[str, float | None]:
    load = recording.load
    if load is None:
        return {"cpu_s_per_request": None, "cpu_share": None}
    done = max(int(load["done"]), 1)
    sending = Windowed(recording, window).rate("generator", "cpu_s")  # without the drain, which costs little
    share = max(load["cpu_share"], (sending or 0.0) / load.get("cores", 1))
    turns = recording.plan.traffic.turns
    if turns is not None:  # in the others' turns it has nothing to do
        share *= window.duration_s / turns.loaded_s
    return {"cpu_s_per_request": load["cpu_s"] / done, "cpu_share": share}


def _incidents(recording: Recording) -> tuple[Incident, ...]:
    """Every event that speaks of trouble, in order of first sight."""
    found: dict[tuple[str, str, str], int] = {}
    for event in recording.events:
        if event.kind in TROUBLE:
            key = (event.kind, event.tier, event.text)
            found[key] = found.get(key, 0) + event.times
    return tuple(Incident(*key, times) for key, times in list(found.items())[:INCIDENTS_MAX])


def _events_by_text(recording: Recording, kind: str) -> dict[str, int]:
    """How often each thing of a kind happened, by its text."""
    found: dict[str, int] = {}
    for event in recording.events:
        if event.kind == kind:
            found[event.text] = found.get(event.text, 0) + event.times
    return found
