"""Running stores in, the way to each out: links, the pooler before the database, and addresses that settings expect."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from prony.errors import StackError
from prony.plan import Link as LinkPlan
from prony.plan import Plan
from prony.stack.places import LOOPBACK, check_places, places_of
from prony.stack.services.link import Link
from prony.stack.services.pgbouncer import PgBouncer
from prony.stack.services.postgres import Postgres
from prony.stack.services.store import Store
from prony.stack.tiers import Ground

Place = tuple[str, int]
_ANYWHERE = (LOOPBACK, 0)


class Ways:
    """What stands between the app and its stores; the outermost of it is where the app's settings expect the store.

    Attributes:
        links: The plan's links before stores and the pooler, by name.
        pooler: The pooler, where there is one.
        ports: Where each store is reached at 127.0.0.1 in the stack, by name.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.links: dict[str, Link] = {}
        self.pooler: PgBouncer | None = None
        self.ports: dict[str, int] = {}
        self._places: dict[str, Place] = {}
        self._plain: dict[str, Link] = {}  # links that add nothing, to addresses where the store itself cannot listen

    def settle(self, plan: Plan) -> dict[str, int]:
        """Takes note of where stores are expected; the port of each that must listen there itself.

        Raises:
            PlanError: some are expected at an address, and the stack has no network of its own.
        """
        check_places(plan, self._ground.launcher)
        self._places = places_of(plan)
        before = {link.name for link in plan.links} | ({"database"} if plan.pooler is not None else set())
        found = {}
        for name, (address, port) in self._places.items():
            if address == LOOPBACK and name not in before:
                found[name] = port
        free = {(LOOPBACK, port) for port in found.values()}
        for links in (self.links, self._plain):
            for name in [name for name, link in links.items() if link.place in free]:
                links.pop(name).stop()
        if self.pooler is not None and self.pooler.port in found.values():
            self.pooler.stop()
        return found

    @contextlib.contextmanager
    def directly(self, running: Mapping[str, Store]) -> Iterator[None]:
        """For as long as it lasts, the addresses that settings expect lead to the stores, past links and the pooler."""
        for links in (self.links, self._plain):
            for name in [name for name, link in links.items() if link.place != _ANYWHERE]:
                links.pop(name).stop()
        if self.pooler is not None:
            self.pooler.stop()
        try:
            for name, place in self._places.items():
                if place != (LOOPBACK, running[name].port):
                    self._put(self._plain, name, running[name].port, LinkPlan(name=name), place)
            yield
        finally:
            for link in self._plain.values():
                link.stop()
            self._plain.clear()

    def lead(self, plan: Plan, running: Mapping[str, Store]) -> None:
        """Puts links and the pooler before the stores that want them; takes away what is wanted no more."""
        links = {link.name: link for link in plan.links}
        for name in set(self.links) - set(links):
            self.links.pop(name).stop()
        for name in set(self._plain) - set(self._places):
            self._plain.pop(name).stop()
        moved = self._ground.moved("pooler")
        if self.pooler is not None and (moved or plan.pooler is None):
            self.pooler.stop()
        pooled = {"database"} if plan.pooler is not None else set()
        for name, store in running.items():
            place = None if name in pooled else self._places.get(name)
            self.ports[name] = self._through(name, store.port, links, place)
        if plan.pooler is None:
            self.pooler = None
            return
        postgres = running.get("database")
        if not isinstance(postgres, Postgres):
            raise StackError("[pooler]: there is no Postgres of ours to pool connections of.")
        if self.pooler is None:
            ground = self._ground
            self.pooler = PgBouncer(
                ground.launcher_of("pooler"), ground.run_folder, ground.logs, ground.cores.stack, "pooler"
            )
        place = self._places.get("database")
        port = place[1] if place is not None and place[0] == LOOPBACK and "pooler" not in links else 0
        login = (postgres.user, postgres.password, postgres.database)
        self.pooler.start(plan.pooler, self.ports["database"], *login, port=port)
        self.ports["database"] = self._through("pooler", self.pooler.port, links, place)

    def _through(self, name: str, port: int, links: Mapping[str, LinkPlan], place: Place | None) -> int:
        """The port to use instead of `port`: that of the link before it, or the same."""
        wanted = links.get(name)
        if not port or (wanted is None and place in {None, (LOOPBACK, port)}):
            return port
        links_here = self._plain if wanted is None else self.links
        reached = self._put(links_here, name, port, wanted or LinkPlan(name=name), place)
        return reached if place is None or place[0] == LOOPBACK else port

    def _put(self, links: dict[str, Link], name: str, port: int, wanted: LinkPlan, place: Place | None) -> int:
        where = place or _ANYWHERE
        if name in links and links[name].place != where:
            links.pop(name).stop()
        if name not in links:
            ground = self._ground
            links[name] = Link(ground.launcher, ground.logs, ground.run_folder, ground.cores.side, name, place=where)
        links[name].start(port, wanted)
        return links[name].port

    def stop(self) -> None:
        """Stops all of it."""
        for link in (*self.links.values(), *self._plain.values()):
            link.stop()
        if self.pooler is not None:
            self.pooler.stop()
