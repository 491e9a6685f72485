"""The same known work as an ASGI app: an asynchronous pool and client."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from works import burn

POOLS: dict[int, AsyncConnectionPool] = {}
Work = Callable[[int], Awaitable[float]]


async def pool() -> AsyncConnectionPool:
    if os.getpid() not in POOLS:
        POOLS[os.getpid()] = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=1, open=False)
        await POOLS[os.getpid()].open(wait=True)
    return POOLS[os.getpid()]


async def sql(number: int) -> float:
    async with (await pool()).connection() as connection:
        began = time.monotonic()
        await connection.execute(f"SELECT pg_sleep(0.02), {number}")
        return time.monotonic() - began


async def cpu(_: int) -> float:
    began = time.thread_time()
    burn(0.01)
    return time.thread_time() - began


async def call(_: int) -> float:
    async with httpx.AsyncClient() as client:
        began = time.monotonic()
        await client.get(os.environ["SLOW_URL"])
        return time.monotonic() - began


async def wait(_: int) -> float:
    taken = asyncio.Event()

    async def hold() -> None:
        async with (await pool()).connection():
            taken.set()
            await asyncio.sleep(0.04)

    holder = asyncio.create_task(hold())
    await taken.wait()
    began = time.monotonic()
    connection = await (await pool()).getconn()
    took = time.monotonic() - began
    await (await pool()).putconn(connection)
    await holder
    return took


# Each kind of work, done for a number; how long it took by a clock of its own.
WORK: dict[str, Work] = {"sql": sql, "cpu": cpu, "call": call, "pool": wait}


def view(work: Work) -> Any:
    async def answer(request: Any) -> Response:
        took = await work(request.path_params["number"])
        return Response(b"x" * 100, headers={"X-Took": str(took)})

    return answer


application = Starlette(routes=[Route(f"/{what}/{{number:int}}", view(work)) for what, work in WORK.items()])
