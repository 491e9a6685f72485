"""What --url names in, where load goes that needs no stack and which paths are asked for out; nothing is looked up."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from msgspec import Struct, structs

from prony.errors import PlanError
from prony.plan.checks import shown

URLS_MAX = 100
PORTS = {"http": 80, "https": 443}
EXAMPLE = "http://127.0.0.1:8000/"
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PRINTED = re.compile(r"[\x21-\x7e]+")
_BEFORE_AT = re.compile(r"//[^/?#]*@")


class Destination(Struct, frozen=True, kw_only=True):
    """Something that runs already, which prony loads and did not start.

    Attributes:
        host: As it was named, in small letters, without a trailing dot; of an IPv6 address without brackets.
        port: TCP port.
        scheme: "http" or "https".
        address: The numeric address that all load goes to, found once; empty until then.
        consent: How it gave its consent: "well-known", "header" or "dns"; empty for loopback, which needs none.
    """

    host: str
    port: int
    scheme: str = "http"
    address: str = ""
    consent: str = ""

    @property
    def authority(self) -> str:
        """Host and port as a Host field has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """What is loaded, without a path."""
        return f"{self.scheme}://{self.authority}"

    @property
    def place(self) -> str:
        """Address and port, as messages name them; the host where the address is not known yet."""
        address = self.address or self.host
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    def at(self, address: str, consent: str = "") -> Destination:
        """The same, pinned to an address."""
        return structs.replace(self, address=address, consent=consent)


def read(urls: Sequence[str]) -> tuple[Destination, tuple[str, ...]]:
    """Where the URLs lead, all to one host and port, and the request target of each; "" for one that has no path.

    Raises:
        PlanError: one of them is no URL that load can be sent to, or they are of several hosts.
    """
    if not 1 <= len(urls) <= URLS_MAX:
        raise PlanError(f"--url: found {len(urls)} of them; allowed: 1 to {URLS_MAX}.")
    found = [_read(url) for url in urls]
    first = found[0][0]
    for url, (destination, _) in zip(urls, found, strict=True):
        if destination != first:
            raise PlanError(
                f"--url: found {_told(urls[0])} and {_told(url)}; allowed: several of one host and port.",
                hint="one prony run for each host",
            )
    return first, tuple(target for _, target in found)


def _read(url: str) -> tuple[Destination, str]:
    if not _PRINTED.fullmatch(url) or "\\" in url:
        raise PlanError(
            f"--url: found {_told(url)}; allowed: a URL in plain ASCII, with spaces, backslashes and other letters "
            f"percent-encoded (a host's other letters as xn--…), such as {EXAMPLE}."
        )
    if "://" not in url:
        raise PlanError(f"--url: found {_told(url)}; allowed: one such as {EXAMPLE}.", hint=f"--url http://{url}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PlanError(f"--url: found {_told(url)} ({error}); allowed: one such as {EXAMPLE}.") from None
    if parts.scheme not in PORTS:
        raise PlanError(f"--url: found {_told(url)}; allowed: {' and '.join(PORTS)}, such as {EXAMPLE}.")
    if "@" in parts.netloc:
        raise PlanError(
            "--url: found somebody's name before an @ in it; allowed: a host alone.",
            hint="--header 'Authorization: …' to say who asks",
        )
    if port == 0 or parts.netloc.endswith(":"):
        raise PlanError(f"--url: found {_told(url)}; allowed: a port from 1 to 65535, or none.")
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    if target.startswith("?"):
        target = f"/{target}"
    host = host_of(parts.netloc.rpartition(":")[0] if port is not None else parts.netloc, "--url")
    return Destination(host=host, port=port or PORTS[parts.scheme], scheme=parts.scheme), target


def host_of(text: str, flag: str) -> str:
    """A host as it is kept: a name in small letters without a trailing dot, or an IP address in its usual form.

    An IPv4 address written as an IPv6 one (::ffff:192.0.2.1) is the IPv4 address. Names are not looked up.

    Raises:
        PlanError: it is no host, or an address in a form that programs read differently (127.1, 0x7f000001).
    """
    if text.startswith("[") and text.endswith("]"):
        return str(_ipv6(text[1:-1], flag))
    name = text.lower().removesuffix(".")
    if ":" in name:
        return str(_ipv6(name, flag))
    if _NUMBER.fullmatch(name.rpartition(".")[2]):
        return _ipv4(name, flag)
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise PlanError(
            f"{flag}: found the host {shown(text)}; allowed: a name such as shop.example.com (other letters than a to "
            "z as xn--…), an IPv4 address, or an IPv6 address in brackets."
        )
    return name


def _ipv4(name: str, flag: str) -> str:
    try:
        return str(ipaddress.IPv4Address(name))
    except ValueError:
        pass
    try:
        usual = str(ipaddress.IPv4Address(socket.inet_aton(name)))
    except OSError:
        usual = ""
    raise PlanError(
        f"{flag}: found the host {shown(name)}; allowed: an IPv4 address as four numbers from 0 to 255.",
        hint=f"{usual}, if that is what is meant" if usual else "",
    )


def _ipv6(text: str, flag: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise PlanError(
            f"{flag}: found the host {shown(text)}; allowed: an IPv6 address without a zone, such as [::1]."
        )
    return address.ipv4_mapped or address


def _told(url: str) -> str:
    """A URL as messages show it: without who logs in."""
    return shown(_BEFORE_AT.sub("//…@", url))
