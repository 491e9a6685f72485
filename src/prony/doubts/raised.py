"""A trial's figures in, typed reasons to distrust some of them out, from one closed list; each says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from prony.doubts.kinds import KINDS, LATENCY, Doubt
from prony.plan import refusals
from prony.recording import Recording
from prony.stats import samples_wanted
from prony.summary import QUANTILES, Summary

# Events that are doubts as they stand.
NOTED = (
    "one_core",
    "shared_core",
    "hook_only",
    "no_store",
    "own_store",
    "folder_written",
    "box_not_held",
    "box_beyond_cores",
    "egress_closed",
    "probe_failed",
    "probe_slow",
    "hook_off",
    "mix_guessed",
)
PERIOD_S = 0.1  # of the scheduler that deals out a box's CPU time, where the plan says no other
OVERLAP = 0.05  # of the time of others that take turns with it
MOVED = 0.15  # of what a canary took before the trial
LOST = 0.01  # of the gauge's records, beside requests: beyond it what they add up to is not told
TEXTS_MAX = 3  # of one kind that are told


def doubts_of(recording: Recording, summary: Summary) -> list[Doubt]:
    """All doubts about one trial."""
    found: list[Doubt] = []

    def raise_doubt(name: str, text: str, *, voids: Iterable[str] | None = None) -> None:
        kind = KINDS[name]
        what = kind.voids if voids is None else tuple(voids)
        found.append(
            Doubt(name=name, kind="void" if what else "note", voids=what, text=text, todo=kind.todo, trial=summary.id)
        )

    _about_the_generator(summary, raise_doubt)
    _about_the_generators_means(recording, summary, raise_doubt)
    _about_the_answers(summary, raise_doubt)
    _about_the_journeys(recording, summary, raise_doubt)
    _about_the_machine(recording, summary, raise_doubt)
    _about_what_was_watched(recording, summary, raise_doubt)
    return found


Raise = Callable[..., None]
_RAISED = re.compile(r"\S+\.py:\d+")  # how the load engine begins what a journey raised


def _about_the_generator(summary: Summary, raise_doubt: Raise) -> None:
    if summary.cut_off:
        raise_doubt("cut_off", f"{summary.requests} requests had ended by then")
    elif summary.scheduled and summary.sent < 0.99 * summary.scheduled:
        raise_doubt("sent_short", f"{summary.sent} sent of {summary.scheduled} due")
    lag_s, median_s = summary.send_lag_s["p99"], summary.latency_s["p50"]
    if lag_s is not None and lag_s > max(0.001, 0.05 * (median_s or 0)):
        raise_doubt("late_sends", f"send lag p99 {lag_s * 1000:.1f} ms, median latency {(median_s or 0) * 1000:.1f} ms")
    ours = sum(summary.errors.by_outcome.get(name, 0) for name in ("ports_exhausted", "descriptors_exhausted"))
    if ours:
        raise_doubt("generator_exhausted", f"{ours} of {summary.requests} requests")
    if summary.overlap_share is not None and summary.overlap_share > OVERLAP:
        raise_doubt("turns_overlap", f"it was still being answered in {summary.overlap_share:.0%} of the others' time")
    share = summary.generator["cpu_share"]
    if share is not None and share > 0.8:
        raise_doubt("generator_busy", f"generator CPU {share:.0%} of its core")


def _about_the_generators_means(recording: Recording, summary: Summary, raise_doubt: Raise) -> None:
    sent, due = summary.dispersion.get("sent"), summary.dispersion.get("due")
    if sent is not None and due is not None and abs(sent - due) > 0.05 * max(due, 1.0):
        raise_doubt("uneven_sends", f"variance to mean in bins of 10 ms: {sent:.3f} as sent, {due:.3f} as due")
    known = recording.values("generator", "calibrated_rps")
    traffic = recording.plan.traffic
    peaks = [] if traffic.arrivals == "closed" else [phase.most * (traffic.session or 1) for phase in traffic.phases]
    most = max(summary.offered_rps, *peaks) if peaks else summary.offered_rps
    if len(known) and most > 0.8 * known[-1]:
        raise_doubt("generator_near_limit", f"{most:.0f} rps; {known[-1]:.0f} rps when it was tried")
    taken = {what: recording.values("generator", f"{what}_share") for what in ("ports", "descriptors")}
    for what, shares in taken.items():
        if len(shares) and shares.max() > 0.8:
            raise_doubt("generator_near_exhaustion", f"{shares.max():.0%} of its {what}")


def _about_the_answers(summary: Summary, raise_doubt: Raise) -> None:
    right = summary.errors.by_outcome.get("ok", 0)
    if summary.answered and right < 0.01 * summary.answered:
        statuses = ", ".join(f"{n} × {status}" for status, n in summary.errors.by_status.items())
        raise_doubt("nothing_valid", f"{right} right of {summary.answered}; answers: {statuses}")
    short = [name for name, q in QUANTILES.items() if q > 0.5 and summary.answered < samples_wanted(q)]
    if short and summary.requests:
        voids = [f"{figure}.{name}" for figure in LATENCY for name in short]
        raise_doubt("few_samples", f"{summary.answered} answers; not enough for {', '.join(short)}", voids=voids)
    if summary.backlog.growing:
        rate, of = summary.backlog.slope_per_s, " on average" if summary.phases else ""
        raise_doubt(
            "backlog_growing", f"the backlog grew by {rate:.0f} requests a second at {summary.offered_rps:.0f} rps{of}"
        )


def _about_the_journeys(recording: Recording, summary: Summary, raise_doubt: Raise) -> None:
    raised = summary.errors.by_outcome.get("journey_error", 0)
    if raised:
        lines = sorted((text for text in summary.errors.by_check if _RAISED.match(text)), key=len)
        raise_doubt("journey_raised", f"{raised} times: {'; '.join(lines[:3]) or 'no line is known'}")
    remarks = (recording.load or {}).get("remarks") or ()
    if remarks:
        raise_doubt("journey_remark", "; ".join(remarks[:5]))


def _moved(recording: Recording, core_of: str, piece: str) -> str:
    """How a piece of work went on the core on which it changed the most; empty where it did on none.

    `piece`: how its readings' names end; see `probes.canary`.
    """
    moved = []
    for tier, name in recording.readings:
        number = name.removeprefix(core_of).removesuffix(piece).removeprefix("_")
        times_s = recording.values(tier, name)
        of_it = (
            tier == "canary" and name.startswith(core_of) and name.endswith(piece) and not number.strip("0123456789")
        )
        if of_it and len(times_s) >= 2:
            moved.append((abs(times_s[-1] / times_s[0] - 1), number, times_s[0] * 1e3, times_s[-1] * 1e3))
    share, number, before_ms, after_ms = max(moved, default=(0.0, "", 0.0, 0.0))
    which = f" number {number}" if number else ""
    return f"on the {core_of}'s core{which} from {before_ms:.2f} to {after_ms:.2f} ms" if share > MOVED else ""


def _about_the_machine(recording: Recording, summary: Summary, raise_doubt: Raise) -> None:
    for name, piece in (("canary_moved", "_s"), ("memory_moved", "_memory_s")):
        moved = [text for core_of in ("stack", "generator") if (text := _moved(recording, core_of, piece))]
        if moved:
            raise_doubt(name, "; ".join(moved))
    steal = summary.tiers["host"]["steal_share"]
    if steal is not None and steal > 0.02:
        raise_doubt("steal", f"{steal:.1%} of the time stolen")
    host = summary.tiers["host"]
    busy, cores, stack = host["busy_share"], host["cores"], host["stack_share"]
    if busy is not None and cores is not None and stack is not None and not summary.destination:
        others = busy * cores - stack
        if others > 0.25:
            raise_doubt("neighbours", f"others used {others:.2f} of the stack's {cores:.0f} core(s)")
    waited = host.get("memory_pressure_share")
    if waited is not None and waited > 0.01:
        raise_doubt("memory_short", f"something waited for memory for {waited:.1%} of the time")
    periods_s = {f"box.{box.name}": box.period_s or PERIOD_S for box in recording.plan.boxes}
    for name, tier in summary.tiers.items():
        stopped, median_s = tier.get("throttled_share"), summary.latency_s["p50"]
        period_s = periods_s.get(name, PERIOD_S)
        if name.startswith("box.") and stopped and median_s is not None and median_s < 3 * period_s:
            where = f"{name.removeprefix('box.')} in {stopped:.0%} of its periods"
            raise_doubt("box_periods", f"{where}; median latency {median_s * 1e3:.0f} ms")


def _about_what_was_watched(recording: Recording, summary: Summary, raise_doubt: Raise) -> None:
    if summary.destination:
        seen = next((e.text for e in recording.events if e.kind == "listener"), "")
        raise_doubt("not_watched", seen or f"nothing of {summary.destination} was watched")
    elif summary.tiers["workers"]["slots"] is None and summary.requests:
        raise_doubt("gauge_silent", "no mapped file of a serving process was seen")
    lost = recording.growth("workers", "records_lost")
    if lost > 0:
        text = f"{lost:.0f} records were overwritten unread, beside {summary.requests} requests"
        raise_doubt("gauge_lost", text, voids=None if lost > LOST * summary.requests else ())
    for name in NOTED:
        texts = list(dict.fromkeys(e.text for e in recording.events if e.kind == name))
        several = texts[:TEXTS_MAX] if name.startswith(("probe_", "hook_off")) else texts[:1]
        if texts:
            raise_doubt(name, "; ".join(several))
    cost = summary.tiers.get("probes", {}).get("core_share")
    if cost is not None and cost > 0.02:
        raise_doubt("probes_costly", f"the probes used {cost:.1%} of a core")
    if summary.egress_refused:
        raise_doubt("app_reached_out", refusals.told(summary.egress_refused))
