from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.alone.reach import Reach, Resolver, reach
from prony.errors import PlanError
from prony.load.spec import loopback_address


def nobody(host: str) -> Sequence[str]:
    raise AssertionError(f"{host} was looked up")


def answering(*answers: str) -> Resolver:
    return lambda _: answers


@pytest.mark.parametrize("host", ["localhost", "shop.localhost", "a.b.localhost"])
def test_localhost_is_this_machine_whatever_a_name_server_says(host: str) -> None:
    assert reach(host, nobody) == Reach(("127.0.0.1", "::1"), loopback=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_addresses_are_loopback(host: str) -> None:
    assert reach(host, nobody) == Reach((host,), loopback=True)


@pytest.mark.parametrize("host", ["198.51.100.7", "10.0.0.1", "192.168.1.1", "2001:db8::7", "128.0.0.1"])
def test_other_addresses_are_not(host: str) -> None:
    assert reach(host, nobody) == Reach((host,), loopback=False)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("0.0.0.0", "no address of any machine"),  # noqa: S104
        ("0.1.2.3", "no address of any machine"),
        ("::", "no address of any machine"),
        ("224.0.0.1", "many machines"),
        ("ff02::1", "many machines"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("64:ff9b::7f00:1", "reserved"),
    ],
)
def test_some_addresses_are_never_loaded_by_whatever_name(host: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        reach(host, nobody)
    with pytest.raises(PlanError, match=said):
        reach("shop.example.com", answering(host))


def test_a_name_is_loopback_only_if_every_answer_is() -> None:
    assert reach("shop.test", answering("127.0.0.2", "::1")) == Reach(("127.0.0.2", "::1"), loopback=True)
    for mixed in (("127.0.0.1", "198.51.100.7"), ("198.51.100.7", "::1"), ("::ffff:127.0.0.1", "2001:db8::7")):
        with pytest.raises(PlanError, match="loopback by every answer, or by none"):
            reach("shop.test", answering(*mixed))


def test_answers_that_map_an_ipv4_address_are_that_address() -> None:
    assert reach("shop.test", answering("::ffff:127.0.0.1", "127.0.0.1")) == Reach(("127.0.0.1",), loopback=True)
    assert reach("shop.test", answering("::ffff:198.51.100.7")) == Reach(("198.51.100.7",), loopback=False)


def test_a_name_is_looked_up_once() -> None:
    asked: list[str] = []

    def resolve(host: str) -> Sequence[str]:
        asked.append(host)
        return ["198.51.100.7", "198.51.100.8"]

    assert reach("shop.test", resolve).addresses == ("198.51.100.7", "198.51.100.8")
    assert asked == ["shop.test"]


def test_a_name_without_an_address_is_one_paragraph() -> None:
    def fails(_: str) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    for resolver in (fails, answering()):
        with pytest.raises(PlanError, match=r"the host shop.test has no address"):
            reach("shop.test", resolver)


@given(st.ip_addresses() | st.ip_addresses(network="127.0.0.0/8"))
def test_what_is_called_loopback_here_is_what_the_engine_loads_without_consent(
    address: IPv4Address | IPv6Address,
) -> None:
    text = str(getattr(address, "ipv4_mapped", None) or address)
    try:
        loopback_address(text)
    except ValueError:
        engine = False
    else:
        engine = True
    try:
        assert reach(text, nobody).loopback == engine
    except PlanError:
        assert not engine
