"""Turns the figures of a trial's tiers into words: a line for each tier, in the order in which a request meets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from prony.document import Trial
from prony.figures import DASH, count, duration, share, size
from prony.summary import Waited
from prony.summary.tier_errors import NO_TIERS

Figures = Mapping[str, float | None]
OF_REQUESTS = {  # what the gauge saw requests do: names of shares of their time in the app
    "database_share": "in SQL",
    "pool_share": "waiting for a pool's connection",
    "connect_share": "connecting",
    "outbound_share": "in calls out",
    "cache_share": "in the cache",
}
ERRORS_MAX = 3  # kinds of a tier's that are named
WAITS_LEAST, EVENTS_MAX = 0.05, 4  # statements that wait, on average; wait events that are named


def told(trial: Trial) -> Iterator[tuple[str, str, str]]:
    """(tier, in words, its errors) of every tier of which anything was seen: how busy it was, who waited, what failed.

    Errors of what is no tier of the stack's are an empty text.
    """
    for tier, figures in trial.tiers.items():
        words = ", ".join(_words(trial, tier, {name: value for name, value in figures.items() if value is not None}))
        errors = trial.tier_errors.get(tier)
        if words or errors:
            yield tier.replace("_", " "), words, "" if tier in NO_TIERS else _errors(errors)


def _errors(found: Mapping[str, int] | None) -> str:
    """How many, and of which kinds: "14 (10 own errors, 4 limited)"; a dash where they are not known."""
    if not found:
        return DASH if found is None else "none"
    named = [f"{count(times)} {kind.replace('_', ' ')}" for kind, times in found.items()]
    rest = sum(list(found.values())[ERRORS_MAX:])
    named = named[:ERRORS_MAX] + ([f"{count(rest)} others"] if rest else [])
    return f"{count(sum(found.values()))} ({', '.join(named)})" if len(named) > 1 else named[0]


def _words(trial: Trial, tier: str, seen: Mapping[str, float]) -> Iterator[str]:
    of: dict[str, Callable[[Mapping[str, float]], Iterator[str]]] = {
        "proxy": _proxy,
        "listen_queue": _listen_queue,
        "workers": _workers,
        "pooler": _pooler,
        "connections": _connections,
        "database": partial(_database, trial.waits),
        "host": _host,
        "probes": _probes,
    }
    yield from of.get(tier, _box if tier.startswith("box.") else _cache)(seen)
    if tier not in NO_TIERS and not tier.startswith("box."):
        yield from _processes(seen)


def _proxy(seen: Mapping[str, float]) -> Iterator[str]:
    if not seen.get("requests"):
        return
    yield f"{count(seen['requests'])} requests"
    if "upstream_s_mean" in seen:
        yield (
            f"{duration(seen['upstream_s_mean'])} at the app on average "
            f"(connecting {duration(seen.get('connect_s_mean'))}, longest {duration(seen.get('upstream_most_s'))})"
        )
    if seen.get("cache_hit_share") is not None:
        yield f"{share(seen['cache_hit_share'])} from its cache"
    if seen.get("own_errors"):
        yield f"{count(seen['own_errors'])} answers of its own"
    if seen.get("connections_dropped"):
        yield f"{count(seen['connections_dropped'])} connections dropped"


def _listen_queue(seen: Mapping[str, float]) -> Iterator[str]:
    if "length_mean" in seen:
        yield f"{seen['length_mean']:.1f} connections waited on average, {count(seen.get('length_max'))} at most"
    if seen.get("overflows"):
        yield f"{count(seen['overflows'])} turned away"


def _workers(seen: Mapping[str, float]) -> Iterator[str]:
    if "in_flight_mean" in seen and seen.get("slots"):
        yield f"{seen['in_flight_mean']:.1f} of {count(seen['slots'])} busy on average"
    if "in_app_s_per_request" in seen:
        yield f"{duration(seen['in_app_s_per_request'])} in the app per request"
    parts = [f"{share(seen[name])} {words}" for name, words in OF_REQUESTS.items() if seen.get(name)]
    if parts:
        yield f"of requests' time {', '.join(parts)}"
    if seen.get("threads_waited_for_most"):
        yield f"{count(seen['threads_waited_for_most'])} waited for a thread at most"
    if "loop_lag_mean_s" in seen:
        longest = duration(seen.get("loop_lag_most_s"))
        yield f"the event loop was {duration(seen['loop_lag_mean_s'])} late on average, {longest} at most"


def _cache(seen: Mapping[str, float]) -> Iterator[str]:
    """A store beside the database; of a tier that is none of these only its processes are told."""
    if "commands_per_s" in seen:
        yield f"{count(seen['commands_per_s'])} commands a second"
    if "hit_share" in seen:
        yield f"{share(seen['hit_share'])} of its keys found"
    for name, words in (
        ("evicted", "evicted for want of memory"),
        ("connections_rejected", "connections refused"),
        ("listening_stopped", "times it took no more connections"),
    ):
        if seen.get(name):
            yield f"{count(seen[name])} {words}"
    if seen.get("slow_commands"):
        yield f"{count(seen['slow_commands'])} slow commands, the longest {duration(seen.get('slowest_command_s'))}"


def _pooler(seen: Mapping[str, float]) -> Iterator[str]:
    if "servers_active_mean" in seen:
        limit = count(seen.get("servers_limit"))
        yield f"{seen['servers_active_mean']:.1f} of {limit} server connections in use on average"
    if "clients_waiting_mean" in seen:
        most = count(seen.get("clients_waiting_most"))
        yield f"{seen['clients_waiting_mean']:.1f} clients waited for one ({most} at most)"
    if "wait_s_mean" in seen:
        yield f"for {duration(seen['wait_s_mean'])} a transaction"


def _connections(seen: Mapping[str, float]) -> Iterator[str]:
    if "most" in seen:
        yield f"{count(seen['most'])} of {count(seen.get('usable'))} taken at most"
    if seen.get("refused"):
        yield f"{count(seen['refused'])} refused"


def _database(named: Sequence[Waited], seen: Mapping[str, float]) -> Iterator[str]:
    if "active_mean" in seen:
        waits = {
            "a lock": seen.get("lock_waits_mean", 0.0),
            "files": seen.get("io_waits_mean", 0.0),
            "Postgres's short locks": seen.get("lwlock_waits_mean", 0.0),
        }
        events = [each for each in named if each.state == "active" and each.mean >= WAITS_LEAST][:EVENTS_MAX]
        parts = {
            "waiting": [f"{n:.1f} for {what}" for what, n in waits.items() if n >= WAITS_LEAST],
            "by wait event": [f"{each.mean:.1f} {each.event}" for each in events],
        }
        inside = "; ".join(f"{how}: {', '.join(those)}" for how, those in parts.items() if those)
        yield f"{seen['active_mean']:.1f} statements at work on average" + (f" ({inside})" if inside else "")
    if seen.get("statement_s_mean"):
        yield f"{duration(seen['statement_s_mean'])} a statement"
    if "buffer_hit_share" in seen:
        yield f"{share(seen['buffer_hit_share'])} of its blocks in memory"
    for name, words in (
        ("blocked_most", "connections blocked by others at once"),
        ("deadlocks", "deadlocks"),
        ("checkpoints_requested", "checkpoints for want of max_wal_size"),
        ("slow_statements", "slow statements"),
    ):
        if seen.get(name):
            yield f"{count(seen[name])} {words}"
    if seen.get("temp_bytes"):
        yield f"{size(seen['temp_bytes'])} in temporary files"


def _box(seen: Mapping[str, float]) -> Iterator[str]:
    if "cores_used" in seen:
        quota = seen.get("cpu_quota_cores")
        yield f"{seen['cores_used']:.2f}{f' of {quota:g}' if quota else ''} cores"
    if seen.get("throttled_share"):
        yield f"stopped at its quota in {share(seen['throttled_share'])} of its periods"
    if "memory_share" in seen:
        yield f"{share(seen['memory_share'])} of its memory at most"


def _host(seen: Mapping[str, float]) -> Iterator[str]:
    if "busy_share" in seen:
        yield f"{count(seen.get('cores'))} core(s) of the stack's, {share(seen['busy_share'])} busy"
    if seen.get("steal_share"):
        yield f"{share(seen['steal_share'])} stolen"
    for name, words in (("memory", "memory"), ("io", "a disk")):
        waited = seen.get(f"{name}_pressure_share", 0.0)
        if waited >= 0.01:
            yield f"something waited for {words} {share(waited)} of the time"


def _probes(seen: Mapping[str, float]) -> Iterator[str]:
    if "core_share" in seen:
        yield f"{share(seen['core_share'])} of a core"


def _processes(seen: Mapping[str, float]) -> Iterator[str]:
    if "cpu_share" in seen:
        yield f"{seen['cpu_share']:.2f} cores"
    if seen.get("run_delay_share", 0.0) >= 0.05:
        yield f"{seen['run_delay_share']:.1f} threads waited for a core"
    if "memory_bytes" in seen:
        yield size(seen["memory_bytes"])
    if seen.get("descriptors_share", 0.0) >= 0.5:
        yield f"{share(seen['descriptors_share'])} of its descriptors"
