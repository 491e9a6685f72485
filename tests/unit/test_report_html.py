"""The HTML report holds all of a document, refers to nothing outside itself, and escapes what others wrote."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec import structs

from prony.capacity import Capacity
from prony.document import Document
from prony.report.html import machine_text, render
from prony.verdict import CAUSES, GRADES, TIERS
from tests.unit import report_case

HOSTILE = "<script>alert(1)</script><!--\"'></script>&lt;"
VOID_ELEMENTS = {"meta", "link", "br", "img", "line", "rect"}


class Reader(HTMLParser):
    """Every element and attribute of a page, its visible text, and whether its elements nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self.open[-1:] != ["style"]:
            self.text += data

    @property
    def courses(self) -> list[dict[str, Any]]:
        """The data that the script draws."""
        found = json.loads(self.scripts[0])["courses"]
        assert isinstance(found, list)
        return found


def an_empty(verb: str, **more: Any) -> Document:
    return Document(prony="0.1.0", verb=verb, title="", campaign=1, started_at="", status="done", machine={}, **more)


@pytest.fixture(scope="module")
def replay() -> str:
    return render(report_case.a_replay(), report_case.series_of_replay())


def test_everything_in_the_document_appears(replay: str) -> None:
    document, text = report_case.a_replay(), Reader(replay).text
    assert document.recommended is not None
    wanted = [document.title, *document.declared, "20 November 2026, 19:45 UTC", "2 cores", "8.3 GB", "Linux 6.8.0"]
    for test in document.tests:
        wanted += [test.title, test.account, test.load, *test.text, *test.verdict.evidence]
        wanted += [TIERS[test.verdict.tier], GRADES[test.verdict.cause_grade]]
        wanted += [CAUSES[test.verdict.cause]] if test.verdict.cause != "none" else []
    for configuration in document.configurations:
        wanted += [configuration.title, configuration.procfile]
    for trial in document.trials:
        wanted += [trial.label, *trial.doubts]
    for doubt in document.doubts:
        wanted += [doubt.name, doubt.text, doubt.todo]
    best = document.recommended
    wanted += [best.plan, best.why, best.procfile, *best.environment, best.remeasured, "app.conn_max_age = 60"]
    assert [one for one in wanted if one not in text] == []


def test_the_answer_leads(replay: str) -> None:
    head = Reader(replay[: replay.index("<main>")] + "</body></html>").text
    assert "kept. It held 310 rps in trials that did not choose it." in head
    assert "web: gunicorn config.wsgi --worker-class gthread" in head


def test_configurations_can_be_compared_at_a_glance(replay: str) -> None:
    text = Reader(replay).text
    for range_text in ("98–117", "below 14", "131–152", "at least 310", "74–88"):
        assert range_text in text
    assert replay.count('<svg class="range"') == 5
    assert text.count("✓ recommended") == 1
    assert "1 840" in text, "p99 under the rush, in milliseconds as the header says"


def test_it_says_that_nothing_was_soaked(replay: str) -> None:
    assert "Not soaked:" in Reader(replay).text
    document = report_case.a_replay()
    assert document.recommended is not None
    soaked = structs.replace(document, recommended=structs.replace(document.recommended, soaked=True))
    assert "Not soaked:" not in Reader(render(soaked, {})).text


