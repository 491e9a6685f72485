"""What a check learned of an app's pages in, kept beside the project; a plan whose traffic knows them out.

What was learned is of one entry. The size of a right answer is expected within a wide range: from half the smallest
seen to four times the largest, and 4 kB more. A page that honestly varies (other rows, a longer name, one more note)
stays within; an empty page, another page, or an error page under status 200 mostly does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from prony.errors import PlanError
from prony.plan import Expect, Plan, Request, Traffic
from prony.plan.params import Params, fill, placeholders

FILE = "learned.json"
VERSION = 1
SIZE_BELOW = 0.5
SIZE_ABOVE = 4
SIZE_MORE = 4096


class LearnedRoute(Struct, frozen=True, kw_only=True):
    """One route of the mix, as it answered.

    Attributes:
        name: What reports call it.
        template: Its path, perhaps with placeholders.
        method: GET or HEAD.
        paths: Concrete paths that it stands for.
        expect: What its right answers have in common.
        params: What the user's plan said for its placeholders, so that another saying is noticed.
        source: Where it is known from: "declared", "urlconf" or "crawl".
        right: Whether every one of its answers was.
        seen_s: Median time of an answer, one visitor at a time.
    """

    name: str
    template: str
    method: str = "GET"
    paths: tuple[str, ...] = ()
    expect: Expect = Expect()
    params: Params = {}
    source: str = "crawl"
    right: bool = True
    seen_s: float = 0.0


class LeftOut(Struct, frozen=True, kw_only=True):
    """A route that is not in the mix: `reason` is one of a closed list, `text` says it, `remedy` how to have it in."""

    name: str
    template: str
    reason: str
    text: str
    remedy: str = ""


class Learned(Struct, frozen=True, kw_only=True):
    """What one check learned.

    Attributes:
        entry: The app it is about.
        learned_at: When, as in recordings.
        prony: The version that learned it.
        routes: Those of the mix, right or wrong.
        left_out: Those that are not in it, and why.
        doubts: Causes of what was wrong or is to be noted, as tokens.
    """

    entry: str
    learned_at: str = ""
    prony: str = ""
    version: int = VERSION
    routes: tuple[LearnedRoute, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    doubts: tuple[str, ...] = ()


def load(place: Path) -> Learned | None:
    """What was learned before; None where nothing was, or by a version that wrote it otherwise."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        found = msgspec.json.decode((place / FILE).read_bytes(), type=Learned)
        return found if found.version == VERSION else None
    return None


def save(place: Path, learned: Learned) -> Path:
    """Keeps it, in place of what was learned before; the file."""
    path = place / FILE
    written = path.with_suffix(".new")
    written.write_bytes(msgspec.json.format(msgspec.json.encode(learned), indent=1) + b"\n")
    written.replace(path)
    return path


def is_about(learned: Learned | None, plan: Plan) -> bool:
    """Whether this was learned of the plan's app."""
    return learned is not None and learned.entry == plan.app.entry


def apply(plan: Plan, learned: Learned | None, say: Callable[[str], None] = lambda _: None) -> Plan:
    """The plan with what was learned in its traffic.

    Declared requests get their paths, and, where the user said nothing of right answers, what those look like. Where
    no mix is declared, it is made of all right pages, each as often as the others.

    Args:
        plan: As it was read.
        learned: Of this plan's app; of another it is ignored.
        say: Hears of requests that are left out, and why.

    Raises:
        PlanError: no request is left.
    """
    traffic = plan.traffic
    routes = learned.routes if learned is not None and is_about(learned, plan) else ()
    if not traffic.named and not traffic.journeys:
        mix = tuple(_request(route) for route in routes if route.right and route.paths)
        return structs.replace(plan, traffic=structs.replace(traffic, requests=mix)) if mix else plan
    known = {(route.method, route.template): route for route in routes}
    if traffic.journeys:  # their steps are called like the pages that they are
        traffic = structs.replace(traffic, routes={route.template: route.name for route in routes})
    requests = [_with(request, known.get((request.method, request.path)), traffic) for request in traffic.requests]
    left = tuple(request for request in requests if request.filled or asks_sql(request))
    for request in requests:
        if request not in left:
            names = ", ".join(placeholders(request.path))
            say(
                f"{request.path} is left out: nothing is known to stand for {names} (prony check, or params = {{ … }})."
            )
    if requests and not left:
        first = traffic.requests[0]
        raise PlanError(
            f"{plan.source}: [[traffic.request]] path: found {first.path}, and nothing is known to stand for "
            f"{', '.join(placeholders(first.path))}.",
            hint="prony check, which looks for it; or params = { … } beside the path",
        )
    return structs.replace(plan, traffic=structs.replace(traffic, requests=left))


def asks_sql(request: Request) -> bool:
    """Whether a SELECT is to find what its path stands for."""
    return any(isinstance(each, str) for each in request.params.values())


def size_range(sizes: Iterable[int]) -> tuple[int, int]:
    """The least and the most bytes that are expected of a page whose answers had these."""
    seen = sorted(sizes)
    return int(seen[0] * SIZE_BELOW), seen[-1] * SIZE_ABOVE + SIZE_MORE


def _request(route: LearnedRoute) -> Request:
    return Request(
        path=route.template, method=route.method, name=route.name, expect=route.expect, paths=_several(route)
    )


def _several(route: LearnedRoute) -> tuple[str, ...]:
    """Its paths; none where it has but the one it is written as."""
    return () if route.paths == (route.template,) else route.paths


def _with(request: Request, route: LearnedRoute | None, traffic: Traffic) -> Request:
    if route is None:
        return request
    if not request.filled and route.params == request.params:
        request = structs.replace(request, paths=fill(request.path, {}, traffic.seed) or route.paths)
    if not request.expected and route.right:
        request = structs.replace(request, expect=route.expect)
    return request
