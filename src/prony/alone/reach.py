"""A host in, the addresses that load may go to out: looked up once, and loopback only if every answer is."""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from prony.errors import PlanError

LOOK_UP_S = 10.0
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")

Resolver = Callable[[str], Sequence[str]]


class Reach(NamedTuple):
    """Where a host is: its numeric addresses, the first to be tried first, and whether they are this machine's own."""

    addresses: tuple[str, ...]
    loopback: bool


def look_up(host: str) -> Sequence[str]:
    """The addresses of a name, in the order in which this machine would try them; raises OSError."""
    found: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found.put(list(dict.fromkeys(str(address[0]) for *_, address in answers)))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, name="prony-look-up", daemon=True).start()
    try:
        answer = found.get(timeout=LOOK_UP_S)
    except queue.Empty:
        raise TimeoutError(f"no answer within {LOOK_UP_S:.0f} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def of_this_machine(host: str) -> bool:
    """Whether a host is loopback by what it is called, without a look-up."""
    try:
        return _is_loopback(ipaddress.ip_address(host))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def reach(host: str, resolve: Resolver = look_up) -> Reach:
    """Where a host is, as `prony.plan.destination.host_of` gives it.

    `localhost` and names below it are this machine, whatever a name server says. Any other name is looked up, once.

    Raises:
        PlanError: it has no address, or one that load never goes to; or some of its addresses are loopback, and some
            are not.
    """
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        literal = None
    if literal is None and of_this_machine(host):
        return Reach(("127.0.0.1", "::1"), loopback=True)
    answers = [host] if literal is not None else _looked_up(host, resolve)
    found = [_unmapped(answer) for answer in answers]
    for address in found:
        why = _never(address)
        if why:
            is_ = "is" if literal is not None else f"is at {address}, which is"
            raise PlanError(f"--url: {host} {is_} {why}: load never goes there.", hint="http://127.0.0.1:PORT/")
    own = [address for address in found if _is_loopback(address)]
    if own and len(own) < len(found):
        named = ", ".join(str(address) for address in found)
        raise PlanError(
            f"--url: found {host} at {named}; allowed: a host that is loopback by every answer, or by none.",
            hint=f"the address itself, such as http://{own[0]}/" if own[0].version == 4 else "the address itself",
        )
    return Reach(tuple(dict.fromkeys(str(address) for address in found)), loopback=bool(own))


def _looked_up(host: str, resolve: Resolver) -> Sequence[str]:
    try:
        answers = resolve(host)
    except OSError as error:
        raise PlanError(
            f"--url: the host {host} has no address: {error.strerror or error}.", hint=f"getent hosts {host}"
        ) from error
    if not answers:
        raise PlanError(f"--url: the host {host} has no address.", hint=f"getent hosts {host}")
    return answers


def _unmapped(answer: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(answer)
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address in _LOOPBACK if address.version == 4 else address == ipaddress.IPv6Address("::1")


def _never(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Why load never goes to an address, consent or not; empty where it may."""
    if _is_loopback(address):
        return ""
    if address.is_unspecified or address in _THIS_NETWORK:
        return "no address of any machine"
    if address.is_multicast:
        return "an address of many machines"
    if address.is_link_local:
        return "a link-local address"
    return "a reserved address" if address.is_reserved else ""
