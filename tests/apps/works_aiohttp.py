"""The same known work as an aiohttp app: the pool and the client of the ASGI app's."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from works_async import WORK, Work


def view(work: Work) -> Any:
    async def answer(request: web.Request) -> web.Response:
        took = await work(int(request.match_info["number"]))
        return web.Response(body=b"x" * 100, headers={"X-Took": str(took)})

    return answer


application = web.Application()
application.add_routes([web.get(f"/{what}/{{number}}", view(work)) for what, work in WORK.items()])
