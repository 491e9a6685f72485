from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from prony.load.account import LoadResult, LoadTick
from prony.load.mix import routes_of
from prony.load.segment import FINE_BITS, FINE_NS, LagCounts
from prony.load.spec import Expectation, LoadSpec, RequestSpec, loopback_address
from prony.traffic.profiles import Stretch

OPEN: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 8000,
    "requests": (RequestSpec(),),
    "arrivals": "poisson",
    "rate_rps": 100.0,
    "duration_s": 1.0,
    "segment": "segment",
}
CLOSED = OPEN | {"arrivals": "closed", "rate_rps": None, "users": 5}


PHASED = OPEN | {"rate_rps": None, "profile": (Stretch(0.25, 1, 200), Stretch(0.75, 200, 0))}


@pytest.mark.parametrize(
    "fields",
    [
        OPEN,
        CLOSED,
        PHASED,
        PHASED | {"arrivals": "closed", "think_s": 0.5, "think_sigma": 0.8},
        OPEN | {"session": 5.0, "think_s": 1},
        OPEN | {"arrivals": "constant", "host": "::1"},
    ],
)
def test_a_spec_survives_json(fields: dict[str, Any]) -> None:
    spec = LoadSpec(**fields)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=LoadSpec) == spec


def test_a_tick_and_a_result_are_told_apart() -> None:
    tick = LoadTick(1, 2, 3, 4, 5, 6, 7, 0.5)
    result = LoadResult(1, 2, 3, 4, 5, 6, 7, 8, 0.5, 0.5, 0.5, 0.5, False)
    for line in (tick, result):
        assert msgspec.json.decode(msgspec.json.encode(line), type=LoadTick | LoadResult) == line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 0}, "port"),
        ({"port": 65_536}, "port"),
        ({"requests": ()}, "kinds"),
        ({"requests": (RequestSpec(weight=0),)}, "weights"),
        ({"rate_rps": None}, "rate_rps"),
        ({"rate_rps": 0}, "rate_rps"),
        ({"rate_rps": math.nan}, "rate_rps"),
        ({"rate_rps": 1e9}, "50000000"),
        ({"users": 3}, "users"),
        ({"think_s": 1}, "think_s"),
        ({"arrivals": "closed"}, "users"),
        ({"arrivals": "closed", "rate_rps": None, "users": 0}, "users"),
        ({"profile": (Stretch(1.0, 5, 5),)}, "in place of"),
        ({"rate_rps": None, "profile": (Stretch(2.0, 5, 5),)}, "lasts"),
        ({"rate_rps": None, "profile": (Stretch(1.0, 0, 1e9),)}, "50000000"),
        ({"rate_rps": 3e5, "session": 100.0, "duration_s": 10}, "50000000"),
        ({"rate_rps": None, "profile": (Stretch(1.0, -1, 5),)}, "goes through"),
        ({"arrivals": "closed", "rate_rps": None, "profile": (Stretch(1.0, 0, 70_000),)}, "users"),
        ({"session": 0.5}, "session"),
        ({"session": 200.0}, "session"),
        ({"arrivals": "closed", "rate_rps": None, "users": 5, "session": 2.0}, "session"),
        ({"think_sigma": -1}, "think_sigma"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": 86_401}, "duration_s"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"drain_s": -1}, "drain_s"),
        ({"connections": 0}, "connections"),
        ({"body_bytes_max": -1}, "body_bytes_max"),
        ({"seed": -1}, "seed"),
        ({"host_header": "a\r\nb: c"}, "Host"),
        ({"host": "example.org"}, "loopback"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LoadSpec(**OPEN | change)


def test_json_with_a_wrong_or_unknown_field_is_refused() -> None:
    whole = msgspec.to_builtins(LoadSpec(**OPEN))
    for change in ({"host": "10.0.0.1"}, {"hots": "127.0.0.1"}, {"arrivals": "sometimes"}, {"duration_s": "1"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(whole | change, type=LoadSpec)


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "GET /"},
        {"method": ""},
        {"method": "CONNECT"},
        {"path": ""},
        {"path": "a"},
        {"path": "/a b"},
        {"path": "/\r\nHost: x"},
        {"path": "/é"},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a": "\u20ac"}},
        {"weight": -1},
        {"weight": math.inf},
    ],
)
def test_a_request_that_cannot_be_sent_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"method|path|header|weight"):
        RequestSpec(**fields)


@pytest.mark.parametrize("fields", [{"status": ()}, {"status": (99,)}, {"status": (600,)}, {"contains": ""}])
def test_an_expectation_that_nothing_or_everything_meets_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"status|contains"):
        Expectation(**fields)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "127.0.0.1"), ("127.8.9.10", "127.8.9.10"), ("::1", "::1"), ("localhost", "127.0.0.1")],
)
def test_loopback_hosts_have_an_address(host: str, address: str) -> None:
    assert loopback_address(host) == address


@pytest.mark.parametrize(
    "host",
    [
        *("", "0.0.0.1", "::", "10.0.0.1", "128.0.0.1", "fe80::1", "::ffff:8.8.8.8"),
        *("example.org", "localhost.example.org", "2130706433", "0x7f.1", "127.1"),
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        loopback_address(host)


def test_a_request_is_written_with_its_own_fields_before_ours() -> None:
    request = RequestSpec(method="POST", path="/a?b=c", headers={"User-Agent": "me", "X-Y": "z"})

    def wire(request: RequestSpec, **fields: Any) -> bytes:
        return routes_of(LoadSpec(**OPEN | {"requests": (request,)} | fields))[0].wire

    assert wire(request) == (
        b"POST /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n"
        b"user-agent: me\r\naccept: */*\r\ncontent-length: 0\r\nx-y: z\r\n\r\n"
    )
    assert b"host: [::1]:8000\r\n" in wire(RequestSpec(), host="::1")
    assert b"host: shop.test\r\n" in wire(RequestSpec(), host_header="shop.test")


def test_lag_percentiles_are_within_their_bin() -> None:
    lags = LagCounts()
    assert lags.quantile_s(0.5) == 0
    for lag_ns in range(0, 50_000_000, 500_000):
        lags.fine[lag_ns >> FINE_BITS] += 1
    assert lags.quantile_s(0.5) == pytest.approx(0.0245, abs=2e-6)
    for _ in range(100):
        lags.add(FINE_NS + 3_000_000_000)
    assert lags.quantile_s(0.99) == pytest.approx((FINE_NS + 3e9) / 1e9, abs=1.1e-3)
    assert lags.quantile_s(0.25) == pytest.approx(0.0245, abs=2e-6)


@pytest.mark.parametrize(
    ("field", "name"),
    [("", "127.0.0.1"), ("shop.example", "shop.example"), ("shop.example:8443", "shop.example"), ("[::1]:1", "::1"),
     ("[::1]", "::1"), ("[", "127.0.0.1")],
)  # fmt: skip
def test_tls_asks_for_the_host_of_the_host_field(field: str, name: str) -> None:
    assert LoadSpec(**OPEN | {"host_header": field}).server_name == name
