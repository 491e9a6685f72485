"""A spec's requests into bytes ready to be sent, and who sends which of them next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from prony.load.checks import Checks, checks_of
from prony.traffic import arrivals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prony.load.spec import LoadSpec, RequestSpec, StreamSpec

_BLOCK: Final = 1024  # requests drawn at once: a tenth of a millisecond of the sending loop's time
KNOWN_BYTES_MAX: Final = 16 * 1024
_MISSED_MAX: Final = 64  # answers one after the other that were like none before: then only every 256th is kept
_JOINED: Final = {"cookie": "; "}  # where request and visitor both carry it, both are sent; else the visitor's


class Known:
    """The latest right answer to a route, byte for byte, by which the same one is known without being read again.

    Attributes:
        answer: The whole of it, of at most `KNOWN_BYTES_MAX` bytes.
        size: Its length; -1 before there is one.
        status: Its status.
        missed: How many answers, one after the other, were not like the one kept.
        keeps: Whether any is kept; not where somebody reads what each answer holds.
    """

    __slots__ = ("answer", "keeps", "missed", "size", "status")

    def __init__(self, *, keeps: bool = True) -> None:
        self.keeps = keeps
        self.answer = b""
        self.size = -1
        self.status = 0
        self.missed = 0

    def keep(self, answer: memoryview, status: int) -> None:
        """An answer was read, came whole in one piece, left the connection as it was, and is right."""
        self.missed += 1
        if self.keeps and len(answer) <= KNOWN_BYTES_MAX and (self.missed <= _MISSED_MAX or self.missed % 256 == 0):
            self.answer = bytes(answer)
            self.size = len(answer)
            self.status = status


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request, made ready to be sent."""

    number: int  # its place among the requests, which samples store
    wires: tuple[bytes, ...]  # the request, once for each of its paths; without its end where visitors add to it
    tails: tuple[bytes, ...]  # what each visitor adds to it; none: it is sent as it stands
    statuses: frozenset[int]
    checks: Checks | None  # what is expected besides the status
    bodiless: bool  # HEAD: the answer ends with its head, whatever that says
    idempotent: bool  # may be sent again where a kept connection turns out closed
    known: Known = field(default_factory=Known)
    stream: StreamSpec | None = None  # a streamed answer, read event by event

    @property
    def wire(self) -> bytes:
        """The whole request, with the first of its paths and for the first visitor."""
        return self.wires[0] + (self.tails[0] if self.tails else b"")


class Mix:
    """What goes out next: a route by its weight, one of its paths, and as whom, all by the spec's seed.

    Args:
        spec: Its requests, visitors, seed and shard. Visitor i is `user` i modulo the number of visitors.
    """

    __slots__ = ("_block", "_drawn", "_seed", "_shard", "_shards", "_sizes", "_weights", "only", "routes")

    def __init__(self, spec: LoadSpec) -> None:
        self.routes = routes_of(spec)
        self.only: tuple[Route, bytes] | None = None
        if len(self.routes) == 1 and len(self.routes[0].wires) == 1 and not self.routes[0].tails:
            self.only = (self.routes[0], self.routes[0].wires[0])
        self._seed = spec.seed
        self._shard, self._shards = spec.shard, spec.shards
        self._weights = [0.0 if request.redirects else request.weight for request in spec.requests]
        self._sizes = [len(route.wires) for route in self.routes]
        self._drawn = 0
        self._block: list[tuple[int, int]] = []

    def take(self, user: int) -> tuple[Route, bytes]:
        """The next request, as this user sends it."""
        if self.only is not None:
            return self.only
        if not self._block:
            self._draw()
        number, variant = self._block.pop()
        route = self.routes[number]
        wire = route.wires[variant]
        tails = route.tails
        return (route, wire + tails[user % len(tails)]) if tails else (route, wire)

    def _draw(self) -> None:
        count = _BLOCK * self._shards
        chosen = arrivals.routes(self._weights, count, self._seed, self._drawn)
        variants = arrivals.variants(self._sizes, chosen, self._seed, self._drawn)
        own = slice(self._shard, None, self._shards)
        self._block = list(zip(chosen[own].tolist(), variants[own].tolist(), strict=True))
        self._block.reverse()
        self._drawn += count


def routes_of(spec: LoadSpec) -> list[Route]:
    """The requests of a spec made ready, in their order."""
    tails: dict[tuple[tuple[str, str], ...], tuple[bytes, ...]] = {}
    return [_route(request, number, spec, tails) for number, request in enumerate(spec.requests)]


def _route(
    request: RequestSpec, number: int, spec: LoadSpec, tails: dict[tuple[tuple[str, str], ...], tuple[bytes, ...]]
) -> Route:
    """One request made ready; `tails` holds what visitors add to requests of the same fields."""
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    fields = {"host": spec.host_header or f"{host}:{spec.port}", "user-agent": "prony", "accept": "*/*"}
    if not spec.keep_alive:
        fields["connection"] = "close"
    if request.method in {"POST", "PUT", "PATCH"}:
        fields["content-length"] = "0"
    fields |= {name.lower(): value for name, value in request.headers.items()}
    added: tuple[bytes, ...] = ()
    if spec.visitors and not request.anonymous:
        theirs = {name.lower() for visitor in spec.visitors for name in visitor}
        both = tuple((name, fields.pop(name)) for name in tuple(fields) if name in theirs)
        if both not in tails:
            tails[both] = tuple(_tail(dict(both), visitor) for visitor in spec.visitors)
        added = tails[both]
    rest = [*_lines(fields), *([] if added else ["", ""])]
    return Route(
        number=number,
        wires=tuple(
            "\r\n".join([f"{request.method} {path} HTTP/1.1", *rest]).encode("latin-1")
            for path in request.paths or (request.path,)
        ),
        tails=added,
        statuses=frozenset(request.expect.status),
        checks=checks_of(request.expect, request.name or request.path),
        bodiless=request.method == "HEAD",
        idempotent=request.method in {"GET", "HEAD"},
        known=Known(keeps=request.stream is None),
        stream=request.stream,
    )


def _tail(fields: dict[str, str], visitor: Mapping[str, str]) -> bytes:
    """The end of a request: a visitor's fields beside those of the request that may be theirs too."""
    for name, value in visitor.items():
        own = fields.get(name.lower())
        glue = _JOINED.get(name.lower())
        fields[name.lower()] = value if own is None or glue is None else f"{own}{glue}{value}"
    return "\r\n".join(["", *_lines(fields), "", ""]).encode("latin-1")


def _lines(fields: Mapping[str, str]) -> Iterable[str]:
    return (f"{name}: {value}" for name, value in fields.items())
