"""A load's spec in, what all its visitors' steps share out: a request's bytes, own links, the numbers of routes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urljoin, urlsplit

from prony.load.forms import FormReader
from prony.load.mix import Known, Route
from prony.load.naming import NAME_CHARACTERS_MAX, namer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prony.load.checks import Checks
    from prony.load.spec import LoadSpec

ROUTES_MAX: Final = 500  # of steps; those beyond share one
OTHERS: Final = "other steps"
KEPT_BYTES_IN_ALL_MAX: Final = 256 * 1024 * 1024  # of the pages that visitors have before them
_PLAIN: Final = re.compile(r"/(?!/)[!$&'()*+,./0-9:;=?@A-Z_a-z~%-]*")
_UP: Final = re.compile(r"/\.\.?(?:/|\?|$)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SAFE: Final = "!$&'()*+,/:;=?@%~[]"
_LOCAL: Final = ("127.0.0.1", "localhost")


@lru_cache(maxsize=4096)
def _is_plain(location: str) -> bool:
    """Whether a link is a path from the root that needs no second look."""
    return _PLAIN.fullmatch(location) is not None and not _UP.search(location)


class Site:
    """The stack as visitors know it.

    Attributes:
        names: The names of routes, in their numbers' order: first the spec's requests, then steps as they come up.
        kept_bytes: Of the pages that visitors have before them.
        forms: Reads the pages' forms.
        protected: Paths of pages that strangers were not shown.

    Args:
        spec: Host, port, header fields, requests.
        remark: Told what a reader of the results should know; the same thing may be told often.
    """

    def __init__(self, spec: LoadSpec, remark: Callable[[str], None]) -> None:
        self._remark = remark
        host = f"[{spec.host}]" if ":" in spec.host else spec.host
        given = {name.lower(): value for name, value in spec.headers.items()}
        self.host = given.pop("host", "") or spec.host_header or f"{host}:{spec.port}"
        fields = {"host": self.host, "user-agent": "prony", "accept": "*/*"}
        fields |= ({} if spec.keep_alive else {"connection": "close"}) | given
        self.cookie = fields.pop("cookie", "")
        self._base = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._fields = fields
        said = "https" in given.get("x-forwarded-proto", "") or "proto=https" in given.get("forwarded", "")
        secure = spec.https or said
        self._origin = f"{'https' if secure else 'http'}://{self.host}"
        own = {self.host, f"{host}:{spec.port}", *(f"{name}:{spec.port}" for name in _LOCAL)}
        self._own = {name.lower() for name in own} | {self.host.partition(":")[0].lower(), f"{self.host}:443".lower()}
        self._name_of = namer(spec.routes)
        self.names = [request.name or request.path for request in spec.requests]
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._shard, self._shards = spec.shard, spec.shards
        self._most = len(self.names) + ROUTES_MAX * spec.shards
        self._routes: dict[tuple[str, str, Checks | None], Route] = {}
        self.kept_bytes = 0
        self.protected: set[str] = set()
        self.forms = FormReader()
        self._told_secure = secure  # over https nothing is to be told

    def secure_cookie(self, name: str) -> None:
        """A visitor was given a Secure cookie."""
        if not self._told_secure:
            self._told_secure = True
            self._remark(
                f'the cookie "{name[:60]}" is Secure: browsers send it over https only; here it was sent over http'
            )

    def address(self, target: str) -> str:
        """The URL of a page, as a Referer has it."""
        return f"{self._origin}{target}"

    def own(self, location: str, here: str) -> str | None:
        """Path and query of a link on the page `here`; None where it leads away from the stack, or is no page."""
        if _is_plain(location):
            return location
        try:
            parts = urlsplit(urljoin(f"{self._origin}{here}", location.strip(" \t\n\r\f")))
            host = parts.netloc.lower()
        except ValueError:
            return None
        if parts.scheme not in {"http", "https"} or host not in self._own:
            return None
        path = quote(parts.path or "/", safe=_SAFE)
        return path + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")

    def wire(
        self,
        line: tuple[str, str],
        cookie: str,
        referer: str,
        headers: Mapping[str, str] | None,
        content: tuple[bytes, str] | None,
    ) -> bytes:
        """A request's bytes.

        Args:
            line: Method and target.
            cookie: The visitor's Cookie field; empty for none.
            referer: The page on which the request began, as `own` gives it; empty for none.
            headers: Fields of this request only.
            content: A body and its type.

        Raises:
            ValueError: A field that cannot be sent.
        """
        method, target = line
        base = self._base
        if headers:
            base = self._with(headers)
        cookie = cookie if not self.cookie else f"{self.cookie}; {cookie}" if cookie else self.cookie
        fields = f"cookie: {cookie}\r\n" if cookie else ""
        if referer:
            fields += f"referer: {self._origin}{referer}\r\n"
        if content is None:
            end = "content-length: 0\r\n" if method in {"POST", "PUT", "PATCH"} else ""
            return f"{method} {target} HTTP/1.1\r\n{base}{fields}{end}\r\n".encode("latin-1")
        body, kind = content
        end = f"content-type: {kind}\r\n" if kind else ""
        end += f"content-length: {len(body)}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{base}{fields}{end}\r\n".encode("latin-1") + body

    def _with(self, headers: Mapping[str, str]) -> str:
        fields = dict(self._fields)
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or _CONTROL.search(value):
                raise ValueError(f"not a header field that can be sent: {name!r}")
            fields[name.lower()] = value
        return "".join(f"{name}: {value}\r\n" for name, value in fields.items())

    def route(self, method: str, target: str, name: str | None, checks: Checks | None = None) -> Route:
        """The route of a step: by the name it was given, else by the route that its path belongs to.

        `checks` are what is to be looked at as the answer comes.
        """
        label = name or (self._name_of(target) if method in {"GET", "HEAD"} else f"{method} {self._name_of(target)}")
        found = self._routes.get((method, label, checks))
        if found is None:
            found = self._routes[method, label, checks] = Route(
                number=self.number(label[:NAME_CHARACTERS_MAX]),
                wires=(),
                tails=(),
                statuses=frozenset(),
                checks=checks,
                bodiless=method == "HEAD",
                idempotent=method in {"GET", "HEAD"},
                known=Known(keeps=False),
            )
            if len(self._routes) > 4 * ROUTES_MAX:  # names without end: numbers are few, and known by now
                self._routes.clear()
        return found

    def number(self, label: str) -> int:
        """The number that samples of this name bear; a step called like a request shares the request's."""
        found = self._numbers.get(label)
        if found is None and len(self.names) >= self._most:
            label = OTHERS
            found = self._numbers.get(label)
        if found is None:
            while len(self.names) % self._shards != self._shard:  # a number that no other shard gives to anything
                self.names.append("")
            found = self._numbers[label] = len(self.names)
            self.names.append(label)
        return found
