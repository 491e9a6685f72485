"""The closed sets a verdict is made of, each token with what it means."""

from __future__ import annotations

from msgspec import Struct

TIERS = {
    "none": "Nothing gave out: the limits held.",
    "generator": "The load generator: what was measured is prony's own limit.",
    "app": "The app itself: its code and its data.",
    "workers": "The server's slots: processes, threads or greenlets.",
    "connections": "The database's connections: opening them, or running out of them.",
    "database": "The database itself: CPU, locks or IO.",
    "unknown": "Cannot tell.",
}
CAUSES = {
    "none": "Nothing gave out, so nothing is to blame.",
    "wrong_answers": "Nothing valid was tested: the answers were wrong from the first on.",
    "worker_starvation": "Every slot is taken and requests queue, while CPU idles and nothing downstream explains it.",
    "app_cpu": "The app's own code uses up the CPU.",
    "connections_exhausted": "The app asks for more database connections than the database gives (SQLSTATE 53300).",
    "connection_per_request": "Opening a database connection for each request is most of a request's time.",
    "load_generator": "The generator was late, short or out of CPU.",
    "not_watched": "Not watched: prony did not start what it loaded, and cannot say which tier gave out.",
    "unknown": "Cannot tell from what was seen.",
}
GRADES = {
    "proven": "Tested by relief: more of the suspect moved the ceiling, and a placebo did not.",
    "consistent": "All that was seen fits; not tested by relief.",
    "tied": "Two suspects fit equally well.",
    "unknown": "Cannot tell.",
}


class Verdict(Struct, frozen=True, kw_only=True):
    """The tier and the cause that limit a trial.

    Attributes:
        tier: From TIERS.
        tier_grade: From GRADES.
        cause: From CAUSES.
        cause_grade: From GRADES.
        evidence: What was seen, one sentence each.
        figures: The numbers behind it, units in their names.
        trial: The trial it is about.
    """

    tier: str
    tier_grade: str
    cause: str
    cause_grade: str
    evidence: tuple[str, ...]
    figures: dict[str, float]
    trial: str = ""


class Suggestion(Struct, frozen=True, kw_only=True):
    """One thing to try next.

    Attributes:
        command: What to run; where a change of the user's own comes first, `why` says which.
        why: What it would show.
    """

    command: str
    why: str
