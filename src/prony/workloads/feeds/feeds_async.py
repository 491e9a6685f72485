import asyncio
import json
import os

import aiohttp
from aiohttp import web

FEED_URL = os.environ.get("FEED_URL", "http://127.0.0.1:5900/")
FEED_EVERY = float(os.environ.get("FEED_EVERY", "1"))  # seconds between two looks at the feed
FEED_UPDATES = int(os.environ.get("FEED_UPDATES", "30"))  # looks, before a stream ends
TIMEOUT = aiohttp.ClientTimeout(total=30)
FAILED = (aiohttp.ClientError, TimeoutError, ValueError)
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def check_feed(request):
    try:
        return web.json_response(await ask_feed(request.app))
    except FAILED:
        return web.json_response({"error": "the feed does not answer"}, status=503)


async def stream_feed(request):
    try:
        updates = min(max(1, int(request.query.get("updates", FEED_UPDATES))), 1000)
    except ValueError:
        updates = FEED_UPDATES
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    for number in range(updates):
        if number:
            await asyncio.sleep(FEED_EVERY)
        try:
            text = f"data: {json.dumps(await ask_feed(request.app))}\n\n"
        except FAILED:
            text = "event: error\ndata: the feed does not answer\n\n"
        await response.write(text.encode())
    await response.write_eof()
    return response


async def ask_feed(app):
    async with app[SESSION].get(FEED_URL) as answer:
        answer.raise_for_status()
        return await answer.json(content_type=None)


async def session(app):
    async with aiohttp.ClientSession(timeout=TIMEOUT) as app[SESSION]:
        yield


app = web.Application()
app.cleanup_ctx.append(session)
app.router.add_get("/check_feed", check_feed)
app.router.add_get("/stream_feed", stream_feed)
