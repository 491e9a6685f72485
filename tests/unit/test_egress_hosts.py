from __future__ import annotations

from prony.stack.egress import hosts_text, ports_of
from prony.stack.services.own import address_of

HERE = """# a comment
127.0.0.1\tlocalhost
10.0.0.5 API.example.com staging  # internal
192.0.2.7 api.example.com
"""


def test_an_opened_name_has_its_new_address_and_no_other() -> None:
    text = hosts_text(HERE, {"api.example.com": "127.1.0.16"})
    assert text == "127.1.0.16 api.example.com\n127.0.0.1 localhost\n10.0.0.5 staging\n"


def test_without_names_it_says_what_it_said() -> None:
    assert [line.split() for line in hosts_text(HERE, {}).splitlines()] == [
        ["127.0.0.1", "localhost"],
        ["10.0.0.5", "API.example.com", "staging"],
        ["192.0.2.7", "api.example.com"],
    ]


def test_a_host_has_the_web_s_ports_or_those_that_were_named() -> None:
    hosts = ("API.example.com", "mail.example:587", "mail.example:25")
    assert ports_of(hosts) == {"api.example.com": {80, 443}, "mail.example": {25, 587}}


def test_a_store_s_port_is_its_own_or_its_scheme_s() -> None:
    assert address_of("postgresql+psycopg://me:p@DB.example/shop") == ("db.example", 5432)
    assert address_of("rediss://[2001:db8::1]:7000/0") == ("2001:db8::1", 7000)
    assert address_of("cassandra://db.example") == ("db.example", 0)
