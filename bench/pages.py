"""A folder in, a project of the page app in it out: under gunicorn sync, or its async twin under uvicorn."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import prony

WORKLOAD = Path(prony.__file__).parent / "workloads" / "page"
# The same page of the same table, from a pool of connections: what its author would have written for asyncio.
TWIN = """
import html
import os
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

PAGE = '<!doctype html><html lang="en"><body><p class="text">{}</p></body></html>'


async def random_page(request):
    async with request.app.state.pool.connection() as connection:
        found = await connection.execute("SELECT text FROM pages_page ORDER BY random() LIMIT 1")
        [text] = await found.fetchone()
    return HTMLResponse(PAGE.format(html.escape(text)))


@asynccontextmanager
async def lifespan(app):
    async with AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=10, max_size=10) as app.state.pool:
        yield


application = Starlette(routes=[Route("/", random_page)], lifespan=lifespan)
"""
# A planted loss: every request costs so much more CPU time, by the clock of the thread that serves it.
BURNING = """
import os
import time

from config.wsgi import application as page

BURN_S = float(os.environ.get("BURN_S", "0"))


def application(environ, start_response):
    answer = page(environ, start_response)
    until_s = time.thread_time() + BURN_S
    while time.thread_time() < until_s:
        pass
    return answer
"""
TOML = """
[app]
entry = "{entry}"
interface = "{interface}"
python = "{python}"
prepare = ["python manage.py migrate --noinput", "python manage.py seed_data"]

[app.env]
DJANGO_SETTINGS_MODULE = "config.settings"
SECRET_KEY = "only-for-the-bench"
{env}

[stores.database]
kind = "postgres"
env = "DATABASE_URL"
max_connections = 20
{round_trip}

[server]
{server}

[[traffic.request]]
path = "/"
expect = {{ status = 200, contains = 'class="text"' }}
"""
SYNC = 'kind = "gunicorn"\nworker_class = "sync"\nworkers = 3'
ASYNC = 'kind = "uvicorn"\nworkers = 1'
FAR = 'round_trip = "1ms"'


def sync(folder: Path) -> Path:
    """The page app as it is shipped: a connection a request, a database 1 ms away, three sync workers of gunicorn."""
    return _written(folder, entry="config.wsgi:application", interface="wsgi", server=SYNC, round_trip=FAR)


def twin(folder: Path) -> Path:
    """Its async twin: Starlette and a pool of connections, under uvicorn."""
    (_copied(folder) / "twin.py").write_text(TWIN, encoding="utf-8")
    return _written(folder, entry="twin:application", interface="asgi", server=ASYNC, round_trip=FAR)


def burning(folder: Path) -> Path:
    """The page app bound by CPU (connections are kept, the database is near), with what `BURN_S` adds to a request."""
    (_copied(folder) / "burning.py").write_text(BURNING, encoding="utf-8")
    return _written(folder, entry="burning:application", interface="wsgi", server=SYNC, env='CONN_MAX_AGE = "600"')


def _copied(folder: Path) -> Path:
    shutil.copytree(WORKLOAD, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
    return folder


def _written(folder: Path, *, entry: str, interface: str, server: str, env: str = "", round_trip: str = "") -> Path:
    text = TOML.format(
        entry=entry, interface=interface, server=server, env=env, round_trip=round_trip, python=sys.executable
    )
    (_copied(folder) / "prony.toml").write_text(text, encoding="utf-8")
    return folder
