"""A destination that is not loopback in, the way in which it gave its consent out, or why no load goes there.

A host consents by publishing the token that `prony doctor --consent HOST` printed: it is made of a secret of this
user's and of the host's name, so that nobody else's token serves, and no other host's. It is never sent anywhere: what
a host merely echoes is no consent. It is looked for at the one address that the load will go to.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable, Sequence
from urllib.parse import urljoin

from prony.alone.answer import Answer, ask
from prony.errors import ConsentError, MachineError
from prony.load import consent
from prony.plan.checks import shown
from prony.plan.destination import Destination

PATH = "/.well-known/prony-consent"
FIELD = "Prony-Consent"
RECORD = "_prony-consent"
LOOK_UP_S = 5.0
LINES_MAX = 100
AGAIN_S = 300.0
NOT_FOUND = "its token was not found."
_proved: dict[tuple[str, str], float] = {}  # when an address last said so for a host, monotonic

Asked = Callable[[Destination, str], Answer]
Records = Callable[[str], Sequence[str]]


def token_of(host: str) -> str:
    """The token that a host publishes.

    Raises:
        MachineError: this user's secret cannot be kept.
    """
    try:
        return consent.token(host)
    except OSError as error:
        raise MachineError(
            f"{consent.secret_file()}, the secret that tokens are made of, cannot be used: {error}.",
            hint=f"make {consent.secret_file().parent} writable",
        ) from error


def ways(host: str, token: str) -> tuple[tuple[str, str], ...]:
    """The ways in which a host can publish a token: where, and what stands there."""
    bracketed = f"[{host}]" if ":" in host else host
    found = (
        (f"a page at http://{bracketed}{PATH} (or https://, and with the port that is loaded)", token),
        ("a header field of every answer", f"{FIELD}: {token}"),
    )
    return found if _is_address(host) else (*found, ("a DNS record", f'{RECORD}.{host}. IN TXT "{token}"'))


def still(destination: Destination, path: str, again_s: float = AGAIN_S) -> None:
    """Asks for the consent again, where it was last given longer ago than five minutes; raises as `prove` does."""
    before_s = _proved.get((destination.host, destination.place))
    if before_s is not None and time.monotonic() - before_s < again_s:
        return
    try:
        prove(destination, path)
    except ConsentError as error:
        if before_s is None:
            raise
        where, seen = f"{destination.host} ({destination.place})", error.message.partition(NOT_FOUND)[2]
        raise ConsentError(
            f"{where} had consented to be loaded, and no longer says so: {NOT_FOUND}{seen}", hint=error.hint
        ) from None


def prove(destination: Destination, path: str, asked: Asked = ask, records: Records | None = None) -> str:
    """How a destination consents, asked at its address: "well-known", "header" or "dns".

    Args:
        destination: Pinned to an address.
        path: What is to be loaded there, whose answer may carry the header field.
        asked: What asks.
        records: The TXT records of a name; raises OSError. None: this machine's resolver.

    Raises:
        ConsentError: it does not; says what was seen instead.
    """
    token = token_of(destination.host)
    seen: list[str] = []
    for each in dict.fromkeys((PATH, path)):
        try:
            answer = asked(destination, each)
        except (OSError, ValueError) as error:
            seen.append(f"{each} gave no answer ({error})")
            break
        how = _read(answer, token, page=each == PATH)
        if how:
            return _remembered(destination, how)
        seen.append(f"{each} {_told(answer, destination, each)}")
    if not _is_address(destination.host):
        name = f"{RECORD}.{destination.host}"
        try:
            if any(_same(text, token) for text in (records or txt_records)(name)):
                return _remembered(destination, "dns")
            seen.append(f"the TXT records of {name} do not hold it")
        except OSError as error:
            seen.append(f"the TXT records of {name} cannot be read ({error})")
    raise ConsentError(
        f"--url: {destination.host} ({destination.place}) is not loopback and has not consented to be loaded: "
        f"{NOT_FOUND} {_sentence('; '.join(seen))}",
        hint=f"prony doctor --consent {destination.host}, which says what it must publish",
    )


def _remembered(destination: Destination, how: str) -> str:
    _proved[destination.host, destination.place] = time.monotonic()
    return how


def _read(answer: Answer, token: str, *, page: bool) -> str:
    """How an answer consents. One that leads elsewhere says nothing of this host: it is not followed, nor believed."""
    if 300 <= answer.status < 400:
        return ""
    if any(_same(value, token) for value in answer.fields.get(FIELD.lower(), "").split(",")):
        return "header"
    lines = answer.body.decode("utf-8", "replace").splitlines()[:LINES_MAX]
    return "well-known" if page and answer.status == 200 and any(_same(line, token) for line in lines) else ""


def _told(answer: Answer, destination: Destination, path: str) -> str:
    if 300 <= answer.status < 400:
        return f"answered {answer.status}{leads(answer, destination, path)} and is not followed"
    other = "another token" if FIELD.lower() in answer.fields or b"prony-" in answer.body else "no token"
    return f"answered {answer.status} with {other}"


def leads(answer: Answer, destination: Destination, path: str) -> str:
    """Where a redirect leads, in words that follow its status; empty where it does not say."""
    location = answer.fields.get("location", "")
    return f", which leads to {shown(urljoin(destination.url + path, location))}" if location else ""


def _same(text: str, token: str) -> bool:
    return hmac.compare_digest(text.strip().strip('"').encode(), token.encode())


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def txt_records(name: str, nameservers: Sequence[str] = (), port: int = 53) -> Sequence[str]:
    """The TXT records of a name, by this machine's name servers or those given; none where there is no such name.

    Raises:
        OSError: they cannot be had.
    """
    try:
        import dns.exception  # noqa: PLC0415 - an optional extra
        import dns.resolver  # noqa: PLC0415 - the same
    except ImportError:
        raise OSError("dnspython is not installed: pip install 'prony[dns]'") from None
    try:
        resolver = dns.resolver.Resolver(configure=not nameservers)
        if nameservers:
            resolver.nameservers = list(nameservers)
        resolver.port = port
        found = resolver.resolve(f"{name}.", "TXT", lifetime=LOOK_UP_S, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except dns.exception.DNSException as error:
        raise OSError(str(error)) from error
    return [b"".join(record.strings).decode("utf-8", "replace") for record in found]
