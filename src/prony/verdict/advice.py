"""A verdict and the plan it is about in, what to try next out: commands that test the advice rather than trust it."""

from __future__ import annotations

import shlex

from prony.knobs.server import KNOBS
from prony.plan import Plan
from prony.summary import Summary
from prony.verdict.model import Suggestion, Verdict

ONE_CORE = 0.9  # of a core: what one Python process gets at most
THREADS = 8
WORKERS_MAX = 64


def advise(verdict: Verdict, plan: Plan, summary: Summary, costliest: str = "") -> tuple[Suggestion, ...]:
    """What to try next, the likeliest to help first, always ending with how to get a capacity.

    Args:
        verdict: About `summary`'s trial.
        plan: What ran.
        summary: Of the trial under a heavy load.
        costliest: The route that costs the app the most CPU time; empty where that is not known.
    """
    if plan.destination is not None:
        return _alone(verdict, plan)
    find = Suggestion(
        command="prony find", why="its capacity as an interval, over several fresh starts (about 2 minutes)"
    )
    if verdict.cause == "wrong_answers":
        return (Suggestion(command="prony check", why="which pages are wrong, each with its cause and what to write"),)
    if verdict.cause == "load_generator":
        lower = Suggestion(command="prony doctor", why="what keeps this machine from sending on time")
        return (lower,)
    if verdict.cause == "none":
        return (find,)
    return (*_for_cause(verdict, plan, summary, costliest), find)


def _alone(verdict: Verdict, plan: Plan) -> tuple[Suggestion, ...]:
    """After a load of something that prony did not start."""
    url = "" if plan.destination is None else plan.destination.url + plan.traffic.first.first
    named = shlex.quote(url)
    if verdict.cause == "load_generator":
        return (Suggestion(command="prony doctor", why="what keeps this machine from sending on time"),)
    if verdict.cause == "wrong_answers":
        accepted = Suggestion(
            command=f"curl -i {named}", why="what it answers; --expect-status accepts other statuses than 200"
        )
        return (accepted,)
    capacity = Suggestion(
        command=f"prony find --url {named}", why="the highest rate that holds the limits, as an interval"
    )
    if verdict.cause == "none":
        return (capacity,)
    watched = Suggestion(
        command="prony init",
        why="in the app's own folder, if you have it: prony run then starts it, watches each tier, and says which "
        "gives out first",
    )
    return (watched, capacity)


def _for_cause(verdict: Verdict, plan: Plan, summary: Summary, costliest: str) -> tuple[Suggestion, ...]:
    if verdict.cause == "connections_exhausted":
        return (
            Suggestion(
                command=" ".join(("prony explain", *_same_load(summary, plan))),
                why="whether more connections cure the errors: the same load with more of them, and with a placebo",
            ),
            *_pooled(plan),
        )
    if verdict.cause == "connection_per_request":
        return (
            Suggestion(
                command="prony run",
                why="again, once the app keeps its connections open (CONN_MAX_AGE = 60 in Django's DATABASES, a pool "
                "in SQLAlchemy or psycopg): it opens one for each request",
            ),
        )
    if verdict.cause == "worker_starvation":
        return _more_slots(plan)
    if verdict.cause == "app_cpu":
        return _more_processes(plan, summary) or (_cheaper(costliest),)
    return _for_tier(verdict, plan)


def _same_load(summary: Summary, plan: Plan) -> tuple[str, ...]:
    """The options that ask for the load of a trial; none where prony.toml says it, as it does of phases."""
    if summary.phases:
        return ()
    if summary.users:
        return ("--users", str(summary.users))
    rate_rps = summary.offered_rps if summary.session is None else plan.traffic.rate_rps or 0.0
    return ("--rate", f"{max(rate_rps, 0.1):.1f}")


def _for_tier(verdict: Verdict, plan: Plan) -> tuple[Suggestion, ...]:
    if verdict.tier == "database" and plan.database is not None and plan.database.kind == "postgres":
        return (
            Suggestion(
                command="prony up",
                why="then ask the database itself which statements cost most: its address is printed there",
            ),
        )
    return ()


def _more_slots(plan: Plan) -> tuple[Suggestion, ...]:
    """Requests wait for slots while the CPU idles: threads cost less memory than processes do."""
    server, found = plan.server, []
    knobs = {knob.key for knob in KNOBS[server.kind, server.worker_class]}
    if "threads" in knobs:
        now = int(server.knobs.get("threads") or 1)
        found.append(
            Suggestion(
                command=f"prony run --set server.threads={2 * now}", why="twice the threads: more requests may wait"
            )
        )
    elif (server.kind, "gthread") in KNOBS:
        found.append(
            Suggestion(
                command=f"prony run --set server.worker_class=gthread --set server.threads={THREADS}",
                why=f"{THREADS} threads a worker: requests may wait without holding up others",
            )
        )
    if "workers" in knobs:
        now = int(server.knobs["workers"])
        if now < WORKERS_MAX:
            found.append(
                Suggestion(
                    command=f"prony run --set server.workers={2 * now}", why="twice the workers, for their memory"
                )
            )
    return tuple(found)


def _more_processes(plan: Plan, summary: Summary) -> tuple[Suggestion, ...]:
    """One process has used up its core while others idle: further processes may use those."""
    busy, cores = summary.tiers["host"]["busy_share"] or 0.0, summary.tiers["host"]["cores"] or 1.0
    processes = plan.server.processes
    one = summary.tiers["app"]["busiest_process_share"] or 0.0
    has_knob = "workers" in {knob.key for knob in KNOBS[plan.server.kind, plan.server.worker_class]}
    if not has_knob or processes >= cores or busy >= ONE_CORE or one < ONE_CORE:
        return ()
    return (
        Suggestion(
            command=f"prony run --set server.workers={round(cores)}",
            why=f"a process for each of the {cores:.0f} cores: one process has little more than one",
        ),
    )


def _cheaper(costliest: str) -> Suggestion:
    where = f"{costliest} costs it most: " if costliest else ""
    return Suggestion(
        command="prony run",
        why=f"again, once the app does less for a request ({where}profile it, cache what does not change), or with "
        "more CPU: no server setting makes its code cheaper",
    )


def _pooled(plan: Plan) -> tuple[Suggestion, ...]:
    database, slots = plan.database, plan.server.slots
    if database is None or not database.max_connections or not slots or slots <= database.max_connections:
        return ()
    knobs = {knob.key for knob in KNOBS[plan.server.kind, plan.server.worker_class]}
    processes = plan.server.processes or 1
    key = next((each for each in ("threads", "worker_connections") if each in knobs), "")
    if not key:
        return ()
    fits = max(1, (database.max_connections - 5) // processes)
    return (
        Suggestion(
            command=f"prony run --set server.{key}={fits}",
            why=f"no more slots than the database gives connections ({database.max_connections})",
        ),
    )
