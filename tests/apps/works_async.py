"""The same known work as an ASGI app: an asynchronous pool and client."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import httpx
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from works import burn

POOLS: dict[int, AsyncConnectionPool] = {}


async def pool() -> AsyncConnectionPool:
    if os.getpid() not in POOLS:
        POOLS[os.getpid()] = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=1, open=False)
        await POOLS[os.getpid()].open(wait=True)
    return POOLS[os.getpid()]


async def sql(request: Any) -> Response:
    async with (await pool()).connection() as connection:
        await connection.execute(f"SELECT pg_sleep(0.02), {request.path_params['number']}")
    return Response(b"x" * 100)


async def cpu(_: Any) -> Response:
    burn(0.01)
    return Response(b"x" * 100)


async def call(_: Any) -> Response:
    async with httpx.AsyncClient() as client:
        await client.get(os.environ["SLOW_URL"])
    return Response(b"x" * 100)


async def wait(_: Any) -> Response:
    taken = asyncio.Event()

    async def hold() -> None:
        async with (await pool()).connection():
            taken.set()
            await asyncio.sleep(0.04)

    holder = asyncio.create_task(hold())
    await taken.wait()
    async with (await pool()).connection():
        pass
    await holder
    return Response(b"x" * 100)


VIEWS = {"/sql/{number:int}": sql, "/cpu/{number:int}": cpu, "/call/{number:int}": call, "/pool/{number:int}": wait}
application = Starlette(routes=[Route(path, view) for path, view in VIEWS.items()])
