"""The plan's stores in, running programs with the prepared data in them and the app's URLs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prony.errors import StackError
from prony.plan import Link as LinkPlan
from prony.plan import Plan
from prony.plan import Store as StorePlan
from prony.stack.services.link import Link
from prony.stack.services.mariadb import MariaDB
from prony.stack.services.memcached import Memcached
from prony.stack.services.own import OwnStore
from prony.stack.services.pgbouncer import PgBouncer
from prony.stack.services.postgres import Postgres
from prony.stack.services.sqlite import SQLite
from prony.stack.services.store import Store
from prony.stack.services.valkey import Valkey
from prony.stack.tiers import Ground, Watched

Prepare = Callable[[Mapping[str, str]], None]


class Stores:
    """All stores of a stack, the pooler before the database, and the links before each."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._running: dict[str, Store] = {}
        self._made: dict[tuple[str, str], Store] = {}  # stopped ones too: they keep what was prepared
        self._links: dict[str, Link] = {}
        self._pooler: PgBouncer | None = None
        self._ports: dict[str, int] = {}
        self._prepared: set[tuple[object, ...]] = set()

    @property
    def postgres(self) -> Postgres | None:
        """The database, where it is a Postgres of ours."""
        database = self._running.get("database")
        return database if isinstance(database, Postgres) else None

    @property
    def pooler(self) -> PgBouncer | None:
        """The pooler, where there is one."""
        return self._pooler

    def start(self, plan: Plan, prepare: Prepare) -> None:
        """Brings the plan's stores up, in their prepared state; `prepare` fills fresh ones, given their URLs.

        Args:
            plan: Whose stores are wanted; others that run are stopped.
            prepare: Runs the app's prepare commands under these environment variables.
        """
        for name in [name for name, store in self._running.items() if self._unwanted(plan.stores.get(name), store)]:
            self._running.pop(name).stop()
        for name, settings in plan.stores.items():
            self._start(name, settings)
        owned = any(settings.kind == "url" for settings in plan.stores.values())
        commands = () if owned else plan.app.prepare
        self._ground.forget("own_store")
        for name in [name for name, settings in plan.stores.items() if settings.kind == "url"]:
            unprepared = "[app] prepare was not run, and " if plan.app.prepare else ""
            text = f"[stores.{name}] is your own: {unprepared}what the app writes to it stays"
            self._ground.remark("own_store", name, text)
        app, kinds = plan.app, tuple(sorted((name, settings.kind) for name, settings in plan.stores.items()))
        # All that may shape what the commands write.
        key = (commands, kinds, app.folder, app.entry, app.python, tuple(sorted(app.env.items())))
        if not self._all_prepared(key):
            self._fill(plan, key, prepare if commands else lambda _: None)
        for store in self._running.values():
            store.restore(key)
        self._lead(plan)

    def _unwanted(self, settings: StorePlan | None, store: Store) -> bool:
        return settings is None or not isinstance(store, _CLASSES[settings.kind])

    def _start(self, name: str, settings: StorePlan) -> None:
        made = _CLASSES[settings.kind]
        store = self._made.get((name, made.__name__))
        if store is None:
            ground = self._ground
            store = made(ground.launcher_of(name), ground.run_folder, ground.logs, ground.cores.stack, name)
            self._made[name, made.__name__] = store
        if self._ground.moved(name):
            store.stop()
        self._running[name] = store
        store.start(settings)

    def _all_prepared(self, key: tuple[object, ...]) -> bool:
        return key in self._prepared and all(store.prepared(key) for store in self._running.values())

    def _fill(self, plan: Plan, key: tuple[object, ...], prepare: Prepare) -> None:
        """Empties every store, runs the prepare commands on them, and keeps what came of it."""
        for store in self._running.values():
            store.empty()
        handed: dict[str, str] = {}
        for name, store in self._running.items():
            handed |= plan.stores[name].handed(store.url(store.port))
        prepare(handed)
        for store in self._running.values():
            store.keep(key)
        self._prepared.add(key)

    # ---- the way to them

    def _lead(self, plan: Plan) -> None:
        """Puts links and the pooler before the stores that want them; takes away what is wanted no more."""
        links = {link.name: link for link in plan.links}
        for name in set(self._links) - set(links):
            self._links.pop(name).stop()
        for name, store in self._running.items():
            self._ports[name] = self._link(name, store.port, links)
        moved = self._ground.moved("pooler")
        if self._pooler is not None and (moved or plan.pooler is None):
            self._pooler.stop()
        if plan.pooler is None:
            self._pooler = None
            return
        postgres = self.postgres
        if postgres is None:
            raise StackError("[pooler]: there is no Postgres of ours to pool connections of.")
        if self._pooler is None:
            ground = self._ground
            self._pooler = PgBouncer(
                ground.launcher_of("pooler"), ground.run_folder, ground.logs, ground.cores.stack, "pooler"
            )
        self._pooler.start(plan.pooler, self._ports["database"], postgres.user, postgres.password, postgres.database)
        self._ports["database"] = self._link("pooler", self._pooler.port, links)

    def _link(self, name: str, port: int, links: Mapping[str, LinkPlan]) -> int:
        """The port to use instead of `port`: the link's that the plan puts before it, or the same."""
        wanted = links.get(name)
        if wanted is None or not port:
            return port
        if name not in self._links:
            ground = self._ground
            self._links[name] = Link(ground.launcher, ground.logs, ground.run_folder, ground.cores.side, name)
        self._links[name].start(port, wanted)
        return self._links[name].port

    # ---- what others need to know

    def environment(self, plan: Plan) -> dict[str, str]:
        """The variables that hand the stores to the app."""
        found: dict[str, str] = {}
        for name, url in self.urls().items():
            found |= plan.stores[name].handed(url)
        return found

    def urls(self) -> dict[str, str]:
        """How the app reaches each store, by name."""
        return {name: store.url(self._ports.get(name, store.port)) for name, store in self._running.items()}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT on the app's SQL database, read as the app may read and never written.

        Raises:
            ValueError: there is none that can be asked, or it refuses; the text is the end of a sentence.
        """
        store = self._running.get("database")
        if not isinstance(store, Postgres | SQLite):
            what = "the stack has no database" if store is None else f"a database of kind {store.kind} cannot be asked"
            raise ValueError(what)  # noqa: TRY004 - the kind of a store is a value of the plan
        return store.rows(query)

    @property
    def links(self) -> dict[str, Link]:
        """The links before stores and the pooler, by name."""
        return self._links

    def versions(self) -> dict[str, str]:
        """Each store's program and version."""
        found = {name: f"{store.kind} {store.version}" for name, store in self._running.items()}
        if self._pooler is not None:
            found["pooler"] = f"pgbouncer {self._pooler.version}"
        return found

    def addresses(self) -> dict[str, tuple[str, int]]:
        """(kind, port) of each store that listens, by name."""
        return {
            name: (store.kind, self._ports.get(name, store.port)) for name, store in self._running.items() if store.port
        }

    def watched(self) -> list[Watched]:
        """The processes of each."""
        found = [Watched(name, (store.process,)) for name, store in self._running.items() if store.process is not None]
        if self._pooler is not None and self._pooler.process is not None:
            found.append(Watched("pooler", (self._pooler.process,)))
        return found

    def stop(self) -> None:
        """Stops every one of ours."""
        for link in self._links.values():
            link.stop()
        if self._pooler is not None:
            self._pooler.stop()
        for store in reversed(list(self._running.values())):
            store.stop()
        self._running.clear()


_CLASSES: dict[str, type[Postgres | MariaDB | SQLite | Valkey | Memcached | OwnStore]] = {
    "postgres": Postgres,
    "mariadb": MariaDB,
    "sqlite": SQLite,
    "valkey": Valkey,
    "redis": Valkey,
    "memcached": Memcached,
    "url": OwnStore,
}
