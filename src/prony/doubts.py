"""A trial's figures in, typed reasons to distrust some of them out, from one closed list; each says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct, structs

from prony.plan import refusals
from prony.recording import Recording
from prony.stats import samples_wanted
from prony.summary import QUANTILES, RouteFigures, Summary

LATENCY = ("latency_s", "service_time_s")
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
    "mix_guessed",
)
TEXTS_MAX = 3  # of one kind that are told


class Doubt(Struct, frozen=True, kw_only=True):
    """A reason to distrust figures of one trial.

    Attributes:
        name: From the closed list `KINDS`.
        kind: A note informs; a void makes the figures in `voids` null.
        voids: Dotted figure names such as "latency_s.p99", or "all".
        text: The figures that raised it.
        todo: What to do about it.
    """

    name: str
    kind: Literal["note", "void"]
    voids: tuple[str, ...]
    text: str
    todo: str
    trial: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of doubt: what it means, what it voids (nothing: a note), and what to do."""

    name: str
    means: str
    todo: str
    voids: tuple[str, ...] = ()


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "sent_short",
            "Fewer requests were sent than were due.",
            "Lower the rate, or free the generator's core.",
            ("all",),
        ),
        Kind(
            "late_sends",
            "The generator sent late: send lag p99 over 1 ms and over 5 % of the median latency.",
            "Close what else runs on this machine, or lower the rate.",
            LATENCY,
        ),
        Kind(
            "uneven_sends",
            "Requests were not sent as their arrivals were asked for: in bins of 10 ms they are spread over 5 % more, "
            "or less, unevenly than the schedule (of even ones: than 5 % of what chance would do).",
            "Close what else runs on this machine, or lower the rate.",
            LATENCY,
        ),
        Kind(
            "generator_busy",
            "The generator used over 80 % of its core.",
            "Lower the rate: the limit found is ours.",
            ("all",),
        ),
        Kind(
            "generator_exhausted",
            "The generator ran out of ports or descriptors: requests failed on our side.",
            "Lower the rate or the number of users, or raise the limit on open files.",
            ("all",),
        ),
        Kind(
            "generator_near_limit",
            "The rate is over 80 % of what this machine's generator could send when `prony doctor` tried.",
            "Lower the rate; more cores for the generator raise it.",
        ),
        Kind(
            "generator_near_exhaustion",
            "Over 80 % of the generator's ports or descriptors were taken.",
            "Keep connections alive, lower the rate, or raise the limit on open files.",
        ),
        Kind(
            "few_samples",
            "Too few answers for a quantile: p99 wants 400, p99.9 wants 4 000.",
            "Run for longer, or read a lower quantile.",
            LATENCY,
        ),
        Kind(
            "backlog_growing",
            "Requests came faster than they were served: latencies then measure how long the test ran.",
            "Read the growth and the rate achieved; for latencies, offer less.",
            LATENCY,
        ),
        Kind(
            "nothing_valid",
            "Fewer than 1 % of the answers were right: their latency is not the app's.",
            "Look at the statuses and the app's log; is its data there?",
            (*LATENCY, "achieved_rps"),
        ),
        Kind(
            "canary_moved",
            "A fixed piece of work took over 15 % longer or shorter after the trial than before.",
            "Repeat when the machine is calm.",
        ),
        Kind(
            "steal",
            "Over 2 % of the cores' time went to other guests of the host.",
            "Repeat at another time, or on another host.",
        ),
        Kind(
            "neighbours",
            "Programs that are not the stack's used over a quarter of a core on the stack's cores.",
            "Stop them, or repeat when the machine is calm.",
        ),
        Kind("cut_off", "The trial was ended before its time.", "Run it again for the whole of it."),
        Kind(
            "shared_core",
            "App and stores share their cores: a busy store slows the app.",
            "Use a machine with more cores to part them.",
        ),
        Kind("one_core", "Generator and app share a core: capacity is only ever 'at least'.", "Use two cores or more."),
        Kind(
            "hook_only",
            "No network namespace could be made: only the audit hook contains the app's Python code.",
            "Allow user namespaces, or run as root.",
        ),
        Kind(
            "no_store",
            "No [stores.NAME] is declared: what the app writes is not restored between starts.",
            "Declare it, or make sure that the app's data may be written to.",
        ),
        Kind(
            "own_store",
            "A store is the user's own: it was not prepared, is not restored between starts, and may serve others.",
            "Let prony start one (kind = postgres, ...) where starts are to be compared.",
        ),
        Kind(
            "folder_written",
            "What the app writes into its folder reached the project's own files, and stays from start to start.",
            "Run as root or where user namespaces are allowed, so that the folder can be covered; or work on a copy.",
        ),
        Kind(
            "box_not_held",
            "A box could not be made by the kernel's cgroups: its limits are only approached, by cores and rlimits.",
            "Run as root, or where cgroups are delegated to you (systemd --user).",
            ("achieved_rps", *LATENCY),
        ),
        Kind(
            "box_beyond_cores",
            "A box has more CPUs than the stack has cores here: what it could do with the rest was not seen.",
            "Use a machine with more cores, or a smaller box.",
        ),
        Kind(
            "egress_closed",
            "Hosts opened under [app] egress could not be named in the stack's network: they stayed closed.",
            "Run as root, or with --no-namespace.",
        ),
        Kind("probe_failed", "A source of readings failed: figures of it are missing.", "Look at its message."),
        Kind(
            "probe_slow",
            "A source of readings took over half of its period in over 5 % of the looks: there are gaps between them.",
            "Read its figures as rough ones; a service that is overloaded answers late.",
        ),
        Kind(
            "probes_costly",
            "Looking used over 2 % of a core.",
            "Repeat on a machine with more cores; many processes and a long log cost most.",
        ),
        Kind(
            "gauge_silent",
            "The gauge gave no readings: busy workers cannot be told from other waits.",
            "Look at the app's log.",
        ),
        Kind(
            "gauge_lost",
            "The gauge's records were overwritten unread: what is told by route, statement, call is of a part.",
            "Lower the rate, or repeat when the machine is calm.",
        ),
        Kind(
            "not_watched",
            "prony did not start what was loaded: what stands behind it was not watched, nothing was restored between "
            "trials, and its settings are not known.",
            "Describe it in a prony.toml (prony init) to see which tier gives out.",
        ),
        Kind(
            "app_reached_out",
            "The app tried to reach hosts outside its stack, and was refused.",
            "Name a host under egress ([app] egress = [...]), or stand in a service of ours ([services.NAME]).",
        ),
        Kind(
            "mix_guessed",
            "The mix is guessed: visitors do not ask for each page equally often. Rates and latencies over all pages "
            "depend on the mix; each route's own cost does not.",
            "Declare [[traffic.request]] with weights, or take the mix from a log: prony import access.log.",
        ),
        Kind(
            "journey_raised",
            "A journey's own code raised: its runs ended there, and what would have come after was not asked for.",
            "Correct the journey at that line.",
        ),
        Kind(
            "journey_remark",
            "Something about the journeys is to be known.",
            "Look at what it says; docs/howto/journeys.md.",
        ),
    )
}


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


