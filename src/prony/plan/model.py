"""What one trial runs, as frozen data: app, stack with every knob's value, traffic, limits."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, structs

from prony.knobs import server as server_knobs
from prony.plan import addresses
from prony.plan.addresses import Address
from prony.plan.destination import Destination
from prony.plan.login import Login
from prony.plan.requests import Limits, Traffic
from prony.plan.turns import Turns

_SET = re.compile(r"""(?<!\S)([A-Za-z_]\w*)=("[^"]*"|'[^']*'|\S+)""")  # what a command line sets before its program


class App(Struct, frozen=True, kw_only=True):
    """The app under test: where it lives, how it is entered, and what prepares its data.

    Attributes:
        entry: "module:callable" or a factory "module:create_app()".
        folder: Absolute path it runs in.
        home: Absolute path of the folder of prony.toml, from which relative paths start; empty: the same.
        python: Absolute path of its interpreter.
        prepare: Commands run once per fresh store.
        env: Environment variables, by name; those of `env_file` among them.
        env_file: Where some of them came from; empty for nowhere.
        scratch: Whether what it writes into its folder goes to a cover over that.
        egress: Hosts it may reach besides its own stack.
        interface: How servers call it: "wsgi", "asgi", "aiohttp", or "auto", which is found out in its interpreter.
    """

    entry: str
    folder: str
    python: str
    prepare: tuple[str, ...] = ()
    env: dict[str, str] = {}
    env_file: str = ""
    scratch: bool = True
    egress: tuple[str, ...] = ()
    interface: str = "auto"
    home: str = ""


class Server(Struct, frozen=True, kw_only=True):
    """An app server and every one of its knobs' values, by key.

    Attributes:
        kind: The program; empty where load goes alone, to a destination.
        worker_class: How it serves requests; empty where the program has one way only.
        knobs: Every knob's value.
        name: The upstream's name: "app" for [server], NAME for [servers.NAME].
        entry: What it serves; empty for the app's own entry.
        instances: How many of it run side by side, behind the proxy.
    """

    kind: str
    worker_class: str
    knobs: dict[str, Any]
    name: str = "app"
    entry: str = ""
    instances: int = 1

    @property
    def processes(self) -> int:
        """How many processes serve requests, over all instances."""
        return self.instances * self.processes_each

    @property
    def processes_each(self) -> int:
        """How many processes of one instance serve requests."""
        return server_knobs.processes(self.kind, self.knobs)

    @property
    def slots_per_process(self) -> int:
        """How many requests one process can be serving at once; 0 where nothing bounds them."""
        return server_knobs.slots_per_process(self.kind, self.worker_class, self.knobs) if self.kind else 0

    @property
    def slots(self) -> int:
        """How many requests the server can be serving at once; 0 where nothing bounds them."""
        return self.processes * self.slots_per_process

    @property
    def title(self) -> str:
        """The server in a few words: "gunicorn sync, 3 workers"."""
        name = f"{self.kind} {self.worker_class}".strip()
        size = []
        if self.instances > 1:
            size.append(_count(self.instances, "instance"))
        if "workers" in self.knobs:
            size.append(_count(self.knobs["workers"], "worker"))
        if self.knobs.get("threads"):
            size.append(_count(self.knobs["threads"], "thread"))
        if self.knobs.get("worker_connections"):
            size.append(f"{self.knobs['worker_connections']} connections each")
        return f"{name}, {' × '.join(size)}" if size else name


