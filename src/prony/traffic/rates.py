"""Requests a minute in, the rate over the day out: its peaks, and the series that can be replayed."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

STEP_S = 60.0
_DAY = 1440


class Rates(Struct, frozen=True, kw_only=True):
    """The rate over one day of a log, by the log's own clock.

    Attributes:
        begins: First minute of the series, ISO: of the busiest day where there are several.
        step_s: Seconds that each value of `rps` stands for.
        rps: Mean rate of each step; a log of a whole day has 1 440 of them.
        hours_rps: Mean rate of each hour of the day, over all days of the log.
        mean_rps: Of the series.
        peak_hour: When the busiest hour on the clock began, over the whole log, and its rate.
        peak_minute: The same for the busiest minute.
    """

    begins: str
    step_s: float = STEP_S
    rps: tuple[float, ...]
    hours_rps: tuple[float, ...]
    mean_rps: float
    peak_hour: str
    peak_hour_rps: float
    peak_minute: str
    peak_minute_rps: float


def when(minute: int) -> str:
    """A minute since 1970 as text: 2026-11-25 10:41."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minute)
    return moment.strftime("%Y-%m-%d %H:%M")


def rates(minutes: Mapping[int, int]) -> Rates | None:
    """The rate over the day of requests counted by minute; None where there are none with a time."""
    if not minutes:
        return None
    first, last = min(minutes), max(minutes)
    days: Counter[int] = Counter()
    hours: Counter[int] = Counter()
    for minute, count in minutes.items():
        days[minute // _DAY] += count
        hours[minute // 60] += count
    begin, end = first, last
    if last - first >= _DAY:
        day = min(days, key=lambda each: (-days[each], each))
        begin, end = max(first, day * _DAY), min(last, day * _DAY + _DAY - 1)
    series = [minutes.get(minute, 0) for minute in range(begin, end + 1)]
    hour = min(hours, key=lambda each: (-hours[each], each))
    peak = min(minutes, key=lambda each: (-minutes[each], each))
    return Rates(
        begins=when(begin),
        rps=tuple(round(count / STEP_S, 3) for count in series),
        hours_rps=_by_hour(minutes, first, last),
        mean_rps=round(sum(series) / len(series) / STEP_S, 3),
        peak_hour=when(hour * 60),
        # of an hour of which the log has a part, that part
        peak_hour_rps=round(hours[hour] / (min(last, hour * 60 + 59) - max(first, hour * 60) + 1) / 60, 3),
        peak_minute=when(peak),
        peak_minute_rps=round(minutes[peak] / STEP_S, 3),
    )


def _by_hour(minutes: Mapping[int, int], first: int, last: int) -> tuple[float, ...]:
    counts = [0] * 24
    for minute, count in minutes.items():
        counts[minute // 60 % 24] += count
    whole, rest = divmod(last - first + 1, _DAY)
    covered = [whole * 60] * 24
    for minute in range(first, first + rest):
        covered[minute // 60 % 24] += 1
    return tuple(round(n / (m * 60), 3) if m else 0.0 for n, m in zip(counts, covered, strict=True))
