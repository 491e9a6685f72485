"""A trial's figures in, the tier and cause that limit it out: by evidence, along the chain of waits, never by name.

"All workers busy" is mostly a symptom: a slot is held by whoever waits further down. So the chain is walked from the
client to the database until waiting stops moving on, and the configuration's own names play no part.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from prony.capacity import Judgement
from prony.summary import Summary
from prony.verdict.model import Verdict

SATURATED = 0.9  # of a core's or a set of slots' time
DOMINANT = 0.5  # of a request's time
IDLE = 0.75  # below this the CPU had time left; between the two it was nearly used up as well
TIED = 1.5  # two tiers' CPU within this ratio of each other are tied
LITTLE = 0.02  # of a request's time: less is not worth a word
WAITS = {  # where the time of requests goes that are in the app
    "database_share": "in SQL statements",
    "pool_share": "waiting for a pool's connection",
    "connect_share": "opening connections",
    "outbound_share": "in calls to other hosts",
    "cache_share": "asking a cache",
}
SLOW = ("timeout", "unanswered")
CUT = ("refused", "reset")  # the server closed or would not open: waits too, unless it died
FATAL = ("died", "out_of_memory", "worker_killed", "worker_failed", "worker_timeout", "descriptors_exhausted")


@dataclass(slots=True)
class _Case:
    """The evidence as it is gathered."""

    summary: Summary
    evidence: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def figure(self, tier: str, name: str) -> float:
        """A tier's figure, noted under its own name; 0 where it was never read."""
        value = self.summary.tiers[tier].get(name)
        if value is not None:
            self.figures[f"{tier}.{name}"] = value
        return value or 0.0

    def say(self, text: str) -> None:
        self.evidence.append(text)

    def verdict(self, tier: str, tier_grade: str, cause: str, cause_grade: str) -> Verdict:
        return Verdict(
            tier=tier,
            tier_grade=tier_grade,
            cause=cause,
            cause_grade=cause_grade,
            evidence=tuple(self.evidence),
            figures=self.figures,
            trial=self.summary.id,
        )


def conclude(summary: Summary, judgement: Judgement) -> Verdict:
    """What limits this trial, from its figures alone."""
    case = _Case(summary)
    if judgement.held is None:
        return _generator(case, judgement)
    if summary.errors.share > 0 and any(limit.startswith("errors") for limit in judgement.broken):
        found = _errors(case, judgement)
        if found is not None:
            return found
    if not judgement.broken:
        case.say("The limits held.")
        return case.verdict("none", "consistent", "none", "consistent")
    for limit in judgement.broken:
        case.say(f"Limit broken: {limit}.")
    return _not_watched(case) if summary.destination else _slowness(case)


def _generator(case: _Case, judgement: Judgement) -> Verdict:
    summary = case.summary
    if not summary.requests or summary.cut_off:
        case.say("No request was recorded." if not summary.requests else "The trial was cut off before its time.")
        return case.verdict("unknown", "unknown", "unknown", "unknown")
    case.say(f"{summary.sent} of {summary.scheduled} due requests were sent.")
    if summary.generator["cpu_share"] is not None:
        case.figures["generator.cpu_share"] = summary.generator["cpu_share"]
        case.say(f"The generator used {summary.generator['cpu_share']:.0%} of its core.")
    if summary.send_lag_s["p99"] is not None:
        case.figures["send_lag_p99_s"] = summary.send_lag_s["p99"]
        case.say(f"Its send lag was {summary.send_lag_s['p99'] * 1000:.1f} ms at p99.")
    for limit in judgement.broken:
        case.say(f"Not to be believed: {limit}.")
    return case.verdict("generator", "consistent", "load_generator", "consistent")


