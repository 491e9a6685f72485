"""Turns connections and look-ups that would leave this machine into a PermissionError, counted by host and line.

An audit hook sees what Python code does, not what a C library does by itself (libpq, libuv): the network namespace
around the app sees all. This one says which host it was, and in whose traceback. It cannot be removed, so it is small.
What Python can still be taught about libuv and c-ares is in `ways_out`.
"""

from __future__ import annotations

import os
import sys

from prony_gauge.layout import REFUSED
from prony_gauge.mapped import GAUGE
from prony_gauge.place import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

EACCES = 13
HOST_CHARS = 110  # of a host's name, so that its line finds room beside it
# event -> where its address or its host stands among the arguments
ADDRESSED = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getnameinfo": 0}
LOOKED_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
HERE = {"", "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback", "0.0.0.0", "::", "::1"}  # noqa: S104


OWN_FOLDERS = ("/tmp/", "/var/tmp/prony-", "/dev/shm/")  # noqa: S108 - names to compare with
STORES = ("/tmp/.s.PGSQL.", "/tmp/mysql")  # noqa: S108 - the same: what a local database puts there


def plain(host: Any) -> str:
    """A host as it is compared: lower case, no final dot, no scope."""
    if host is None:
        return ""
    text = host if isinstance(host, str) else bytes(host).decode("ascii", "replace")
    return text.lower().rstrip(".").partition("%")[0]


def is_loopback(host: str) -> bool:
    """Whether a host, in plain form, is this machine's loopback by its very text."""
    if host in HERE or host == "0:0:0:0:0:0:0:1":
        return True
    if host.startswith("::ffff:"):
        host = host[7:]
        if ":" in host:
            return host.startswith("7f") and len(host.partition(":")[0]) == 4
    return host.startswith("127.") and not host.strip("0123456789.")


def is_literal(host: str) -> bool:
    """Whether a host is an address already, so that looking it up asks nobody."""
    return ":" in host or not host.strip("0123456789.")


def is_own_socket(address: Any) -> bool:
    """Whether a unix socket is the app's own: relative, abstract, in its folder or among temporary files.

    A socket in the file system crosses network namespaces: a local database, mail queue or Docker may listen there.
    """
    path = address.decode("utf-8", "replace") if isinstance(address, bytes) else address
    if path.startswith(STORES):
        return False
    try:
        here = os.getcwd()  # noqa: PTH109 - pathlib is not imported before the app does
    except OSError:
        here = OWN_FOLDERS[0]
    return not path.startswith("/") or path.startswith((*OWN_FOLDERS, here + "/"))


def is_reachable(host: str, port: str, opened: set[str], closed: frozenset[str]) -> bool:
    """Whether a host, in plain form, may be connected to at that port."""
    return port not in closed if is_loopback(host) else host in opened


def containment(hosts: Iterable[str], closed: Iterable[str] = ()) -> tuple[Callable[[str, Any], None], set[str]]:
    """An audit hook that lets through loopback and these hosts, and the set to which their addresses are added.

    `closed` are ports of loopback that are somebody else's: a mail server, a database, a tunnel that was there before.
    """
    ports = frozenset(closed)
    opened = {plain(host.strip()) for host in hosts if host.strip()}
    own = {plain(os.uname().nodename), plain(os.uname().nodename).partition(".")[0]}  # may be looked up, not reached

    def judge_address(address: Any) -> None:
        if isinstance(address, (str, bytes)):
            if not is_own_socket(address):
                refuse("unix:" + plain(address), "")
            return
        if not isinstance(address, tuple) or not address or isinstance(address[0], int):
            return  # none given, netlink
        host = plain(address[0])
        port = address[1] if len(address) > 1 else ""
        if not is_reachable(host, str(port), opened, ports):
            refuse(host or "localhost", port)

    def judge_lookup(event: str, args: Any) -> None:
        host = plain(args[0])
        if is_loopback(host) or host in opened or host in own:
            return
        if event != "socket.gethostbyaddr" and is_literal(host):
            return  # whoever then connects to it is judged there
        refuse(host, args[1] if len(args) > 1 else "")

    def hook(
        event: str, args: Any, lookups: frozenset[str] = frozenset(LOOKED_UP), addressed: dict[str, int] = ADDRESSED
    ) -> None:
        # The defaults outlive the module's globals: the interpreter calls this while it is being torn down, too.
        if event in addressed:
            judge_address(args[addressed[event]])
        elif event in lookups:
            judge_lookup(event, args)

    return hook, opened


def refuse(host: str, port: Any) -> None:
    """Count, under "host:port at shop/mail.py:12", and raise."""
    where = f"{host[:HOST_CHARS]}:{port}" if port not in ("", None) else host[:HOST_CHARS]
    name = where if is_loopback(host) else host
    line = place()
    GAUGE.count(REFUSED, f"{where} at {line}" if line else where)
    raise PermissionError(
        EACCES, f'prony contains the app under test: {name} is not reachable; name it under [app].egress, as "{name}"'
    )


def learn(opened: set[str]) -> Callable[[Any], None]:
    """What to do after `socket` has been imported: let through the addresses that opened hosts resolve to."""
    names = frozenset(opened)

    def learning(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(host: Any, *args: Any, **kwargs: Any) -> Any:
            found = ask(host, *args, **kwargs)
            if isinstance(host, (str, bytes)) and plain(host) in names:
                opened.update(addresses(found))
            return found

        return asked

    def after(module: Any) -> None:
        low = sys.modules["_socket"]
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            wrapped = learning(getattr(low, name))
            if getattr(module, name) is getattr(low, name):
                setattr(module, name, wrapped)
            setattr(low, name, wrapped)

    return after


def addresses(found: Any) -> set[str]:
    """The addresses in what a look-up returned."""
    if isinstance(found, str):  # gethostbyname
        return {found}
    if isinstance(found, tuple):  # gethostbyname_ex
        return set(found[2])
    return {plain(entry["host"] if isinstance(entry, dict) else entry[4][0]) for entry in found}  # dicts: aiohttp's
