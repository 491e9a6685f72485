"""The tables in the code in, docs/reference.md, docs/reference/ and docs/json.md out: `make docs`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields
from inspect import cleandoc
from pathlib import Path
from typing import Any

import click
import msgspec

from prony.campaign.noise import Canary, Noise, Seen
from prony.cli import cli
from prony.document import Document
from prony.doubts import KINDS
from prony.knobs import Knob, link, outside, pooler, proxy, server, stores
from prony.knobs.sizes import SIZES, WRITTEN, Size
from prony.plan import addresses, keys
from prony.plan.keys import Key
from prony.recording import OUTCOMES
from prony.recording.model import Campaign, TrialRow
from prony.recording.named import READINGS
from prony.report.columns import COLUMNS
from prony.stack.fitness import Finding
from prony.summary.tiers import FIGURES
from prony.traffic.imports import Import, Source
from prony.traffic.mix import LeftOut, Route
from prony.traffic.rates import Rates
from prony.trial import Calibration
from prony.verdict import CAUSES, GRADES, TIERS
from prony.visit import candidates, diagnosis
from prony.visit.results import Check

FOLDER = Path(__file__).parent
MADE = "<!-- Made by `make docs` from the code. Edit there. -->\n"
INTERFACES = {"wsgi": "WSGI", "asgi": "ASGI", "aiohttp": "aiohttp"}
# Table of prony.toml -> (how it is written, what it is for, the page that lists its keys).
TABLES = {
    "app": ("[app]", "the app under test", "#app"),
    "server": ("[server]", "the app server", "reference/servers.md"),
    "servers": ("[servers.NAME]", "further app servers beside it", "reference/servers.md"),
    "stores": ("[stores.database], [stores.NAME]", "what the app keeps its data in", "reference/stores.md"),
    "pooler": ("[pooler]", "PgBouncer before Postgres", "reference/stores.md#pooler"),
    "proxy": ("[proxy], [[proxy.route]]", "nginx in front", "reference/proxy.md"),
    "workers": ("[workers.NAME]", "commands beside the web", "#workersname"),
    "services": ("[services.NAME]", "slow outside services of ours", "reference/links.md"),
    "link": ("[link.NAME]", "what the way to a tier is like", "reference/links.md"),
    "box": ("[box.NAME]", "CPU and memory", "reference/boxes.md"),
    "traffic": (
        "[traffic], [[traffic.request]], [[traffic.journey]], [[traffic.phase]]",
        "what is sent, and when",
        "#traffic",
    ),
    "login": ("[login]", "as whom requests are sent", "#login"),
    "limits": ("[limits]", "what counts as serving well", "#limits"),
}


def cell(text: object) -> str:
    """A text as it may stand in a Markdown table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def grid(head: Iterable[str], rows: Iterable[Iterable[object]]) -> list[str]:
    """A Markdown table, and the empty line after it."""
    heads = list(head)
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return [*lines, *(f"| {' | '.join(cell(each) for each in row)} |" for row in rows), ""]


def code(names: Iterable[object]) -> str:
    """Names one after the other, each as code."""
    return ", ".join(f"`{name}`" for name in names)


def written(kind: str, value: Any) -> str:
    """A value as it would be written in prony.toml."""
    if kind == "duration":
        return f'"{value * 1000:g}ms"' if 0 < value < 1 else f'"{value:g}s"'
    if kind == "share":
        return f'"{value * 100:g}%"'
    if kind == "bytes":
        for unit, size in (("G", 1024**3), ("M", 1024**2), ("K", 1024)):
            if value and value % size == 0:
                return f'"{value // size}{unit}"'
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return "[]" if value == () else str(value)


def shown(key: Key | Knob) -> str:
    """A key's default as it would be written in prony.toml."""
    if key.default is None:
        return "required" if isinstance(key, Key) and key.required else "unset"
    return written(key.kind, key.default)


def table(found: Iterable[Key | Knob]) -> list[str]:
    """Keys or knobs as a Markdown table."""
    rows = [
        (f"`{key.key if isinstance(key, Knob) else key.name}`", key.allowed(), f"`{shown(key)}`", key.why)
        for key in found
    ]
    return grid(("key", "allowed", "default", "why"), rows)


