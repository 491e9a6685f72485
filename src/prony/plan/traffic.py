"""The [traffic] table in, what is sent and when as frozen data out."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prony.errors import PlanError
from prony.plan import expectations, imported, keys, params, phases
from prony.plan.checks import only_known, shown, table_of, values_of, word
from prony.plan.journeys import read as journeys_of
from prony.plan.requests import Phase, Request, Stream, Traffic

DUE_MAX = 50_000_000
REQUESTS_MAX = 1000
_HOST = re.compile(r"[A-Za-z0-9_.:\[\]-]{0,260}")
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_FIELD_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]{0,4000}")
BODY = {"contains", "matches", "json", "min_bytes", "max_bytes", "sha256"}  # what `expect` asks of a body
_OURS = {"host", "content-length", "transfer-encoding", "connection"}


def read(document: Mapping[str, Any], source: str, folder: Path) -> Traffic:
    """The [traffic] table, its [[traffic.request]] tables or those of the file it names, and its [[traffic.journey]]s.

    Files are looked for in `folder`.

    Raises:
        PlanError: one paragraph on the first thing that is wrong.
    """
    table = dict(table_of(document, "traffic", source))
    only_known(table, [*(key.name for key in keys.TRAFFIC), "request", "journey", "phase"], source, "traffic")
    requests = table.pop("request", None)
    journeys = table.pop("journey", None)
    raw_phases = table.pop("phase", None)
    given = set(table)
    think = _think(table, source)
    values = values_of(table, keys.TRAFFIC, source, "traffic")
    found, where = None, source
    if values["file"]:
        if requests is not None:
            raise PlanError(
                f"{source}: [traffic]: found both file and [[traffic.request]]; allowed: one of them.",
                hint=f"take the [[traffic.request]] tables out, or file = {shown(values['file'])}",
            )
        found = imported.read(values["file"], source, folder)
        requests, where = found.requests, found.source
    name = "traffic.request" if found is None else "request"
    if requests is not None and (not isinstance(requests, list) or not all(isinstance(r, dict) for r in requests)):
        raise PlanError(f"{where}: [traffic] request: found {shown(requests)}; allowed: tables [[{name}]].")
    if requests is not None and not 1 <= len(requests) <= REQUESTS_MAX:
        raise PlanError(f"{where}: [[{name}]]: found {len(requests)}; allowed: 1 to {REQUESTS_MAX} of them.")
    recorded = found.recorded if found else None
    phased: tuple[Phase, ...] = ()
    if raw_phases is not None:
        phased = phases.read(raw_phases, source, recorded, closed=values["arrivals"] == "closed")
    _check_load(values, given, phased, source, journeys=journeys is not None)
    check_fields(values["host"], values["headers"], f"{source}: [traffic]")
    made = Traffic(
        requests=tuple(_request(r, where, values["seed"]) for r in requests or ())
        or (() if journeys else (Request(),)),
        journeys=journeys_of(journeys, source, folder) if journeys is not None else (),
        arrivals="closed" if values["users"] is not None else values["arrivals"],
        rate_rps=values["rate"],
        users=values["users"],
        duration_s=math.fsum(phase.duration_s for phase in phased) if phased else values["duration"],
        think_s=values["think"] if think is None else think["median"],
        think_sigma=0.0 if think is None else think["sigma"],
        session=values["requests_per_session"],
        phases=phased,
        timeout_s=values["timeout"],
        connect_timeout_s=values["connect_timeout"],
        first_byte_timeout_s=values["first_byte_timeout"],
        keep_alive=values["keep_alive"],
        https=values["https"],
        retries=values["retries"],
        backoff_s=values["backoff"],
        generators=values["generators"],
        drain_s=values["drain"],
        seed=values["seed"],
        declared=(requests or journeys) is not None and not (found and found.guessed),
        named=requests is not None,
        host=values["host"],
        headers=values["headers"],
        recorded=recorded,
    )
    _check_retries(made, source)
    return made


def _check_retries(made: Traffic, source: str) -> None:
    """Who walks through pages tries again, or not, of its own accord."""
    walks = "[[traffic.journey]]" if made.journeys else "redirects" if any(r.redirects for r in made.requests) else ""
    if made.retries and walks:
        raise PlanError(
            f"{source}: [traffic] retries: found {made.retries} beside {walks}; allowed: one of them.",
            hint="retries = 0",
        )


def _think(table: dict[str, Any], source: str) -> dict[str, Any] | None:
    """`think` as a table, { median = "2s", sigma = 0.8 }, which is taken out; None where it is none."""
    if not isinstance(table.get("think"), dict):
        return None
    raw = table.pop("think")
    only_known(raw, (key.name for key in keys.THINK), source, "traffic.think")
    return values_of(raw, keys.THINK, source, "traffic.think")


def _check_load(
    values: Mapping[str, Any], given: Collection[str], phased: tuple[Phase, ...], source: str, *, journeys: bool
) -> None:
    """What is said of the load must go together."""
    if values["rate"] is not None and values["users"] is not None:
        raise PlanError(
            f"{source}: [traffic]: found both rate and users; allowed: rate (open loop) or users (closed loop)."
        )
    beside = [name for name in ("rate", "users", "duration") if name in given]
    if phased and beside:
        raise PlanError(
            f"{source}: [traffic]: found {beside[0]} beside [[traffic.phase]]; allowed: one of them. Phases say how "
            'much and for how long, in users where arrivals = "closed".',
            hint=f"take {' and '.join(beside)} out, or the phases",
        )
    if values["requests_per_session"] is not None:
        if journeys:
            raise PlanError(
                f"{source}: [traffic] requests_per_session: found it beside [[traffic.journey]]; allowed: one of "
                "them. Journeys that arrive are sessions already: their steps follow each other.",
                hint="take requests_per_session out",
            )
        if values["users"] is not None or values["arrivals"] == "closed" or not (phased or values["rate"]):
            raise PlanError(
                f"{source}: [traffic] requests_per_session: found it without arrivals of visitors; allowed: with "
                "rate or [[traffic.phase]] of an open loop.",
                hint="rate = 5: five visitors a second",
            )
    due = (values["rate"] or 0) * values["duration"]
    if phased and values["arrivals"] != "closed":
        due = math.fsum(s * (start + end) / 2 for phase in phased for s, start, end in phase.stretches)
    if due * (values["requests_per_session"] or 1) > DUE_MAX:
        what = "phases" if phased else "a rate and a duration"
        raise PlanError(
            f"{source}: [traffic]: found {what} that make over {DUE_MAX} requests; allowed: fewer.",
            hint="a lower rate, or a shorter duration",
        )


def check_fields(host: str, headers: Mapping[str, str], where: str) -> None:
    """What cannot be sent as a header field, or would give away where a request ends; `where` it was written."""
    if not _HOST.fullmatch(host):
        raise PlanError(f'{where} host: found {shown(host)}; allowed: one such as "shop.example.com".')
    for name, value in headers.items():
        if not _FIELD_NAME.fullmatch(name) or name.lower() in _OURS:
            raise PlanError(
                f"{where} headers: found a field called {word(name)}; allowed: names such as "
                f"X-Forwarded-Proto, and none of {', '.join(sorted(_OURS))}."
            )
        if not _FIELD_VALUE.fullmatch(value):
            raise PlanError(f"{where} headers: {word(name)}: found a value that no header field can hold.")


def _request(raw: Mapping[str, Any], source: str, seed: int) -> Request:
    path = "traffic.request"
    known = [*(key.name for key in keys.REQUEST), "expect", "stream", keys.PARAMS.name, keys.PATHS.name]
    only_known(raw, known, source, path)
    values = values_of(raw, keys.REQUEST, source, path)
    if not values["path"].startswith("/") or any(c <= " " or ord(c) > 126 for c in values["path"]):
        raise PlanError(
            f"{source}: [[{path}]] path: found {shown(values['path'])}; allowed: a path that begins with / "
            "and holds no spaces or other characters that a URL must encode."
        )
    paths = values_of(raw, (keys.PATHS,), source, path)[keys.PATHS.name]
    if paths:
        _check_paths(paths, raw, source)
    given = params.read(raw.get(keys.PARAMS.name, {}), values["path"], source)
    lists = {name: each for name, each in given.items() if not isinstance(each, str)}
    return Request(
        path=values["path"],
        method=values["method"],
        weight=values["weight"],
        name=values["name"] or values["path"],
        expect=expectations.read(raw.get("expect", {}), source, path, values["method"]),
        anonymous=values["anonymous"],
        params=given,
        paths=paths or (params.fill(values["path"], lists, seed) if given else ()),
        expected="expect" in raw,
        redirects=values["redirects"],
        stream=_stream(raw, source),
    )


def _stream(raw: Mapping[str, Any], source: str) -> Stream | None:
    if "stream" not in raw:
        return None
    path = "traffic.request.stream"
    table = dict(table_of(raw, "stream", source))
    only_known(table, [key.name for key in keys.STREAM], source, path)
    values = values_of(table, keys.STREAM, source, path)
    if raw.get("redirects"):
        raise PlanError(f"{source}: [[traffic.request]]: found both stream and redirects; allowed: one of them.")
    reads = sorted(BODY & raw.get("expect", {}).keys()) if isinstance(raw.get("expect", {}), Mapping) else []
    if reads:
        raise PlanError(
            f"{source}: [[traffic.request]] expect: found {', '.join(reads)} beside stream; allowed: status, type and "
            "header, for nothing of a streamed body is kept."
        )
    return Stream(events=values["events"], for_s=values["for"])


def _check_paths(paths: tuple[str, ...], raw: Mapping[str, Any], source: str) -> None:
    where = f"{source}: [[traffic.request]] paths"
    if keys.PARAMS.name in raw:
        raise PlanError(f"{where}: found params beside it; allowed: one of them.")
    if len(paths) > params.PATHS_MAX:
        raise PlanError(f"{where}: found {len(paths)} of them; allowed: 1 to {params.PATHS_MAX}.")
    for each in paths:
        if not each.startswith("/") or any(c <= " " or ord(c) > 126 for c in each):
            raise PlanError(
                f"{where}: found {shown(each)}; allowed: paths that begin with / and hold no spaces or other "
                "characters that a URL must encode."
            )
