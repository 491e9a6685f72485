"""Says what its stores hold, and adds to it: a WSGI app for every store that a plan can put behind it.

Run as a program it is the prepare command: `holds.py 3` puts three things into each store.
"""

import json
import os
import socket
import sqlite3
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

TABLE = "CREATE TABLE IF NOT EXISTS things (n integer)"


def database(change: int) -> int | None:
    url = os.environ.get("DATABASE_URL", "")
    if url.startswith("mysql:"):  # no driver of it is here: its greeting has to do
        host, port = url.rpartition("@")[2].partition("/")[0].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as link:
            return len(link.recv(5))
    if url.startswith("sqlite:"):
        link = sqlite3.connect(url[len("sqlite:///") :], isolation_level=None)
    elif url.startswith("postgres:"):
        import psycopg

        link = psycopg.connect(url, autocommit=True, connect_timeout=20)
    else:
        return None
    try:
        link.execute(TABLE)
        for _ in range(change):
            link.execute("INSERT INTO things VALUES (1)")
        return link.execute("SELECT count(*) FROM things").fetchone()[0]
    finally:
        link.close()


def cache(change: int) -> int | None:
    if "REDIS_URL" not in os.environ:
        return None
    import valkey

    link = valkey.from_url(os.environ["REDIS_URL"])
    for _ in range(change):
        link.incr("things")
    found = int(link.get("things") or 0)
    link.close()
    return found


def looked(name: str, look: Callable[[], Any]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        found = look()
    except Exception as error:
        found = type(error).__name__
    return {name: found, name + "_s": time.monotonic() - began}


def feed() -> int | None:
    url = os.environ.get("FEED_URL")
    if url is None:
        return None
    with urllib.request.urlopen(url + "/", timeout=20) as answer:
        return int(answer.status)


def application(environ: dict[str, str], start_response: Callable[..., object]) -> list[bytes]:
    change = int(environ["PATH_INFO"] == "/add")
    found: dict[str, Any] = {"pid": os.getpid(), "path": environ["PATH_INFO"]}
    found.update(looked("database", lambda: database(change)))
    found.update(looked("cache", lambda: cache(change)))
    found.update(looked("feed", feed))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(found).encode()]


async def asynchronous(scope: dict[str, Any], _: object, send: Callable[..., Any]) -> None:
    if scope["type"] == "lifespan":
        raise RuntimeError("none here")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps({"pid": os.getpid(), "by": "asgi"}).encode()})


if __name__ == "__main__":
    sys.stdout.write(f"prepared {database(int(sys.argv[1]))} {cache(int(sys.argv[1]))}\n")
