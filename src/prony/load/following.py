"""Requests whose redirects are followed into journeys of ours: one step, its redirects, its expectations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prony.load.checks import checks_of
from prony.load.journey_file import Journey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prony.load.spec import LoadSpec, RequestSpec
    from prony.load.visitor import Visitor


def followers(spec: LoadSpec) -> Iterator[Journey]:
    """A journey for each of the spec's requests whose redirects are followed; its steps bear the request's name."""
    return (_follower(request) for request in spec.requests if request.redirects)


def _follower(request: RequestSpec) -> Journey:
    name = request.name or request.path
    checks = checks_of(request.expect, name)
    paths = request.paths or (request.path,)

    async def follow(visitor: Visitor) -> None:
        path = visitor.random.choice(paths) if len(paths) > 1 else paths[0]
        page = await visitor.ask(
            request.method, path, name=name, expect=request.expect.status, headers=request.headers, checks=checks
        )
        visitor.check(page.lacks is None, (page.lacks or "").removeprefix(f"{name}: "))

    return Journey(name=name, function=follow, weight=request.weight, users=(), file="", anonymous=request.anonymous)
