"""What a check came to, as data: a route's answers, and the document that `prony check --json` prints."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from prony.traffic.learned import LeftOut
from prony.visit.diagnosis import Finding


class Checked(Struct, frozen=True, kw_only=True):
    """One route of the mix, as it answered.

    Attributes:
        paths: Those visited, in order; the figures are of the first, unless it is another that is wrong.
        known: How many concrete paths the load will choose from.
        bytes: Length of the body.
        took_s: Median over all visits.
    """

    name: str
    template: str
    method: str
    source: str
    paths: tuple[str, ...]
    known: int
    status: int
    type: str
    title: str
    bytes: int
    took_s: float
    right: bool
    findings: tuple[Finding, ...] = ()


class Check(Struct, frozen=True, kw_only=True):
    """Everything that one check found.

    Attributes:
        framework: Django, Flask, FastAPI or Starlette, in small letters; empty where that was not found out.
        declared: Whether the plan names the pages, so that none were looked for.
        crawled: How many pages were come to by following links; `why` names the bound that ended it.
        pages: The routes of the mix.
        findings: What is to be said of the app as a whole.
        left_out: Routes that are not in the mix.
        right: Whether every page answers as it should.
        learned: The file that keeps what was learned; empty where nothing was.
    """

    prony: str
    verb: str
    started_at: str
    machine: dict[str, Any]
    app: str
    title: str
    framework: str
    declared: bool
    crawled: int
    why: str
    pages: tuple[Checked, ...]
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]
    right: bool
    learned: str
