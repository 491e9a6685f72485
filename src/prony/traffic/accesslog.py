"""Lines of access logs in, hits out: when, what was asked for, the status, and whether a program asked.

Addresses, user names and referrers are in these lines too. They are never taken out of them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice

LOOKED_AT = 2000  # lines from which the format is told
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MONTHS = {name: n for n, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun"), 1)} | {
    name: n for n, name in enumerate(("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 7)
}
_BOT = re.compile(
    r"bot\b|bot[/_-]|crawl|spider|slurp|scan|monitor|uptime|pingdom|statuscake|health|probe|archiver|preview|"
    r"facebookexternal|whatsapp|validator|feedfetcher|feedly|lighthouse|headless|phantomjs|python-|python/|aiohttp|"
    r"httpx|curl/|wget/|libwww|go-http|okhttp|java/|apache-http|axios|node-fetch|guzzle|ruby|perl|scrapy|masscan|"
    r"zgrab|nmap|nikto|sqlmap|newrelic|datadog|zabbix|nagios|amazon-route53|google-cloud|petal|semrush|ahrefs",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One request of a log.

    Attributes:
        minute: Minutes since 1970 by the log's own wall clock; None where it has no time.
        target: Path and query as the client sent them, not checked.
        bot: Whether its user agent is a program's; None where the log has no user agent.
    """

    minute: int | None
    method: str
    target: str
    status: int
    bot: bool | None


@dataclass(frozen=True, slots=True)
class Format:
    """One way of writing access logs: named groups time, method, target, status, agent; some have no time or agent."""

    name: str
    pattern: re.Pattern[str]
    minute: Callable[[str], int | None]
    agents: bool


@lru_cache(maxsize=4096)
def _clf_minute(text: str) -> int | None:
    """Of 25/Nov/2026:10:41, or with a space before the hour."""
    try:
        day = dt.date(int(text[7:11]), _MONTHS[text[3:6]], int(text[:2]))
        hour, minute = int(text[12:14]), int(text[15:17])
    except (ValueError, KeyError):
        return None
    return day.toordinal() * 1440 + hour * 60 + minute - _EPOCH if hour < 24 and minute < 60 else None


@lru_cache(maxsize=4096)
def _iso_minute(text: str) -> int | None:
    """Of 2026-11-25 10:41, or with a T."""
    try:
        day = dt.date.fromisoformat(text[:10])
        hour, minute = int(text[11:13]), int(text[14:16])
    except ValueError:
        return None
    return day.toordinal() * 1440 + hour * 60 + minute - _EPOCH if hour < 24 and minute < 60 else None


_EPOCH = dt.date(1970, 1, 1).toordinal() * 1440
_QUOTED = r'(?:[^"\\]|\\.)*'
_REQUEST = r'"(?P<method>[A-Z]{3,20}) (?P<target>(?:[^"\\]|\\.)+?)(?: (?:HTTP/)?\d(?:\.\d)?)?"'
_ISO = r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d)"
FORMATS = (
    # nginx's and Apache's combined and common, gunicorn's, hypercorn's, aiohttp's: whatever stands before or after
    Format(
        "combined",
        re.compile(
            r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d):\d\d [+-]\d{4}\] " + _REQUEST + r" (?P<status>\d{3}) "
            rf'(?:\d+|-)(?: "{_QUOTED}" "(?P<agent>{_QUOTED})")?'
        ),
        _clf_minute,
        agents=True,
    ),
    # with a time where the logging configuration gives one; granian's is the same with the time in brackets
    Format(
        "uvicorn",
        re.compile(
            r"(?:"
            + _ISO
            + r"[^\"]{0,200}?)?(?<![^\s\[(])(?:[0-9a-fA-F.:\[\]]{2,45}(?::\d+)?)? ?- "
            + _REQUEST
            + r" (?P<status>\d{3})(?![0-9])(?P<agent>(?!))?"
        ),
        _iso_minute,
        agents=False,
    ),
    # the servers of Flask and Django for development
    Format(
        "development server",
        re.compile(
            r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4} \d\d:\d\d):\d\d\] \"(?P<method>[A-Z]{3,20}) (?P<target>.+) "
            r'HTTP/\d(?:\.\d)?" (?P<status>\d{3}) (?:\d+|-)\s*$(?P<agent>(?!))?'
        ),
        _clf_minute,
        agents=False,
    ),
)


def told(lines: Iterable[str | None]) -> tuple[Format | None, Iterator[str | None]]:
    """The format that most of the first lines are written in (None: of none), and all of the lines."""
    rest = iter(lines)
    first = list(islice(rest, LOOKED_AT))
    counts = {each.name: sum(line is not None and read(line, each) is not None for line in first) for each in FORMATS}
    best = max(FORMATS, key=lambda each: counts[each.name])
    return (best if counts[best.name] else None), chain(first, rest)


def read(line: str, form: Format) -> Hit | None:
    """A line's hit; None where it is none of that format."""
    if "\x1b" in line:
        line = _COLOURS.sub("", line)
    match = form.pattern.search(line)
    if match is None:
        return None
    time, agent = match["time"], match["agent"]
    minute = form.minute(time) if time else None
    if time and minute is None:
        return None
    return Hit(
        minute=minute,
        method=match["method"],
        target=match["target"],
        status=int(match["status"]),
        bot=_is_bot(agent) if agent is not None else None,
    )


@lru_cache(maxsize=8192)
def _is_bot(agent: str) -> bool:
    return _BOT.search(agent) is not None