class Store(Struct, frozen=True, kw_only=True):
    """One store behind the app.

    Attributes:
        name: The table's name: "database" for the SQL one.
        kind: Which program; "url" is the user's own, never stopped and never wiped.
        env: The variable that carries its URL to the app, or a template for each of several; empty for none.
        url: Where the user's own is; empty for those of ours.
        at: Where the app's settings expect it, as a URL; empty where they take it from the environment.
        file: Absolute path of SQLite's file in the app's folder; empty for one of ours.
        fresh: Whether that begins without what the project's holds.
        dump: Absolute path of what is loaded before the prepare commands; empty for nothing.
        knobs: Every knob's value.
    """

    name: str = "database"
    kind: str = "postgres"
    env: str | dict[str, str] = "DATABASE_URL"
    url: str = ""
    at: str = ""
    file: str = ""
    fresh: bool = False
    dump: str = ""
    knobs: dict[str, Any] = {}

    @property
    def templates(self) -> dict[str, str]:
        """What each variable gets, with {url} and the like for parts of the store's URL."""
        if isinstance(self.env, dict):
            return self.env
        return {self.env: "{url}"} if self.env else {}

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that hand it to the app."""
        return tuple(self.templates)

    def handed(self, url: str) -> dict[str, str]:
        """The variables that hand it to the app when it is reached at `url`."""
        return {name: addresses.fill(text, url) for name, text in self.templates.items()}

    @property
    def by_password(self) -> bool:
        """Whether what the app is handed has the store's password in it."""
        return any("{url}" in text or "{password}" in text for text in self.templates.values())

    @property
    def address(self) -> Address | None:
        """Where the app's settings expect it, in parts."""
        return addresses.address_of(self.at) if self.at else None

    @property
    def prepared_by(self) -> tuple[object, ...]:
        """All that says what is in it before the prepare commands, and who may use it."""
        return (self.at, self.file, self.fresh, self.dump)

    @property
    def round_trip_s(self) -> float:
        """The round trip put before it."""
        return float(self.knobs.get("round_trip", 0.0))

    @property
    def max_connections(self) -> int:
        """How many connections it takes; 0 where that is not known."""
        return int(self.knobs.get("max_connections", 0))


class Pooler(Struct, frozen=True, kw_only=True):
    """What pools connections between the app and its database."""

    kind: str = "pgbouncer"
    knobs: dict[str, Any] = {}


class Route(Struct, frozen=True, kw_only=True):
    """Paths that begin alike, and where the proxy sends them; `cache_s` of 0 caches nothing."""

    path: str
    to: str = "app"
    cache_s: float = 0.0
    buffering: bool = True


class Proxy(Struct, frozen=True, kw_only=True):
    """What stands before the app servers.

    Attributes:
        preset: A named set of values that explicit keys override.
        balancing: How an upstream's instances are chosen between.
        routes: Longest prefix first served; what no route names goes to "app".
        static: Folders of files it serves itself, by path prefix.
        tls: Whether it listens for https as well, with a certificate of its own making.
    """

    kind: str = "nginx"
    preset: str = ""
    balancing: str = "round_robin"
    routes: tuple[Route, ...] = ()
    static: dict[str, str] = {}
    tls: bool = False
    knobs: dict[str, Any] = {}


class Worker(Struct, frozen=True, kw_only=True):
    """A command that runs beside the web, `instances` times."""

    name: str
    command: str
    instances: int = 1


class Outside(Struct, frozen=True, kw_only=True):
    """A slow outside service of ours that stands in for somebody's; `env` carries its URL to the app."""

    name: str
    env: str
    knobs: dict[str, Any] = {}


class Link(Struct, frozen=True, kw_only=True):
    """What the way to one tier is like: round trip in seconds, bandwidth in bytes a second, share of dropped opens."""

    name: str
    round_trip_s: float = 0.0
    bandwidth_bps: int = 0
    drop: float = 0.0
    frozen: bool = False


class Box(Struct, frozen=True, kw_only=True):
    """The CPU (cores) and memory (bytes) that the tiers named in `services` share; None: no limit."""

    name: str
    services: tuple[str, ...]
    size: str = ""
    cpus: float | None = None
    memory_bytes: int | None = None
    period_s: float = 0.1