def index() -> list[str]:
    """Where everything is, and the tables that need no page of their own."""

    def at(page: str) -> str:
        return "below" if page.startswith("#") else page.partition("#")[0].removeprefix("reference/")

    found = TABLES.values()
    lines = [
        "# Reference",
        "",
        "A prony.toml needs `[app].entry` and nothing else. Unknown keys are errors that name the nearest known one.",
        "`--set NAME=VALUE` takes each by its dotted name: `server.workers=5`, `stores.database.max_connections=50`,",
        "`box.app.cpus=0.5`. Durations are written `250ms`, `10s`, `5m` or `1h`, amounts of bytes `512M` or `2G`.",
        "",
        *grid(("table", "is", "its keys"), [(code([how]), what, f"[{at(page)}]({page})") for how, what, page in found]),
        "Besides: [the command line](reference/cli.md), with what `prony --help` says of every verb;",
        "[outcomes, doubts, tiers, causes and grades](reference/results.md); [what is read of each",
        "tier](reference/readings.md); [what --json prints](json.md).",
        "",
    ]
    for title, own in (
        ("[app]", keys.APP),
        ("[workers.NAME]", keys.WORKER),
        ("[traffic]", keys.TRAFFIC),
        ("[[traffic.request]]", (*keys.REQUEST, keys.PARAMS, keys.PATHS)),
        ("[[traffic.request]] stream", keys.STREAM),
        ("[[traffic.journey]]", keys.JOURNEY),
        ("[[traffic.phase]]", ()),
        ("The file that [traffic] file names", (keys.GUESSED, *keys.RATE)),
        ("[login]", keys.LOGIN),
        ("[limits]", keys.LIMITS),
    ):
        lines += [f"## {title}", "", *(table(own) if own else _phases())]
        if title == "[traffic]":
            lines += ['`think` may be a table of pauses that differ (lognormal), `{ median = "2s", sigma = 0.8 }`:', ""]
            lines += table(keys.THINK)
        if title == "[workers.NAME]":
            lines += ["Of `command` and `process` one is needed, and not both.", ""]
        if title == "[[traffic.journey]]":
            lines += ["[Journeys](howto/journeys.md) tells how they are written.", ""]
        if title == "The file that [traffic] file names":
            lines += [
                "It holds `[[request]]` tables with the keys of [[traffic.request]]; `guessed` stands above them, and"
            ]
            lines += ["`step` and `begins` in `[rate]`, with `rps`, a list of requests per second.", ""]
        if title == "[[traffic.request]]":
            lines += ["`expect = { … }` says what a right answer is; each part that is given must hold:", ""]
            lines += grid(("part", "asks for"), ((code([name]), what) for name, what in keys.EXPECT.items()))
        if title == "[login]":
            lines += _login_users()
    return lines


def _phases() -> list[str]:
    """The shapes of phases, and the keys each takes."""
    lines = [
        "Phases follow each other, in place of `rate`, `users` and `duration`; `--rate` and `--users` replace them.",
        'Levels are requests per second, from 0 to 200000; users, to 20000, where `arrivals = "closed"`. With',
        "`requests_per_session` they are visitors per second. [Shaping the load](howto/shape-load.md) tells more.",
        "",
        *grid(
            ("`shape`", "is", "its keys"),
            (
                (code([shape]), keys.PHASES_WHY[shape], code(key.name for key in own))
                for shape, own in keys.PHASES.items()
            ),
        ),
    ]
    rows: dict[tuple[str, ...], list[str]] = {}
    for shape, own in keys.PHASES.items():
        for key in own:
            rows.setdefault((code([key.name]), key.allowed(), code([shown(key)]), key.why), []).append(shape)
    found = [(name, ", ".join(shapes), *rest) for (name, *rest), shapes in rows.items()]
    return [*lines, *grid(("key", "of shape", "allowed", "default", "why"), found)]


def _login_users() -> list[str]:
    """What the table of [login] cannot say by itself."""
    row = ("`users`", 'a whole number from 1 to 1000; the name of a CSV file; `"all"` with kind = "minted"', "`1`")
    return [
        *grid(("key", "allowed", "default", "why"), [(*row, keys.LOGIN_USERS_WHY)]),
        "In `fields`, `user`, `password` and `session`, `{n}` stands for a visitor's number, from 1, and `{column}`",
        "for a column of the CSV file, whose first line names them; `{{n}}` is the text `{n}`. In `session`, `{n:d}`",
        "is a number. How each kind is used: [Logging in](howto/login.md).",
        "",
    ]


