"""A search's trials in, its curve out: each is a point, and where the curve lacks some a few more trials are run."""

from __future__ import annotations

import time

from prony.campaign.bench import Bench, Measured
from prony.campaign.find import Hunt
from prony.capacity import Curve, Point, utilisation
from prony.doubts import voids_all
from prony.errors import PlanError, StackError


def trace(bench: Bench, found: Hunt, deadline_s: float) -> None:
    """Runs the trials that a curve still lacks, from light to heavy load, on one start that had no part in the search.

    None is begun that, by the trials so far, would not be done by the deadline (monotonic seconds). Ctrl-C, an error or
    a start that fails ends them, and what is known is kept.
    """
    tracing = found.tracing
    each_s, fresh = found.longest_s, True
    ended = found.interrupted or found.failed_starts > 0
    if tracing.missing() and not ended:
        bench.teller.stage("The curve: loads that the search had no need of")
    try:
        while not ended:
            began_s = time.monotonic()
            load = tracing.ask((deadline_s - began_s) / each_s if each_s else 0.0)
            if load is None:
                break
            measured = found.measure(bench, load, found.trial_s, found.with_budget("curve"), fresh=fresh)
            each_s = time.monotonic() - began_s
            fresh = measured.judgement.held is None  # then another start: what is wrong may be this one's
            tracing.tell(believed=not fresh)
    except (KeyboardInterrupt, PlanError) as error:
        found.cut(error)
    except StackError as error:
        bench.teller.say(f"  A start failed: the curve stays as it is. {error}")
    found.missing = tuple(sorted(tracing.missing()))


def curve_of(found: Hunt) -> Curve:
    """The curve through all trials of a search, and those that were run for its sake."""
    points = sorted((_point(found, measured) for measured in found.measured), key=lambda point: point.load)
    return Curve(title=found.plan.title, unit=found.unit, points=tuple(points), missing=found.missing)


def _point(found: Hunt, measured: Measured) -> Point:
    entry, traffic = measured.entry, measured.plan.traffic
    backlog = measured.summary.backlog
    load = traffic.users if found.search.users else traffic.rate_rps
    return Point(
        load=float(load or 0),
        offered_rps=entry.offered_rps,
        achieved_rps=entry.achieved_rps,
        latency_s={name: entry.latency_s[name] for name in ("p50", "p90", "p99")},
        errors=None if voids_all(measured.doubts) else entry.errors.share,
        backlog_per_s=backlog.slope_per_s if backlog.growing and not voids_all(measured.doubts) else None,
        utilisation=utilisation(
            entry.tiers, entry.generator, ((box.services, box.cpus) for box in measured.plan.boxes)
        ),
        trial=measured.id,
        start=measured.start,
        duration_s=entry.duration_s,
        held=measured.judgement.held,
    )
