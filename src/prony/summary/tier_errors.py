"""Turns counters and events into the errors of each tier: how many of which kind, from a trial's start to its end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from prony.recording import Event, Recording

Grown = Mapping[tuple[str, str], float]  # (tier, counter) -> how far it rose; what was never read is not in it
Tally = Counter[tuple[str, str, str]]  # (tier, kind of event, what it is called) -> times

NAMES_MAX, OTHERS = 200, "others"  # of a tally: what comes after so many is counted together
RAISED, LOGGED = "exception", "log_error"  # their texts say which, and each is a kind of its own
EVENTS = frozenset({
    RAISED, LOGGED, "died", "descriptors_exhausted", "out_of_memory", "connections_exhausted",
    "worker_timeout", "worker_killed", "worker_failed", "restarted", "queue_full",
    "upstream_failed", "limited", "pooler_refused", "pooler_error", "connection_refused", "database_error",
})  # fmt: skip
# Events whose own tier is not the one that they are an error of: it is only whose log, or whose server, told of them.
MOVED = {
    ("app", "worker_timeout"): "workers",
    ("app", "worker_killed"): "workers",
    ("app", "worker_failed"): "workers",
    ("app", "restarted"): "workers",
    ("app", "queue_full"): "workers",
    ("database", "connection_refused"): "connections",
    ("database", "connections_exhausted"): "connections",
}
# What may have been told of under another kind already: only what exceeds that is counted besides.
SAME = {
    "own_errors": ("upstream_failed", "limited"),
    "connections_dropped": ("connections_exhausted",),
    "worker_killed": ("worker_timeout",),
    "restarted": ("worker_timeout", "worker_killed", "worker_failed"),
    "harakiri": ("worker_timeout",),
    "connect_failed": ("connection_refused", "connections_exhausted"),
}
NO_TIERS = ("host", "probes")  # nothing that a request meets


class Counted(NamedTuple):
    """A counter that counts errors: whose; and the tier that it is read of, where that is another."""

    name: str
    tier: str
    of: str


COUNTED = (
    Counted("own_errors", "proxy", "proxy"),
    Counted("connections_dropped", "proxy", "proxy"),
    Counted("overflows", "listen_queue", "listen_queue"),
    Counted("harakiri", "workers", "app"),
    Counted("connection_errors", "workers", "app"),
    Counted("connect_failed", "connections", "workers"),
    Counted("deadlocks", "database", "database"),
)
OF_STORES = ("connections_rejected", "listening_stopped")
# The reading that tells whether anybody looked; of a store or a box with its own name as its tier.
KNOWN = {
    "proxy": ("proxy", "own_errors"),
    "listen_queue": ("listen_queue", "overflows"),
    "pooler": ("pooler", "transactions"),
    "connections": ("workers", "connect_failed"),
    "database": ("database", "deadlocks"),
}
OF_STORE, OF_BOX = "connections_rejected", "out_of_memory_kills"
OF_ALL = ("workers", "begun")  # there is a stack: its servers' logs are followed and its app is gauged
COUNTERS = frozenset({
    *(each.name for each in COUNTED), *OF_STORES, *(name for _, name in KNOWN.values()), OF_BOX, OF_ALL[1],
})  # fmt: skip
_MODULES = re.compile(r"^(?:\w+\.)+")


def note(happened: Tally, event: Event) -> None:
    """Adds an event to a tally, if it is an error."""
    if event.kind not in EVENTS:
        return
    name = event.kind
    if name in {RAISED, LOGGED}:
        name = _MODULES.sub("", event.text if name == RAISED else event.text.partition(":")[0])
    key = (MOVED.get((event.tier, event.kind), event.tier), event.kind, name)
    if key not in happened and len(happened) >= NAMES_MAX:
        key = (key[0], event.kind, OTHERS)
    happened[key] += event.times


def errors_of(tier: str, grown: Grown, happened: Tally, stores: Collection[str]) -> dict[str, int] | None:
    """A tier's errors by kind, the most frequent first; None where nobody looked.

    A line of the app's log that names an exception is taken for one that the gauge has counted, where it counted any.

    Args:
        tier: Its name, as that of its figures.
        grown: How far each counter of COUNTERS rose that was read.
        happened: The events, as `note` counts them.
        stores: The names of the plan's stores.
    """
    named = Counter({(kind, name): times for (of, kind, name), times in happened.items() if of == tier})
    for each in COUNTED:
        if each.tier == tier:
            named[each.name, each.name] += round(grown.get((each.of, each.name), 0.0))
    for name in OF_STORES:
        named[name, name] += round(grown.get((tier, name), 0.0))
    of_kind: Counter[str] = Counter()
    for (kind, _), times in named.items():
        of_kind[kind] += times
    found: Counter[str] = Counter()
    for (kind, name), times in named.items():
        if kind != LOGGED or not of_kind[RAISED]:
            found[name] += max(0, times - sum(of_kind[other] for other in SAME.get(kind, ())))
    errors = {name: times for name, times in found.most_common() if times > 0}
    return errors if errors or _known(tier, stores) in grown else None


def _known(tier: str, stores: Collection[str]) -> tuple[str, str]:
    """The reading of which it is known that somebody looked for a tier's errors."""
    if tier in KNOWN:
        return KNOWN[tier]
    if tier.startswith("box."):
        return tier, OF_BOX
    return (tier, OF_STORE) if tier in stores else OF_ALL


def tier_errors_of(recording: Recording, tiers: Iterable[str]) -> dict[str, dict[str, int]]:
    """The errors of these tiers, and of whatever else had any; a tier of which they are not known is left out."""
    grown = {key: recording.growth(*key) for key in recording.readings if key[1] in COUNTERS}
    happened: Tally = Counter()
    for event in recording.events:
        note(happened, event)
    names = dict.fromkeys((*(tier for tier in tiers if tier not in NO_TIERS), *(tier for tier, _, _ in happened)))
    found = {tier: errors_of(tier, grown, happened, recording.plan.stores) for tier in names}
    return {tier: errors for tier, errors in found.items() if errors is not None}