def servers_page() -> list[str]:
    """Every app server: what it serves, and its knobs."""
    lines = [
        "# App servers",
        "",
        "`[server]` is the main one, which routes call `app`; each `[servers.NAME]` is a further one beside it, and",
        "needs a `[proxy]`. Both take the same keys. A server is run by the app's own interpreter; what is not",
        "installed there comes from an [overlay](../howto/overlays.md). Defaults are the servers' own.",
        "",
        *grid(
            ("key", "allowed", "default", "why"),
            [
                ("`kind`", f"one of {', '.join(server.KINDS)}", f'`"{server.KINDS[0]}"`', keys.SERVER_KINDS_WHY),
                ("`worker_class`", "see below", "the first of its kind below", "How a worker serves requests."),
                (f"`{keys.INSTANCES.name}`", keys.INSTANCES.allowed(), keys.INSTANCES.default, keys.INSTANCES.why),
                (f"`{keys.SERVER_ENTRY.name}`", "a text; in [servers.NAME] only", "unset", keys.SERVER_ENTRY.why),
            ],
        ),
        "## What serves what",
        "",
        *grid(
            ("kind", "worker class", "serves"),
            [
                (f"`{kind}`", f"`{name}`" if name else "–", ", ".join(INTERFACES[each] for each in served))
                for (kind, name), served in server.INTERFACES.items()
            ],
        ),
        "Any other pair is refused, with the reason, before the server is started. `[app] interface` says what the app",
        "is, where that cannot be found out.",
        "",
    ]
    for kind in server.KINDS:
        lines += [f"## {kind}", "", *_knobs_of(kind)]
    return lines


def _knobs_of(kind: str) -> list[str]:
    """A kind's knobs, each with the worker classes that have it."""
    classes = server.worker_classes(kind)
    found: dict[tuple[Any, ...], list[str]] = {}
    for (k, name), knobs in server.KNOBS.items():
        if k == kind:
            for knob in knobs:
                row = (f"`{knob.key}`", knob.allowed(), f"`{shown(knob)}`", f"`{knob.flag}`", knob.why)
                found.setdefault(row, []).append(name)
    if not classes:
        return grid(("key", "allowed", "default", "its own option", "why"), found)
    rows = [
        (*row[:1], "all" if len(names) == len(classes) else ", ".join(names), *row[1:]) for row, names in found.items()
    ]
    return grid(("key", "worker class", "allowed", "default", "its own option", "why"), rows)


STORE_KEYS = dict.fromkeys(key for found in keys.STORE_KEYS.values() for key in found)


def of_kinds(key: Key) -> tuple[str, str]:
    """(what a key takes and with which kinds of store, its default)."""
    kinds = [kind for kind, found in keys.STORE_KEYS.items() if key in found]
    default = "required there" if key is keys.STORE_URL else f"`{written(key.kind, key.default)}`"
    return f"{key.allowed()}; kind = {', '.join(kinds)}", default if key.default != "" else "unset"


