"""A destination and what is asked of it in, a plan that has no stack out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import structs

from prony.errors import PlanError
from prony.plan.destination import Destination
from prony.plan.model import App, Plan, Server
from prony.plan.requests import Expect, Limits, Request, Traffic
from prony.plan.traffic import check_fields

NO_APP = App(entry="", folder="", python="")
NO_SERVER = Server(kind="", worker_class="", knobs={})


def plan_for(
    destination: Destination, targets: Sequence[str], fields: Mapping[str, str], statuses: Sequence[int]
) -> Plan:
    """The plan that asks a destination for each target equally often; `fields` may name the Host.

    Raises:
        PlanError: a header field cannot be sent.
    """
    expect = Expect(status=tuple(statuses) or (200,))
    paths = list(dict.fromkeys(target or "/" for target in targets))
    requests = tuple(Request(path=path, name=path, expect=expect, expected=True) for path in paths)
    traffic = Traffic(requests=requests, host=destination.authority, https=destination.scheme == "https")
    plan = Plan(
        app=NO_APP,
        server=NO_SERVER,
        traffic=traffic,
        limits=Limits(),
        source="--url",
        destination=destination,
    )
    return with_fields(plan, fields)


def sent_to(plan: Plan, destination: Destination, fields: Mapping[str, str]) -> Plan:
    """A project's traffic and limits against a destination, without its stack.

    Raises:
        PlanError: the traffic needs the stack: visitors who are logged in, or values from its database.
    """
    if plan.login is not None:
        raise PlanError(
            f"{plan.source}: [login]: found beside --url; allowed: none, for only a stack of prony's own has visitors.",
            hint="--header 'Cookie: …' to send requests as somebody",
        )
    empty = next((each for each in plan.traffic.requests if not each.filled), None)
    if empty is not None:
        raise PlanError(
            f"{plan.source}: [[traffic.request]] path: found {empty.path} beside --url, whose values are the "
            "stack's own database's to give; allowed: paths, or params that list their values."
        )
    host, https = plan.traffic.host or destination.authority, destination.scheme == "https"
    traffic = structs.replace(plan.traffic, host=host, https=https)
    bare = Plan(
        app=NO_APP,
        server=NO_SERVER,
        traffic=traffic,
        limits=plan.limits,
        source=plan.source,
        destination=destination,
    )
    return with_fields(bare, fields)


def with_fields(plan: Plan, fields: Mapping[str, str]) -> Plan:
    """The plan with header fields of its own; `fields` may name the Host. Raises PlanError: one cannot be sent."""
    rest = {name: value for name, value in fields.items() if name.lower() != "host"}
    host = next((value for name, value in fields.items() if name.lower() == "host"), plan.traffic.host)
    check_fields(host, rest, "--header")
    given = {name.lower() for name in rest}
    kept = {name: value for name, value in plan.traffic.headers.items() if name.lower() not in given}
    return structs.replace(plan, traffic=structs.replace(plan.traffic, host=host, headers=kept | rest))