def _about_the_machine(recording: Recording, summary: Summary, raise_doubt: Raise) -> None:
    for core in ("stack", "generator"):
        canary = recording.values("canary", f"{core}_s")
        if len(canary) >= 2 and abs(canary[-1] / canary[0] - 1) > 0.15:
            raise_doubt("canary_moved", f"on the {core}'s core from {canary[0] * 1e3:.2f} to {canary[-1] * 1e3:.2f} ms")
    steal = summary.tiers["host"]["steal_share"]
    if steal is not None and steal > 0.02:
        raise_doubt("steal", f"{steal:.1%} of the time stolen")
    host = summary.tiers["host"]
    busy, cores, stack = host["busy_share"], host["cores"], host["stack_share"]
    if busy is not None and cores is not None and stack is not None and not summary.destination:
        others = busy * cores - stack
        if others > 0.25:
            raise_doubt("neighbours", f"others used {others:.2f} of the stack's {cores:.0f} core(s)")


def _about_what_was_watched(recording: Recording, summary: Summary, raise_doubt: Raise) -> None:
    if summary.destination:
        seen = next((e.text for e in recording.events if e.kind == "listener"), "")
        raise_doubt("not_watched", seen or f"nothing of {summary.destination} was watched")
    elif summary.tiers["workers"]["slots"] is None and summary.requests:
        raise_doubt("gauge_silent", "no mapped file of a serving process was seen")
    lost = recording.growth("workers", "records_lost")
    if lost > 0:
        raise_doubt("gauge_lost", f"{lost:.0f} records were overwritten unread, beside {summary.requests} requests")
    for name in NOTED:
        texts = list(dict.fromkeys(e.text for e in recording.events if e.kind == name))
        several = texts[:TEXTS_MAX] if name.startswith("probe_") else texts[:1]
        if texts:
            raise_doubt(name, "; ".join(several))
    cost = summary.tiers.get("probes", {}).get("core_share")
    if cost is not None and cost > 0.02:
        raise_doubt("probes_costly", f"the probes used {cost:.1%} of a core")
    if summary.egress_refused:
        raise_doubt("app_reached_out", refusals.told(summary.egress_refused))


def believed(summary: Summary, doubts: Iterable[Doubt]) -> Summary:
    """The summary with every voided figure null."""
    routes = tuple(_enough(each) for each in summary.routes)
    voids = {name for doubt in doubts for name in doubt.voids}
    if not voids:
        return structs.replace(summary, routes=routes)
    if "all" in voids:
        voids |= {*LATENCY, "send_lag_s"}

    def cleared(figure: str, values: dict[str, float | None]) -> dict[str, float | None]:
        return {name: None if figure in voids or f"{figure}.{name}" in voids else v for name, v in values.items()}

    return structs.replace(
        summary,
        latency_s=cleared("latency_s", summary.latency_s),
        service_time_s=cleared("service_time_s", summary.service_time_s),
        routes=tuple(
            structs.replace(
                each,
                latency_s=cleared("latency_s", each.latency_s),
                service_time_s=cleared("service_time_s", each.service_time_s),
            )
            for each in routes
        ),
    )


def _enough(route: RouteFigures) -> RouteFigures:
    """A route with those quantiles null for which it had too few answers."""

    def kept(values: dict[str, float | None]) -> dict[str, float | None]:
        few = {name for name, q in QUANTILES.items() if q > 0.5 and route.requests < samples_wanted(q)}
        return {name: None if name in few else value for name, value in values.items()}

    return structs.replace(route, latency_s=kept(route.latency_s), service_time_s=kept(route.service_time_s))


def late(doubts: Iterable[Doubt]) -> bool:
    """Whether the generator sent late, which only ever adds to latency."""
    return any(doubt.name in {"late_sends", "uneven_sends"} for doubt in doubts)


def voids_all(doubts: Iterable[Doubt]) -> bool:
    """Whether nothing the trial says of the app is to be believed."""
    return any("all" in doubt.voids for doubt in doubts)