def stores_page() -> list[str]:
    """Every store, and the pooler."""
    lines = [
        "# Stores",
        "",
        "`[stores.database]` is the SQL store; there is one, and it bears that name. Every other table `[stores.NAME]`",
        "is one of the other kinds, under a name of your choice. Each is handed to the app as a URL in an environment",
        "variable. All are fresh and prony's own, except those of kind `url`.",
        "",
        "## Kinds",
        "",
        *grid(
            ("kind", "table", "its variable, unless `env` names another"),
            [
                (f"`{kind}`", "[stores.database]" if kind in keys.SQL_KINDS else "[stores.NAME]", f"`{variable}`")
                for kind, variable in keys.STORE_VARIABLES.items()
            ]
            + [("`url`", "both", "`DATABASE_URL`; in [stores.NAME] it must be named")],
        ),
        "## Keys of every store",
        "",
        *grid(
            ("key", "allowed", "default", "why"),
            [
                (
                    "`kind`",
                    f"[stores.database]: {', '.join(keys.SQL_KINDS)}; [stores.NAME]: {', '.join(keys.OTHER_KINDS)}",
                    f'`"{keys.SQL_KINDS[0]}"`; in [stores.NAME] required',
                    "Which program keeps the data.",
                ),
                (f"`{keys.STORE_ENV.name}`", keys.STORE_ENV.allowed(), "see above", keys.STORE_ENV.why),
                *((f"`{key.name}`", *of_kinds(key), key.why) for key in STORE_KEYS),
            ],
        ),
        "A template of `env` may name " + code("{" + each + "}" for each in addresses.NETWORK) + ";",
        "for SQLite " + code("{" + each + "}" for each in addresses.PLACEHOLDERS["sqlite"]) + ", for memcached",
        code("{" + each + "}" for each in addresses.PLACEHOLDERS["memcached"]) + ". User and password are as in a URL",
        "(`%40` for `@`) where the template has a `://`, else plain.",
        "",
        "A store of kind `url` has no knobs, and is never restored between starts. Where a plan has one,",
        "`[app] prepare` is not run. The doubt `own_store` says so.",
        "",
    ]
    kinds: dict[tuple[Knob, ...], list[str]] = {}
    for kind, knobs in stores.STORES.items():
        kinds.setdefault(knobs, []).append(kind)
    for knobs, names in kinds.items():
        lines += [f"## {' and '.join(names)}", "", *table(knobs)]
    return [*lines, "## [pooler]", "", *table((keys.POOLER_KIND, *pooler.POOLER))]


def proxy_page() -> list[str]:
    """The proxy, its presets and routes."""
    lines = ["# The proxy", "", "## [proxy]", "", *table((*keys.PROXY, *proxy.PROXY))]
    lines += ["## [[proxy.route]]", "", "The longest path that fits is served; what none fits goes to `app`.", ""]
    lines += table(keys.ROUTE)
    kinds = {key.name: key.kind for key in keys.PROXY} | {knob.key: knob.kind for knob in proxy.PROXY}
    for name, values in proxy.PRESETS.items():
        lines += [f'## preset = "{name}"', "", "Sets these; a key given in `[proxy]` wins.", ""]
        lines += grid(
            ("key", "value"), [(f"`{key}`", f"`{written(kinds[key], value)}`") for key, value in values.items()]
        )
    return lines


def links_page() -> list[str]:
    """Links and outside services, which can be changed while they run."""
    return [
        "# Links and outside services",
        "",
        "All of this, except a service's `env`, can be changed while the stack is up:",
        "`prony change link.database.round_trip=20ms services.feed.errors=10%`.",
        "",
        "## [link.NAME]",
        "",
        "NAME is a tier that listens: a store's name, `app` or the NAME of a `[servers.NAME]`, `pooler`, `proxy`, or",
        "the NAME of a `[services.NAME]`. `round_trip` in a store's own table is a link before it, too; one of the two",
        "is allowed.",
        "",
        *table(link.LINK),
        "## [services.NAME]",
        "",
        *table((keys.OUTSIDE_ENV, *outside.OUTSIDE)),
    ]


def boxes_page() -> list[str]:
    """Boxes and named sizes."""
    lines = ["# Boxes", "", "## [box.NAME]", "", *table(keys.BOX)]
    lines += [
        "At least one limit is needed. A tier belongs to one box at most. `cpus`, `memory` and `period` win over the",
        "size's.",
        "",
        "## Sizes",
        "",
        "CPU in cores, as one can count on for long; memory in MB of 1024 × 1024 bytes; the scheduler's period in ms.",
        "*Checked*: whether CPU and memory were read in a copy of the source, or are general knowledge, to be looked",
        f"up before one relies on them. As known on {WRITTEN}, or at the date by the source; not what is sold today.",
        "",
    ]
    rented = [size for size in SIZES.values() if not size.database]
    databases = [size for size in SIZES.values() if size.database]
    heads = ("size", "cpus", "memory, MB", "period, ms", "CPU is", "checked", "source", "note")
    lines += grid(heads, (_size(size) for size in rented))
    lines += [
        "### Managed databases",
        "",
        "The size of a box that holds `database` brings its round trip (our assumption) and its connections, where",
        "`[stores.database]` or `[link.database]` does not say others.",
        "",
    ]
    more = ("round trip, ms", "connections")
    rows = ((*_size(size)[:6], f"{size.round_trip_ms:g}", size.max_connections, *_size(size)[6:]) for size in databases)
    return lines + grid((*heads[:6], *more, *heads[6:]), rows)