def _errors(case: _Case, judgement: Judgement) -> Verdict | None:
    """What explains the failed requests; None when they are slowness by another name."""
    summary = case.summary
    outcomes = summary.errors.by_outcome
    failed = sum(n for name, n in outcomes.items() if name != "ok")
    fatal = [name for name in FATAL if summary.happened.get(name)]
    waits = SLOW if fatal else (*SLOW, *CUT)
    slow = sum(outcomes.get(name, 0) for name in waits)
    statuses = ", ".join(f"{n} × {status}" for status, n in sorted(summary.errors.by_status.items()))
    case.figures["errors.share"] = summary.errors.share
    case.say(
        f"{failed} of {summary.requests} requests failed ({summary.errors.share:.1%}); answers: {statuses or 'none'}."
    )
    for name, count in sorted(summary.exceptions.items(), key=lambda item: -item[1])[:3]:
        case.say(f"In the app: {count} × {name}.")
    for name, count in sorted(summary.happened.items()):
        case.say(f"Seen in logs and processes: {count} × {name}.")
    refused_by_log = case.figure("connections", "refused")
    refused_in_app = float(sum(n for name, n in summary.exceptions.items() if "[53300]" in name))
    refused = max(refused_by_log, refused_in_app)
    if refused >= DOMINANT * failed:
        most, limit, usable = (case.figure("connections", name) for name in ("most", "limit", "usable"))
        case.figures["connections.refused"] = refused
        sources = []
        if refused_by_log:
            sources.append(f"Postgres's own log holds {refused_by_log:.0f} refusals (SQLSTATE 53300)")
        if refused_in_app:
            sources.append(f"the gauge counted {refused_in_app:.0f} exceptions with that SQLSTATE")
        case.say(f"The database refused connections: {'; '.join(sources)}.")
        case.say(f"{most:.0f} of {limit:.0f} connections were seen taken at once; the app can have {usable:.0f}.")
        return case.verdict("connections", "consistent", "connections_exhausted", "consistent")
    if outcomes.get("ok", 0) < 0.01 * summary.requests and slow < DOMINANT * failed:
        case.say("Not a valid test of anything: hardly an answer was right, from the first second on.")
        return case.verdict("app", "consistent", "wrong_answers", "consistent")
    if slow >= DOMINANT * failed:
        named = ", ".join(f"{outcomes[name]} × {name}" for name in waits if outcomes.get(name))
        case.say(f"They are waits by another name: {named}.")
        return None
    if fatal:
        case.say("The server or its workers ended or were killed: why is in the app's log.")
        return case.verdict("workers", "consistent", "unknown", "unknown")
    if summary.destination:
        return None
    case.say("What failed them was not among the causes known so far.")
    if len(judgement.broken) > 1:
        return None  # there is slowness to explain as well
    return case.verdict("unknown", "unknown", "unknown", "unknown")


def _slowness(case: _Case) -> Verdict:
    """Walks the chain of waits: listen queue, slots, CPU, connections, database."""
    busy, full = _seen_busy(case), _seen_full(case)
    opens = _seen_opening(case)
    locks, active = case.figure("database", "lock_waits_mean"), case.figure("database", "active_mean")
    locked = active >= 1 and locks >= DOMINANT * active
    if locked:
        case.say(f"In the database {locks:.1f} of {active:.1f} active backends waited for a lock.")
        _say_who_blocks(case)
    if busy:
        tier, grade = _who_uses_the_cpu(case)
        if opens:  # what keeps the CPU busy, on either side, is the opening
            return case.verdict("connections", "consistent", "connection_per_request", _grade_of_opening(case))
        if tier == "unknown":
            return case.verdict("unknown", "unknown", "unknown", "unknown")
        if tier == "app":
            return case.verdict("app", grade, "app_cpu", grade)
        _say_costliest(case)
        return case.verdict("database", grade, "unknown", "unknown")
    if locked:
        return case.verdict("database", "consistent", "unknown", "unknown")
    return _waiting(case, full=full, opens=opens)


def _say_costliest(case: _Case) -> None:
    """Which statement took most of the database's time, by its own account."""
    statements = case.summary.statements
    total_s = sum(each.total_s for each in statements)
    if not total_s:
        case.say("Which of its statements is not known: the database does not count them.")
        return
    first = statements[0]
    case.say(
        f"{first.total_s / total_s:.0%} of its statements' time went to one: {first.text} ({first.calls} times, "
        f"{first.mean_s * 1000:.3g} ms each)."
    )


def _say_who_blocks(case: _Case) -> None:
    """Who was seen waiting for whom, most often first; by kind of statement and table."""
    seen = [each for each in case.summary.incidents if each.kind == "blocked"]
    for each in sorted(seen, key=lambda each: -each.times)[:2]:
        case.say(f"Seen {each.times} times, a look each second: {each.text}.")


def _not_watched(case: _Case) -> Verdict:
    """Load alone: what the kernel tells of the processes that listen there is evidence, but names no tier."""
    cpu = case.summary.tiers["app"]["cpu_share"]
    if cpu is not None:
        one = case.figure("app", "busiest_process_share")
        case.figures["app.cpu_share"] = cpu
        case.say(f"The processes that listen there used {cpu:.2f} of a core; the busiest of them {one:.0%} of one.")
        if one >= SATURATED:
            case.say("If that one is a Python program, it is out of CPU: the GIL gives it little more than a core.")
    cores = case.summary.tiers["host"]["cores"]
    if cores is not None:
        busy = case.figure("host", "busy_share")
        case.say(f"This machine's {cores:.0f} core(s), the generator's among them, were {busy:.0%} busy.")
    queue = case.figure("listen_queue", "length_max")
    if queue:
        case.say(f"Up to {queue:.0f} connections waited there to be accepted.")
    case.say(f"What stands behind {case.summary.destination} was not watched: which tier gave out cannot be said.")
    return case.verdict("unknown", "unknown", "not_watched", "unknown")


