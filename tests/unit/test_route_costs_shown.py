"""What each page costs and what to try next are shown at the terminal and in the HTML report; a null is a dash."""

from __future__ import annotations

import io

from rich.console import Console

from prony.document import Document, RouteCost
from prony.report.html import render
from prony.report.terminal import show
from prony.verdict import Suggestion

COSTS = (
    RouteCost(
        name="/report/<script>", time_s=0.104, requests=30, errors=0.0, alone_rps=9.6, app_cpu_s=0.1, bytes=2100.0
    ),
    RouteCost(name="/[b]gone[/b]/", time_s=None, requests=12, errors=1.0),
)
NEXT = (Suggestion(command="prony run --set server.workers=6", why="twice the workers"),)


def a_document() -> Document:
    return Document(
        prony="0",
        verb="run",
        title="gunicorn sync, 3 workers",
        campaign=1,
        started_at="2026-11-25T10:00:00+00:00",
        status="done",
        machine={},
        routes=COSTS,
        next=NEXT,
    )


def at_the_terminal(document: Document) -> str:
    console = Console(file=io.StringIO(), width=140, highlight=False)
    show(console, document, {})
    text = console.file.getvalue()  # type: ignore[attr-defined] # the file it was given
    assert isinstance(text, str)
    return text


def row(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if name in line)
    return line.split(name)[1].split()


def test_at_the_terminal_each_page_is_a_row_as_it_is_called() -> None:
    text = at_the_terminal(a_document())
    assert row(text, "/report/<script>") == ["104", "ms", "9.6", "100", "ms", "–", "2.1", "kB", "0", "%"]
    assert row(text, "/[b]gone[/b]/") == ["–", "–", "–", "–", "–", "100", "%"]
    assert text.index("What each page costs by itself") < text.index("What to try next")
    assert "prony run --set server.workers=6" in text


def test_the_html_report_has_the_same_and_escapes_names() -> None:
    page = render(a_document(), {})
    assert "/report/&lt;script&gt;" in page
    assert "<script>" not in page.split("/report/")[1].split("</th>")[0]
    cells = page.split("/report/&lt;script&gt;")[1].split("</tr>")[0]
    assert all(f">{value}<" in cells for value in ("104", "9.6", "100", "2.1 kB"))
    assert "prony run --set server.workers=6</code> twice the workers" in page


def test_a_document_without_them_has_neither_heading() -> None:
    document = Document(prony="0", verb="find", title="t", campaign=1, started_at="", status="done", machine={})
    for text in (at_the_terminal(document), render(document, {})):
        assert "What each page costs" not in text
        assert "What to try next" not in text
