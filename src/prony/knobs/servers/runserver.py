"""The knobs and slots of Django's runserver, a development server that people come to run in production."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prony.knobs import Knob
from prony.knobs.servers import knob

KNOBS: dict[str, tuple[Knob, ...]] = {
    "": (
        knob(
            "nothreading",
            "--nothreading",
            "flag",
            False,
            "Serve one request at a time. Off, each connection gets a thread of its own, without any limit: "
            "each may want a database connection.",
        ),
        knob(
            "skip_checks",
            "--skip-checks",
            "flag",
            False,
            "Leave out Django's checks at the start. Plays no part while it serves: a placebo.",
            inert=True,
        ),
    )
}
INTERFACES: dict[str, tuple[str, ...]] = {"": ("wsgi",)}


def slots(_: str, values: Mapping[str, Any]) -> int:
    """How many requests it can be serving at once; 0 where nothing bounds them."""
    return 1 if values["nothreading"] else 0
