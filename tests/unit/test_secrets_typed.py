"""What a person types after --set and --with: values that may be secrets are neither printed nor stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from prony.cli.run import here
from prony.plan.checks import without_secret
from prony.verdict import Suggestion


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("server.workers=5", "server.workers=5"),
        ("app.env.STRIPE_KEY=sk_live_1", "app.env.STRIPE_KEY=…"),
        ("stores.database.url=postgres://u:pw@db/x", "stores.database.url=…"),
        ("login.password=geheim", "login.password=…"),
        ("traffic.headers.Authorization=Bearer x", "traffic.headers.Authorization=…"),
    ],
)
def test_a_change_is_told_without_what_may_be_a_secret(typed: str, told: str) -> None:
    assert without_secret(typed) == told


def test_a_command_that_is_suggested_holds_no_secret() -> None:
    suggestion = Suggestion(command="prony run --set server.workers=5", why="more slots")
    found = here(suggestion, Path(), ("app.env.KEY=sk_live_1", "server.threads=2"))
    assert "sk_live_1" not in found.command
    assert "--set server.threads=2" in found.command
