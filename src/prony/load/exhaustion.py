"""Connections that are open into how much of this machine's ports and descriptors they and their remains take."""

from __future__ import annotations

import re
import resource
from pathlib import Path
from typing import Final

_SOCKSTAT: Final = Path("/proc/self/net/sockstat")  # of the network that this process is in
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PORTS: Final = 28_232  # the kernel's own range of local ports, 32768 to 60999
_TIME_WAIT: Final = re.compile(rb"^TCP:.* tw (\d+)", re.MULTILINE)


def ports_share(connections: int, shards: int = 1) -> float:
    """The share of local ports that open connections and those closed within the last minute (TIME_WAIT) take.

    All go to one address and port, so each has a local port of its own. Of those closed, which are seen of all shards
    together, one shard bears its part: the shards' shares add up.
    """
    try:
        found = _TIME_WAIT.search(_SOCKSTAT.read_bytes())
        low, high = map(int, _RANGE.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return connections / _PORTS
    return (connections + (int(found[1]) / shards if found else 0)) / max(high - low + 1, 1)


def descriptors_share(connections: int) -> float:
    """The share of this process's file descriptors that open connections take."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 0.0 if most == resource.RLIM_INFINITY else connections / most
