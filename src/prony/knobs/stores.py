"""What each kind of store takes, as data: the SQL ones in [stores.database], the others in [stores.NAME]."""

from __future__ import annotations

from prony.knobs import Knob
from prony.knobs.database import MARIADB, POSTGRES, SQLITE

_ROUND_TRIP = Knob(
    "stores.NAME.round_trip",
    "cache",
    "duration",
    0.0,
    "A round trip added between the app and this store by a small TCP proxy: a managed one is not on the same machine.",
    low=0,
    high=1,
)

VALKEY = (
    Knob(
        "stores.NAME.memory",
        "cache",
        "integer",
        0,
        "Most memory for data, in MB (0: no bound, and the machine's own limit ends it). "
        "What happens at the bound is the eviction policy's.",
        low=0,
        high=1_048_576,
    ),
    Knob(
        "stores.NAME.eviction",
        "cache",
        "choice",
        "noeviction",
        "What goes when memory is full. noeviction answers writes with an error, which is right for a queue; "
        "a cache wants allkeys-lru or allkeys-lfu.",
        choices=(
            "noeviction",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
        ),
    ),
    Knob(
        "stores.NAME.save",
        "cache",
        "flag",
        True,
        "Write snapshots to disk now and then (after 3600 s with 1 change, 300 s with 100, 60 s with 10 000). "
        "Each forks the server, which under writes can double its memory.",
    ),
    Knob(
        "stores.NAME.appendonly",
        "cache",
        "flag",
        False,
        "Log every write to a file as well, so that a crash loses little. Costs disk writes.",
    ),
    Knob(
        "stores.NAME.appendfsync",
        "cache",
        "choice",
        "everysec",
        "When that log is forced to disk: with every write (always), each second, or when the system likes (no). "
        "Without effect while appendonly is off.",
        choices=("always", "everysec", "no"),
    ),
    Knob(
        "stores.NAME.io_threads",
        "cache",
        "integer",
        1,
        "Threads that read requests and write answers. Commands still run one at a time; "
        "more threads help only where there are cores to spare.",
        low=1,
        high=128,
    ),
    Knob(
        "stores.NAME.databases",
        "cache",
        "integer",
        16,
        "How many numbered databases there are.",
        low=1,
        high=1024,
    ),
    Knob(
        "stores.NAME.maxclients",
        "cache",
        "integer",
        10_000,
        "Connections held at once; further ones are refused. The limit on open files can lower it.",
        low=10,
        high=65_000,
    ),
    Knob(
        "stores.NAME.tcp_backlog",
        "cache",
        "integer",
        511,
        "Connections the kernel may hold before the server accepts them.",
        low=16,
        high=65_535,
    ),
    Knob(
        "stores.NAME.timeout",
        "cache",
        "integer",
        0,
        "Seconds after which an idle connection is closed (0: never).",
        low=0,
        high=86_400,
    ),
    _ROUND_TRIP,
)

MEMCACHED = (
    Knob(
        "stores.NAME.memory",
        "cache",
        "integer",
        64,
        "Memory for items, in MB. When it is full the least recently used go, and misses come back as load on what "
        "the cache stands before.",
        low=8,
        high=1_048_576,
    ),
    Knob(
        "stores.NAME.connections",
        "cache",
        "integer",
        1024,
        "Connections held at once. Beyond them it stops accepting, and clients hang in the listen queue.",
        low=10,
        high=65_000,
    ),
    Knob(
        "stores.NAME.threads",
        "cache",
        "integer",
        4,
        "Threads that serve requests. More than there are cores brings nothing.",
        low=1,
        high=64,
    ),
    Knob(
        "stores.NAME.max_item_mb",
        "cache",
        "integer",
        1,
        "Largest item, in MB; a larger one is not stored, which many clients keep to themselves. "
        "At most half of the memory.",
        low=1,
        high=1024,
    ),
    Knob(
        "stores.NAME.backlog",
        "cache",
        "integer",
        1024,
        "Connections the kernel may hold before the server accepts them.",
        low=16,
        high=65_535,
    ),
    _ROUND_TRIP,
)

# Kind of store -> its knobs. A "redis" takes what a "valkey" does.
STORES: dict[str, tuple[Knob, ...]] = {
    "postgres": POSTGRES,
    "mariadb": MARIADB,
    "sqlite": SQLITE,
    "valkey": VALKEY,
    "redis": VALKEY,
    "memcached": MEMCACHED,
}
