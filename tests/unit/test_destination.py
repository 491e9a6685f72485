from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.errors import PlanError
from prony.plan.alone import plan_for, sent_to
from prony.plan.destination import Destination, host_of, read
from prony.plan.read import read_document
from tests.unit.recording_case import a_plan


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://127.0.0.1:8000/", "127.0.0.1:8000", "/"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", ""),
        ("http://127.0.0.1:8000/a/b?c=d&e#f", "127.0.0.1:8000", "/a/b?c=d&e"),
        ("http://127.0.0.1?x=1", "127.0.0.1", "/?x=1"),
        ("HTTP://LocalHost:3000/Path", "localhost:3000", "/Path"),
        ("http://localhost./", "localhost", "/"),
        ("http://localhost:80/", "localhost", "/"),
        ("http://[::1]:8000/", "[::1]:8000", "/"),
        ("http://[0:0:0:0:0:0:0:1]/", "[::1]", "/"),
        ("http://[::ffff:127.0.0.1]:8000/", "127.0.0.1:8000", "/"),
        ("http://[::ffff:198.51.100.7]/", "198.51.100.7", "/"),
        ("http://shop.example.com/a%20b", "shop.example.com", "/a%20b"),
        ("http://my_app:8000/", "my_app:8000", "/"),
        ("http://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("http://127.0.0.1/@evil.example/", "127.0.0.1", "/@evil.example/"),
    ],
)
def test_a_url_says_where_load_goes_and_what_is_asked_for(url: str, authority: str, target: str) -> None:
    destination, targets = read([url])
    assert (destination.authority, targets) == (authority, (target,))
    assert destination.url == f"http://{authority}"
    assert (destination.address, destination.consent) == ("", "")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1@198.51.100.7/", "somebody's name"),
        ("http://me:hunter2@198.51.100.7/", "somebody's name"),
        ("http://127.0.0.1:8000@evil.example/", "somebody's name"),
        ("http://127.0.0.1\\@evil.example/", "backslashes"),
        ("http://127.0.0.1 /", "spaces"),
        ("http://127.0.0.1/\r\nHost: evil.example", "percent-encoded"),
        ("http://bücher.example/", "xn--"),
        ("http://\uff11\uff12\uff17.0.0.1/", "plain ASCII"),
        ("http://127.0.0.1/ü", "percent-encoded"),
        ("http://127.1/", "four numbers"),
        ("http://127.1./", "four numbers"),
        ("http://2130706433/", "four numbers"),
        ("http://0x7f000001/", "four numbers"),
        ("http://0x7f.0.0.1/", "four numbers"),
        ("http://0177.0.0.1/", "four numbers"),
        ("http://127.0.0.256/", "four numbers"),
        ("http://1.2.3.4.5/", "four numbers"),
        ("http://127.0.0.1%2eevil.example/", "allowed: a name"),
        ("http://[fe80::1%25eth0]/", "without a zone"),
        ("http://[fe80::1%eth0]/", "without a zone"),
        ("http://[::1/", "allowed"),
        ("http://[127.0.0.1]/", "allowed"),
        ("http://:8000/", "allowed: a name"),
        ("http:///path", "allowed: a name"),
        ("http://a..b/", "allowed: a name"),
        ("http://-a.example/", "allowed: a name"),
        (f"http://{'a' * 64}.example/", "allowed: a name"),
        (f"http://{'a.' * 127}example/", "allowed: a name"),
        ("http://127.0.0.1:0/", "1 to 65535"),
        ("http://127.0.0.1:/", "1 to 65535"),
        ("http://127.0.0.1:65536/", "0-65535"),
        ("http://127.0.0.1:-1/", "allowed"),
        ("http://127.0.0.1:80x/", "allowed"),
        ("127.0.0.1:8000", "--url http://127.0.0.1:8000"),
        ("localhost/", "--url http://localhost/"),
        ("ftp://127.0.0.1/", "allowed: http and https"),
        ("", "allowed"),
    ],
)
def test_what_is_no_such_url_is_refused_with_what_is_allowed(url: str, said: str) -> None:
    with pytest.raises(PlanError) as error:
        read([url])
    assert said in error.value.paragraph()
    assert error.value.message.startswith("--url: found")
    assert "hunter2" not in error.value.paragraph()
    assert error.value.paragraph().isprintable() or "\nTry: " in error.value.paragraph()


