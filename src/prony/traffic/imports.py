"""Names of access logs, or of an OpenAPI document, in; the mix in them, with what was left out of it and why, out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from prony.errors import PlanError
from prony.traffic import accesslog, logfiles
from prony.traffic.mix import LeftOut, Route, Tally
from prony.traffic.rates import Rates, rates, when

PATHS_MAX = 10_000
SAY_EVERY = 250_000  # lines
UNREAD = 0.1  # of a log's lines, from which share on it is said that this one may hold something else as well


class Source(Struct, frozen=True, kw_only=True):
    """One file: its format, its lines, those that were requests, and the others.

    Attributes:
        cut: What ended it early; empty where nothing did.
    """

    name: str
    format: str
    lines: int = 0
    requests: int = 0
    unread: int = 0
    cut: str = ""


class Import(Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        requests: All of the log, and those of them that the mix stands for.
        begins: First and last minute of the log, by its own clock; empty where it has no times.
        rates: Of the mix, over the day; None where the log has no times.
        all_peak_minute_rps: The busiest minute of all requests, those left out among them.
        guessed: Whether the weights are no counts.
        notes: What is to be known of it, a sentence each.
    """

    sources: tuple[Source, ...]
    routes: tuple[Route, ...]
    left_out: tuple[LeftOut, ...] = ()
    requests: int = 0
    kept: int = 0
    begins: str = ""
    ends: str = ""
    rates: Rates | None = None
    all_peak_minute_rps: float | None = None
    guessed: bool = False
    notes: tuple[str, ...] = ()


def from_logs(
    paths: tuple[str, ...], known: Iterable[str], top: int, say: Callable[[str], None], *, static: bool
) -> Import:
    """The mix of one or more access logs, each of a format of its own; `known` are route templates of the app.

    Raises:
        PlanError: a file cannot be read, or holds no line of a format that is known, or nothing is left.
    """
    tally = Tally(known, static=static)
    sources = tuple(_count(file, tally, say) for file in logfiles.open_all(paths))
    routes = tally.routes(top, PATHS_MAX)
    left_out = tally.left_out()
    if not routes:
        most = f"; most were {left_out[0].text}" if left_out else ""
        raise PlanError(
            f"{', '.join(paths)[:300]}: of {tally.hits} requests none can be part of a mix{most}.",
            hint="prony import with another log, or --include-static",
        )
    whole = rates(tally.all_minutes)
    return Import(
        sources=sources,
        routes=routes,
        left_out=left_out,
        requests=tally.hits,
        kept=sum(route.weight for route in routes),
        begins=when(min(tally.all_minutes)) if tally.all_minutes else "",
        ends=when(max(tally.all_minutes)) if tally.all_minutes else "",
        rates=rates(tally.minutes),
        all_peak_minute_rps=whole.peak_minute_rps if whole else None,
        notes=tuple(_notes(sources, tally)),
    )


def _count(file: logfiles.LogFile, tally: Tally, say: Callable[[str], None]) -> Source:
    form, lines = accesslog.told(file)
    total = requests = 0
    for total, line in enumerate(lines, 1):
        if total % SAY_EVERY == 0:
            say(f"{file.name}: {total} lines")
        hit = accesslog.read(line, form) if form is not None and line is not None else None
        if hit is not None:
            requests += 1
            tally.add(hit)
        if form is None and total > accesslog.LOOKED_AT:
            break
    if form is None:
        what = "is empty" if not total else f"holds no request in its first {min(total, accesslog.LOOKED_AT)} lines"
        raise PlanError(
            f"{file.path}: {what}; read are access logs of nginx and Apache (combined and common), gunicorn, uvicorn, "
            f"hypercorn and granian{f': {file.cut}' if file.cut else ''}.",
            hint="name the access log, not the error log; logs in JSON and HAR files are not read",
        )
    return Source(
        name=file.name, format=form.name, lines=total, requests=requests, unread=total - requests, cut=file.cut
    )


def _notes(sources: tuple[Source, ...], tally: Tally) -> Iterable[str]:
    for source in sources:
        if source.cut:
            yield f"{source.name}: {source.cut}; what stands before that is counted."
        if source.unread > UNREAD * source.lines:
            yield f"{source.name}: {source.unread} of {source.lines} lines are no requests in this format."
    if tally.untimed:
        yield f"{tally.untimed} requests have no time: they are in the mix and not in the rate over the day."
    if tally.unnamed_agents:
        yield f"{tally.unnamed_agents} requests name no user agent: bots among them cannot be told."
    if tally.dropped["secret"]:
        yield (
            f"{tally.dropped['secret']} parts of query strings are dropped: by name or looks they let somebody "
            "in or say who somebody is."
        )
    if tally.dropped["tracking"]:
        yield f"{tally.dropped['tracking']} parts of query strings are dropped that only track campaigns."
