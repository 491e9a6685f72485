"""The keys of prony.toml that are no knobs, as data: table by table, with default, range and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prony.knobs.values import Kind, allowed, read


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: how it is written, its default, and what it is for."""

    name: str
    kind: Kind
    default: Any
    why: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = False

    def read(self, value: Any) -> Any:
        """The raw value, checked; raises NotAllowedError."""
        return read(self.kind, value, self.low, self.high, self.choices)

    def allowed(self) -> str:
        """What it takes, as the end of a sentence."""
        return allowed(self.kind, self.low, self.high, self.choices)


APP = (
    Key("entry", "text", None, 'The app: "module:callable", or a factory "module:create_app()".', required=True),
    Key("python", "text", ".venv/bin/python", "Its interpreter; without this key .venv/bin/python, else prony's own."),
    Key("prepare", "texts", (), "Commands run once per fresh store, such as migrations and seed data."),
    Key("env", "table", {}, "Environment variables for the app. Their values are never stored."),
    Key("egress", "texts", (), "Hosts the app may reach besides its own stack; default none."),
)
DATABASE = (
    Key("kind", "choice", "postgres", "Which database to start.", choices=("postgres",)),
    Key("env", "text", "DATABASE_URL", "The environment variable that hands the database's URL to the app."),
)
TRAFFIC = (
    Key("arrivals", "choice", "poisson", "When requests are due.", choices=("poisson", "constant", "closed")),
    Key("rate", "number", None, "Open loop: requests per second.", low=0.1, high=200_000),
    Key(
        "users", "integer", None, "Closed loop: users, each sending its next request after the last answer.", 1, 20_000
    ),
    Key("duration", "duration", 10.0, "How long requests are sent.", low=0.5, high=86_400),
    Key("think", "duration", 0.0, "Closed loop: pause between an answer and the next request.", low=0, high=3600),
    Key("timeout", "duration", 30.0, "A request without its whole answer by then has failed.", low=0.05, high=600),
    Key("drain", "duration", 5.0, "How long to wait for answers after the last request was due.", low=0, high=600),
    Key("seed", "integer", 1, "Seed of arrivals and of the mix.", 0, 2**31),
)
REQUEST = (
    Key("path", "text", None, "Path and query, beginning with /.", required=True),
    Key("method", "choice", "GET", "HTTP method.", choices=("GET", "HEAD")),
    Key("weight", "number", 1.0, "Its share of the mix is weight ÷ sum of weights.", low=0.000_001, high=1_000_000),
    Key("name", "text", None, "What reports call it; default: the path."),
)
EXPECT_NAMES = ("status", "contains")
LATENCIES = ("p50", "p90", "p95", "p99", "p999")
LIMITS = (
    *(
        Key(name, "duration", 1.0 if name == "p99" else None, f"Most {name} latency.", low=0.001, high=600)
        for name in LATENCIES
    ),
    Key("errors", "share", 0.01, "Most share of requests that may fail.", low=0, high=1),
)
SERVER_KINDS_WHY = "The app server. Each kind has its own knobs."
TABLES = ("app", "stores", "server", "traffic", "limits")
