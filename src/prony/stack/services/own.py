"""A store of the user's own: reached by its URL, and neither started, stopped nor wiped."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from prony.errors import StackError
from prony.plan import Store
from prony.stack.launch import Launcher, Process
from prony.stack.services.relay import OutwardRelay

PORTS = {
    "postgres": 5432,
    "postgresql": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "redis": 6379,
    "valkey": 6379,
    "memcached": 11211,
    "memcache": 11211,
}
REACH_S = 5.0


class OwnStore:
    """One store of the user's own. Where the stack has a network of its own, a relay leads out to this one port.

    Attributes:
        port: Where it is reached on the stack's loopback; 0 for one that is no TCP server.
    """

    def __init__(
        self,
        launcher: Launcher,
        run_folder: Path,  # noqa: ARG002 - as all stores
        logs: Path,
        cores: tuple[int, ...],  # noqa: ARG002 - the same
        name: str,
    ) -> None:
        self._launcher = launcher
        self._relay: OutwardRelay | None = None
        self._url = ""
        self._host = ""
        self.kind = "url"
        self.name = name
        self.version = "your own"
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"

    def start(self, settings: Store) -> None:
        """Tries to reach it, and leads the way there.

        Raises:
            StackError: nobody answers at its address.
        """
        if settings.url == self._url:
            return
        self.stop()
        parts = urlsplit(settings.url)
        host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme.partition("+")[0], 0)
        self._url = settings.url
        if not port:  # a file, or a scheme that only its driver knows
            return
        try:
            socket.create_connection((host, port), timeout=REACH_S).close()
        except OSError as error:
            self._url = ""
            raise StackError(
                f"[stores.{self.name}] url: nobody answers at {host}:{port}: {error.strerror or error}.",
                hint="start it, or correct the URL",
            ) from error
        self._host, self.port = host, port
        if self._launcher.namespace:
            self._relay = OutwardRelay(self._launcher, host, port)
            self._host, self.port = "127.0.0.1", self._relay.port

    def url(self, port: int) -> str:
        """Its URL as the app shall use it."""
        if not self.port:
            return self._url
        parts = urlsplit(self._url)
        secret = parts.netloc.rpartition("@")[0]
        host = "127.0.0.1" if port != self.port else self._host
        host = f"[{host}]" if ":" in host else host
        return urlunsplit(parts._replace(netloc=f"{secret}@{host}:{port}" if secret else f"{host}:{port}"))

    def empty(self) -> None:
        """Nothing: it is not ours to wipe."""

    def keep(self, key: tuple[object, ...]) -> None:
        """Nothing: its state is its owner's."""

    def prepared(self, key: tuple[object, ...]) -> bool:  # noqa: ARG002 - as all stores
        """Always: what is in it is what there is."""
        return True

    def restore(self, key: tuple[object, ...]) -> None:
        """Nothing: what the app writes to it stays."""

    def stop(self) -> None:
        """Closes the way there; the store itself goes on."""
        if self._relay is not None:
            self._relay.close()
            self._relay = None
        self._url = ""
