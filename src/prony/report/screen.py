"""A trial's course in, what a person sees while it runs out: a screen of a dozen lines, or one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from prony.figures import DASH, count, duration, percent, rate, share
from prony.report.live import Course, State

WIDTH_LEAST, HEIGHT_LEAST = 56, 20  # of a terminal that the screen fits into, with a line or two above it
LABEL, TOLD = 15, 44  # columns of the names, and of what is told where a drawing follows
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
        *((name, text, None) for name, text in tiers(course)),
    ]
    text = Text(no_wrap=True, overflow="ellipsis")  # one text, not a table: for this takes CPU beside the generator
    text.append(f"{label}\n", "bold")
    _bar(text, state, width)
    for name, told, spark in lines:
        text.append(f"{name:{LABEL}}", "dim")
        text.append(told.ljust(TOLD) if spark else told, "red" if name == "errors" and state.failed else "")
        text.append(f"{spark or ''}\n", "cyan")
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


def tiers(course: Course) -> Iterable[tuple[str, str]]:
    """What each tier does now, in the order in which a request meets them: (name, in words)."""
    others = [tier for tier in course.tiers if tier not in {"proxy", "app", "database"}]
    if "proxy" in course.tiers:
        failed = course.rate("proxy", "own_errors")
        yield "proxy CPU", _cores(course, "proxy") + (f", {count(failed)} errors of its own a second" if failed else "")
    length = course.level("listen_queue", "length")
    if length is not None:
        lost = course.rate("listen_queue", "overflows")
        yield "listen queue", count(length) + (f", {count(lost)} a second turned away" if lost else "")
    busy, slots = course.level("workers", "in_flight"), course.level("workers", "slots")
    if busy is not None:
        yield "workers", f"{count(busy)} of {count(slots)} busy" if slots else f"{count(busy)} requests inside"
    if "app" in course.tiers:
        yield "app CPU", _cores(course, "app")
    for tier in others:
        yield f"{tier} CPU", _cores(course, tier)
    used, waiting = course.level("pooler", "servers_active"), course.level("pooler", "clients_waiting")
    if used is not None:
        limit = course.level("pooler", "servers_limit")
        yield "pooler", f"{count(used)} of {count(limit)} server connections, {count(waiting)} clients wait for one"
    held, most = course.level("connections", "count"), course.level("connections", "usable")
    if held is not None:
        waits = course.level("database", "lock_waits")
        locks = f", {count(waits)} wait for a lock" if waits else ""
        yield "connections", f"{count(held)} of {count(most)} to the database{locks}"
    if "database" in course.tiers:
        yield "database CPU", _cores(course, "database")


def _cores(course: Course, tier: str) -> str:
    used = course.rate(tier, "cpu_s")
    return DASH if used is None else f"{used:.2f} cores"


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
