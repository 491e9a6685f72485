"""What an app was kept from is told with host, times, purpose and code line, and with the key that would change it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.plan.read import read_document
from prony.plan.refusals import SHOWN, advice, read, told


def test_the_sentence_names_all_and_leads_with_the_most_frequent() -> None:
    counts = {"mail.example.com:587 at shop/mail.py:3": 1, "api.stripe.com:443 at shop/pay.py:12": 1240, "x.example": 2}
    assert told(counts) == (
        "your app tried 1 240 times to reach api.stripe.com:443 (payment) from shop/pay.py:12; "
        "tried 2 times to reach x.example; tried once to reach mail.example.com:587 (mail) from shop/mail.py:3"
    )
    assert advice(counts) == (
        'name it under egress ([app] egress = ["api.stripe.com"]), or stand in a service of ours ([services.NAME])'
    )
    assert told({f"h{number}.example:1": 1 for number in range(SHOWN + 2)}).endswith("; and 2 more")


@pytest.mark.parametrize(
    ("text", "purpose", "said"),
    [
        ("smtp.example.com:25", "mail", '["smtp.example.com:25"]), or let the app\'s settings send none'),
        ("10.1.2.3:465", "mail", '["10.1.2.3:465"]'),
        ("relay.example.com:smtp", "mail", '["relay.example.com:25"]'),
        ("api.sendgrid.com:443", "mail", '["api.sendgrid.com"]'),
        ("api.paypal.com:https", "payment", '["api.paypal.com"]'),
        ("bucket.s3.eu-west-1.amazonaws.com:443", "storage", "[services.NAME]"),
        ("s3.amazonaws.com", "storage", "[services.NAME]"),
        ("o1.ingest.sentry.io:443", "analytics or monitoring", "[services.NAME]"),
        ("www.google-analytics.com:443", "analytics or monitoring", "[services.NAME]"),
        ("segments.example.com:8080", "", '["segments.example.com:8080"]'),
        ("gmail.example.com:80", "", '["gmail.example.com"]'),
        ("unix:/run/postgresql/.s.pgsql.5432", "", "let prony start what listens there"),
        ("2001:db8::1:443", "", "stand in a service of ours"),
    ],
)
def test_hosts_are_known_by_their_names_and_ports(text: str, purpose: str, said: str) -> None:
    found = read(f"{text} at shop/x.py:1")
    assert (found.purpose, found.where) == (purpose, "shop/x.py:1")
    assert said in found.advice


@given(st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,5})?( at [a-z/]{1,9}\.py:[0-9]{1,3})?", fullmatch=True))
def test_any_refusal_is_told_whole(text: str) -> None:
    found = read(text)
    for part in text.split(" at "):
        assert part in found.tried(3)


def test_what_is_advised_is_what_a_plan_takes(tmp_path: Path) -> None:
    for text in ("api.example.com:443", "mail.example.com:587", "10.0.0.7:9000", "host-only"):
        read_document({"app": {"entry": "a:b", "egress": [read(text).opened]}}, "prony.toml", tmp_path)