def _size(size: Size) -> tuple[object, ...]:
    source = f"{size.source} ({size.date})" if size.date else size.source
    figures = (f"{size.cpus:g}", size.memory_mb, f"{size.period_ms:g}")
    return (f"`{size.name}`", *figures, size.share, "yes" if size.checked else "no", source, size.note)


def results_page() -> list[str]:
    """Outcomes, doubts, tiers, causes and grades."""
    lines = ["# What results are made of", "", "## Outcomes of a request", "", code(OUTCOMES), ""]
    lines += ["## Doubts", "", "A *note* informs; a *void* makes the figures it names null.", ""]
    lines += grid(
        ("doubt", "means", "voids", "what to do"),
        [(f"`{k.name}`", k.means, code(k.voids) or "nothing: a note", k.todo) for k in KINDS.values()],
    )
    for title, tokens in (("Tiers", TIERS), ("Causes", CAUSES), ("Grades", GRADES)):
        rows = [(f"`{name}`", text) for name, text in tokens.items()]
        lines += [f"## {title} of a verdict", "", *grid(("token", "means"), rows)]
    lines += [
        "## Causes of a check",
        "",
        "What `prony check` says of an answer; one that makes it *wrong* ends it with 1.",
        "",
    ]
    found = diagnosis.CAUSES.items()
    lines += grid(("token", "is", "means"), [(f"`{name}`", "wrong" if w else "a note", m) for name, (w, m) in found])
    lines += ["## Reasons to leave a route out", "", "Why `prony check` does not visit a route that nobody named.", ""]
    lines += grid(("token", "means"), [(f"`{name}`", f"{text}.") for name, text in candidates.REASONS.items()])
    lines += [
        "## Columns of exported samples",
        "",
        "What `prony report` writes with `--csv` and `--parquet`: a row for each request, in the order in which they",
        "ended, then one for each event of a streamed answer.",
        "",
    ]
    columns = ((f"`{name}`", column.type, column.what) for name, column in COLUMNS.items())
    return lines + grid(("column", "type", "is"), columns)


def readings_page() -> list[str]:
    """What probes read, and the figures that come of it."""
    lines = [
        "# Readings, and the figures of tiers",
        "",
        "While a trial runs, probes read every tier: the gauge, the CPU and the listen queues at 50 ms, all else each",
        "second. A recording keeps each reading with its instant. Units are in the names: `_s` seconds, `_bytes`; a",
        "share runs from 0 to 1. A counter starts where it stood; only its growth counts.",
        "",
        "## Figures of tiers",
        "",
        "`tiers` of a trial in `--json`, and in words in every report, in the order in which a request meets them:",
        f"{code(('proxy', 'listen_queue', 'workers', 'app'))}, each store by its name,",
        f"{code(('pooler', 'connections', 'database'))}, workers beside the web and outside services, `box.NAME`,",
        f"{code(('host', 'probes'))}. They are taken over the sending window. What was not read is left out, or null.",
        "",
    ]
    for of, figures in FIGURES.items():
        lines += [f"### {of}", "", *grid(("figure", "is"), [(f"`{each.name}`", each.text) for each in figures])]
    lines += [
        "Besides: `hit_share` of a cache, keys that were there of those asked for; `buffer_hit_share` of the database,",
        "blocks found in its own memory; `cpu_s_per_request` of app and database.",
        "",
        "`tier_errors` of a trial has the errors of each tier by kind, from the trial's start to its end; a tier of",
        "which they are not known is not in it. `waits` has what Postgres's connections waited for, by wait event.",
        "",
        "## Readings by source",
        "",
        "`processes` are read for every tier that is processes of ours. Those of `workers`, from the gauge inside the",
        "app, are in [architecture.md](../architecture.md).",
        "",
    ]
    for of, names in READINGS.items():
        rows = [(f"`{each.name}`", f"a {each.nature}", each.text) for each in names]
        lines += [f"### Readings of {of}", "", *grid(("reading", "is", "of"), rows)]
    return lines


