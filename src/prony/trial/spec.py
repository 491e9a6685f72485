"""A plan's traffic and where it goes in, what the load engine is to do out."""

from __future__ import annotations

import resource

from msgspec import structs

from prony.load.spec import Expectation, JourneySpec, LoadSpec, RequestSpec, StreamSpec
from prony.plan import Plan
from prony.traffic.profiles import Stretch

PORTS = 28_000  # the kernel's own range of local ports, 32768 to 60999

Visitors = tuple[dict[str, str], ...]


def spec_of(plan: Plan, port: int, visitors: Visitors = (), *, timed: bool = False) -> LoadSpec:
    """The whole of a plan's load, to a port of the stack's; where samples go is still to be said.

    `visitors` are the header fields of each visitor as whom requests go out; `timed`: some requests say in a field of
    their own when they were due and sent, for the gauge. A journey's steps share one ordinal.
    """
    traffic = plan.traffic
    profile = tuple(Stretch(*each) for each in traffic.profile)
    thinks = traffic.arrivals == "closed" or traffic.session is not None
    return LoadSpec(
        host="127.0.0.1",
        port=port,
        requests=tuple(
            RequestSpec(
                method=r.method,
                path=r.path,
                weight=r.weight,
                name=r.name,
                headers=traffic.headers,
                expect=Expectation(**structs.asdict(r.expect)),
                paths=r.paths,
                anonymous=r.anonymous,
                redirects=r.redirects,
                stream=None if r.stream is None else StreamSpec(events=r.stream.events, for_s=r.stream.for_s),
            )
            for r in traffic.requests
        ),
        journeys=tuple(JourneySpec(**structs.asdict(each)) for each in traffic.journeys),
        headers=traffic.headers,
        routes=traffic.routes | {r.path: r.name for r in traffic.requests if "?" not in r.path},
        arrivals=traffic.arrivals,  # type: ignore[arg-type] # the plan allows the same three
        rate_rps=traffic.rate_rps if traffic.users is None and not profile else None,
        users=None if profile else traffic.users,
        profile=profile,
        session=traffic.session,
        duration_s=traffic.duration_s,
        think_s=traffic.think_s if thinks else 0,
        think_sigma=traffic.think_sigma if thinks else 0,
        timeout_s=traffic.timeout_s,
        connect_timeout_s=traffic.connect_timeout_s,
        first_byte_timeout_s=traffic.first_byte_timeout_s,
        keep_alive=traffic.keep_alive,
        https=traffic.https,
        retries=traffic.retries,
        backoff_s=traffic.backoff_s,
        drain_s=traffic.drain_s,
        connections=min(traffic.connections or PORTS, PORTS),
        seed=traffic.seed,
        host_header=traffic.host,
        timed=timed,
        visitors=visitors,
        segment="",
    )


def most_connections() -> int:
    """How many connections one process may hold: what ports and descriptors leave it, so that it hardly waits."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(PORTS, hard - 256) if hard != resource.RLIM_INFINITY else PORTS
