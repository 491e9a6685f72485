"""What one generator process is to do, and what it says about it, as JSON with every field checked."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from prony.load import when
from prony.traffic.arrivals import DURATION_MAX_S, ROUTES_MAX
from prony.traffic.profiles import Stretch

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(r"[/*][\x21-\x7e]*")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_MEDIA_TYPE: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
RETRIES_MAX: Final = 10
_LOOPBACK: Final = ipaddress.ip_network("127.0.0.0/8")


def _check_fields(fields: dict[str, str]) -> None:
    for name, value in fields.items():  # the value may be a secret, and is not told
        if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ValueError(f"not a header field that can be sent: {name!r}")


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ValueError(f"`{name}` is from {least:g} to {most:g}, not {value}")


JsonValue = str | int | float | bool


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes an answer the right one; what is None or empty is not looked at.

    Bodies are looked at as bytes, chunks joined, with gzip, deflate and br undone.

    Attributes:
        status: Accepted status codes, 100 to 599.
        contains: Text that the body must contain, compared as UTF-8.
        type: The media type, such as `text/html`, whatever its parameters.
        header: Header fields and what their values must be; a `*` stands for anything, alone for any value.
        matches: A regular expression (Python's) that must match somewhere in the body, decoded as UTF-8.
        json: Paths such as `items.0.name` and the texts, numbers or truths that must stand there in the body's JSON; in
            texts a `*` stands for anything, alone for any value.
        min_bytes: Least length of the body.
        max_bytes: Greatest length of the body.
        sha256: SHA-256 of the body, in hexadecimal.
    """

    status: tuple[int, ...] = (200,)
    contains: str | None = None
    type: str | None = None
    header: dict[str, str] = {}
    matches: str | None = None
    json: dict[str, JsonValue] = {}
    min_bytes: int | None = None
    max_bytes: int | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Check the fields; raises ValueError."""
        if not self.status or not all(100 <= code <= 599 for code in self.status):
            raise ValueError(f"expected statuses are numbers from 100 to 599, not {self.status}")
        if self.contains == "":
            raise ValueError("`contains` needs a text: every body contains the empty one")
        if self.type is not None and not _MEDIA_TYPE.fullmatch(self.type):
            raise ValueError(f"`type` is a media type such as text/html, not {self.type!r}")
        for name, value in self.header.items():
            if not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
                raise ValueError(f"no answer has a header field such as {name!r}")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"`matches` is no regular expression: {error}") from error
        if not all(self.json):
            raise ValueError("a path of `json` names something: it is not empty")
        for bound in (self.min_bytes, self.max_bytes):
            _within("min_bytes` and `max_bytes", bound or 0, 0, 2**31)
        if self.min_bytes is not None and self.max_bytes is not None and self.min_bytes > self.max_bytes:
            raise ValueError("`min_bytes` is more than `max_bytes`: no body has such a length")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ValueError("`sha256` has 64 hexadecimal digits")


class StreamSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a streamed answer is read: to its end, the sending window's end, or one of these.

    Attributes:
        events: After so many events.
        for_s: After so many seconds from its first byte.
    """

    events: int | None = None
    for_s: float | None = None

    def __post_init__(self) -> None:
        """Check the fields; raises ValueError."""
        if self.events is not None:
            _within("events", self.events, 1, 2**31)
        if self.for_s is not None:
            _within("for_s", self.for_s, 1e-3, DURATION_MAX_S)


class RequestSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of request; its place in `LoadSpec.requests` is the route of its samples.

    Attributes:
        method: An HTTP method.
        path: The request target with its query, percent-encoded ASCII.
        paths: Variants of it: each request takes one of them at random, in place of `path`. One that stands here twice
            is taken twice as often.
        headers: Header fields added to Host, User-Agent and Accept, or replacing them.
        weight: Its share of the traffic, relative to the others'.
        expect: What makes the answer right.
        name: What reports call it; the path where empty.
        anonymous: Whether it is sent without any visitor's header fields.
        redirects: Whether redirects are followed, within the stack; each is a sample of its own.
        stream: That the answer is streamed, and how long it is read; None for one that is awaited whole.
    """

    method: str = "GET"
    path: str = "/"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    weight: float = 1
    expect: Expectation = Expectation()
    name: str = ""
    paths: tuple[str, ...] = ()
    anonymous: bool = False
    redirects: bool = False
    stream: StreamSpec | None = None

    def __post_init__(self) -> None:
        """Check the fields; raises ValueError."""
        if self.stream is not None and self.redirects:
            raise ValueError("a streamed answer is not one whose redirects are followed")
        if not _TOKEN.fullmatch(self.method) or self.method == "CONNECT":
            raise ValueError(f"not a method that can be sent: {self.method!r}")
        for path in (self.path, *self.paths):
            if not _TARGET.fullmatch(path):
                raise ValueError(f"a path starts with / and is percent-encoded ASCII: {path!r}")
        _check_fields(self.headers)
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"a weight is a finite number, not negative: {self.weight}")


class JourneySpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A journey of the user's own.

    Attributes:
        name: What results call it, such as `journeys.py:buy`.
        file: Absolute path of its file.
        function: The name of its `async def` there.
        weight: How often it is begun, relative to the other journeys and the requests.
        users: Absolute path of a CSV file, whose rows its visitors take in turn; empty for none.
        anonymous: Whether its visitors begin without the header fields of the load's visitors.
    """

    name: str
    file: str
    function: str
    weight: float = 1
    users: str = ""
    anonymous: bool = False

    def __post_init__(self) -> None:
        """Check the fields; raises ValueError."""
        if not self.function.isidentifier():
            raise ValueError(f"no function is called {self.function!r}")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"a weight is a finite number, not negative: {self.weight}")


class LoadSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one generator process is to do. An invalid one cannot be made: ValueError, or msgspec's from JSON.

    Attributes:
        host: A loopback address or `localhost` (taken as 127.0.0.1). Load goes elsewhere only with `consent`, and then
            to a numeric address.
        port: TCP port.
        requests: The kinds of requests.
        journeys: Journeys beside them. Where there are any, what arrives, or is a user's turn, is one request or one
            run of a journey, by their weights, and `rate_rps` counts these.
        headers: Header fields of every step of a journey.
        routes: Paths, perhaps with {placeholders}, and what steps of journeys that ask for such a path are called.
        arrivals: `constant` or `poisson` (open loop, at `rate_rps`), or `closed` (`users` in a loop).
        rate_rps: Requests per second of an open loop; sessions per second where there are any.
        users: Users of a closed loop.
        profile: In place of `rate_rps` or `users`: how they change over the sending window.
        session: Requests of a visitor's session on average (geometric), in a partly open loop: sessions arrive, and the
            requests of one follow each other. None: each arrival is one request.
        duration_s: Length of the sending window, at most a day.
        think_s: Pause of a closed loop's user, or within a session, between the end of a request and the next one's due
            time; the median where `think_sigma` is above 0.
        think_sigma: Standard deviation of the pause's logarithm (lognormal); 0: all are equal.
        timeout_s: A request's whole time, from when it was sent; of a stream, the time to its first byte. Times are
            looked at every 50 ms.
        connect_timeout_s: The time to a connection, TLS included; None for no limit of its own.
        first_byte_timeout_s: The time to an answer's first byte, from when the request was sent; None likewise.
        keep_alive: Whether connections are used again; else each request has one of its own, and says so.
        https: Whether it goes over TLS. Certificates are not looked at.
        retries: How often a GET or HEAD that failed (no answer, or 429, 502, 503, 504) is tried again, after a pause:
            `backoff_s`, doubled each time, a random half of it left out. Each try is a sample of its own.
        backoff_s: See `retries`.
        shards: Processes that the load is divided among: this one sends what is due as number shard, shard + shards
            and so on, and has the closed loop's users of these numbers.
        shard: Which of them this is, from 0.
        start_file: So that shards begin together: once it is ready, the process makes `SEGMENT.ready`, and begins at
            the instant (monotonic, ns) that this file then comes to hold. Empty: as soon as may be.
        drain_s: How long after the sending window answers are waited for.
        connections: Most connections open at one time; further requests wait, first come, first served.
        seed: Of the arrivals and of the choice of routes.
        body_bytes_max: Longest body taken, as transferred; a longer one is a protocol error.
        host_header: The Host field; host and port where empty.
        timed: Whether some requests say in a header field which they are and when they were due and sent.
        visitors: Header fields of each visitor, such as their Cookie or Authorization. Each request goes out, and each
            journey is begun, as one of them: user i of a closed loop as visitor i modulo their number, the arrivals of
            an open loop in turn.
        segment: File that samples are appended to (see `prony.samples`).
        consent: What `prony.load.consent.sign` gives for this host, port and Host field, once their consent is proved.
    """

    host: str
    port: int
    requests: tuple[RequestSpec, ...] = ()
    journeys: tuple[JourneySpec, ...] = ()
    headers: dict[str, str] = {}
    routes: dict[str, str] = {}
    arrivals: Literal["constant", "poisson", "closed"]
    rate_rps: float | None = None
    users: int | None = None
    profile: tuple[Stretch, ...] = ()
    session: float | None = None
    duration_s: float
    think_s: float = 0
    think_sigma: float = 0
    timeout_s: float = 30
    connect_timeout_s: float | None = None
    first_byte_timeout_s: float | None = None
    keep_alive: bool = True
    https: bool = False
    retries: int = 0
    backoff_s: float = 0.1
    shards: int = 1
    shard: int = 0
    start_file: str = ""
    drain_s: float = 5
    connections: int = 4096
    seed: int = 1
    body_bytes_max: int = 16 * 1024 * 1024
    host_header: str = ""
    timed: bool = False
    visitors: tuple[dict[str, str], ...] = ()
    segment: str
    consent: str = ""

    def __post_init__(self) -> None:
        """Check the fields, also against each other; raises ValueError."""
        address_of(self)
        if not (1 <= len(self.requests) <= ROUTES_MAX or (self.journeys and not self.requests)):
            raise ValueError(f"{len(self.requests)} requests: a load has from 1 to {ROUTES_MAX} kinds")
        weights = [*(request.weight for request in self.requests), *(journey.weight for journey in self.journeys)]
        if not 0 < sum(weights) < math.inf:
            raise ValueError("the weights of the requests add up to nothing")
        _check_fields(self.headers)
        if not _FIELD_VALUE.fullmatch(self.host_header):
            raise ValueError(f"not a Host that can be sent: {self.host_header!r}")
        for visitor in self.visitors:
            _check_fields(visitor)
        _within("port", self.port, 1, 65_535)
        _within("duration_s", self.duration_s, 1e-3, DURATION_MAX_S)
        _within("think_s", self.think_s, 0, DURATION_MAX_S)
        for name in ("timeout_s", "connect_timeout_s", "first_byte_timeout_s"):
            _within(name, getattr(self, name) or self.timeout_s, 1e-3, DURATION_MAX_S)
        _within("retries", self.retries, 0, RETRIES_MAX)
        _within("backoff_s", self.backoff_s, 1e-3, 60)
        _within("shards", self.shards, 1, 256)
        _within("shard", self.shard, 0, self.shards - 1)
        if self.retries and self.journeys:
            raise ValueError("`retries` are not for journeys, which try again themselves")
        _within("drain_s", self.drain_s, 0, DURATION_MAX_S)
        _within("connections", self.connections, 1, 65_535)
        _within("body_bytes_max", self.body_bytes_max, 0, 2**31)
        _within("seed", self.seed, 0, 2**63 - 1)
        when.check(self)

    @property
    def server_name(self) -> str:
        """Whom TLS asks for: the host of the Host field, without its port."""
        try:
            return urlsplit(f"//{self.host_header}").hostname or self.host
        except ValueError:
            return self.host


def address_of(spec: LoadSpec) -> str:
    """The numeric address that a spec's load goes to.

    Raises:
        ValueError: It is not loopback, and there is no consent that holds now for this address, port and Host field.
    """
    if not spec.consent:
        return loopback_address(spec.host)
    from prony.load import consent  # noqa: PLC0415 - load on loopback does without

    address = str(ipaddress.ip_address(spec.host))
    if not consent.holds(spec.consent, address, spec.port, spec.host_header):
        raise ValueError(f"there is no consent to load {spec.host!r} on port {spec.port} as {spec.host_header!r}")
    return address


def loopback_address(host: str) -> str:
    """The numeric loopback address that a host names: in 127.0.0.0/8, or ::1.

    Raises:
        ValueError: Any other host. Nothing is looked up, and no socket is opened.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if isinstance(address, ipaddress.IPv4Address) and address in _LOOPBACK:
        return str(address)
    if address == ipaddress.IPv6Address("::1"):
        return "::1"
    raise ValueError(f"load goes only to loopback (127.0.0.0/8, ::1, localhost), not to {host!r}")
