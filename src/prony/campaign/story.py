"""A test's figures and verdict in, what happened here in sentences out; numbers only where they can be believed."""

from __future__ import annotations

from prony.campaign.bench import Measured
from prony.figures import duration, rate, share
from prony.verdict import CAUSES, TIERS, Verdict

# The accounts' tests ran for five minutes; ours are shorter, and say what theirs would have shown.
ACCOUNT_S = 300.0
WRONG = ("wrong_status", "check_failed", "reset", "protocol_error")


def load_in_words(measured: Measured, share_of_r: float | None) -> str:
    """What was sent."""
    traffic = measured.plan.traffic
    if traffic.users is not None:
        return f"{traffic.users} clients without a pause for {traffic.duration_s:.0f} s, {measured.plan.title}"
    of_r = f" ({share_of_r:g} R)" if share_of_r else ""
    return f"{traffic.rate_rps:.0f} rps{of_r} for {traffic.duration_s:.0f} s, {measured.plan.title}"


def headline(verdict: Verdict) -> str:
    """A verdict in one line."""
    if verdict.cause == "none":
        return "Fine: the limits held."
    if verdict.cause == "unknown":
        return f"Cannot tell why ({TIERS[verdict.tier].rstrip('.').lower()})."
    return f"{CAUSES[verdict.cause]} ({verdict.cause_grade})"


def tell(measured: Measured, verdict: Verdict) -> tuple[str, ...]:
    """What happened in one test, one sentence each."""
    summary, believed = measured.summary, measured.believed
    said = [_answers(measured)]
    if verdict.cause == "wrong_answers":
        said.append("Not a valid test of anything: how fast a wrong answer comes says nothing of the page.")
        return tuple(said)
    if summary.backlog.growing:
        said += _backlog(measured)
    elif believed.latency_s["mean"] is not None:
        of = " of all answers, right and wrong" if summary.errors.share > measured.plan.limits.errors else ""
        said.append(
            f"Latency{of}: {duration(believed.latency_s['mean'])} on average, "
            f"{duration(believed.latency_s['p50'])} median, {duration(believed.latency_s['max'])} at most."
        )
    if verdict.cause == "none":
        said += _observed(measured)
    return tuple(said)


def _answers(measured: Measured) -> str:
    summary = measured.summary
    statuses = ", ".join(f"{n} × {status}" for status, n in sorted(summary.errors.by_status.items()))
    other = {
        name: n for name, n in summary.errors.by_outcome.items() if name not in {"ok", "wrong_status", "check_failed"}
    }
    missing = "".join(f", {n} × {name}" for name, n in sorted(other.items()))
    return (
        f"{summary.requests} requests due; answers: {statuses or 'none'}{missing}; "
        f"{share(summary.errors.share)} failed; right answers at {rate(summary.achieved_rps)}."
    )


def _backlog(measured: Measured) -> list[str]:
    """Under a growing backlog a mean measures the test's length; what does not depend on it is the growth."""
    summary = measured.summary
    served = max(summary.offered_rps - summary.backlog.slope_per_s, 1.0)
    wait_per_s = summary.backlog.slope_per_s / served
    longest = summary.latency_s["max"]
    return [
        (
            f"Offered {rate(summary.offered_rps)}, served about {rate(served)}: every second the wait grew by "
            f"{duration(wait_per_s)}, up to {duration(longest)} after {summary.duration_s:.0f} s."
        ),
        (
            "A mean under a growing backlog measures the length of the test, so none is given: at this growth a test "
            f"of 5 minutes would have reported about {duration(wait_per_s * ACCOUNT_S / 2)}."
        ),
    ]


def _observed(measured: Measured) -> list[str]:
    """What is worth knowing although nothing gave out."""
    workers = measured.summary.tiers["workers"]
    opened, part = workers["connects_per_request"], workers["connect_share"]
    if opened is None or part is None or opened < 0.5:
        return []
    return [f"Seen already: {opened:.2f} connections opened per request, {share(part)} of a request's time in the app."]


def compare(here: Measured, there: Measured, name: str) -> str:
    """Whether what failed in one test is cured in another under the same clients, in one sentence."""
    refused = [int(m.summary.tiers["connections"]["refused"] or 0) for m in (here, there)]
    wrong = [sum(m.summary.errors.by_outcome.get(n, 0) for n in WRONG) for m in (here, there)]
    if wrong[1] <= 0.01 * there.summary.requests:
        said = f"Nothing to cure: {name} gave {wrong[1]} error answers; this one gave {wrong[0]}"
    else:
        cured = "Cured" if wrong[0] <= 0.01 * here.summary.requests else "Not cured"
        said = f"{cured}, beside {name}: {wrong[0]} error answers and {refused[0]} refused connections, against "
        said += f"{wrong[1]} and {refused[1]} there"
    waits = sum(here.summary.errors.by_outcome.get(n, 0) for n in ("unanswered", "timeout"))
    return f"{said}. The price is waiting: {waits} requests got no answer in time." if waits else f"{said}."
