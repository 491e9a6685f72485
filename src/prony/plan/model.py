"""What one trial runs, as frozen data: app, stack with every knob's value, traffic, limits."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field, structs

from prony.knobs import server as server_knobs


class App(Struct, frozen=True, kw_only=True):
    """The app under test: where it lives, how it is entered, and what prepares its data.

    Attributes:
        entry: "module:callable" or a factory "module:create_app()".
        folder: Absolute path it runs in.
        python: Absolute path of its interpreter.
        prepare: Commands run once per fresh store.
        env: Environment variables, by name.
        egress: Hosts it may reach besides its own stack.
    """

    entry: str
    folder: str
    python: str
    prepare: tuple[str, ...] = ()
    env: dict[str, str] = {}
    egress: tuple[str, ...] = ()


class Database(Struct, frozen=True, kw_only=True):
    """The database behind the app; `env` names the variable that carries its URL."""

    kind: str = "postgres"
    env: str = "DATABASE_URL"
    max_connections: int = 100
    round_trip_s: float = 0.0
    shared_buffers_mb: int = 128


class Server(Struct, frozen=True, kw_only=True):
    """The app server and every one of its knobs' values, by key."""

    kind: str
    worker_class: str
    knobs: dict[str, int | bool]

    @property
    def processes(self) -> int:
        """How many processes serve requests."""
        return server_knobs.processes(self.kind, self.knobs)

    @property
    def slots_per_process(self) -> int:
        """How many requests one process can be serving at once."""
        return server_knobs.slots_per_process(self.kind, self.worker_class, self.knobs)

    @property
    def slots(self) -> int:
        """How many requests the server can be serving at once."""
        return self.processes * self.slots_per_process

    @property
    def title(self) -> str:
        """The server in a few words: "gunicorn sync, 3 workers"."""
        name = f"{self.kind} {self.worker_class}".strip()
        size = []
        if "workers" in self.knobs:
            size.append(_count(self.knobs["workers"], "worker"))
        if "threads" in self.knobs:
            size.append(_count(self.knobs["threads"], "thread"))
        if "worker_connections" in self.knobs:
            size.append(f"{self.knobs['worker_connections']} connections each")
        return f"{name}, {' × '.join(size)}"


class Expect(Struct, frozen=True, kw_only=True):
    """What a right answer looks like."""

    status: tuple[int, ...] = (200,)
    contains: str | None = None


class Request(Struct, frozen=True, kw_only=True):
    """One request of the mix: its share is weight ÷ sum of weights."""

    path: str = "/"
    method: str = "GET"
    weight: float = 1.0
    name: str = ""
    expect: Expect = Expect()


class Traffic(Struct, frozen=True, kw_only=True):
    """What is sent and when: open loop at a rate (rps), or closed loop with users."""

    requests: tuple[Request, ...] = (Request(),)
    arrivals: str = "poisson"
    rate_rps: float | None = None
    users: int | None = None
    duration_s: float = 10.0
    think_s: float = 0.0
    timeout_s: float = 30.0
    drain_s: float = 5.0
    seed: int = 1
    declared: bool = True


class Limits(Struct, frozen=True, kw_only=True):
    """What counts as serving well: latency percentiles in seconds by name ("p99"), and the share of errors."""

    latency_s: dict[str, float] = field(default_factory=lambda: {"p99": 1.0})
    errors: float = 0.01

    @property
    def text(self) -> str:
        """The limits in one line."""
        parts = [f"{name} ≤ {value:g} s" for name, value in self.latency_s.items()]
        return ", ".join([*parts, f"errors ≤ {self.errors * 100:.3g} %", "backlog not growing"])


class Plan(Struct, frozen=True, kw_only=True):
    """What one trial runs; `document` is the TOML it was read from, with every --set applied."""

    app: App
    server: Server
    database: Database | None
    traffic: Traffic
    limits: Limits
    source: str
    document: dict[str, Any] = {}

    @property
    def title(self) -> str:
        """The configuration in a few words."""
        return self.server.title

    def loaded(
        self,
        *,
        rate_rps: float | None = None,
        users: int | None = None,
        duration_s: float | None = None,
        seed: int | None = None,
        drain_s: float | None = None,
    ) -> Plan:
        """The same plan under another load: open loop at `rate_rps`, or closed loop with `users`."""
        traffic = self.traffic
        arrivals = "closed" if users is not None else traffic.arrivals if traffic.arrivals != "closed" else "poisson"
        new = structs.replace(
            traffic,
            arrivals=arrivals,
            rate_rps=rate_rps,
            users=users,
            duration_s=traffic.duration_s if duration_s is None else duration_s,
            drain_s=traffic.drain_s if drain_s is None else drain_s,
            seed=traffic.seed if seed is None else seed,
        )
        return structs.replace(self, traffic=new)

    def redacted(self) -> Plan:
        """The plan as it is stored: values of environment variables taken out."""
        app = structs.replace(self.app, env=dict.fromkeys(self.app.env, "(redacted)"))
        return structs.replace(self, app=app, document={})


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
