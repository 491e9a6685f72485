"""Comparisons in, what a page shows of them out: each figure's ratio with its interval, all on one scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prony.comparison import Comparison, Gain
from prony.report.comparison import said, value

NAMES = {
    "saturated_rps": "Most served",
    "right_share": "Answered right",
    "latency_p50_s": "p50 latency",
    "latency_p90_s": "p90 latency",
    "latency_p95_s": "p95 latency",
    "latency_p99_s": "p99 latency",
    "latency_p999_s": "p99.9 latency",
    "app_cpu_s_per_request": "App CPU a request",
    "app_memory_bytes": "App memory",
    "database_connections": "Database connections",
}
ENDS = (1.05, 1.1, 1.2, 1.5, 2.0, 3.0)  # of the scale, as ratios; what lies beyond the last is cut off


@dataclass(frozen=True, slots=True)
class Picture:
    """Where things are, in per cent of the scale's width.

    Attributes:
        start: Where the interval begins.
        width: How wide it is.
        middle: Where the ratio is.
        band: Start and width of the differences too small to have been seen.
        allowed: Where the loss that a gate allows ends; None where there is no gate.
        cut: Which ends lie off the scale: "", "low", "high" or "both".
    """

    start: float
    width: float
    middle: float
    band: tuple[float, float]
    allowed: float | None
    cut: str


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of a comparison in words; `picture` is None where nothing is known of it."""

    name: str
    gain: Gain
    better: str
    a: str
    b: str
    against: str
    words: str
    further: str
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Section:
    """One comparison: `lead` says what it came to, `notes` what its intervals are; `ticks` are the scale's ends."""

    comparison: Comparison
    lead: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    ticks: tuple[str, str]
    gated: bool


def sections(found: Sequence[Comparison]) -> list[Section]:
    """Every comparison of a page, each with a scale of its own."""
    return [_section(each, _end(each.gains)) for each in found]


def _section(found: Comparison, end: float) -> Section:
    return Section(
        comparison=found,
        lead=lead(found.gains),
        lines=tuple(_line(gain, end) for gain in found.gains),
        notes=tuple(said(found)),
        ticks=(f"×{1 / end:.2g}", f"×{end:.3g}"),
        gated=_gated(found.gains),
    )


def lead(gains: Sequence[Gain]) -> str:
    """What a comparison came to, in a sentence."""
    if _gated(gains):
        return _outcome(gains)
    parts = [
        f"{verdict} in {_list(gain for gain in gains if gain.verdict == verdict)}"
        for verdict in ("better", "worse")
        if any(gain.verdict == verdict for gain in gains)
    ]
    if not parts:
        told = any(gain.verdict == "tie" for gain in gains)
        return "No difference is sure" if told else "Nothing can be told: too few starts are to be believed"
    rest = any(gain.verdict in {"tie", "unknown"} for gain in gains)
    return f"B is {', and '.join(parts)}{'; no other difference is sure' if rest else ''}"


def words_of(gain: Gain) -> str:
    """One figure's verdict in words, with the smallest difference that could have been seen."""
    if gain.verdict == "unknown" and gain.low is not None:
        return f"unknown: judged where {NAMES.get(gain.follows or '', gain.follows)} differs"
    if gain.verdict == "unknown":
        return f"unknown: {gain.starts[0]} and {gain.starts[1]} starts to be believed, where 4 are needed"
    if gain.verdict == "tie":
        return f"tie: ±{_percent(gain.least_seen)} could have been seen"
    return gain.verdict


def _line(gain: Gain, end: float) -> Line:
    against = "–"
    if gain.low is not None and gain.high is not None:
        against = f"{_signed(gain.low - 1)} to {_signed(gain.high - 1)}"
    words, further = words_of(gain), ""
    if gain.outcome is not None:
        words, further = f"{gain.outcome}: {_percent(gain.allowed)} may be lost", words
    return Line(
        name=NAMES.get(gain.figure, gain.figure),
        gain=gain,
        better="more is better" if gain.higher_is_better else "less is better",
        a=value(gain.figure, gain.a),
        b=value(gain.figure, gain.b),
        against=against,
        words=words,
        further=further,
        picture=_picture(gain, end),
    )


def _picture(gain: Gain, end: float) -> Picture | None:
    if gain.low is None or gain.high is None or gain.ratio is None:
        return None

    def place(ratio: float) -> float:
        share = math.log(ratio) / math.log(end) if ratio > 0 else -1.0
        return round(50 + 50 * max(-1.0, min(1.0, share)), 2)

    start, stop = place(gain.low), place(gain.high)
    least = 1 + (gain.least_seen or 0.0)
    allowed = None
    if gain.allowed is not None:
        allowed = place(1 - gain.allowed if gain.higher_is_better else 1 + gain.allowed)
    low_cut, high_cut = gain.low < 1 / end * 0.999, gain.high > end * 1.001
    return Picture(
        start=start,
        width=round(max(stop - start, 0.4), 2),
        middle=place(min(max(gain.ratio, gain.low), gain.high)),
        band=(place(1 / least), round(place(least) - place(1 / least), 2)),
        allowed=allowed,
        cut="both" if low_cut and high_cut else "low" if low_cut else "high" if high_cut else "",
    )


def _end(gains: Iterable[Gain]) -> float:
    """The end of a scale that all intervals and bands fit on, or the widest there is."""
    most = ENDS[0]
    for gain in gains:
        for ratio in (
            gain.low,
            gain.high,
            1 + (gain.least_seen or 0),
            1 - (gain.allowed or 0),
            1 + (gain.allowed or 0),
        ):
            if ratio is not None and ratio > 0:
                most = max(most, ratio, 1 / ratio)
    return next((end for end in ENDS if end >= most), ENDS[-1])


def _outcome(gains: Sequence[Gain]) -> str:
    failed = [gain for gain in gains if gain.outcome == "failed"]
    unknown = [gain for gain in gains if gain.outcome == "unknown"]
    if failed:
        return f"Failed: more than is allowed was lost in {_list(failed)}"
    if unknown:
        return f"Cannot be told: too few starts are to be believed for {_list(unknown)}"
    return "Passed: nothing surely lost more than is allowed"


def _gated(gains: Sequence[Gain]) -> bool:
    return any(gain.outcome is not None for gain in gains)


def _list(gains: Iterable[Gain]) -> str:
    """Names in a row: "p50 latency, app CPU a request and app memory"."""
    names = [NAMES.get(gain.figure, gain.figure) for gain in gains]
    *others, last = [name[:1].lower() + name[1:] for name in names]
    return f"{', '.join(others)} and {last}" if others else last


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %" if share < 0.0995 else f"{100 * share:.0f} %"


def _signed(share: float) -> str:
    return f"{'−' if share < 0 else '+'}{_percent(abs(share))}"
