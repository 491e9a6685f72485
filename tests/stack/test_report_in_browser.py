"""The HTML report in a real browser: its charts are drawn, nothing goes wrong, and nothing is asked of the network."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec import structs

from prony.report.html import render
from tests.unit import report_case
from tests.unit.test_curve_shown import CURVE, UNKNOWN, a_document

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")

NO_PAGE = "not an origin"

# What keeps the browser itself from asking the network for things of its own.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--no-proxy-server",
    "--enable-logging=stderr",
]


class Seen(NamedTuple):
    """What came of opening a page: its DOM once scripts had run, the console's lines, and the network's log."""

    dom: str
    console: list[str]
    net_log: dict[str, Any]

    @property
    def asked_for(self) -> set[str]:
        """What the page asked the network for; what the browser asks for of its own accord has no origin."""
        requests = [event.get("params", {}) for event in self.net_log["events"]]
        asked = {one["url"] for one in requests if "url" in one and one.get("initiator", NO_PAGE) != NO_PAGE}
        return {url for url in asked if not url.startswith(("file:", "data:", "chrome:"))}


def an_unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert isinstance(port, int)
    return port


def opened(page: str, folder: Path, *options: str) -> Seen:
    path, log = folder / "report.html", folder / "net.json"
    path.write_text(page, encoding="utf-8")
    command = [str(CHROMIUM), *QUIET, *options, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return Seen(done.stdout, console, json.loads(log.read_text(encoding="utf-8")))


def test_the_charts_are_drawn_and_nothing_is_asked_of_the_network(tmp_path: Path) -> None:
    page = render(report_case.a_replay(), report_case.series_of_replay())
    seen = opened(page, tmp_path, "--window-size=1200,900")
    figures = re.split(r'<figure class="course"', seen.dom)[1:]
    canvases = [figure.split("</figure>")[0].count("<canvas") for figure in figures]
    # Rates and connections; latency too, except where no answer was right; slots where workers gave out; nothing yet
    # in what is folded away.
    assert canvases == [2, 3, 4, 3, 3, 0]
    assert "Latency, on a logarithmic scale" in figures[2]
    assert seen.console == []
    assert seen.asked_for == set()


def test_a_curve_is_drawn_over_its_load_in_four_charts(tmp_path: Path) -> None:
    seen = opened(render(a_document(), {}), tmp_path, "--window-size=1200,900")
    figure = seen.dom.split('<figure class="curve"')[1].split("</figure>")[0]
    titles = re.findall(r'<div class="plot dots"><p>([^<]*)</p>', figure)
    assert titles == [
        "Right answers per second",
        "Latency; ▲ the backlog grew: none to tell",
        "Failed requests",
        "In use of each tier",
    ]
    assert figure.count("<canvas") == 4
    assert "over load: slots, app CPU, cores" in figure
    assert seen.console == []
    assert seen.asked_for == set()


def test_a_curve_without_any_latency_is_drawn_all_the_same(tmp_path: Path) -> None:
    points = tuple(structs.replace(point, latency_s=UNKNOWN, backlog_per_s=None) for point in CURVE.points)
    page = render(a_document(structs.replace(CURVE, points=points)), {})
    seen = opened(page, tmp_path, "--window-size=420,900")
    assert seen.dom.split('<figure class="curve"')[1].split("</figure>")[0].count("<canvas") == 3
    assert seen.console == []


def test_a_document_without_charts_raises_nothing(tmp_path: Path) -> None:
    plain = report_case.a_replay()
    seen = opened(render(plain, {}), tmp_path, "--window-size=420,900")
    assert "<canvas" not in seen.dom
    assert seen.console == []
    assert 'data-copies="procfile">Copy' in seen.dom, "the button shows where scripts run"


def test_the_pages_policy_refuses_what_it_did_not_bring_itself(tmp_path: Path) -> None:
    page = render(report_case.a_replay(), {})
    nowhere = f"http://127.0.0.1:{an_unused_port()}/x.png"
    foreign = f'<script>document.title = "taken"</script><img src="{nowhere}"></body>'
    seen = opened(page.replace("</body>", foreign), tmp_path)
    assert "taken</title>" not in seen.dom
    assert len([line for line in seen.console if "Content Security Policy" in line]) == 2
    assert seen.asked_for == set()
    unguarded = page.replace("Content-Security-Policy", "x-none")
    seen = opened(unguarded.replace("</body>", foreign), tmp_path)
    assert "taken</title>" in seen.dom
    assert seen.asked_for == {nowhere}, "a request would have been seen"
