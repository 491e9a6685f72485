"""A store of the user's own that looks like production is told as such, with why and what to do; others are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.plan import Store
from prony.plan.production import warnings, why_production


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgres://u:p@db-prod-1.internal:5432/shop", 'its host db-prod-1.internal has "prod" in its name'),
        ("postgres://u:p@prod2.example.com/shop", 'has "prod" in its name'),
        ("mysql://u:p@live.example.com/shop", 'has "live" in its name'),
        ("postgres://u:p@127.0.0.1:5433/shop_production", 'its database shop_production has "production" in its name'),
        ("postgres://u:p@shop.abc123.eu-west-1.rds.amazonaws.com:5432/shop", "is a provider's"),
        ("postgres://u:p@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d4f", "is a provider's"),
        ("postgres://u:p@shop.postgres.database.azure.com/shop", "is a provider's"),
        ("rediss://u:p@x.upstash.io:6379", "is a provider's"),
        ("postgres://u:p@8.8.8.8/shop", "its host 8.8.8.8 is a public address"),
    ],
)
def test_names_providers_and_public_addresses_tell(url: str, why: str) -> None:
    assert why in why_production(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:p@127.0.0.1:5432/shop",
        "postgres://u:p@localhost/shop_dev",
        "postgres://u:p@db:5432/products",
        "postgres://u:p@10.0.0.4/olive",
        "postgres://u:p@[::1]/shop",
        "postgres://u:p@staging-prod.example.com/shop",
        "postgres://u:p@shop-test.abc.eu-west-1.rds.amazonaws.com/shop",
    ],
)
def test_what_is_near_or_named_after_a_trial_is_none(url: str) -> None:
    assert why_production(url) == ""


@given(st.text(max_size=20).map(lambda text: f"postgres://u:secret-pass@{text.replace('/', '')}.example/x"))
def test_no_url_s_password_is_ever_told(url: str) -> None:
    try:
        told = "".join(warnings({"database": Store(kind="url", url=url)}))
    except ValueError:  # no URL: the plan refuses it
        return
    assert "secret-pass" not in told


def test_the_warning_says_what_to_do_and_only_of_the_user_s_own() -> None:
    own = Store(kind="url", url="postgres://u:hush@prod/shop")
    [told] = warnings({"database": own, "cache": Store(name="cache", kind="valkey")})
    assert told.startswith("WARNING: [stores.database] url looks like production: its host prod has")
    assert "stop now (Ctrl-C)" in told
    assert 'dump = "FILE of pg_dump"' in told
    assert "hush" not in told
