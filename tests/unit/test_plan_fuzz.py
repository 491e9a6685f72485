"""2 000 generated prony.toml files, and the command line that reads them: a plan or one paragraph, no traceback."""

from __future__ import annotations

import contextlib
import copy
import datetime as dt
import io
import json
import math
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prony.cli import main, options
from prony.errors import PlanError, PronyError
from prony.knobs import Knob, link, outside, pooler, proxy, server, stores
from prony.plan import keys, read_document, read_file
from prony.plan.checks import SECRETS, shown
from prony.plan.keys import Key

SECRET = "hunter2-s3cr3t"  # noqa: S105 - stands for one
URL = f"postgres://shop:{SECRET}@127.0.0.1:5432/shop"


def fitting(key: Key | Knob) -> Any:
    """A value that a key takes."""
    low = key.low or 0
    return {
        "integer": int(max(low, 1)),
        "number": float(max(low, 1)),
        "duration": f"{max(low, 1):g}s",
        "share": "1%",
        "flag": True,
        "text": "text",
        "choice": key.choices[0] if key.choices else "",
        "texts": ["a b"],
        "table": {"A": SECRET},
        "bytes": int(max(low, min(key.high or 2**50, 2**26))),
    }[key.kind]


def all_of(known: tuple[Key | Knob, ...], **more: Any) -> dict[str, Any]:
    """A table with every key that is known."""
    return {(key.key if isinstance(key, Knob) else key.name): fitting(key) for key in known} | more


REQUEST = all_of(keys.REQUEST, path="/p/{id}", params={"id": ["1"]}, expect={"status": [200], "contains": "x"})
SKELETON: dict[str, Any] = {
    "app": all_of(
        keys.APP,
        entry="shop:app",
        env={"KEY": SECRET},
        egress=["a.example.com:80"],
        python=sys.executable,
        interface="wsgi",
        folder=".",
        env_file="app.env",
    ),
    "stores": {
        "database": {"kind": "url", "url": URL, "env": "DATABASE_URL"},
        **{
            kind: all_of(stores.STORES[kind], kind=kind, env=f"{kind.upper()}_AT")
            for kind in keys.OTHER_KINDS
            if kind in stores.STORES
        },
    },
    "server": all_of(server.KNOBS[next(iter(server.KNOBS))], kind="gunicorn", worker_class="sync", instances=1),
    "servers": {"two": {"kind": "uvicorn", "entry": "shop:other"}},
    "pooler": all_of((keys.POOLER_KIND, *pooler.POOLER)),
    "proxy": all_of(
        (*keys.PROXY, *proxy.PROXY),
        static={"/static/": "."},
        preset="platform-router",
        route=[all_of(keys.ROUTE, path="/", to="app")],
    ),
    "workers": {"w": {"command": "celery worker", "instances": 2}},
    "services": {"feed": all_of((keys.OUTSIDE_ENV, *outside.OUTSIDE), env="FEED_URL")},
    "link": {"database": all_of(link.LINK)},
    "box": {"app": all_of(keys.BOX, services=["app"], size="droplet-512mb")},
    "traffic": all_of(
        tuple(key for key in keys.TRAFFIC if key.name not in {"file", "users", "retries"}),  # which exclude others
        headers={"Authorization": SECRET},
        request=[REQUEST],
        host="shop.example.com",
    ),
    "limits": all_of(keys.LIMITS),
    "login": {"kind": "form", "page": "/in", "proof": "/me", "fields": {"name": "ann", "password": SECRET}},
}
# A table that is new, and that nobody has said a skeleton for, has one made of its keys.
for _name in keys.TABLES:
    _known = getattr(keys, _name.upper(), ())
    SKELETON.setdefault(_name, all_of(tuple(_known) if isinstance(_known, tuple) else ()))

NUMBERS = [0, -1, 10**15, 10**400, -(10**400), 0.1, math.inf, -math.inf, math.nan, True]
TEXTS = [
    "",
    " ",
    "\n",
    "\0",
    "\x1b[2J",
    "a" * 5000,
    "ü",
    "\u202e",
    "\U0001f600",
    "{}",
    "{x",
    "%",
    "/",
    "..",
    "(",
    "(a+)+$",
    "*",
]
WORDS = ["~nosuchuser/x", "1s", "99999h", "1%", "512M", "gunicorn", "SELECT 1; x", "prony.traffic.toml"]
LISTS: list[Any] = [[], [[]], [{}], {}, {"": 1}, {"x": {"x": {"x": [{}]}}}, [1, "a", 2.5], {"a.b": [True]}]
TIMES = [dt.date(1, 1, 1), dt.time(23, 59), dt.datetime(9999, 12, 31, tzinfo=dt.UTC)]
NASTY = [*NUMBERS, *TEXTS, *WORDS, *LISTS, *TIMES]
OPERATIONS = ["replace", "replace", "misspell", "delete", "wrap", "list", "add", "secret"]
MARKS = ["", "[", '"', "=", "\n", "\0", "é", "]]"]