def test_it_refers_to_nothing_outside_itself(replay: str) -> None:
    page = Reader(replay)
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "poster", "data", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:,")), (tag, name, value)
    assert "url(" not in replay
    assert "@import" not in replay
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_links_within_the_page_lead_somewhere(replay: str) -> None:
    page = Reader(replay)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {value[1:] for _, a in page.tags for value in [a.get("href") or ""] if value.startswith("#")}
    labels = {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert links | labels <= set(ids)


def test_the_licence_of_what_is_inlined_is_in_the_page(replay: str) -> None:
    text = Reader(replay).text
    assert "uPlot 1.6.32" in text
    assert "Copyright (c) 2022 Leon Sorokin" in text


def test_every_header_cell_has_a_scope(replay: str) -> None:
    assert all(attributes.get("scope") for tag, attributes in Reader(replay).tags if tag == "th")


def test_texts_of_others_are_escaped(replay: str) -> None:
    plain = report_case.a_replay()
    recommended = plain.recommended
    assert recommended is not None
    hostile = structs.replace(
        plain,
        title=HOSTILE,
        machine={"cpu": HOSTILE, HOSTILE: HOSTILE},
        declared=(HOSTILE,),
        status=HOSTILE,
        started_at=HOSTILE,
        trials=tuple(structs.replace(one, label=HOSTILE, doubts=(HOSTILE,)) for one in plain.trials),
        doubts=(
            *(structs.replace(one, text=HOSTILE, todo=HOSTILE) for one in plain.doubts),
            structs.replace(plain.doubts[-1], name=HOSTILE),
        ),
        tests=tuple(
            structs.replace(
                one,
                title=HOSTILE,
                account=HOSTILE,
                text=(HOSTILE,),
                verdict=structs.replace(one.verdict, cause=HOSTILE, evidence=(HOSTILE,)),
            )
            for one in plain.tests
        ),
        configurations=tuple(
            structs.replace(one, title=HOSTILE, procfile=HOSTILE, changes={HOSTILE: HOSTILE})
            for one in plain.configurations
        ),
        recommended=structs.replace(
            recommended, procfile=HOSTILE, environment=(HOSTILE,), changes={HOSTILE: [HOSTILE]}
        ),
    )
    page = Reader(render(hostile, report_case.series_of_replay()))
    before = Reader(replay)
    assert [tag for tag, _ in page.tags if tag == "script"] == ["script", "script"]
    assert page.scripts == before.scripts, "no text of the document gets into a script"
    assert {name for _, a in page.tags for name in a} == {name for _, a in before.tags for name in a}
    assert page.text.count(HOSTILE) > 40
    assert page.open == []


def test_the_course_is_inlined_as_json_that_no_parser_ends_early() -> None:
    document, series = report_case.a_replay(), report_case.series_of_replay()
    page = Reader(render(document, series))
    drawn = [int(a["data-course"] or "-1") for _, a in page.tags if "data-course" in a]
    assert drawn == list(range(6)), "each once: five tests, and the rush that is of none"
    assert len(page.courses) == 6
    assert page.courses[2]["offered_rps"] == series["3"].offered_rps
    assert page.courses[0]["connections_limit"] == 20
    assert "<" not in page.scripts[0]


def test_latency_that_is_not_the_apps_is_not_drawn(replay: str) -> None:
    courses = Reader(replay).courses
    assert set(courses[0]["p99_s"]) == {None}, "not one answer of this trial was right"
    assert set(courses[2]["p99_s"]) != {None}, "how latency grows with the backlog is a result"


def test_nulls_are_dashes_that_say_why(replay: str) -> None:
    assert 'title="Voided by backlog_growing: the backlog grew by 41 requests a second at 150 rps"' in replay
    assert "Voided by few_samples: 110 answers; not enough for p99, p999" in replay
    assert re.search(r">\s*None\s*<|\bNone\b", Reader(replay).text) is None


def test_a_null_whose_doubt_is_only_named_says_what_that_means() -> None:
    trial = report_case.a_trial("1", "x", offered=1, achieved=1, p50=None, doubts=("backlog_growing", "shared_core"))
    text = unescape(render(an_empty("run", trials=(trial,)), {}))
    assert "Voided by backlog_growing: Requests came faster than they were served" in text
    assert "Voided by shared_core" not in text


def test_of_a_trial_that_is_not_to_be_believed_not_even_errors_are_shown() -> None:
    trial = report_case.a_trial("1", "x", offered=40, achieved=None, p50=None, failed=0.37, doubts=("sent_short",))
    doubt = report_case.a_doubt("sent_short", "1", "10 sent of 40 due", ("all",))
    page = render(an_empty("run", trials=(trial,), doubts=(doubt,)), {"1": report_case.series_of_replay()["2"]})
    assert "37" not in Reader(page).text
    assert set(Reader(page).courses[0]["p50_s"]) == {None}


@pytest.mark.parametrize("verb", ["run", "find", "explain", "compare", "tune", "replay", "gate", "size"])
def test_an_empty_document_of_each_verb_renders(verb: str) -> None:
    page = Reader(render(an_empty(verb), {}))
    assert page.open == []
    assert "Nothing was measured." in page.text
    for heading in ("Tests", "Configurations", "Doubts", "Trials", "Recommended"):
        assert f'id="{heading.lower()}"' not in page.text


def test_a_run_shows_its_verdict_and_its_course() -> None:
    trial = report_case.a_trial("1", "run at 150 rps", offered=150, achieved=109, p50=0.4)
    verdict = report_case.a_verdict("1", "workers", "worker_starvation", "3.0 of 3 slots were taken.")
    document = an_empty("run", trials=(trial,), verdicts=(verdict,))
    page = Reader(render(document, {"1": report_case.series_of_replay()["3"]}))
    assert "worker starvation" in page.text
    assert "3.0 of 3 slots were taken." in page.text
    assert [a.get("data-levels") for _, a in page.tags if "data-course" in a] == ["yes"]


def test_a_find_leads_with_its_capacities() -> None:
    found = Capacity(
        title="sync, 3 workers", low_rps=98.0, high_rps=117.4, at_least="", starts=4, trials=9, limits="p99"
    )
    least = Capacity(title="gthread", low_rps=300.0, high_rps=None, at_least="no rate failed", starts=2, trials=6)
    none = Capacity(title="gevent", low_rps=None, high_rps=None, at_least="trials disagreed", starts=2, trials=6)
    text = Reader(render(an_empty("find", capacities=(found, least, none)), {})).text
    assert "sync, 3 workers: 98–117 rps" in text
    assert "gthread: at least 300 rps" in text
    assert "unknown: trials disagreed" in text


def test_a_campaign_that_was_interrupted_says_so() -> None:
    document = structs.replace(an_empty("find"), status="interrupted")
    assert "ended as “interrupted”" in Reader(render(document, {})).text


def test_a_token_of_a_later_version_is_shown_as_it_is() -> None:
    verdict = report_case.a_verdict("", "the_cache", "stampede", grade="rumoured")
    assert "the cache" in Reader(render(an_empty("explain", verdicts=(verdict,)), {})).text


def test_the_machine_in_a_line() -> None:
    assert machine_text({"cpus": 1, "memory_bytes": None, "python": "3.12"}) == "1 core, Python 3.12"
