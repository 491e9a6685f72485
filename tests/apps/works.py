"""An app of known work: SQL for 20 ms, CPU for 10 ms, a call of 30 ms, and a wait for a pool of one for 40 ms."""

from __future__ import annotations

import gc
import os
import threading
import time
from typing import Any

import httpx
from psycopg_pool import ConnectionPool
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Response

PATTERNS = ("/sql/<int:number>", "/cpu/<int:number>", "/call/<int:number>", "/pool/<int:number>")
gc.disable()  # a collection takes 20 ms at times: that is no known work
RULES = Map([Rule(pattern, endpoint=pattern.split("/")[1]) for pattern in PATTERNS])
POOLS = {}


def pool() -> ConnectionPool:
    """This process's pool of one connection."""
    if os.getpid() not in POOLS:
        POOLS[os.getpid()] = ConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=1, open=True)
        POOLS[os.getpid()].wait()
    return POOLS[os.getpid()]


def burn(seconds: float) -> None:
    """CPU time, whatever else runs."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def hold(taken: threading.Event) -> None:
    """The only connection, for 40 ms."""
    with pool().connection():
        taken.set()
        time.sleep(0.04)


def work(what: str, number: int) -> float:
    """The work done, and how long it took by a clock of its own."""
    if what == "sql":
        with pool().connection() as connection:
            began = time.monotonic()
            connection.execute(f"SELECT pg_sleep(0.02), {number}")
            return time.monotonic() - began
    elif what == "cpu":
        burn(0.01)
        return 0.0  # told by the whole call
    elif what == "call":
        with httpx.Client() as client:  # made before the clock starts: certificates are read
            began = time.monotonic()
            client.get(os.environ["SLOW_URL"])
            return time.monotonic() - began
    else:
        taken = threading.Event()
        holder = threading.Thread(target=hold, args=(taken,))
        holder.start()
        taken.wait()
        began = time.monotonic()
        connection = pool().getconn()
        took = time.monotonic() - began
        pool().putconn(connection)
        holder.join()
        return took


def application(environ: Any, start_response: Any) -> Any:
    cpu = time.thread_time()
    try:
        rule, given = RULES.bind_to_environ(environ).match(return_rule=True)
    except NotFound as missing:  # /, asked for until somebody answers: uWSGI answers nothing where an app raises
        return missing(environ, start_response)
    took = work(rule.endpoint, given["number"]) or time.thread_time() - cpu
    return Response(b"x" * 100, headers={"X-Took": str(took)})(environ, start_response)
