"""A server's options in, its knobs as data out: one file a program, each with the program's own defaults."""

from __future__ import annotations

from typing import Any

from prony.knobs import Knob
from prony.knobs.values import Kind

WHOLE_MAX = 10_000_000


def knob(
    key: str, flag: str, kind: Kind, default: Any, why: str, *, tier: str = "workers", inert: Any = None, **bounds: Any
) -> Knob:
    """One knob of an app server.

    Args:
        key: Its name in [server].
        flag: The program's own option. Of an on-off knob: what is given where the value is not the default.
        kind: How it is written.
        default: The program's own; 0 stands for none, and is left out of the command.
        why: Why it matters.
        tier: "workers" or "listen_queue".
        inert: A second value that moves nothing, where it is a placebo.
        bounds: `low`, `high` and `choices`.
    """
    return Knob(f"server.{key}", tier, kind, default, why, flag=flag, inert=inert, **bounds)


def workers(flag: str = "--workers", *, more: str = "") -> Knob:
    """How many processes serve."""
    why = "Processes that serve requests. Too few leave CPU idle while requests queue; each costs memory." + more
    return knob("workers", flag, "integer", 1, why, low=1, high=64)


def backlog(default: int, flag: str = "--backlog", *, low: int = 1) -> Knob:
    """How many connections may wait in the kernel."""
    why = (
        "Connections the kernel may hold for a server too busy to accept them; beyond these clients are not let in. "
        "The kernel's net.core.somaxconn caps it."
    )
    return knob("backlog", flag, "integer", default, why, tier="listen_queue", low=low, high=65535)


def max_requests(flag: str = "--max-requests", *, more: str = "") -> Knob:
    """After how many requests a worker is replaced."""
    why = "Restart a worker after so many requests (0: never). Small values under high rates recycle workers all along."
    return knob("max_requests", flag, "integer", 0, why + more, low=0, high=WHOLE_MAX)


def max_requests_jitter(flag: str = "--max-requests-jitter") -> Knob:
    """How far workers' replacements are spread."""
    why = "Spread of max_requests, so that workers do not restart together."
    return knob("max_requests_jitter", flag, "integer", 0, why, low=0, high=WHOLE_MAX)


def graceful_timeout(default: int, inert: int, flag: str = "--graceful-timeout", *, high: int = 3600) -> Knob:
    """The placebo of most servers."""
    none = " (0: no limit)" if default == 0 else ""
    why = (
        f"Seconds that requests get to finish when it is told to stop{none}. Plays no part while it serves: a placebo."
    )
    return knob("graceful_timeout", flag, "integer", default, why, low=0, high=high, inert=inert)


def keepalive(default: int, flag: str = "--keep-alive", *, more: str = "", low: int = 0) -> Knob:
    """How long an idle connection is kept."""
    why = "Seconds to wait for the next request on an open connection."
    return knob("keepalive", flag, "integer", default, why + more, low=low, high=3600)
