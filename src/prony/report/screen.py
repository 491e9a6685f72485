"""A trial's course in, what a person sees while it runs out: a screen of a dozen lines, or one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.text import Text

from prony.figures import DASH, count, duration, percent, rate, share
from prony.report.live import Course, State

WIDTH_LEAST, HEIGHT_LEAST = 56, 20  # of a terminal that the screen fits into, with a line or two above it
LABEL, TOLD = 15, 44  # columns of the names, and of what is told where a drawing follows
USED, WAITING = 19, 16  # columns of what tiers have in use and of who waits there; errors have the rest
SPARKS = "▁▂▃▄▅▆▇█"
OUTCOMES_SHOWN = 4


def screen(label: str, course: Course, t_ns: int, width: int) -> Text:
    """The whole of it, for a terminal so many columns wide."""
    state = course.state(t_ns)
    lines = [
        ("rate", _rates(state), _spark(state.rates, width)),
        ("latency", _latency(state), _spark(state.p99s, width)),
        ("errors", _errors(state, OUTCOMES_SHOWN), None),
        (("users" if course.traffic.arrivals == "closed" else "under way"), _under_way(course, state), None),
        ("generator", _generator(state), None),
    ]
    text = Text(no_wrap=True, overflow="ellipsis")  # one text, not a table: for this takes CPU beside the generator
    text.append(f"{label}\n", "bold")
    _bar(text, state, width)
    for name, told, spark in lines:
        text.append(f"{name:{LABEL}}", "dim")
        text.append(told.ljust(TOLD) if spark else told, "red" if name == "errors" and state.failed else "")
        text.append(f"{spark or ''}\n", "cyan")
    _table(text, list(tiers(course)), width)
    return text  # the cursor rests in an empty line, where an echoed ^C does no harm


def line(course: Course, t_ns: int) -> str:
    """One line of it, for whoever has no such terminal."""
    state = course.state(t_ns)
    return (
        f"    {state.elapsed_s:.0f} s: {_rates(state)}; p50 {duration(state.p50_s)}  p99 {duration(state.p99_s)}; "
        f"errors {_errors(state, 1)}; lag p99 {duration(state.lag_p99_s)}"
    )


def every_s(duration_s: float) -> float:
    """How often to print such a line, by how long a trial lasts."""
    return 1.0 if duration_s <= 15 else 5.0 if duration_s <= 300 else 30.0


class Row(NamedTuple):
    """One tier now: how much of it is in use, who waits there, and its errors since the trial began.

    Attributes:
        errors: By kind, the most frequent first; None where they are not known.
    """

    tier: str
    used: str
    waiting: str
    errors: Mapping[str, int] | None


def tiers(course: Course) -> Iterator[Row]:
    """What each tier does now, in the order in which a request meets them; boxes last."""
    if "proxy" in course.tiers:
        yield _row(course, "proxy")
    length = course.level("listen_queue", "length")
    if length is not None:
        yield _row(course, "listen_queue", DASH, count(length))
    busy, slots = course.level("workers", "in_flight"), course.level("workers", "slots")
    if busy is not None:
        inside = f"{count(busy)} of {count(slots)}" if slots else f"{count(busy)} inside"
        yield _row(course, "workers", inside, _waiting(course.level("workers", "tokens_waited_for"), "for a thread"))
    if "app" in course.tiers:
        yield _row(course, "app")
    for tier in course.tiers:
        if tier not in {"proxy", "app", "pooler", "database"}:
            yield _row(course, tier)
    yield from _database(course)
    for box in course.boxes:
        yield _box(course, box)


def _database(course: Course) -> Iterator[Row]:
    """The database, and what stands before it."""
    used, limit = (course.level("pooler", name) for name in ("servers_active", "servers_limit"))
    if used is not None:
        cores = f", {_cores(course, 'pooler')}" if "pooler" in course.tiers else ""
        in_use = f"{count(used)} of {count(limit)}{cores}"
        yield _row(course, "pooler", in_use, _waiting(course.level("pooler", "clients_waiting"), "clients"))
    elif "pooler" in course.tiers:
        yield _row(course, "pooler")
    held, most = course.level("connections", "count"), course.level("connections", "usable")
    if held is not None:
        yield _row(course, "connections", f"{count(held)} of {count(most)}", DASH)
    if "database" in course.tiers:
        locks = course.level("database", "lock_waits")
        yield _row(course, "database", waiting=_waiting(locks, "for a lock") if locks else "")


def _box(course: Course, box: str) -> Row:
    """A box: cores of its quota, and in how many of its scheduler's periods it had to stop there."""
    quota, periods = course.level(box, "cpu_quota_cores"), course.rate(box, "periods")
    stopped = course.rate(box, "throttled_periods") or 0.0
    waiting = f"{share(stopped / periods)} stopped" if periods else DASH
    return _row(course, box, _cores(course, box, "" if quota is None else f" of {quota:g}"), waiting)


