"""An aiohttp app: / answers at once, /wait when it is released, /hang after a minute of a blocked loop."""

import asyncio
import time

import told
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    while request.path == "/wait" and not told.released():  # noqa: ASYNC110 - another process releases it
        await asyncio.sleep(0.01)
    if request.path == "/hang":
        time.sleep(60)  # noqa: ASYNC251 - what a blocking driver does in an async app
    return web.Response(body=told.answer(), content_type="text/plain")


async def create(title: str = "served by") -> web.Application:
    told.TITLE = title
    made = web.Application()
    made.router.add_get("/{path:.*}", answer)
    return made


application = web.Application()
application.router.add_get("/{path:.*}", answer)
