"""An address and a port in, the processes of this machine that listen there out, as far as this user sees them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import psutil


def listeners(address: str, port: int) -> Mapping[int, str]:
    """The names of the processes that listen there, by pid: those that no other of them has started."""
    anywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
    try:
        sockets = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return {}
    pids = {
        each.pid
        for each in sockets
        if each.pid and each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
        if each.laddr.ip in {address, f"::ffff:{address}", *anywhere}
    }
    found: dict[int, str] = {}
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if not pids & {parent.pid for parent in process.parents()}:
                found[pid] = process.name()
        except psutil.Error:
            continue
    return found


def may_run_on(pids: Iterable[int]) -> set[int]:
    """The cores on which any of these processes may run; none where the system does not say."""
    found: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error, AttributeError):
            found |= set(psutil.Process(pid).cpu_affinity() or ())
    return found
