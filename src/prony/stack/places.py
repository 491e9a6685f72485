"""A plan whose stores have fixed addresses in, where each is on the stack's loopback and what leads there out."""

from __future__ import annotations

from collections.abc import Mapping

from prony.errors import PlanError
from prony.plan import Plan
from prony.stack.launch import Launcher
from prony_gauge.egress import is_literal, plain

LOOPBACK = "127.0.0.1"
_FIRST = 1  # 127.2.0.1 and on stand for hosts whose ports are taken on 127.0.0.1 by others of the plan


def places_of(plan: Plan) -> dict[str, tuple[str, int]]:
    """(address, port) of each store under [stores.NAME] at, by name."""
    hosts = hosts_of(plan)
    found = {}
    for name, store in plan.stores.items():
        if store.address is not None:
            host = plain(store.address.host)
            found[name] = (hosts.get(host, host if is_literal(host) else LOOPBACK), store.address.port)
    return found


def hosts_of(plan: Plan) -> dict[str, str]:
    """The names among those hosts, as they are compared, and the address that each must have in the stack."""
    ports: dict[str, set[int]] = {}
    for store in plan.stores.values():
        if store.address is not None:
            ports.setdefault(plain(store.address.host), set()).add(store.address.port)
    found: dict[str, str] = {}
    taken: set[int] = set()
    for host in ("localhost", LOOPBACK):
        taken |= ports.pop(host, set())
    for number, host in enumerate((host for host in ports if not is_literal(host)), _FIRST):
        found[host] = f"127.2.0.{number}" if ports[host] & taken else LOOPBACK
        taken |= ports[host]
    return found


def check_places(plan: Plan, launcher: Launcher) -> None:
    """Raises PlanError where stores have fixed addresses and the stack has no network of its own to have them in."""
    named = [name for name, store in plan.stores.items() if store.at]
    if named and not launcher.namespace:
        raise PlanError(
            f"{plan.source}: [stores.{named[0]}] at: found it where the stack has no network of its own "
            f"({launcher.why_no_namespace}), so that this address is this machine's; allowed: with one.",
            hint="run it as root or where user namespaces are allowed; or take at out, write env = ..., and let the "
            "app's settings read where the store is",
        )


def check_named(plan: Plan, closed: Mapping[str, str], why: str) -> None:
    """Raises PlanError where a host under [stores.NAME] at could not be named in the stack."""
    for name, store in plan.stores.items():
        if store.address is not None and why and plain(store.address.host) in closed:
            raise PlanError(
                f"{plan.source}: [stores.{name}] at: found the host {store.address.host}, which cannot be named in the "
                f"stack's network: {why}; allowed: localhost.",
                hint="take at out, write env = ..., and let the app's settings read where the store is",
            )
