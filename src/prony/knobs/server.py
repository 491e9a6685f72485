"""The app servers' knobs and slots: what [server] takes for each kind and worker class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import daphne, granian, gunicorn, hypercorn, runserver, uvicorn, uwsgi, waitress

# (kind, worker class) -> its knobs; the worker class is "" where a kind has none. The first class is the default.
KNOBS: dict[tuple[str, str], tuple[Knob, ...]] = {}
# (kind, worker class) -> the interfaces it can serve: "wsgi", "asgi", "aiohttp".
INTERFACES: dict[tuple[str, str], tuple[str, ...]] = {}
_SLOTS: dict[str, Callable[[str, Mapping[str, Any]], int]] = {}

for _kind, _program in (
    ("gunicorn", gunicorn),
    ("uvicorn", uvicorn),
    ("granian", granian),
    ("uwsgi", uwsgi),
    ("waitress", waitress),
    ("hypercorn", hypercorn),
    ("daphne", daphne),
    ("runserver", runserver),
):
    KNOBS |= {(_kind, worker_class): knobs for worker_class, knobs in _program.KNOBS.items()}
    INTERFACES |= {(_kind, worker_class): served for worker_class, served in _program.INTERFACES.items()}
    _SLOTS[_kind] = _program.slots
KINDS = tuple(_SLOTS)


def worker_classes(kind: str) -> tuple[str, ...]:
    """The worker classes a kind of server has; empty where it has none to choose."""
    return tuple(name for k, name in KNOBS if k == kind and name)


def slots_per_process(kind: str, worker_class: str, values: Mapping[str, Any]) -> int:
    """How many requests one server process can be serving at once; 0 where nothing bounds them."""
    return _SLOTS[kind](worker_class, values)


def processes(kind: str, values: Mapping[str, Any]) -> int:  # noqa: ARG001 - waitress, daphne: no such knob
    """How many processes serve requests."""
    return int(values.get("workers", 1))
