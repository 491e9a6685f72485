"""An ASGI app with a lifespan: / answers at once, /wait when it is released, /hang after a minute of a blocked loop."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import told

Call = Callable[..., Any]


async def application(scope: dict[str, Any], receive: Call, send: Call) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    while scope["path"] == "/wait" and not told.released():  # noqa: ASYNC110 - another process releases it
        await asyncio.sleep(0.01)
    if scope["path"] == "/hang":
        time.sleep(60)  # noqa: ASYNC251 - what a blocking driver does in an async app
    body = told.answer(asyncio.get_running_loop())
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def live(receive: Call, send: Call) -> None:
    while True:
        kind = (await receive())["type"]
        print("app heard", kind, flush=True)
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


def create(title: str = "served by") -> Call:
    told.TITLE = title
    return application
