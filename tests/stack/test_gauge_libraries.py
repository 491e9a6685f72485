"""Each library that the gauge times, the real one against a real store: counted once, however it is built."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from prony.errors import MachineError
from prony.plan import read_document
from prony.probes.gauge import GaugeReader
from prony.probes.meters import rows_of, since
from prony.stack.stack import Stack
from tests.stack.test_gauge_work import APPS, get
from tests.stack.tiers_case import until

DOCUMENT: dict[str, Any] = {
    "app": {"entry": "libraries:application", "python": sys.executable},
    "stores": {
        "database": {"kind": "postgres"},
        "cache": {"kind": "valkey", "env": "CACHE_URL"},
        "memo": {"kind": "memcached", "env": "MEMO_URL"},
    },
    "services": {"slow": {"env": "SLOW_URL"}},
    "server": {"kind": "gunicorn", "workers": 1},
}
STATEMENTS = {
    "psycopg": {
        "SELECT ? AS of_psycopg": 1,
        "SELECT ? AS many_of_psycopg": 2,
        "SELECT ? AS streamed_of_psycopg": 1,
        "SELECT ? AS held_of_psycopg": 1,
        "COMMIT": 1,
    },
    "psycopg_async": {
        "SELECT ? AS of_psycopg_async": 1,
        "SELECT ? AS streamed_of_psycopg_async": 1,
        "SELECT ? AS held_of_psycopg_async": 1,
        "COMMIT": 1,
    },
    "psycopg2": {"SELECT ? AS of_psycopg2": 1, "SELECT ? AS many_of_psycopg2": 2},
    "asyncpg": {
        "SELECT ? AS of_asyncpg": 1,
        "SELECT ? AS prepared_of_asyncpg": 1,
        "SELECT ?::int AS many_of_asyncpg": 3,
    },
    "sqlalchemy": {"SELECT ? AS of_sqlalchemy": 1, "SELECT ? AS many_of_sqlalchemy": 2},
    "sqlalchemy_async": {"SELECT ? AS of_sqlalchemy_async": 1},
    "django": {"SELECT ? AS of_django_postgres": 2, "SELECT ? AS of_django_default": 1},
}
# command -> (calls, keys asked for, keys there)
CACHES = {
    "redis": {"redis SET": (1, 0, 0), "redis GET": (1, 1, 1), "redis MGET": (1, 2, 1), "redis pipeline": (1, 0, 0)},
    "redis_async": {"redis HGET": (1, 1, 0)},
    "pymemcache": {"pymemcache set": (1, 0, 0), "pymemcache get": (2, 2, 1)},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("libraries")
    with Stack(folder / "logs", own_folder=folder / "own") as made:
        try:
            made.boot(read_document(DOCUMENT, "prony.toml", APPS, {}))
        except MachineError as error:
            pytest.skip(error.paragraph())
        yield made


@pytest.fixture
def reader(stack: Stack) -> Iterator[GaugeReader]:
    assert stack.start is not None
    made = GaugeReader(stack.start.gauges)
    yield made
    made.close()


def asked(stack: Stack, reader: GaugeReader, library: str, kind: str) -> dict[str, dict[str, Any]]:
    until(lambda: reader.read().in_flight == 0, "those before have ended")
    before, ended = reader.meters(), reader.read().ended
    assert get(stack, f"/{library}") == 200
    until(lambda: reader.read().ended > ended, "the request ended")
    rows = rows_of(since(before, reader.meters()))
    assert reader.read().hooks_off == {}
    return {row["label"]: row for row in rows if row["kind"] == kind}


@pytest.mark.parametrize("library", STATEMENTS)
def test_a_statement_is_counted_once(stack: Stack, reader: GaugeReader, library: str) -> None:
    found = {label: row["count"] for label, row in asked(stack, reader, library, "statement").items()}
    ours = {label: n for label, n in found.items() if "of_" in label or label in STATEMENTS[library]}
    assert ours == STATEMENTS[library]


@pytest.mark.parametrize("library", ["psycopg", "psycopg_async", "psycopg2", "asyncpg", "sqlalchemy_async"])
def test_a_connection_that_is_opened_is_counted(stack: Stack, reader: GaugeReader, library: str) -> None:
    before = reader.read().connects
    assert get(stack, f"/{library}") == 200
    assert reader.read().connects == before + 1


@pytest.mark.parametrize("library", CACHES)
def test_a_cache_s_calls_and_hits_are_counted(stack: Stack, reader: GaugeReader, library: str) -> None:
    rows = asked(stack, reader, library, "cache").items()
    found = {label: (row["count"], row["lookups"], row["hits"]) for label, row in rows}
    assert {label: found.get(label) for label in CACHES[library]} == CACHES[library]


@pytest.mark.parametrize("library", ["httpx", "requests", "urllib3", "aiohttp"])
def test_a_call_out_is_counted_by_its_host(stack: Stack, reader: GaugeReader, library: str) -> None:
    [(host, row)] = asked(stack, reader, library, "host").items()
    assert host.startswith("127.0.0.1:")
    assert row["count"] == 1
