"""A link's knobs: what [link.NAME] takes, and what can be changed while it runs."""

from __future__ import annotations

from prony.knobs import Knob

LINK = (
    Knob(
        "link.NAME.round_trip",
        "network",
        "duration",
        0.0,
        "Added to every exchange with the tier, and once more to opening a connection, as if it were on another "
        "machine: within a data centre 0.5ms, to a managed database 1ms to 3ms, across an ocean 80ms.",
        0,
        10,
    ),
    Knob(
        "link.NAME.bandwidth",
        "network",
        "bytes",
        0,
        "Bytes a second each way, over all connections; 0: no limit.",
        0,
        10**11,
    ),
    Knob(
        "link.NAME.drop",
        "network",
        "share",
        0.0,
        "Share of new connections that are reset: does the app try again, or does its user see the error?",
        0,
        1,
    ),
    Knob(
        "link.NAME.frozen",
        "network",
        "flag",
        False,
        "Nothing passes, while connections stay open and new ones are accepted: finds what lacks a timeout.",
    ),
)
