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
    Key(
        "python",
        "text",
        ".venv/bin/python",
        "Its interpreter, in the folder or absolute. Without this key the project's own is looked for: .venv, venv, "
        "env, Poetry's, Pipenv's, what .python-version names; else prony's own.",
    ),
    Key("prepare", "texts", (), "Commands run once per fresh store, such as migrations and seed data."),
    Key("env", "table", {}, "Environment variables for the app. Their values are never stored."),
    Key("egress", "texts", (), "Hosts the app may reach besides its own stack, as host or host:port; default none."),
    Key(
        "interface",
        "choice",
        "auto",
        "How servers call the app. Found out in its interpreter unless said here.",
        choices=("auto", "wsgi", "asgi", "aiohttp"),
    ),
)
INSTANCES = Key("instances", "integer", 1, "How many run side by side; more than one need [proxy] in front.", 1, 32)
SERVER_ENTRY = Key("entry", "text", "", "What this server serves, where that is not [app].entry.")
WORKER = (
    Key("command", "text", "", "The command, such as celery -A shop worker."),
    Key("process", "text", "", "Or the name of a line in the project's Procfile."),
    Key("instances", "integer", 1, "How many of it.", 1, 32),
)
STORE_ENV = Key("env", "text", None, "The environment variable that hands the store's URL to the app.")
STORE_URL = Key("url", "text", None, "Where a store of your own is (kind = url): never stopped, never wiped.")
STORE_VARIABLES = {
    "postgres": "DATABASE_URL",
    "mariadb": "DATABASE_URL",
    "sqlite": "DATABASE_URL",
    "valkey": "REDIS_URL",
    "redis": "REDIS_URL",
    "memcached": "MEMCACHED_URL",
}
SQL_KINDS = ("postgres", "mariadb", "sqlite", "url")
OTHER_KINDS = ("valkey", "redis", "memcached", "url")
PROXY = (
    Key("kind", "choice", "nginx", "Which program stands in front.", choices=("nginx",)),
    Key("preset", "choice", "", "A named set of values, which keys given here override.", choices=("platform-router",)),
    Key(
        "balancing",
        "choice",
        "round_robin",
        "How an upstream's instances are chosen between. Platforms' routers choose at random.",
        choices=("round_robin", "least_conn", "random", "ip_hash"),
    ),
    Key("tls", "flag", False, "Listen for https as well, with a self-signed certificate."),
    Key("static", "table", {}, 'Folders of files that it serves itself: "/static/" = "static".'),
)
ROUTE = (
    Key("path", "text", None, "What the paths begin with.", required=True),
    Key("to", "text", "app", "Which app servers: app, or NAME of [servers.NAME]."),
    Key("cache", "duration", 0.0, "How long right answers are kept and given again; 0s: not at all.", 0, 86_400),
    Key("buffering", "flag", True, "Whether answers are collected before they are sent on. Off for streamed ones."),
)
OUTSIDE_ENV = Key("env", "text", None, "The environment variable that hands its URL to the app.", required=True)
POOLER_KIND = Key("kind", "choice", "pgbouncer", "Which program pools connections.", choices=("pgbouncer",))
BOX = (
    Key("services", "texts", (), "The tiers that share this box; default: the one it is named after."),
    Key("size", "text", "", "A named size; docs/reference/boxes.md lists them."),
    Key("cpus", "number", None, "Cores' worth of CPU time.", 0.01, 256),
    Key("memory", "bytes", None, "Memory that its processes may have.", 16 * 1024**2, 2**50),
    Key("period", "duration", 0.1, "How often CPU time is handed out: platforms use 100ms.", 0.001, 1.0),
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
    Key("host", "text", "", "The Host that requests name, such as shop.example.com; default: where they are sent."),
    Key("headers", "table", {}, 'Header fields of every request: { X-Forwarded-Proto = "https" }.'),
)
REQUEST = (
    Key("path", "text", None, "Path and query, beginning with /.", required=True),
    Key("method", "choice", "GET", "HTTP method.", choices=("GET", "HEAD")),
    Key("weight", "number", 1.0, "Its share of the mix is weight ÷ sum of weights.", low=0.000_001, high=1_000_000),
    Key("name", "text", None, "What reports call it; default: the path."),
    Key("anonymous", "flag", False, "Whether it is sent as nobody, without the cookies of one who is logged in."),
)
JOURNEY = (
    Key(
        "run",
        "text",
        None,
        'An `async def` that is given a visitor, in a file of the project: "journeys.py:buy".',
        required=True,
    ),
    Key("weight", "number", 1.0, "How often it is begun, beside other journeys and requests.", 0.000_001, 1_000_000),
    Key("users", "text", "", "A CSV file in the project: each visitor is one of its rows, in turn."),
)
# What `expect` may ask of an answer.
EXPECT = {
    "status": "the status, or a list of them (200 where none is given)",
    "contains": "a text in the body",
    "type": 'the media type, such as `"text/html"`',
    "header": "header fields and their values; a `*` in a value stands for anything, alone for any value at all",
    "matches": "a regular expression (Python's) that matches somewhere in the body",
    "json": 'paths in a body of JSON and what stands there: `{ "items.0.name" = "Tea", count = 3, next = "*" }`; '
    "a `*` in a text stands for anything, alone for any value at all",
    "min_bytes": "the least length of the body",
    "max_bytes": "the greatest length of the body",
    "sha256": "the SHA-256 of the body, in hexadecimal",
}
LATENCIES = ("p50", "p90", "p95", "p99", "p999")
LIMITS = (
    *(
        Key(name, "duration", 1.0 if name == "p99" else None, f"Most {name} latency.", low=0.001, high=600)
        for name in LATENCIES
    ),
    Key("errors", "share", 0.01, "Most share of requests that may fail.", low=0, high=1),
)
SERVER_KINDS_WHY = "The app server. Each kind has its own knobs."
TABLES = (
    "app",
    "stores",
    "pooler",
    "server",
    "servers",
    "proxy",
    "workers",
    "services",
    "link",
    "box",
    "traffic",
    "limits",
)
