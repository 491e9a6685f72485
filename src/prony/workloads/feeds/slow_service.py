"""The slow outside service of the exercise, for running the Procfile by itself."""

import asyncio
import itertools
import os
import sys
import time

from aiohttp import web

LATENCY = float(os.environ.get("LATENCY", "0.5"))  # seconds
COUNT = web.AppKey("count", itertools.count)


async def answer(request):
    start = time.monotonic()
    number = next(request.app[COUNT])
    await asyncio.sleep(LATENCY)
    return web.json_response({"n": number, "waited_s": round(time.monotonic() - start, 3)})


app = web.Application()
app[COUNT] = itertools.count(1)
app.router.add_get("/", answer)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
