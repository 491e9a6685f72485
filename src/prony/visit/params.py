"""A plan whose requests name a SELECT in, the same with the paths that it finds in the stack's database out."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from prony.errors import PlanError
from prony.plan import Plan, Request
from prony.plan.checks import shown
from prony.plan.params import fill
from prony.stack.stack import Stack
from prony.traffic.learned import asks_sql


def resolve(stack: Stack, plan: Plan) -> Plan:
    """The plan with every SELECT of its requests answered; others are as they were.

    Raises:
        PlanError: the stack has no database that can be asked, the database refuses it, or it finds nothing.
    """
    traffic = plan.traffic
    if not any(asks_sql(each) for each in traffic.requests):
        return plan
    requests = tuple(_resolved(stack, plan, each) if asks_sql(each) else each for each in traffic.requests)
    return structs.replace(plan, traffic=structs.replace(traffic, requests=requests))


def _resolved(stack: Stack, plan: Plan, request: Request) -> Request:
    values: dict[str, Sequence[str]] = {}
    for name, each in request.params.items():
        values[name] = _rows(stack, plan, name, each) if isinstance(each, str) else each
    return structs.replace(request, paths=fill(request.path, values, plan.traffic.seed))


def _rows(stack: Stack, plan: Plan, name: str, query: str) -> tuple[str, ...]:
    where = f"{plan.source}: [[traffic.request]] params: {name}: found {shown(query)}"
    try:
        rows = stack.stores.rows(query)
    except ValueError as error:
        raise PlanError(f"{where}; {error}.", hint=f'params = {{ {name} = ["1", "2"] }}, a list of values') from error
    found = tuple(dict.fromkeys(str(row[0]) for row in rows if row and row[0] is not None))
    if not found:
        raise PlanError(
            f"{where}; it finds nothing in the stack's database.", hint="[app] prepare, which makes the data"
        )
    return found
