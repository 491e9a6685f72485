"""A plan with a destination in, the same pinned to an address out: reached, consented where it must, and listening."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from msgspec import structs

from prony.alone import consent
from prony.alone.answer import Answer, ask
from prony.alone.reach import Resolver, look_up, reach
from prony.errors import PlanError
from prony.plan import Destination, Plan

CONNECT_S = 5.0
LOOK_S = 20.0  # for a look at all that will be asked for
LOOKS_MAX = 20


def arrive(plan: Plan, say: Callable[[str], None], resolve: Resolver = look_up) -> Plan:
    """The plan with its destination at one address, to which every packet of load will go, and no other.

    Raises:
        PlanError: load must not go there, or nobody listens there.
    """
    destination = plan.destination
    if destination is None:
        raise ValueError("the plan has a stack of its own")
    where = reach(destination.host, resolve)
    if where.loopback:
        pinned = _listening(destination, where.addresses)
    else:
        pinned = destination.at(where.addresses[0])
        say(f"Asking {pinned.host} ({pinned.place}) for its consent …")
        pinned = _consenting(plan, pinned)
        say(f"{pinned.host} has consented ({pinned.consent}) at {pinned.place}: all load goes to that address.")
    arrived = structs.replace(plan, destination=pinned)
    _look(arrived, pinned, say)
    return arrived


def _listening(destination: Destination, addresses: tuple[str, ...]) -> Destination:
    """At the first of its loopback addresses where somebody listens."""
    failures = []
    for address in addresses:
        pinned = destination.at(address)
        try:
            socket.create_connection((address, destination.port), CONNECT_S).close()
        except OSError as error:
            failures.append(f"{pinned.place} ({error.strerror or error})")
            continue
        return pinned
    raise PlanError(
        f"--url: found nobody who listens on {' or '.join(failures)}.",
        hint="start what is to be loaded, or see what listens: ss -ltn",
    )


def _consenting(plan: Plan, pinned: Destination) -> Destination:
    if plan.traffic.host.lower() != pinned.authority:
        raise PlanError(
            f"--header: found the Host {plan.traffic.host}; allowed: none beside {pinned.authority}, which is the one "
            "whose consent is asked for."
        )
    pages = (each.first for each in plan.traffic.requests if each.method == "GET")
    how = consent.prove(pinned, next(pages, "/"))
    return pinned.at(pinned.address, how)


def _look(plan: Plan, destination: Destination, say: Callable[[str], None]) -> None:
    """Says which pages do not answer as they should; the load is sent all the same."""
    deadline = time.monotonic() + LOOK_S
    for request in [each for each in plan.traffic.requests if each.method == "GET"][:LOOKS_MAX]:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        path = request.first
        try:
            answer = ask(destination, path, plan.traffic.headers, host=plan.traffic.host, timeout_s=min(left_s, 10.0))
        except (OSError, ValueError) as error:
            say(f"  {destination.url}{path}: {error}")
            continue
        if answer.status not in request.expect.status:
            say(f"  {destination.url}{path} answers {_told(answer, destination, path)}")


def _told(answer: Answer, destination: Destination, path: str) -> str:
    if not 300 <= answer.status < 400:
        return f"{answer.status}: such answers count as failed (--expect-status {answer.status} to accept them)."
    leads = consent.leads(answer, destination, path)
    return (
        f"{answer.status}{leads}: it is not followed, and counts as failed. Load the URL it leads to, or accept it by "
        f"--expect-status {answer.status}."
    )
