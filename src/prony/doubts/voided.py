"""A summary and its doubts in, the figures that are to be believed out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from prony.doubts.kinds import LATENCY, Doubt
from prony.stats import samples_wanted
from prony.summary import QUANTILES, RouteFigures, StreamFigures, Summary

Figures = dict[str, float | None]
BY_REQUESTS = ("_s", "_s_mean", "_per_request")  # how names of tiers' durations, rates and per-request figures end


def believed(summary: Summary, doubts: Iterable[Doubt]) -> Summary:
    """The summary with every voided figure null, and every table of which nothing is to be believed empty."""
    routes, streams = tuple(map(_enough, summary.routes)), tuple(map(_enough_of, summary.streams))
    summary = structs.replace(summary, routes=routes, streams=streams)
    voids = {name for doubt in doubts for name in doubt.voids}
    if not voids:
        return summary
    if "all" in voids:
        voids |= {*LATENCY, "send_lag_s", "event_gap_s", "gauged"}
        tiers = {tier: _told_of_itself(figures) for tier, figures in summary.tiers.items()}
        summary = structs.replace(summary, tiers=tiers, statements=())

    def cleared(figure: str, values: Figures) -> Figures:
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
        streams=tuple(
            structs.replace(
                each,
                first_event_s=cleared("latency_s", each.first_event_s),  # from the instant it was due as well
                event_gap_s=cleared("event_gap_s", each.event_gap_s),
            )
            for each in streams
        ),
        spent=() if "latency_s" in voids else summary.spent,
        gauged=() if "gauged" in voids else summary.gauged,
    )


def _told_of_itself(figures: Figures) -> Figures:
    """A tier's levels, shares and sizes; what was divided by requests, or by time, is null."""
    return {name: None if name.endswith(BY_REQUESTS) else value for name, value in figures.items()}


def _enough(route: RouteFigures) -> RouteFigures:
    """A route with those quantiles null for which it had too few answers."""
    latency_s, service_time_s = (_kept(each, route.requests) for each in (route.latency_s, route.service_time_s))
    return structs.replace(route, latency_s=latency_s, service_time_s=service_time_s)


def _enough_of(each: StreamFigures) -> StreamFigures:
    """The same of streamed answers, and of the gaps between their events."""
    gaps = each.events - each.streams
    first_event_s, event_gap_s = _kept(each.first_event_s, each.streams), _kept(each.event_gap_s, gaps)
    return structs.replace(each, first_event_s=first_event_s, event_gap_s=event_gap_s)


def _kept(values: Figures, count: int) -> Figures:
    few = {name for name, q in QUANTILES.items() if q > 0.5 and count < samples_wanted(q)}
    return {name: None if name in few else value for name, value in values.items()}


def late(doubts: Iterable[Doubt]) -> bool:
    """Whether the generator sent late, which only ever adds to latency."""
    return any(doubt.name in {"late_sends", "uneven_sends"} for doubt in doubts)


def disturbed(doubts: Iterable[Doubt]) -> bool:
    """Whether the machine was not itself during the trial: others took of its cores, or it slowed down."""
    return any(doubt.name in {"canary_moved", "steal", "neighbours"} for doubt in doubts)


def voids_all(doubts: Iterable[Doubt]) -> bool:
    """Whether nothing the trial says of the app is to be believed."""
    return any("all" in doubt.voids for doubt in doubts)
