"""A summary and its doubts in, the figures that are to be believed out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from prony.doubts.kinds import LATENCY, Doubt
from prony.stats import samples_wanted
from prony.summary import QUANTILES, RouteFigures, Summary


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
