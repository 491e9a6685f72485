"""Values as people write them in TOML or after --set in, checked Python values or a sentence on what is allowed out."""

from __future__ import annotations

import re
from typing import Any, Literal

Kind = Literal[
    "integer", "number", "duration", "share", "flag", "text", "choice", "texts", "table", "bytes", "templates"
]

_DURATION = re.compile(r"^([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h)$")
WHOLE_MAX = 10**15
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = re.compile(r"^([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([KMGT]?)i?B?$")
_UNIT_BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_NUMBER = re.compile(r"^[0-9]+(?:\.[0-9]+)?$")


class NotAllowedError(ValueError):
    """A value that a key does not take; the text says what is allowed, as the end of a sentence."""


def read(kind: Kind, value: Any, low: float | None, high: float | None, choices: tuple[str, ...] = ()) -> Any:
    """One raw value, checked and in its unit: durations in seconds, shares from 0 to 1.

    Raises:
        NotAllowedError: its text is what would have been allowed.
    """
    if kind == "choice":
        if not isinstance(value, str) or value not in choices:
            raise NotAllowedError("one of " + ", ".join(choices))
        return value
    readers = {
        "integer": _integer,
        "number": _number,
        "duration": _duration,
        "share": _share,
        "flag": _flag,
        "text": _text,
        "texts": _texts,
        "table": _table,
        "bytes": _bytes,
        "templates": _templates,
    }
    found: Any = readers[kind](value)
    if (low is not None and found < low) or (high is not None and found > high):
        raise NotAllowedError(allowed(kind, low, high))
    return found


def allowed(kind: Kind, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()) -> str:
    """What a key takes, as the end of a sentence."""
    if kind == "choice":
        return "one of " + ", ".join(choices)
    words = {
        "integer": "a whole number",
        "number": "a number",
        "duration": 'a duration such as "250ms", "1s" or "5m"',
        "share": 'a share such as "1%" or 0.01',
        "flag": "true or false",
        "text": "a text",
        "texts": "a list of texts",
        "table": "a table of texts",
        "bytes": 'an amount of bytes such as "512M" or "2G"',
        "templates": "a text or a table of texts",
    }[kind]
    if low is None and high is None:
        return words
    show = {"duration": _shown_duration, "bytes": _shown_bytes}.get(kind, _shown_number)
    if high is None:
        return f"{words}, at least {show(low or 0)}"
    return f"{words} from {show(low or 0)} to {show(high)}"


def _shown_number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"


def _shown_duration(value_s: float) -> str:
    return f"{value_s * 1000:g}ms" if value_s < 1 else f"{value_s:g}s"


def _shown_bytes(value: float) -> str:
    for unit, size in reversed(_UNIT_BYTES.items()):
        if value >= size and value % size == 0:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _bytes(value: Any) -> int:
    if isinstance(value, str) and (match := _BYTES.match(value.strip())):
        return round(float(match[1]) * _UNIT_BYTES[match[2] or ""])
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= WHOLE_MAX:
        return value
    raise NotAllowedError(allowed("bytes"))


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > WHOLE_MAX:
        raise NotAllowedError(allowed("integer"))
    return value


def _number(value: Any) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= WHOLE_MAX
    if not usable:  # not a number is not below any bound, so it ends here too
        raise NotAllowedError(allowed("number"))
    return float(value)


def _duration(value: Any) -> float:
    if isinstance(value, str) and (match := _DURATION.match(value.strip())):
        return float(match[1]) * _UNIT_S[match[2]]
    raise NotAllowedError(allowed("duration"))


def _share(value: Any) -> float:
    if isinstance(value, str) and value.strip().endswith("%"):
        digits = value.strip()[:-1].strip()
        if _NUMBER.match(digits) and float(digits) <= 100:
            return float(digits) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise NotAllowedError(allowed("share"))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise NotAllowedError(allowed("flag"))
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise NotAllowedError(allowed("text"))
    if "\0" in value:
        raise NotAllowedError("a text without NUL bytes")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(v, str) and v.strip() and "\0" not in v for v in value
    ):
        raise NotAllowedError(allowed("texts"))
    return tuple(value)


def _table(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str | int | float | bool) for v in value.values()):
        raise NotAllowedError(allowed("table"))
    if any(not k or "=" in k or "\0" in k or (isinstance(v, str) and "\0" in v) for k, v in value.items()):
        raise NotAllowedError("a table of texts without NUL bytes, and names without =")
    return {k: v if isinstance(v, str) else str(v) for k, v in value.items()}


def _templates(value: Any) -> str | dict[str, str]:
    try:
        return _table(value) if isinstance(value, dict) else _text(value)
    except NotAllowedError:
        raise NotAllowedError(allowed("templates")) from None