class Plan(Struct, frozen=True, kw_only=True):
    """What one trial runs; `document` is the TOML it was read from, with every --set applied.

    Attributes:
        server: The main app server.
        others: Further app servers beside it, reached through the proxy.
        stores: What the app keeps its data in, by name.
        login: As whom requests go out; None: as nobody.
        destination: What is loaded in place of a stack; None where there is one.
    """

    app: App
    server: Server
    traffic: Traffic
    limits: Limits
    source: str
    others: tuple[Server, ...] = ()
    stores: dict[str, Store] = {}
    pooler: Pooler | None = None
    proxy: Proxy | None = None
    workers: tuple[Worker, ...] = ()
    services: tuple[Outside, ...] = ()
    links: tuple[Link, ...] = ()
    boxes: tuple[Box, ...] = ()
    login: Login | None = None
    destination: Destination | None = None
    document: dict[str, Any] = {}

    @property
    def servers(self) -> tuple[Server, ...]:
        """Every app server, the main one first."""
        return (self.server, *self.others)

    @property
    def database(self) -> Store | None:
        """The SQL store behind the app, where it has one."""
        return self.stores.get("database")

    @property
    def stack(self) -> tuple[Any, ...]:
        """All that makes a running stack: two plans that are alike in it differ in their load only."""
        fixed = (self.app, self.server, self.others, self.stores, self.pooler, self.proxy)
        return (*fixed, self.workers, self.services, self.links, self.boxes)

    @property
    def title(self) -> str:
        """The configuration in a few words; of load alone, where it goes."""
        return self.server.title if self.destination is None else self.destination.url

    def loaded(
        self,
        *,
        rate_rps: float | None = None,
        users: int | None = None,
        duration_s: float | None = None,
        seed: int | None = None,
        drain_s: float | None = None,
        think_s: float | None = None,
        arrivals: str | None = None,
        turns: Turns | None = None,
    ) -> Plan:
        """The same plan under another load: open loop at `rate_rps`, or closed loop with `users`.

        With neither, the plan's phases stay as they are, for as long as they last; else they go. `think_s` is a fixed
        pause; `arrivals` are those of an open loop; with `turns`, `duration_s` is the length of all of them.
        """
        traffic = self.traffic
        if rate_rps is None and users is None and traffic.phases:
            duration_s = None
        elif traffic.phases:
            traffic = structs.replace(traffic, phases=(), duration_s=Traffic().duration_s)
        arrivals = arrivals or traffic.arrivals
        if not traffic.phases:
            arrivals = "closed" if users is not None else "poisson" if arrivals == "closed" else arrivals
        new = structs.replace(
            traffic,
            arrivals=arrivals,
            rate_rps=rate_rps,
            users=users,
            duration_s=traffic.duration_s if duration_s is None else duration_s,
            drain_s=traffic.drain_s if drain_s is None else drain_s,
            session=traffic.session if users is None else None,
            think_s=traffic.think_s if think_s is None else think_s,
            think_sigma=traffic.think_sigma if think_s is None else 0.0,
            seed=traffic.seed if seed is None else seed,
            turns=turns,
        )
        return structs.replace(self, traffic=new)

    def redacted(self) -> Plan:
        """The plan as it is stored: no values of variables or header fields, no URLs, nothing visitors log in by.

        Commands neither have what they set: `NAME=value python seed.py`.
        """
        prepare = tuple(map(_without_values, self.app.prepare))
        app = structs.replace(self.app, env=dict.fromkeys(self.app.env, "(redacted)"), prepare=prepare)
        workers = tuple(structs.replace(each, command=_without_values(each.command)) for each in self.workers)
        stores = {name: _redacted(store) for name, store in self.stores.items()}
        traffic = structs.replace(self.traffic, headers=dict.fromkeys(self.traffic.headers, "(redacted)"))
        login = self.login and self.login.redacted()
        return structs.replace(self, app=app, workers=workers, stores=stores, traffic=traffic, login=login, document={})


def _without_values(command: str) -> str:
    return _SET.sub(r"\1=(redacted)", command)


def _redacted(store: Store) -> Store:
    gone = "(redacted)"
    env = dict.fromkeys(store.env, gone) if isinstance(store.env, dict) else store.env
    return structs.replace(store, env=env, url=store.url and gone, at=store.at and gone)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
