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
    Key("folder", "text", "", "The folder within this one that it is imported from and runs in; default: this one."),
    Key(
        "python",
        "text",
        ".venv/bin/python",
        "Its interpreter, in the folder or absolute. Without this key the project's own is looked for: .venv, venv, "
        "env, Poetry's, Pipenv's, what .python-version names; else prony's own.",
    ),
    Key("prepare", "texts", (), "Commands run once per fresh store, such as migrations and seed data."),
    Key("env", "table", {}, "Environment variables for the app. Their values are never stored."),
    Key(
        "env_file",
        "text",
        "",
        "A file in the folder with more of them, in lines NAME=VALUE; those under `env`, and those that hand stores "
        "over, win.",
    ),
    Key(
        "scratch",
        "flag",
        True,
        "Cover the folder of prony.toml: what the app writes into it goes to the cover, which is put back to its "
        "prepared state before each start, and is gone in the end. `.prony` stays the real one.",
    ),
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
STORE_ENV = Key(
    "env",
    "templates",
    None,
    "The environment variable that hands the store's URL to the app, or a table of variables and what each gets: "
    '{ DB_HOST = "{host}", DB_PORT = "{port}" }.',
)
STORE_URL = Key("url", "text", None, "Where a store of your own is (kind = url): never stopped, never wiped.")
STORE_AT = Key(
    "at",
    "text",
    "",
    "Where the app's own settings expect the store, as a URL: in the stack's network this one answers there, at that "
    "name and port, with that user, password and database. `env` may then be left out.",
)
STORE_DUMP = Key(
    "dump",
    "text",
    "",
    "A file that pg_dump wrote (plain, .gz, custom or tar), or its folder: loaded before `prepare`.",
)
STORE_FILE = Key(
    "file",
    "text",
    "",
    "The database file that the app's own settings name, from the folder of prony.toml: a scratch copy of it under the "
    "cover. `env` may then be left out.",
)
STORE_FRESH = Key("fresh", "flag", False, "Begin without what `file` holds in the project.")
# Which kinds take which of these; kind and env belong to all.
STORE_KEYS = {
    "postgres": (STORE_AT, STORE_DUMP),
    "mariadb": (STORE_AT,),
    "sqlite": (STORE_FILE, STORE_FRESH),
    "valkey": (STORE_AT,),
    "redis": (STORE_AT,),
    "memcached": (STORE_AT,),
    "url": (STORE_URL,),
}
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
RATE_MAX, USERS_MAX = 200_000, 20_000
TRAFFIC = (
    Key("arrivals", "choice", "poisson", "When requests are due.", choices=("poisson", "constant", "closed")),
    Key("rate", "number", None, "Open loop: requests per second.", low=0.1, high=RATE_MAX),
    Key(
        "users",
        "integer",
        None,
        "Closed loop: users, each sending its next request after the last answer.",
        1,
        USERS_MAX,
    ),
    Key(
        "requests_per_session",
        "number",
        None,
        "Partly open: each arrival is a visitor with so many requests on average, one after the other with `think` "
        "between; rate counts visitors.",
        1,
        100,
    ),
    Key("duration", "duration", 10.0, "How long requests are sent.", low=0.5, high=86_400),
    Key("think", "duration", 0.0, "Pause of a user between an answer and the next request.", low=0, high=3600),
    Key("timeout", "duration", 30.0, "A request without its whole answer by then has failed.", low=0.05, high=600),
    Key("connect_timeout", "duration", None, "A request without a connection by then has failed.", low=0.05, high=600),
    Key("first_byte_timeout", "duration", None, "The same of the first byte of an answer.", low=0.05, high=600),
    Key("keep_alive", "flag", True, "Whether connections are used again; else each request has one of its own."),
    Key("https", "flag", False, "Whether requests go over https: to the proxy, with [proxy] tls = true."),
    Key(
        "retries",
        "integer",
        0,
        "How often a client tries again what failed: a GET or HEAD without an answer, or with 429, 502, 503 or 504.",
        0,
        10,
    ),
    Key("backoff", "duration", 0.1, "The pause before a first retry, at most; doubled each time.", 0.001, 60),
    Key(
        "generators",
        "integer",
        None,
        "Processes that send the load, each its share; default: one for each core that is kept for them.",
        1,
        64,
    ),
    Key("drain", "duration", 5.0, "How long to wait for answers after the last request was due.", low=0, high=600),
    Key("seed", "integer", 1, "Seed of arrivals and of the mix.", 0, 2**31),
    Key("host", "text", "", "The Host that requests name, such as shop.example.com; default: where they are sent."),
    Key(
        "file",
        "text",
        "",
        "A file beside this one that holds the requests, as `prony import` writes it; in place of [[traffic.request]].",
    ),
    Key("headers", "table", {}, 'Header fields of every request: { X-Forwarded-Proto = "https" }.'),
)
# `think` as a table: pauses that differ.
THINK = (
    Key("median", "duration", None, "Half of the pauses are shorter.", low=0.001, high=3600, required=True),
    Key(
        "sigma",
        "number",
        None,
        "How much they differ: the standard deviation of their logarithm. With 0.8 one in six is over 2.2 times the "
        "median.",
        low=0,
        high=5,
        required=True,
    ),
)
LEVELS = ("level", "from", "to")  # in requests per second, or in users where arrivals = "closed"
_PHASE = {
    "from": Key("from", "number", None, "The level it begins at.", required=True),
    "to": Key("to", "number", None, "The level it goes to.", required=True),
    "duration": Key("duration", "duration", None, "How long the whole phase lasts.", 0.01, 86_400, required=True),
}
# The shapes of [[traffic.phase]], and which keys each takes.
PHASES = {
    "hold": (Key("level", "number", None, "The level throughout.", required=True), _PHASE["duration"]),
    "ramp": tuple(_PHASE.values()),
    "steps": (*_PHASE.values(), Key("steps", "integer", None, "How many, of equal length.", 2, 1000, required=True)),
    "spike": (
        *_PHASE.values(),
        Key("lasts", "duration", None, "How long the spike lasts, in the middle.", 0.01, 86_400, required=True),
    ),
    "rush": (Key("from", "number", 1.0, "The level it begins at."), _PHASE["to"], _PHASE["duration"]),
    "recorded": (
        Key("duration", "duration", None, "What the whole record is squeezed into; unset: as it was.", 0.01, 86_400),
        Key("times", "number", 1.0, "Every rate of the record times this.", 0.000_001, 1_000_000),
    ),
}
PHASES_WHY = {
    "hold": "one level",
    "ramp": "in a straight line from one level to another",
    "steps": "from one level to another in steps of equal height and length",
    "spike": "a level, suddenly another, and back",
    "rush": "from 1 to as many as are named, in a straight line",
    "recorded": "the rate of the log that [traffic] file was imported from, step by step",
}
REQUEST = (
    Key("path", "text", None, "Path and query, beginning with /.", required=True),
    Key("method", "choice", "GET", "HTTP method.", choices=("GET", "HEAD")),
    Key("weight", "number", 1.0, "Its share of the mix is weight ÷ sum of weights.", low=0.000_001, high=1_000_000),
    Key("name", "text", None, "What reports call it; default: the path."),
    Key("anonymous", "flag", False, "Whether it is sent as nobody, without the cookies of one who is logged in."),
    Key("redirects", "flag", False, "Whether redirects are followed, each a request of its own, up to 5 of them."),
)
STREAM = (
    Key("events", "integer", None, "It is read until so many events have come.", 1, 1_000_000),
    Key("for", "duration", None, "It is read for so long from its first byte.", 0.05, 86_400),
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
    Key("anonymous", "flag", False, "Whether its visitors begin as nobody, where [login] has logged them in."),
)
PARAMS = Key(
    "params",
    "table",
    {},
    'What stands for the {placeholders} of the path: { id = ["1", "2"] }, or the SELECT that finds it in the stack\'s '
    'own database: { id = "SELECT id FROM shop_product" }. Without it: what `prony check` learned.',
)
PATHS = Key(
    "paths",
    "texts",
    (),
    "In place of params: the very paths that are asked for, one at random each time; one that stands here twice, twice "
    "as often.",
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
# What stands in the file that [traffic] file names, besides [[request]].
GUESSED = Key("guessed", "flag", False, "Whether the weights were guessed, as from a document that counts nothing.")
RATE = (
    Key("step", "duration", None, "How long each value holds.", low=0.1, high=86_400, required=True),
    Key("begins", "text", "", "When the series began, by the log's own clock."),
)
RATES_MAX = 100_000
LOGIN = (
    Key(
        "kind",
        "choice",
        "form",
        "How visitors are logged in; form where there is a page and no kind is named.",
        choices=("form", "token", "basic", "minted"),
    ),
    Key(
        "proof",
        "text",
        None,
        "A page that only the logged-in see: it is asked for as nobody, and then as each visitor.",
        required=True,
    ),
    Key(
        "proof_contains",
        "text",
        None,
        "A text on that page as the logged-in see it; needed where anyone gets a page there.",
    ),
    Key("page", "text", None, "form: the page with the form. token: where the fields are posted to."),
    Key("fields", "table", {}, "form, token: what is filled in, by the fields' own names."),
    Key("form", "text", None, "form: a CSS selector of the form, where the page has several."),
    Key("send", "choice", "json", "token: how the fields are posted.", choices=("json", "form")),
    Key("token", "text", "access_token", "token: where it stands in the answer's JSON, such as data.token."),
    Key("header", "text", "Authorization", "token: the header field that carries it from then on."),
    Key("scheme", "text", None, "token: the word before it; Bearer in Authorization, and none in other fields."),
    Key("user", "text", None, "basic: the user's name."),
    Key("password", "text", None, "basic: the user's password."),
    Key("session", "table", {}, "minted: what the session holds. Flask needs it; Django's is known."),
)
LOGIN_OF_KIND = {
    "form": ("page", "fields", "form"),
    "token": ("page", "fields", "send", "token", "header", "scheme"),
    "basic": ("user", "password"),
    "minted": ("session",),
}
LOGIN_USERS_WHY = "How many are logged in before anything is measured, or a file that lists them."
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
    "login",
    "limits",
)