def command_line() -> list[str]:
    """The help of every verb."""
    lines = ["# The command line", ""]
    root = cli.make_context("prony", [], resilient_parsing=True, max_content_width=100, terminal_width=100)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is None:
            continue
        context = click.Context(command, info_name=name, parent=root, max_content_width=100, terminal_width=100)
        lines += [f"## prony {name}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return [
        *lines,
        "## Exit codes",
        "",
        *grid(
            ("code", "means"),
            [
                (0, "done, and within limits; a replay that could tell its story"),
                (
                    1,
                    "outside limits; `check`: a page is not right; `doctor`: a crashed run left something",
                ),
                (2, "the command or the configuration is wrong"),
                (3, "this machine lacks something"),
                (4, "the measurement is not to be believed"),
                (130, "interrupted"),
            ],
        ),
    ]


def schema(kind: type) -> str:
    """A type's JSON schema, the same by every version of msgspec: docstrings without indentation, null the last."""

    def same(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if isinstance(found.get("description"), str):
            found["description"] = cleandoc(found["description"])
        if isinstance(found.get("anyOf"), list):
            found["anyOf"].sort(key=lambda each: each == {"type": "null"})
        return found

    made = msgspec.json.encode(msgspec.json.schema(kind))
    return json.dumps(json.loads(made, object_pairs_hook=same), indent=1, ensure_ascii=False)


def json_page() -> list[str]:
    """What --json prints."""
    return [
        "# What --json prints",
        "",
        "Every verb that measures takes `--json` and then prints one JSON document on stdout; progress goes to stderr.",
        "Units are in the names: `_s` seconds, `_rps` requests per second, `_bytes` bytes; shares run from 0 to 1.",
        "A figure that a doubt voids is null. Tokens of tiers, causes, grades, outcomes and doubts are closed sets:",
        "[results.md](reference/results.md) lists them.",
        "",
        "```json",
        schema(Document),
        "```",
        "",
        "## Verbs that do not measure",
        "",
        f"`prony list` prints a list of recordings, each with {code(field.name for field in fields(Campaign))}; its",
        f"`conclusion` is the document above; each of `trials` has {code(field.name for field in fields(TrialRow))}.",
        "",
        "`prony doctor` prints `prony`, `verb`, `machine`; `findings`, each with",
        f"{code(field.name for field in fields(Finding))}, where `state` is `ok`, `without` (it can be done without)",
        "or `lacking`; `strays`, what crashed runs left, each with `kind`, `what` and `removed`; what is known of",
        f"this machine, or null: `generator` ({code(Calibration.__struct_fields__)}), and",
        f"`noise` ({code(Noise.__struct_fields__)}), each of whose `figures` has",
        f"{code(Seen.__struct_fields__)}, and each `canary` {code(Canary.__struct_fields__)}. With `--consent`:",
        "`prony`, `verb`, `host`, its `token`, and `ways`, each with `where` to publish it and `what` stands there.",
        "",
        "`prony check` prints this; causes and reasons are closed sets, too:",
        "",
        "```json",
        schema(Check),
        "```",
        "",
        "`prony init` prints `prony`, `verb`, `file`; `found`, each with `what`, `value` and `source`, no",
        "variable's value; `unknown`, what could not be told, each with `what`, `key` and `todo`; `notes`; and `next`,",
        "the next command.",
        "",
        f"`prony import` prints `prony`, `verb`, {code(Import.__struct_fields__)}; `written`, the file or null;",
        "`read_by_prony_toml`, and `change`, what was done to prony.toml, or is to be. Each of `sources` has",
        f"{code(Source.__struct_fields__)}; each of `routes` {code(Route.__struct_fields__)}; each of `left_out`",
        f"{code(LeftOut.__struct_fields__)}; `rates` {code(Rates.__struct_fields__)}. `distinct` counts at most 1 000.",
        "",
        "`prony change` prints `prony`, `verb` and `changed`: what was changed, by name, in that program's words.",
    ]


def pages() -> dict[str, str]:
    """Every generated page, by its path below docs/."""
    made = {
        "reference.md": index(),
        "reference/servers.md": servers_page(),
        "reference/stores.md": stores_page(),
        "reference/proxy.md": proxy_page(),
        "reference/links.md": links_page(),
        "reference/boxes.md": boxes_page(),
        "reference/results.md": results_page(),
        "reference/readings.md": readings_page(),
        "reference/cli.md": command_line(),
        "json.md": json_page(),
    }
    return {name: "\n".join([MADE, *lines]).rstrip() + "\n" for name, lines in made.items()}


def main() -> None:
    """Writes them all."""
    for name, text in pages().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
