"""A listening port in, the length of its accept queue and the kernel's overflow count out, from the stack's network."""

from __future__ import annotations

import socket
import struct
import time
from pathlib import Path

from prony.recording import Reading

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP_REQUEST = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE, _ERROR = 3, 2
_LISTEN_STATE = 1 << 10

FAMILY = (16, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)  # AF_NETLINK


class ListenQueue:
    """Asks the kernel for listening sockets only: /proc/net/tcp would list every connection in TIME_WAIT as well.

    Args:
        netlink: A socket of `FAMILY` made inside the stack's network.
        ports: The ports that the app servers listen on.
        pid: A process inside the stack's network, for its overflow counters.
    """

    def __init__(self, netlink: socket.socket, ports: set[int], pid: int) -> None:
        self._netlink = netlink
        self._netlink.settimeout(0.5)
        self._ports = ports
        self._netstat = Path("/proc", str(pid), "net", "netstat")

    def length(self) -> list[Reading]:
        """Connections that wait to be accepted (`sock_diag(7)`: a listener's idiag_rqueue)."""
        header = struct.pack("=IHHII", 72, _SOCK_DIAG_BY_FAMILY, _DUMP_REQUEST, 1, 0)
        wanted = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, _LISTEN_STATE)
        self._netlink.send(header + wanted + bytes(48))
        total, found, more = 0, False, True
        while more:
            data = self._netlink.recv(65536)
            while data:
                size, kind = struct.unpack_from("=IH", data)
                if kind in {_DONE, _ERROR} or size < 16:
                    more = False
                    break
                port = struct.unpack_from("!H", data, 20)[0]
                if port in self._ports:
                    total += struct.unpack_from("=I", data, 16 + 56)[0]
                    found = True
                data = data[(size + 3) // 4 * 4 :]
        return [Reading(time.monotonic_ns(), "listen_queue", "length", float(total))] if found else []

    def overflows(self) -> list[Reading]:
        """Connections the kernel turned away because a queue was full: TcpExt ListenOverflows of this network."""
        lines = self._netstat.read_text(encoding="ascii").splitlines()
        for names, values in zip(lines[::2], lines[1::2], strict=False):
            if names.startswith("TcpExt:"):
                counters = dict(zip(names.split()[1:], values.split()[1:], strict=True))
                value = float(counters.get("ListenOverflows", 0))
                return [Reading(time.monotonic_ns(), "listen_queue", "overflows", value)]
        return []

    def close(self) -> None:
        """Gives the socket back."""
        self._netlink.close()
