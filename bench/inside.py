"""One process, the app's page asked with the gauge and without it in turns: what a request costs more, as JSON.

Two processes of the same program differ by more than the gauge costs (their memory lies differently); blocks of calls
within one do not. Started by bench/gauge.py with PRONY_GAUGE_DIR set: `inside.py FOLDER wsgi|asgi BLOCKS`.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from prony_gauge import asgi, boot, wsgi
from prony_gauge.mapped import GAUGE

EACH = 20  # calls of a block


def caller(application: Any, kind: str) -> Callable[[], None]:
    """What asks for the page once."""

    def by_wsgi() -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/page/5",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "bench",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": sys.stderr,
        }
        answer = application(environ, lambda *_: None)
        for _ in answer:
            pass
        answer.close()

    if kind == "wsgi":
        return by_wsgi
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/page/5",
        "raw_path": b"/page/5",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", b"bench")],
        "server": ("bench", 80),
    }
    loop = asyncio.new_event_loop()

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)  # the client stays
        return {"type": "http.disconnect"}

    async def once() -> None:
        async def send(_: Any) -> None:
            pass

        first = [{"type": "http.request", "body": b"", "more_body": False}]

        async def took() -> dict[str, Any]:
            return first.pop() if first else await receive()

        await application(dict(scope), took, send)

    return lambda: loop.run_until_complete(once())


def main() -> None:
    """Prints {"without": µs, "more": µs, "low": µs, "high": µs}."""
    folder, kind, blocks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.path.insert(0, folder)
    boot.start()  # before Django is imported
    plain = getattr(import_module("benched"), kind)
    cursors = import_module("django.db.backends.utils").CursorWrapper
    GAUGE.serving()
    measured = (wsgi if kind == "wsgi" else asgi).measured(plain)
    asked = {"without": caller(plain, kind), "gauge": caller(measured, kind)}
    for _ in range(200):
        for each in asked.values():
            each()
    seen = cursors.execute
    ways = {"gauge": seen, "without": seen.__wrapped__}  # Django's own: the gauge has put another in its place
    taken: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(blocks):
        for name in random.sample(list(asked), 2):
            cursors.execute = ways[name]
            began = time.process_time_ns()
            for _ in range(EACH):
                asked[name]()
            taken[name].append((time.process_time_ns() - began) / EACH / 1e3)
    more = sorted(b - a for a, b in zip(taken["without"], taken["gauge"], strict=True))
    reach = 0.98 * blocks**0.5  # ranks to either side of the median: 95 % of its interval
    low, high = (more[min(max(round(blocks / 2 + side * reach), 0), blocks - 1)] for side in (-1, 1))
    found = {"without": statistics.median(taken["without"]), "more": statistics.median(more), "low": low, "high": high}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
