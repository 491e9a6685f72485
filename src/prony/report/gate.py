"""What a gate judged in, JUnit XML and a Markdown summary out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

from prony.comparison import Gain
from prony.comparison.gate import text_of
from prony.report.comparison import value

_NO_TEXT = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # colours of logs; what XML has not


def junit(title: str, judged: Sequence[Gain]) -> str:
    """One test case a figure; what could not be told is an error, not a failure."""
    failed = sum(gain.outcome == "failed" for gain in judged)
    unknown = sum(gain.outcome == "unknown" for gain in judged)
    head = f'<testsuite name={quoteattr(title)} tests="{len(judged)}" failures="{failed}" errors="{unknown}">'
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', head]
    for gain in judged:
        case = f'  <testcase classname="prony.gate" name={quoteattr(gain.figure)}'
        kind = {"failed": "failure", "unknown": "error"}.get(gain.outcome or "")
        lines.append(f"{case}><{kind} message={quoteattr(text_of(gain))}/></testcase>" if kind else f"{case}/>")
    return "\n".join([*lines, "</testsuite>", ""])


def junit_of_error(text: str) -> str:
    """One test case, in error: there was no comparison."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name="prony gate" tests="1" failures="0" errors="1">\n'
        '  <testcase classname="prony.gate" name="comparison">'
        f"<error message={quoteattr(_NO_TEXT.sub('', text))}/></testcase>\n</testsuite>\n"
    )


def markdown_of_error(text: str) -> str:
    """The same for a CI page."""
    told = _NO_TEXT.sub("", text).replace("`", "'")
    return f"### prony gate: no comparison\n\n```text\n{told}\n```\n"


def markdown(title: str, judged: Sequence[Gain]) -> str:
    """A table for a CI page."""
    lines = [f"### prony gate: {title}", "", "| figure | baseline | now | outcome |", "|---|---:|---:|---|"]
    for gain in judged:
        cells = (
            gain.figure,
            value(gain.figure, gain.a),
            value(gain.figure, gain.b),
            f"**{gain.outcome}**: {text_of(gain)}",
        )
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join([*lines, ""])
