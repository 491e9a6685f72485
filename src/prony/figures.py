"""A figure in, the few characters a person reads out; None is a dash, in the terminal and in the HTML report alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

DASH = "–"


def _or_dash(text_of: Callable[[float], str]) -> Callable[[float | None], str]:
    @wraps(text_of)
    def text(number: float | None) -> str:
        return DASH if number is None or not math.isfinite(number) else text_of(number)

    return text


@_or_dash
def duration(s: float) -> str:
    """Seconds with the unit that suits: "420 µs", "4.2 ms", "112 ms", "1.37 s", "14.0 s", "2 min 05 s"."""
    if s < 0:
        return "−" + duration(-s)
    if s == 0:
        return "0 ms"
    steps = (
        (0.0009995, 1e6, 0, "µs"),
        (0.00995, 1e3, 1, "ms"),
        (0.9995, 1e3, 0, "ms"),
        (9.995, 1.0, 2, "s"),
        (119.95, 1.0, 1, "s"),
    )
    for below, times, places, unit in steps:
        if s < below:
            return f"{s * times:.{places}f} {unit}"
    minutes, seconds = divmod(round(s), 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


@_or_dash
def rate(per_s: float) -> str:
    """Requests per second: "48 rps", "4.2 rps", "1 240 rps"."""
    return f"{count(per_s)} rps"


@_or_dash
def share(part: float) -> str:
    """A share of one, in per cent: "12 %", "0.4 %"; neither 0 % nor 100 % unless it is exactly that."""
    return f"{percent(part)} %"


@_or_dash
def size(in_bytes: float) -> str:
    """Bytes with the unit that suits, in powers of ten: "112 MB", "2.1 GB"."""
    value, units = float(in_bytes), ("B", "kB", "MB", "GB", "TB")
    for unit in units[:-1]:
        if abs(value) < 999.5:
            return f"{_short(value) if unit != 'B' else f'{value:.0f}'} {unit}"
        value /= 1000
    return f"{_short(value)} {units[-1]}"


@_or_dash
def count(number: float) -> str:
    """A bare number: "18 000", "48", "4.2"; one place behind the point below ten."""
    if number != 0 and abs(number) < 0.05:
        return f"{number:.1g}"
    return _short(number)


@_or_dash
def percent(part: float) -> str:
    """A share of one as the number before the per-cent sign, for a column whose header has the sign."""
    if 0 < part < 0.0005:
        return "<0.1"
    if 0.995 <= part < 1:
        return ">99"
    return _short(part * 100)


@_or_dash
def milliseconds(s: float) -> str:
    """Seconds as a bare number of milliseconds, for a column whose header has the unit."""
    return count(s * 1000)


@_or_dash
def megabytes(in_bytes: float) -> str:
    """Bytes as a bare number of megabytes, for a column whose header has the unit."""
    return count(in_bytes / 1e6)


def _short(number: float) -> str:
    """One place behind the point below ten (and none where it is zero), thousands parted by a space."""
    text = f"{number:.1f}".removesuffix(".0") if abs(number) < 9.95 else f"{number:,.0f}".replace(",", " ")
    return text.removeprefix("-") if text == "-0" else text.replace("-", "−")


def load_in_words(load: Mapping[str, Any], offered_rps: float) -> str:
    """What was asked for: users, a rate, or how either went over time."""
    phases = "; ".join(each["text"] for each in load.get("phases") or ())
    closed = load["arrivals"] == "closed"
    if phases:
        unit = "users" if closed else f"rps, {load['arrivals']}"
        what = f"{phases} ({unit}; {rate(offered_rps)} offered on average)"
    else:
        what = f"{load['users']} users" if load["users"] else f"{rate(offered_rps)} offered, {load['arrivals']}"
    turns = load.get("turns")
    if turns:
        what += f", by turns with others ({turns['own']} of {turns['count']})"
    return what + (
        f", in sessions of {load['requests_per_session']:g} requests on average"
        if load.get("requests_per_session")
        else ""
    )
