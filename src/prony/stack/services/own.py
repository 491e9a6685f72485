"""A store of the user's own: reached by its URL, and neither started, stopped nor wiped."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from prony.errors import PlanError, StackError
from prony.plan import Store
from prony.plan.addresses import PORTS
from prony.stack.launch import Launcher, Process
from prony.stack.services.relay import OutwardRelay
from prony_gauge.egress import is_literal, is_loopback, plain

REACH_S = 5.0


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a store's URL; port 0 where neither it nor its scheme says one."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or PORTS.get(parts.scheme.partition("+")[0], 0)


def shown_url(url: str) -> str:
    """A store's URL without what may be secret: who logs in, and its query."""
    parts, (host, port) = urlsplit(url), address_of(url)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path}"


class OwnStore:
    """One store of the user's own. Where the stack has a network of its own, a relay leads out to this one port.

    The app gets the user's URL, with the relay's port in it. Its host stays wherever the stack's network has that name
    (see `Egress`), for TLS and some providers go by it; else it becomes 127.0.0.1.

    Attributes:
        port: Where it is reached on the stack's loopback, or at its own host without a network of the stack's.
    """

    def __init__(
        self,
        launcher: Launcher,
        run_folder: Path,
        logs: Path,
        cores: tuple[int, ...],  # noqa: ARG002 - as all stores
        name: str,
    ) -> None:
        self._launcher = launcher
        self._hosts = run_folder / "hosts"
        self._relay: OutwardRelay | None = None
        self._url = ""
        self._host = ""
        self.kind = "url"
        self.name = name
        self.version = "your own"
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"

    def start(self, settings: Store, port: int = 0) -> None:  # noqa: ARG002 - as all stores
        """Tries to reach it, and leads the way there.

        Raises:
            PlanError: its URL says no port, and neither does its scheme.
            StackError: nobody answers at its address.
        """
        if settings.url == self._url and (self._relay is None or self._relay.process.poll() is None):
            return
        self.stop()
        host, there = address_of(settings.url)
        if not there:
            scheme = urlsplit(settings.url).scheme
            raise PlanError(
                f"[stores.{self.name}] url: found a {scheme} URL without a port; allowed: one that says it, as in "
                f"{scheme}://{host}:1234, or a scheme whose port is known ({', '.join(PORTS)})."
            )
        try:
            socket.create_connection((host, there), timeout=REACH_S).close()
        except (OSError, UnicodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise StackError(
                f"[stores.{self.name}] url: nobody answers at {host}:{there}: {why}.",
                hint="start it, or correct the URL",
            ) from error
        self._url, self._host, self.port = settings.url, host, there
        if self._launcher.namespace:
            self._relay = OutwardRelay(self._launcher, host, there)
            self.port = self._relay.port

    def url(self, port: int) -> str:
        """Its URL as the app shall use it."""
        parts = urlsplit(self._url)
        secret, at, _ = parts.netloc.rpartition("@")
        host = self._host if self._is_known(port) else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        return urlunsplit(parts._replace(netloc=f"{secret}{at}{host}:{port}"))

    def _is_known(self, port: int) -> bool:
        """Whether its own host leads to it where the app is: out there, or by a name inside the stack's network."""
        if self._relay is None:
            return port == self.port
        host = plain(self._host)
        if is_literal(host) or is_loopback(host) or not self._hosts.exists():
            return False
        return host in self._hosts.read_text(encoding="utf-8").split()

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
