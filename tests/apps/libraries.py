"""An app that makes one statement or call by the library that its path names."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import urlsplit

URL = os.environ["DATABASE_URL"]
SQLALCHEMY = URL.split("://", 1)[1]


def psycopg() -> None:
    import psycopg

    with psycopg.connect(URL) as connection:
        connection.execute("SELECT 1 AS of_psycopg")
        connection.cursor().executemany("SELECT %s AS many_of_psycopg", [(1,), (2,)])
        assert list(connection.cursor().stream("SELECT 1 AS streamed_of_psycopg")) == [(1,)]
        with connection.cursor(name="held") as cursor:
            assert cursor.execute("SELECT 1 AS held_of_psycopg").fetchall() == [(1,)]


async def psycopg_async() -> None:
    import psycopg

    async with await psycopg.AsyncConnection.connect(URL) as connection:
        await connection.execute("SELECT 1 AS of_psycopg_async")
        rows = connection.cursor().stream("SELECT 1 AS streamed_of_psycopg_async")
        assert [row async for row in rows] == [(1,)]
        async with connection.cursor(name="held") as cursor:
            await cursor.execute("SELECT 1 AS held_of_psycopg_async")


def psycopg2() -> None:
    import psycopg2

    connection = psycopg2.connect(URL)
    cursor = connection.cursor()
    cursor.execute("SELECT 1 AS of_psycopg2")
    assert cursor.fetchall() == [(1,)]
    cursor.executemany("SELECT %s AS many_of_psycopg2", [(1,), (2,)])
    connection.close()


async def asyncpg() -> None:
    import asyncpg

    async with asyncpg.create_pool(URL, min_size=0, max_size=1) as pool:
        assert await pool.fetchval("SELECT 1 AS of_asyncpg") == 1
        async with pool.acquire() as connection:
            prepared = await connection.prepare("SELECT 1 AS prepared_of_asyncpg")
            assert await prepared.fetchval() == 1
            await connection.executemany("SELECT $1::int AS many_of_asyncpg", [(1,), (2,), (3,)])


def sqlalchemy() -> None:
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"postgresql+psycopg2://{SQLALCHEMY}")
    with engine.begin() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1 AS of_sqlalchemy")).scalar() == 1
        connection.execute(sqlalchemy.text("SELECT :a AS many_of_sqlalchemy"), [{"a": 1}, {"a": 2}])
    engine.dispose()


async def sqlalchemy_async() -> None:
    import sqlalchemy
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"postgresql+asyncpg://{SQLALCHEMY}")
    async with engine.begin() as connection:
        await connection.execute(sqlalchemy.text("SELECT 1 AS of_sqlalchemy_async"))
    await engine.dispose()


def django() -> None:
    import django
    from django.conf import settings

    if not settings.configured:
        at = urlsplit(URL)
        postgres = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": at.path[1:],
            "USER": at.username,
            "PASSWORD": at.password or "",
            "HOST": at.hostname,
            "PORT": at.port,
        }
        sqlite = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        settings.configure(DATABASES={"default": sqlite, "postgres": postgres})
        django.setup()
    from django.db import connections

    for alias in ("postgres", "default", "postgres"):
        with connections[alias].cursor() as cursor:
            cursor.execute(f"SELECT %s AS of_django_{alias}", ["alice"])


def redis() -> None:
    import redis

    client = redis.Redis.from_url(os.environ["CACHE_URL"])
    client.set("here", "1")
    assert client.get("here") == b"1"
    assert client.mget("here", "nowhere") == [b"1", None]
    client.pipeline().get("here").get("nowhere").execute()
    client.close()


async def redis_async() -> None:
    import redis.asyncio

    client = redis.asyncio.Redis.from_url(os.environ["CACHE_URL"])
    assert await client.hget("nowhere", "x") is None
    await client.aclose()


def pymemcache() -> None:
    from pymemcache.client.base import PooledClient

    parts = urlsplit(os.environ["MEMO_URL"])
    client = PooledClient((parts.hostname, parts.port))
    client.set("here", b"1")
    assert client.get("here") == b"1"
    assert client.get("nowhere") is None
    client.close()


def httpx() -> None:
    import httpx

    httpx.get(os.environ["SLOW_URL"])


def requests() -> None:
    import requests

    requests.get(os.environ["SLOW_URL"], timeout=9)


def urllib3() -> None:
    import urllib3

    urllib3.PoolManager().request("GET", os.environ["SLOW_URL"])


async def aiohttp() -> None:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(os.environ["SLOW_URL"]) as answer:
        await answer.read()


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    name = environ["PATH_INFO"][1:]
    if name:
        made = globals()[name]()
        if made is not None:
            asyncio.run(made)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [name.encode()]
