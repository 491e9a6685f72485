"""The plan's stores in, running programs with the prepared data in them and the app's URLs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prony.errors import PlanError
from prony.plan import Plan
from prony.plan import Store as StorePlan
from prony.stack.cover import Cover
from prony.stack.services.mariadb import MariaDB
from prony.stack.services.memcached import Memcached
from prony.stack.services.own import OwnStore
from prony.stack.services.pgbouncer import PgBouncer
from prony.stack.services.postgres import Postgres
from prony.stack.services.sqlite import SQLite
from prony.stack.services.sqlite_file import SQLiteFile
from prony.stack.services.store import Store
from prony.stack.services.valkey import Valkey
from prony.stack.tiers import Ground, Watched
from prony.stack.ways import Ways

Prepare = Callable[[Mapping[str, str]], None]


class Stores:
    """All stores of a stack, and the ways to them."""

    def __init__(self, ground: Ground, cover: Cover) -> None:
        self._ground = ground
        self._cover = cover
        self.ways = Ways(ground)
        self._running: dict[str, Store] = {}
        self._made: dict[tuple[str, str], Store] = {}  # stopped ones too: they keep what was prepared
        self._prepared: set[tuple[object, ...]] = set()

    @property
    def postgres(self) -> Postgres | None:
        """The database, where it is a Postgres of ours."""
        database = self._running.get("database")
        return database if isinstance(database, Postgres) else None

    @property
    def running(self) -> Mapping[str, Store]:
        """What runs, by name."""
        return self._running

    @property
    def pooler(self) -> PgBouncer | None:
        """The pooler, where there is one."""
        return self.ways.pooler

    def start(self, plan: Plan, prepare: Prepare) -> None:
        """Brings the plan's stores up, in their prepared state; `prepare` fills fresh ones, given their URLs.

        Args:
            plan: Whose stores are wanted; others that run are stopped.
            prepare: Runs the app's prepare commands under these environment variables.
        """
        for name in [name for name, store in self._running.items() if self._unwanted(plan.stores.get(name), store)]:
            self._running.pop(name).stop()
        itself = self.ways.settle(plan)
        self._cover.settle(plan)
        self._check_file(plan)
        for name, settings in plan.stores.items():
            self._start(name, settings, itself.get(name, 0))
        owned = any(settings.kind == "url" for settings in plan.stores.values())
        commands = () if owned else plan.app.prepare
        self._ground.forget("own_store")
        for name in [name for name, settings in plan.stores.items() if settings.kind == "url"]:
            unprepared = "[app] prepare was not run, and " if plan.app.prepare else ""
            text = f"[stores.{name}] is your own: {unprepared}what the app writes to it stays"
            self._ground.remark("own_store", name, text)
        app, kinds = plan.app, tuple(sorted((name, settings.kind) for name, settings in plan.stores.items()))
        expected = tuple((name, *settings.prepared_by) for name, settings in plan.stores.items())
        # All that may shape what the commands write.
        key = (
            commands,
            kinds,
            expected,
            app.folder,
            app.home,
            app.scratch,
            app.entry,
            app.python,
            tuple(sorted(app.env.items())),
        )
        if not self._all_prepared(key):
            self._fill(plan, key, prepare if commands else lambda _: None)
        self._cover.restore(key)
        for store in self._running.values():
            store.restore(key)
        self.ways.lead(plan, self._running)

    def _check_file(self, plan: Plan) -> None:
        """Raises PlanError where the app would write to the project's own database file."""
        for store in plan.stores.values():
            if store.file and not self._cover.there:
                raise PlanError(
                    f"{plan.source}: [stores.{store.name}] file: found it where the app's folder cannot be covered "
                    f"({self._cover.why_not}), so that the app would write to {store.file} itself; allowed: where it "
                    "is covered.",
                    hint='take file out, write env = "DATABASE_URL", and let the app\'s settings read that',
                )

    def _unwanted(self, settings: StorePlan | None, store: Store) -> bool:
        return settings is None or not isinstance(store, _class_of(settings))

    def _start(self, name: str, settings: StorePlan, port: int) -> None:
        made = _class_of(settings)
        store = self._made.get((name, made.__name__))
        if store is None:
            ground = self._ground
            store = made(ground.launcher_of(name), ground.run_folder, ground.logs, ground.cores.stack, name)
            self._made[name, made.__name__] = store
        if self._ground.moved(name):
            store.stop()
        self._running[name] = store
        store.start(settings, port)

    def _all_prepared(self, key: tuple[object, ...]) -> bool:
        return (
            key in self._prepared
            and self._cover.prepared(key)
            and all(store.prepared(key) for store in self._running.values())
        )

    def _fill(self, plan: Plan, key: tuple[object, ...], prepare: Prepare) -> None:
        """Empties every store and the folder's cover, runs the prepare commands, and keeps what came of it."""
        self._cover.empty()
        for store in self._running.values():
            store.empty()
        for name, store in self._running.items():
            dump = plan.stores[name].dump
            if dump and isinstance(store, Postgres):
                store.load(Path(dump))
        with self.ways.directly(self._running):
            prepare(self._handed(plan, {name: store.url(store.port) for name, store in self._running.items()}))
        self._cover.keep(key)
        for store in self._running.values():
            store.keep(key)
        self._prepared.add(key)

    # ---- what others need to know

    def environment(self, plan: Plan) -> dict[str, str]:
        """The variables that hand the stores to the app."""
        return self._handed(plan, self.urls())

    def _handed(self, plan: Plan, urls: Mapping[str, str]) -> dict[str, str]:
        """The variables for these URLs; where the app's settings expect a store at an address, that is its URL."""
        found: dict[str, str] = {}
        for name, url in urls.items():
            found |= plan.stores[name].handed(plan.stores[name].at or url)
        return found

    def urls(self) -> dict[str, str]:
        """How the app reaches each store, by name."""
        return {name: store.url(self.ways.ports.get(name, store.port)) for name, store in self._running.items()}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT on the app's SQL database, read as the app may read and never written.

        Raises:
            ValueError: there is none that can be asked, or it refuses; the text is the end of a sentence.
        """
        store = self._running.get("database")
        if not isinstance(store, Postgres | SQLite | SQLiteFile):
            what = "the stack has no database" if store is None else f"a database of kind {store.kind} cannot be asked"
            raise ValueError(what)  # noqa: TRY004 - the kind of a store is a value of the plan
        return store.rows(query)

    def versions(self) -> dict[str, str]:
        """Each store's program and version."""
        found = {name: f"{store.kind} {store.version}" for name, store in self._running.items()}
        if self.ways.pooler is not None:
            found["pooler"] = f"pgbouncer {self.ways.pooler.version}"
        return found

    def addresses(self) -> dict[str, tuple[str, int]]:
        """(kind, port) of each store that listens, by name."""
        ports = self.ways.ports
        return {name: (each.kind, ports.get(name, each.port)) for name, each in self._running.items() if each.port}

    def watched(self) -> list[Watched]:
        """The processes of each."""
        found = [Watched(name, (store.process,)) for name, store in self._running.items() if store.process is not None]
        pooler = self.ways.pooler
        if pooler is not None and pooler.process is not None:
            found.append(Watched("pooler", (pooler.process,)))
        return found

    def stop(self) -> None:
        """Stops every one of ours."""
        self.ways.stop()
        for store in reversed(list(self._running.values())):
            store.stop()
        self._running.clear()


_Class = type[Postgres | MariaDB | SQLite | SQLiteFile | Valkey | Memcached | OwnStore]
_CLASSES: dict[str, _Class] = {
    "postgres": Postgres,
    "mariadb": MariaDB,
    "sqlite": SQLite,
    "valkey": Valkey,
    "redis": Valkey,
    "memcached": Memcached,
    "url": OwnStore,
}


def _class_of(settings: StorePlan) -> _Class:
    return SQLiteFile if settings.file else _CLASSES[settings.kind]