def _waiting(case: _Case, *, full: bool, opens: bool) -> Verdict:
    """The CPU is not used up and no lock is waited for: the slots themselves, or cannot tell."""
    if not full:
        case.say("Neither the CPU nor the slots were used up: cannot tell.")
        return case.verdict("unknown", "unknown", "unknown", "unknown")
    grade = "tied" if case.figure("host", "busy_share") >= IDLE else "consistent"
    if grade == "tied":
        case.say("The CPU was nearly used up as well, so more workers alone would gain little: slots and CPU are tied.")
    if opens:
        return case.verdict("connections", "consistent", "connection_per_request", "consistent")
    active = case.figure("database", "active_mean")
    if active >= 1 and active >= DOMINANT * case.figure("workers", "in_flight_mean"):
        case.say(
            f"But {active:.1f} statements were running in the database at any time, which has CPU left: slots wait for "
            "long statements. Faster statements or more slots would both help."
        )
        _say_costliest(case)
        return case.verdict("database", "tied", "unknown", "unknown")
    if case.summary.tiers["database"].get("active_mean") is not None:
        case.say("The database waits for no lock and has CPU left.")
    if _say_where_time_goes(case) and grade == "consistent":
        grade = "tied"
    return case.verdict("workers", grade, "worker_starvation", grade)


def _say_where_time_goes(case: _Case) -> bool:
    """What requests did while they held their slots; whether most of it was one kind of waiting for somebody else."""
    shares = {words: case.figure("workers", name) for name, words in WAITS.items()}
    if case.summary.tiers["workers"].get("outbound_share") is None:
        case.say("What requests did in the app was not looked at here: a slow outside service or a lock would look so.")
        return False
    most = max(shares, key=lambda words: shares[words])
    seen = ", ".join(f"{share:.0%} {words}" for words, share in shares.items() if share >= LITTLE)
    case.say(
        f"Of their time in the app, requests spent {seen or 'hardly any on what the gauge sees'}; the rest is the "
        "app's own: its code, its turn for the CPU, a sleep or a lock inside it."
    )
    if shares[most] < DOMINANT:
        return False
    case.say(f"Slots are held {most}: shortening that, or more slots, would both help.")
    return True


def _grade_of_opening(case: _Case) -> str:
    """Where one process serves several requests, the time to connect holds waiting for the GIL as well."""
    slots, processes = case.figure("workers", "slots"), case.figure("workers", "processes")
    if processes and slots > processes:
        case.say("Several requests share a process here: some of that time waits for its CPU. Tied with the app's.")
        return "tied"
    return "consistent"


def _seen_busy(case: _Case) -> bool:
    cores = case.figure("host", "cores")
    busy = case.figure("host", "busy_share")
    one = case.figure("app", "busiest_process_share")
    app, database = case.figure("app", "cpu_share"), case.figure("database", "cpu_share")
    case.say(f"The stack's {cores:.0f} core(s) were {busy:.0%} busy: app {app:.2f}, database {database:.2f} of a core.")
    if busy < SATURATED and one >= SATURATED:
        case.say(f"One process of the app used {one:.0%} of a core; the GIL gives it little more than one.")
    return busy >= SATURATED or one >= SATURATED


def _seen_full(case: _Case) -> bool:
    slots, in_flight = case.figure("workers", "slots"), case.figure("workers", "in_flight_mean")
    share = case.figure("workers", "in_flight_share")
    queue = case.figure("listen_queue", "length_max")
    if slots:
        case.say(
            f"{in_flight:.1f} of {slots:.0f} slots were taken on average; up to {queue:.0f} connections queued before."
        )
    shut_out = case.summary.errors.by_outcome.get("unanswered", 0) + case.summary.errors.by_outcome.get("timeout", 0)
    if shut_out and case.figure("listen_queue", "length_mean") >= SATURATED * shut_out:
        case.say(
            f"{shut_out} requests were never accepted: their connections stayed in the listen queue while others, once "
            "accepted, were served again and again. The server holds no more connections open at a time."
        )
    overflows = case.figure("listen_queue", "overflows")
    if overflows:
        case.say(f"The listen queue overflowed {overflows:.0f} times.")
    return share >= SATURATED


def _seen_opening(case: _Case) -> bool:
    opened = max(case.figure("workers", "connects_per_request"), case.figure("database", "sessions_per_request"))
    share = case.figure("workers", "connect_share")
    each_s = case.figure("workers", "in_app_s_per_request")
    if opened >= 0.1:
        case.say(
            f"{opened:.2f} database connections were opened per request, which took {share:.0%} of the "
            f"{each_s * 1000:.1f} ms that a request spent in the app."
        )
    return opened >= DOMINANT and share >= DOMINANT


def _who_uses_the_cpu(case: _Case) -> tuple[str, str]:
    app, database = case.figure("app", "cpu_share"), case.figure("database", "cpu_share")
    used = case.figure("host", "busy_share") * case.figure("host", "cores")
    if case.figure("host", "busy_share") < SATURATED:
        return "app", "consistent"  # one process of the app's is what is saturated
    if app + database < DOMINANT * used:
        case.say("Most of that CPU was used by something else on these cores.")
        return "unknown", "unknown"
    larger, smaller = max(app, database), min(app, database)
    tier = "app" if app >= database else "database"
    if smaller and larger / smaller < TIED:
        case.say("App and database use much the same CPU: tied.")
        return tier, "tied"
    return tier, "consistent"
