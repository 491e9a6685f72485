"""What tests of probes have in common: readings and events by name, and a connection as the app has it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import psycopg

from prony.probes.sampler import Items
from prony.recording import Event, Reading
from prony.stack.services.postgres import Postgres


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        threading.Event().wait(0.05)


def of(items: Items, tier: str = "") -> dict[str, float]:
    """The readings by name."""
    return {each.name: each.value for each in items if isinstance(each, Reading) and each.tier == (tier or each.tier)}


def events(items: Items) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in items if isinstance(each, Event)]


def as_app(database: Postgres) -> psycopg.Connection[Any]:
    """A connection as the app has it, by the Unix socket: the port is in the stack's network."""
    place = str(database._home.folder)
    return psycopg.connect(host=place, port=database.port, user=database.user, dbname=database.database)
