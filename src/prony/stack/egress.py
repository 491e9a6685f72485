"""Hosts that the app may reach in, ways out of the stack's own network to these and no others out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import psutil

from prony.plan import Plan
from prony.stack.places import LOOPBACK, check_named, hosts_of
from prony.stack.services.own import address_of
from prony.stack.services.relay import OutwardRelay
from prony.stack.tiers import Ground
from prony_gauge.egress import is_literal, is_loopback, plain

WEB = (80, 443)
HOSTS = Path("/etc/hosts")
_FIRST = 16  # 127.1.0.16 and on stand for the opened hosts


class Egress:
    """Each opened host gets an address of its own on the stack's loopback, by /etc/hosts, and a relay behind it.

    The relays run outside the stack's network, so that TLS, names and addresses are the host's own. A stack that has no
    network of its own needs none of this: there the audit hook alone says who may be reached, and closes what listened
    on this machine's loopback before the stack came: its mail server, its databases, tunnels to elsewhere.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._opened: tuple[object, ...] = ()
        self._relays: list[OutwardRelay] = []
        self._named = False
        self._others = frozenset() if ground.launcher.namespace else listening()

    def open(self, plan: Plan) -> None:
        """Opens exactly the hosts under [app] egress (without a port: 80 and 443), and names those of own stores.

        Raises:
            StackError: an opened port is taken on the stack's loopback.
        """
        own = tuple(plain(address_of(store.url)[0]) for store in plan.stores.values() if store.url)
        ours = hosts_of(plan)
        wanted = (plan.app.egress, own, tuple(ours.items()))
        if wanted == self._opened:
            return
        self.close()
        self._ground.opened = (*own, *ours)
        stores = {address_of(store.url)[1] for store in plan.stores.values() if store.url}
        local = (numbers for host, numbers in ports_of(plan.app.egress).items() if is_loopback(host))
        self._ground.closed = self._others - stores.union(*local)
        if self._ground.launcher.namespace:
            check_named(plan, ours, self._lead_out(plan.app.egress, own, ours))
        self._opened = wanted

    def _lead_out(self, hosts: tuple[str, ...], own: tuple[str, ...], ours: Mapping[str, str]) -> str:
        """Names and leads to all of them; the empty text, or why names cannot be given."""
        ports = ports_of(hosts)
        closed = [host for host in ports if is_literal(host) and not is_loopback(host)]
        # An own store's relay listens on 127.0.0.1, at a port that its URL says: so its name stays, which TLS compares.
        names = {host: LOOPBACK for host in own if not is_literal(host) and not is_loopback(host)} | dict(ours)
        for number, host in enumerate((host for host in ports if not is_literal(host)), _FIRST):
            if not is_loopback(host):
                names.setdefault(host, f"127.1.{number // 256}.{number % 256}")
        why = self._name(names)
        if why:
            closed += [host for host in ports if host in names]
        for host, numbers in ports.items():
            if host not in closed:
                address = names.get(host, host if is_literal(host) else LOOPBACK)
                for port in sorted(numbers):
                    self._relays.append(OutwardRelay(self._ground.launcher, host, port, listen=(address, port)))
        if closed:
            how = why or "an address has no name that could lead to a way out"
            text = f"{', '.join(closed)} under [app] egress cannot be reached from the stack's network: {how}"
            self._ground.remark("egress_closed", "app", text)
        return why

    def _name(self, names: Mapping[str, str]) -> str:
        """Lets names stand for addresses inside the stack; the empty text, or why that cannot be."""
        if not names and not self._named:
            return ""
        # Always the same file: it is mounted once, and who reads it there sees what it holds by then.
        file = self._ground.run_folder / "hosts"
        here = HOSTS.read_text(encoding="utf-8", errors="replace") if HOSTS.exists() else ""
        file.write_text(hosts_text(here, names), encoding="utf-8")
        file.chmod(0o644)
        if self._named:
            return ""
        why = self._ground.launcher.name_hosts(file)
        self._named = not why
        if why:
            file.unlink()
        return why

    def close(self) -> None:
        """Closes every way out."""
        for relay in self._relays:
            with contextlib.suppress(OSError):
                relay.close()
        self._relays.clear()
        self._opened = ()
        self._ground.opened, self._ground.closed = (), frozenset()
        self._ground.forget("egress_closed")


def listening() -> frozenset[int]:
    """Ports of this machine on which somebody listens now, as far as it is told."""
    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):
        return frozenset()
    return frozenset(each.laddr.port for each in found if each.status == psutil.CONN_LISTEN and each.laddr)


def ports_of(hosts: tuple[str, ...]) -> dict[str, set[int]]:
    """Hosts as they are compared, with their ports."""
    found: dict[str, set[int]] = {}
    for each in hosts:
        host, _, port = each.partition(":")
        found.setdefault(plain(host), set()).update({int(port)} if port else WEB)
    return found


def hosts_text(here: str, names: Mapping[str, str]) -> str:
    """What /etc/hosts says in the stack: these names at these addresses, and of this machine's all others."""
    lines = [f"{address} {name}" for name, address in names.items()]
    for line in here.splitlines():
        words = line.partition("#")[0].split()
        kept = [name for name in words[1:] if plain(name) not in names]
        if kept:
            lines.append(" ".join([words[0], *kept]))
    return "\n".join(lines) + "\n"