def nasty(chance: random.Random) -> Any:
    """One of those, or lists within lists, or any number or text."""
    kind = chance.randrange(8)
    if kind == 0:
        depth = chance.randrange(1, 60)
        return json.loads("[" * depth + "1" + "]" * depth)
    if kind == 1:
        return chance.choice([chance.randrange(-(10**9), 10**9), chance.uniform(-1e9, 1e9), chance.randrange(600)])
    if kind == 2:
        return "".join(chr(chance.choice([chance.randrange(128), chance.randrange(0xD7FF)])) for _ in range(9))
    return copy.deepcopy(chance.choice(NASTY))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) within a document."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


def unharmed(tables: list[str]) -> dict[str, Any]:
    """A document with these tables that is a plan."""
    document = {name: copy.deepcopy(SKELETON[name]) for name in dict.fromkeys(["app", *tables])}
    if "servers" in document:
        document.setdefault("proxy", {})
    if "pooler" in document or "link" in document:
        document.setdefault("stores", {})["database"] = {"kind": "postgres"}
    return document


def mutated(chance: random.Random) -> dict[str, Any]:
    """Such a document with up to four places changed."""
    document = unharmed(chance.sample(sorted(SKELETON), chance.randrange(5)))
    for _ in range(chance.randrange(5)):
        found = list(places(document))
        if not found:
            break
        container, key = chance.choice(found)
        old, operation, value = container[key], chance.choice(OPERATIONS), nasty(chance)
        if operation == "replace":
            container[key] = value
        elif operation == "delete":
            del container[key]
        elif operation == "wrap":
            container[key] = {"x": old}
        elif operation == "list":
            container[key] = [old, value]
        elif operation == "secret" and key in SECRETS:  # of another type than is allowed
            container[key] = [{"A": SECRET}, SECRET]
        elif isinstance(container, dict) and operation == "misspell":
            container[f"{str(key)[:-1]}{shown(value)[:3]}"] = container.pop(key)
        elif isinstance(container, dict):
            container[shown(value)[:40]] = value
    return document


def toml(value: Any, top: bool = True) -> str:  # noqa: FBT001, FBT002 - of its own
    """A document as TOML: the outermost tables with headers, all within them inline."""
    if top:
        inner = ((name, table) for name, table in value.items())
        return "".join(
            f"\n[{text(name)}]\n" + "".join(f"{text(k)} = {toml(v, top=False)}\n" for k, v in table.items())
            if isinstance(table, dict)
            else f"{text(name)} = {toml(table, top=False)}\n"
            for name, table in sorted(inner, key=lambda item: isinstance(item[1], dict))
        )
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{text(k)} = {toml(v, top=False)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(each, top=False) for each in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, int):
        return hex(value) if value >= 0 else str(value)
    return str(value)


def text(value: str) -> str:
    return json.dumps(value.encode("utf-8", "replace").decode(), ensure_ascii=False).replace("\x7f", "\\u007f")


class ReadError(PronyError):
    """Stands where a stack would be started."""


@contextlib.contextmanager
def nothing_started() -> Iterator[None]:
    """The command line, as far as the plan's reading."""

    def read(path: Path, sets: tuple[str, ...] = ()) -> Any:
        read_file(path, sets)
        raise ReadError("read")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(options, "read_file", read)
        yield


def is_one_paragraph(message: str) -> None:
    assert SECRET not in message
    assert "\n" not in message
    assert 10 < len(message) < 900
    assert message.isprintable() or all(c.isprintable() or ord(c) > 127 for c in message)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "app.env").write_text(f"API_KEY={SECRET}\n", encoding="utf-8")
        yield Path(name)


@settings(max_examples=2000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**64).map(random.Random))
def test_2000_generated_files_give_no_traceback(folder: Path, chance: random.Random) -> None:
    document = mutated(chance)
    try:
        if chance.random() < 0.25:  # what TOML's text would not let through
            read_document(document, "prony.toml", folder)
    except PlanError as error:
        is_one_paragraph(error.message)
    written = toml(document)
    if chance.random() < 0.03:  # and now and then it is no TOML at all
        cut = chance.randrange(len(written) + 1)
        written = written[:cut] + chance.choice(MARKS) + written[cut + 1 :]
    (folder / "prony.toml").write_text(written, encoding="utf-8", errors="replace")
    said = io.StringIO()
    with nothing_started(), contextlib.redirect_stderr(said), pytest.raises(SystemExit) as ended:
        main(["run", "--project", str(folder)])
    paragraph = said.getvalue()
    assert ended.value.code == 2, paragraph
    assert "Traceback" not in paragraph
    assert "fault of prony's own" not in paragraph
    assert SECRET not in paragraph
    assert paragraph.startswith("prony: ")
    assert len(re.findall("\n", paragraph)) <= 3


@pytest.mark.parametrize("table", sorted(SKELETON))
def test_each_table_unharmed_is_a_plan_so_that_mutations_reach_all_of_it(folder: Path, table: str) -> None:
    (folder / "prony.toml").write_text(toml(unharmed([table])), encoding="utf-8")
    read_file(folder / "prony.toml")
