"""A request's target as a log has it in, one that can be sent again without anybody's secrets in it out."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote_plus

TARGET_CHARS_MAX = 2000
PAIRS_MAX = 30
# Keys of a query that name somebody or let somebody in: whole, or as a part of user_name, userName, user-name.
SECRET_KEYS = frozenset(
    """
    token tokens key keys apikey password passwd passphrase pass pwd secret code session sessionid sess sid
    phpsessid jsessionid sig sign signature hmac hash digest auth authorization oauth credential credentials
    jwt bearer csrf csrftoken csrfmiddlewaretoken xsrf nonce state otp pin ticket assertion saml samlresponse
    access refresh email mail e-mail phone mobile tel user username userid login uname account member customer
    firstname lastname surname fullname address ip ssn iban card cvv dob birthday uuid guid fingerprint
    visitor device clientid cid uid magic invite
    """.split()  # noqa: SIM905 - a word a line would read no better
)
_TRACKING = re.compile(
    r"utm_.*|gclid|fbclid|msclkid|dclid|yclid|gbraid|wbraid|mc_[ce]id|_ga|_gl|igshid|_hs[a-z]+", re.IGNORECASE
)
_KEY_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_TOKEN_STEPS = frozenset(
    """
    reset confirm confirmation activate activation verify verification invite invitation token magic
    unsubscribe
    """.split()  # noqa: SIM905 - a word a line would read no better
)
_PERSON_STEPS = frozenset(
    """
    user users u profiles members people
    """.split()  # noqa: SIM905 - a word a line would read no better
)
_NOT_A_PERSON = frozenset(
    """
    login logout register signup signin settings me new list search edit password all active add self profile
    orders home dashboard notifications messages favorites favourites top export count stats groups roles
    """.split()  # noqa: SIM905 - a word a line would read no better
)
_HEX = re.compile(r"[0-9a-fA-F]{16,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_OPAQUE = re.compile(r"[A-Za-z0-9_+/=.~-]{20,}")
_WORDY = re.compile(r"[a-z]+(?:[-_.+ ][a-z0-9]+)*", re.IGNORECASE)
_ESCAPED = re.compile(r"\\x([0-9A-Fa-f]{2})")
_KEPT = "/~:@!$'()*,;=&?%+-._"


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for, as it can be sent: percent-encoded ASCII.

    Attributes:
        keys: The keys of its query, in their order.
        dropped: Why parts of the query are gone: "secret" or "tracking", one for each.
        refused: Why it is not to be sent or stored at all: "person" or "token"; empty where it may be.
    """

    path: str
    query: str
    keys: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    refused: str = ""

    @property
    def text(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


@lru_cache(maxsize=16_384)
def cleaned(raw: str) -> Target | None:
    """The target without what is personal or secret; None where it is none (`*`, or over `TARGET_CHARS_MAX`)."""
    if len(raw) > TARGET_CHARS_MAX:
        return None
    if "://" in raw[:10]:  # as a proxy is asked
        raw = "/" + raw.partition("://")[2].partition("/")[2]
    if not raw.startswith("/"):
        return None
    raw = _ESCAPED.sub(r"%\1", raw).replace('\\"', "%22").replace("\\\\", "%5C").partition("#")[0]
    path, _, query = raw.partition("?")
    path = "/".join(segment.partition(";")[0] for segment in path.split("/"))  # ;jsessionid=…
    path = _encoded(path)
    kept, names, dropped = [], [], []
    for pair in query.split("&")[:PAIRS_MAX] if query else ():
        name, equals, value = pair.partition("=")
        if not name:
            continue
        if _TRACKING.fullmatch(name):
            dropped.append("tracking")
        elif is_secret_key(unquote_plus(name)) or is_secret(unquote_plus(value)) or is_secret(unquote_plus(name)):
            dropped.append("secret")
        else:
            kept.append(_encoded(name) + equals + _encoded(value).replace("?", "%3F"))
            names.append(_encoded(name))
    return Target(path, "&".join(kept), tuple(names), tuple(dropped), _refusal(path))


def is_secret_key(name: str) -> bool:
    """Whether a key of a query names somebody, or lets somebody in."""
    parts = [part.lower() for part in _KEY_PART.findall(name)]
    return name.lower() in SECRET_KEYS or "".join(parts) in SECRET_KEYS or not SECRET_KEYS.isdisjoint(parts)


def is_secret(value: str) -> bool:
    """Whether a value looks like an e-mail address, an IP address, or a token."""
    if "@" in value or _UUID.search(value) or (_HEX.search(value) and not value.isdigit()):
        return True
    if value.count(".") == 3 or value.count(":") > 1:
        try:
            ipaddress.ip_address(value.strip("[]"))
        except ValueError:
            pass
        else:
            return True
    return _is_opaque(value)


def _is_opaque(value: str) -> bool:
    """Whether it is long and random: letters and digits mixed, and no words with hyphens between."""
    if not _OPAQUE.fullmatch(value) or (_WORDY.fullmatch(value) and value.lower() == value and not _dense(value)):
        return False
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed or (value.lower() != value and value.upper() != value and "-" not in value)


def _dense(value: str) -> bool:
    """Whether its longest run without a separator is as long as no word is, and has digits in it."""
    longest = max(re.split(r"[-_.+ ]", value), key=len)
    return len(longest) >= 20 and any(c.isdigit() for c in longest)


def _refusal(path: str) -> str:
    segments = [unquote_plus(segment) for segment in path.split("/")]
    before = ""
    for segment in segments:
        name = segment.lower()
        if "@" in segment or segment.startswith("~"):
            return "person"
        if before in _PERSON_STEPS and name and not name.isdigit() and name not in _NOT_A_PERSON:
            return "" if _UUID.fullmatch(segment) else "person"
        if not _UUID.fullmatch(segment) and not _HEX.fullmatch(segment) and is_secret(segment) and not _file(segment):
            return "token"
        words = {part.lower() for part in _KEY_PART.findall(before)}
        if segment and not name.isdigit() and not _TOKEN_STEPS.isdisjoint(words) and _tokenish(segment):
            return "token"
        before = name
    return ""


def _file(segment: str) -> bool:
    """Whether it is a file's name, which has a hash in it for caches to know it by."""
    return bool(re.search(r"\.[a-z0-9]{2,5}$", segment)) and not segment.startswith("eyJ")


def _tokenish(segment: str) -> bool:
    return len(segment) >= 6 and any(c.isdigit() for c in segment)


def _encoded(text: str) -> str:
    """Percent-encoded where it is not yet, braces too, which are ours."""
    text = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", text)
    return quote(text, safe=_KEPT)
