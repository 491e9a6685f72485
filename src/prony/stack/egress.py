"""Hosts that the app may reach in, ways out of the stack's own network to these and no others out."""

from __future__ import annotations

import contextlib
from pathlib import Path

from prony.stack.services.relay import OutwardRelay
from prony.stack.tiers import Ground, Remark

WEB = (80, 443)
_FIRST = 16  # 127.1.0.16 and on stand for the opened hosts


class Egress:
    """Each opened host gets an address of its own on the stack's loopback, by /etc/hosts, and a relay behind it.

    The relays run outside the stack's network, so that TLS, names and addresses are the host's own. A stack that has no
    network of its own needs none of this: there the audit hook alone says who may be reached.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._opened: tuple[str, ...] = ()
        self._relays: list[OutwardRelay] = []

    def open(self, hosts: tuple[str, ...]) -> None:
        """Opens exactly these, named host or host:port (without a port: 80 and 443)."""
        if hosts == self._opened:
            return
        self.close()
        launcher = self._ground.launcher
        self._opened = hosts
        if not hosts or not launcher.namespace:
            return
        ports: dict[str, set[int]] = {}
        for each in hosts:
            host, _, port = each.partition(":")
            ports.setdefault(host, set()).update({int(port)} if port else WEB)
        lines = [Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")]
        for number, (host, wanted) in enumerate(ports.items(), _FIRST):
            address = f"127.1.{number // 256}.{number % 256}"
            lines.append(f"{address} {host}")
            self._relays += [OutwardRelay(launcher, host, port, listen=(address, port)) for port in sorted(wanted)]
        file = self._ground.run_folder / "hosts"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        file.chmod(0o644)
        why = launcher.name_hosts(file)
        if why:
            text = f"hosts under [app] egress cannot be named in the stack's network: {why}"
            self._ground.remarks.append(Remark("egress_closed", "app", text))

    def close(self) -> None:
        """Closes every way out."""
        for relay in self._relays:
            with contextlib.suppress(OSError):
                relay.close()
        self._relays.clear()
        self._opened = ()
