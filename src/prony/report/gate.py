"""Checks of a gate in, JUnit XML and a Markdown summary out."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from prony.comparison.gate import Check
from prony.report.comparison import value


def junit(title: str, found: Sequence[Check]) -> str:
    """One test case a figure; what could not be told is an error, not a failure."""
    failed = sum(check.outcome == "failed" for check in found)
    unknown = sum(check.outcome == "unknown" for check in found)
    head = f'<testsuite name={quoteattr(title)} tests="{len(found)}" failures="{failed}" errors="{unknown}">'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    for check in found:
        case = f'  <testcase classname="prony.gate" name={quoteattr(check.gain.figure)}'
        kind = {"failed": "failure", "unknown": "error"}.get(check.outcome)
        lines.append(f"{case}><{kind} message={quoteattr(check.text)}/></testcase>" if kind else f"{case}/>")
    return "\n".join([*lines, "</testsuite>", ""])


def markdown(title: str, found: Sequence[Check]) -> str:
    """A table for a CI page."""
    lines = [f"### prony gate: {title}", "", "| figure | baseline | now | outcome |", "|---|---:|---:|---|"]
    for check in found:
        gain = check.gain
        cells = (
            gain.figure,
            value(gain.figure, gain.a),
            value(gain.figure, gain.b),
            f"**{check.outcome}**: {check.text}",
        )
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, ""])
