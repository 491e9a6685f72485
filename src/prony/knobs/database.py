"""The database's knobs: what [stores.database] takes for Postgres."""

from __future__ import annotations

from prony.knobs import Knob

POSTGRES = (
    Knob(
        "stores.database.max_connections",
        "connections",
        "integer",
        100,
        "Postgres's own max_connections. Of these, 3 stay reserved for superusers, as in a stock Postgres; "
        "when the app asks for more than the rest, it is refused with SQLSTATE 53300.",
        low=10,
        high=5000,
    ),
    Knob(
        "stores.database.round_trip",
        "database",
        "duration",
        0.0,
        "A round trip added between the app and the database by a small TCP proxy: "
        "a managed database is not on the same machine.",
        low=0,
        high=1,
    ),
    Knob(
        "stores.database.shared_buffers_mb",
        "database",
        "integer",
        128,
        "Memory for Postgres's page cache, in MB.",
        low=16,
        high=65536,
    ),
)