def test_an_old_way_to_write_an_address_is_told_what_it_would_mean() -> None:
    with pytest.raises(PlanError) as error:
        read(["http://0x7f000001/"])
    assert error.value.hint == "127.0.0.1, if that is what is meant"


def test_several_urls_are_of_one_host_and_port() -> None:
    destination, targets = read(["http://localhost:8000/a", "http://LOCALHOST.:8000/b"])
    assert (destination.authority, targets) == ("localhost:8000", ("/a", "/b"))
    for other in ("http://localhost:8001/b", "http://127.0.0.1:8000/b"):
        with pytest.raises(PlanError, match="of one host and port"):
            read(["http://localhost:8000/a", other])


def refusal(text: str) -> str:
    try:
        read([text])
    except PlanError as error:
        return error.paragraph()
    return ""


@given(st.text(max_size=60) | st.from_regex(r"http://[a-z0-9.:\[\]@%\\/?#-]{0,40}", fullmatch=True))
def test_any_text_is_a_destination_or_one_paragraph(text: str) -> None:
    said = refusal(text)
    if said:
        assert said.startswith("--url: found")
        return
    destination, [target] = read([text])
    assert 1 <= destination.port <= 65_535
    assert re.fullmatch(r"[a-z0-9_.:-]+", destination.host)
    assert target == "" or re.fullmatch(r"/[\x21-\x7e]*", target)
    assert (
        host_of(f"[{destination.host}]" if ":" in destination.host else destination.host, "--url") == destination.host
    )


@given(st.ip_addresses())
def test_every_address_is_read_as_itself_or_as_the_one_it_maps(address: object) -> None:
    text = str(address)
    host = read([f"http://[{text}]/" if ":" in text else f"http://{text}/"])[0].host
    assert ip_address(host) == (getattr(ip_address(text), "ipv4_mapped", None) or ip_address(text))


HERE = Destination(host="localhost", port=8000)


def test_the_plan_asks_for_each_page_equally_often_and_has_no_stack() -> None:
    plan = plan_for(HERE, ["/a", "", "/a"], {"Accept": "text/html"}, [200, 304])
    assert [(each.path, each.weight, each.expect.status) for each in plan.traffic.requests] == [
        ("/a", 1.0, (200, 304)),
        ("/", 1.0, (200, 304)),
    ]
    assert (plan.traffic.host, plan.traffic.headers) == ("localhost:8000", {"Accept": "text/html"})
    assert (plan.title, plan.server.slots, plan.stores) == ("http://localhost:8000", 0, {})
    assert plan.redacted().traffic.headers == {"Accept": "(redacted)"}


def test_a_host_field_is_the_host_that_is_asked_for() -> None:
    assert plan_for(HERE, ["/"], {"host": "shop.example.com"}, ()).traffic.host == "shop.example.com"


@pytest.mark.parametrize("fields", [{"Host": "a b"}, {"Content-Length": "3"}, {"X-Y": "a\nb"}, {"é": "x"}])
def test_a_field_that_cannot_be_sent_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(PlanError, match="--header"):
        plan_for(HERE, ["/"], fields, ())


def test_a_projects_traffic_and_limits_go_to_the_destination_without_its_stack() -> None:
    project = a_plan(
        {"traffic.headers": {"Accept": "text/html"}, "limits.p99": "50ms", "stores.database.kind": "sqlite"}
    )
    plan = sent_to(project, HERE, {"accept": "*/*"})
    assert (plan.traffic.requests, plan.limits) == (project.traffic.requests, project.limits)
    assert (plan.destination, plan.stores, plan.app.entry) == (HERE, {}, "")
    assert (plan.traffic.host, plan.traffic.headers) == ("localhost:8000", {"accept": "*/*"})


def test_traffic_that_needs_the_stack_is_refused() -> None:
    document = {"app": {"entry": "shop:app"}, "stores": {"database": {"kind": "postgres"}}}
    request = {"path": "/p/{id}/", "params": {"id": "SELECT id FROM product"}}
    selecting = document | {"traffic": {"request": [request]}}
    with pytest.raises(PlanError, match=r"/p/\{id\}/ beside --url"):
        sent_to(read_document(selecting, "prony.toml", Path("/nowhere/shop"), {}), HERE, {})