def _row(course: Course, tier: str, used: str = "", waiting: str = "") -> Row:
    """A tier's row; where it is not said, CPU is what is in use and what its threads wait for."""
    waiting = waiting or _waiting(course.rate(tier, "run_delay_s"), "for a core")
    return Row(tier.replace("_", " "), used or _cores(course, tier), waiting, course.errors(tier))


def _waiting(number: float | None, what: str) -> str:
    return DASH if number is None else f"{count(number)} {what}" if number >= 0.05 else "0"


def _cores(course: Course, tier: str, of: str = "") -> str:
    used = course.rate(tier, "cpu_s")
    return DASH if used is None else f"{used:.2f}{of} cores"


def _wrong(found: Mapping[str, int] | None, room: int) -> str:
    """How many errors, and the most frequent kind where there is room for it: "14, 10 own errors"."""
    if not found:
        return DASH if found is None else "0"
    total, (kind, most) = count(sum(found.values())), next(iter(found.items()))
    named = f"{total}, {count(most)}" if len(found) > 1 else total
    named += f" {kind.replace('_', ' ')}"
    return named if len(named) <= room else total


def _table(text: Text, rows: Sequence[Row], width: int) -> None:
    """A line for each tier, its errors in red."""
    if rows:
        text.append(f"{'tier':{LABEL}}{'in use':{USED}}{'waiting':{WAITING}}errors\n", "dim")
    for row in rows:
        text.append(_cell(row.tier, LABEL), "dim")
        text.append(_cell(row.used, USED) + _cell(row.waiting, WAITING))
        text.append(f"{_wrong(row.errors, width - LABEL - USED - WAITING)}\n", "red" if row.errors else "")


def _cell(text: str, width: int) -> str:
    """A text in a column, cut where it is too long."""
    return f"{text:{width}}" if len(text) < width else f"{text[: width - 2]}… "


def _bar(text: Text, state: State, width: int) -> None:
    done_s = min(state.elapsed_s, state.duration_s)
    left_s = state.duration_s - done_s
    rest = f"{_clock(left_s)} left" if left_s > 0.05 else "last answers"
    length = max(10, min(40, width - 45))
    full = round(length * done_s / state.duration_s)
    text.append("━" * full, "green").append("━" * (length - full), "dim")
    text.append(f" {_clock(done_s)} of {_clock(state.duration_s)}, {rest}\n")


def _clock(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds) if seconds >= 119.95 else f"{seconds:.0f} s"


def _rates(state: State) -> str:
    return f"offered {rate(state.offered_rps)}, served {rate(state.right_rps)}"


def _latency(state: State) -> str:
    return f"p50 {duration(state.p50_s)}  p90 {duration(state.p90_s)}  p99 {duration(state.p99_s)}"


def _errors(state: State, shown: int) -> str:
    if not state.failed:
        return "none"
    most = sorted(state.failed.items(), key=lambda each: -each[1])
    rest = sum(n for _, n in most[shown:])
    named = [f"{count(n)} {name}" for name, n in most[:shown]] + ([f"{count(rest)} others"] if rest else [])
    return f"{share(sum(state.failed.values()) / state.ended)} ({', '.join(named)})"


def _under_way(course: Course, state: State) -> str:
    tick, users = state.tick, course.users(state.elapsed_s)
    if tick is None:
        return DASH if users is None else str(users)
    waiting = f", {count(tick.waiting)} wait for a connection" if tick.waiting else ""
    opened = f"{count(tick.connections_opened)} connections opened"
    asking = count(tick.in_flight) if users is None else f"{users}, {count(tick.in_flight)} under way"
    return f"{asking}{waiting}; {opened}"


def _generator(state: State) -> str:
    cpu = DASH if state.cpu_share is None else f"{percent(state.cpu_share)} %"
    return f"send lag p99 {duration(state.lag_p99_s)}, CPU {cpu}"


def _spark_width(width: int) -> int:
    """How many columns there are for a drawing beside the text."""
    room = width - LABEL - TOLD
    return min(room, 60) if room >= 8 else 0


def _spark(values: Sequence[float | None], width: int) -> str:
    """The course of a figure, the newest to the right, its highest value as a full block."""
    kept = list(values)[-_spark_width(width) :] if _spark_width(width) else []
    most = max((value for value in kept if value is not None), default=0.0)
    if most <= 0:
        return " " * len(kept)
    return "".join(" " if v is None else SPARKS[min(7, int(v / most * 7.999))] for v in kept)
