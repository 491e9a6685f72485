"""The load's samples and the app's records of the same requests come together, and their parts are the latency."""

from __future__ import annotations

import io
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from msgspec import structs
from rich.console import Console

from prony.document import Document
from prony.probes.ledger import Step, Timing
from prony.probes.timed import TEXT_MOST, text_of
from prony.recording import Event, Recording
from prony.report.html import render
from prony.report.spent import request, spent
from prony.summary.sampled import TIMED, Sampled, sampled_of, spent_of
from tests.unit.recording_case import a_clean_recording
from tests.unit.report_case import a_trial


def timed(recording: Recording, **off_ns: int) -> Recording:
    """With the app's record of every request: a statement takes the middle half of what it was in the app."""
    samples = recording.samples[:300].copy()
    samples["arrival"] = np.arange(len(samples))
    events = []
    for i, sample in enumerate(samples):
        sent, done = int(sample["sent_ns"]), int(sample["done_ns"])
        fourth = (done - sent) // 4
        entry, left = sent + off_ns.get("entry", 0), done + off_ns.get("exit", 0)
        steps = (
            Step("statement", "SELECT ?", sent + fourth, done - fourth),
            Step("pool", "", sent, sent + fourth // 2),
        )
        text = text_of(Timing(i, 0, 0, entry, left, "GET /", steps))
        events.append(Event(i, TIMED, "app", text))
    return replace(recording, samples=samples, events=tuple(events))


def test_the_parts_of_every_sampled_request_add_up_to_its_latency() -> None:
    recording = a_clean_recording()
    found = sampled_of(timed(recording))
    assert len(found) == 300
    for each in found:
        lengths = [part.ended_ns - part.began_ns for part in each.parts]
        assert sum(lengths) == round(each.latency_s * 1e9)
        assert min(lengths) >= 0
        assert [a.ended_ns for a in each.parts[:-1]] == [b.began_ns for b in each.parts[1:]]
    assert {part.kind for part in found[0].parts} >= {"statement", "pool", "way_in", "way_out", "app"}


def test_an_entry_before_sending_or_an_exit_after_the_last_byte_is_cut_to_the_request() -> None:
    for each in sampled_of(timed(a_clean_recording(), entry=-(10**9), exit=10**9)):
        assert sum(part.ended_ns - part.began_ns for part in each.parts) == round(each.latency_s * 1e9)
        assert all(part.ended_ns >= part.began_ns for part in each.parts)


def test_a_request_that_the_app_has_no_record_of_is_not_among_them() -> None:
    recording = timed(a_clean_recording())
    assert [each.id for each in sampled_of(replace(recording, events=recording.events[:9]))] == list(range(9))
    assert sampled_of(replace(recording, events=())) == []


def test_steps_of_a_journey_share_a_number_and_each_has_the_record_of_its_own_time() -> None:
    recording = timed(a_clean_recording())
    samples = recording.samples.copy()
    samples["arrival"] //= 3
    events = []
    for event in reversed(recording.events):  # in whatever order they were told
        row = msgspec.json.decode(event.text)
        events.append(Event(event.t_ns, TIMED, "app", msgspec.json.encode([row[0] // 3, *row[1:]]).decode()))
    found = sampled_of(replace(recording, samples=samples, events=tuple(events)))
    assert [each.id for each in found] == [n // 3 for n in range(300)]
    assert found == [structs.replace(each, id=each.id // 3) for each in sampled_of(recording)]
    few = [event for event in events if msgspec.json.decode(event.text)[0] == 4][1:]  # one of three was lost
    assert [each.id for each in sampled_of(replace(recording, samples=samples, events=tuple(few)))] == [4, 4]


def sums_of(text: str) -> dict[str, int]:
    """Nanoseconds by kind of step."""
    found: dict[str, int] = {}
    for kind, _, _, ns in msgspec.json.decode(text)[5]:
        found[kind] = found.get(kind, 0) + ns
    return found


def test_a_hundred_statements_of_few_shapes_are_all_told_one_by_one() -> None:
    steps = tuple(Step("statement", f"SELECT {i % 3}", 10 * i, 10 * i + 5) for i in range(100))
    row = msgspec.json.decode(text_of(Timing(1, 0, 0, 0, 1000, "GET /", steps)))
    assert [began for _, _, began, _ in row[5]] == [10 * i for i in range(100)]
    assert row[4] == ["SELECT 0", "SELECT 1", "SELECT 2"]


@pytest.mark.parametrize("labels", [1, 3, 2000])
@pytest.mark.parametrize("count", [1, 64, 2000])
def test_of_very_many_steps_the_later_are_put_together_and_none_is_lost(count: int, labels: int) -> None:
    def step(kind: str, i: int) -> Step:
        return Step(kind, f"CALL {i % labels} {'x' * 300}", 10**6 * i, 10**6 * i + 5000 + i)

    steps = tuple(step("pool" if i % 7 == 3 else "statement", i) for i in range(count))
    text = text_of(Timing(1, 0, 0, 0, 10**6 * count, "GET /", steps))
    assert len(text) <= TEXT_MOST
    told = sums_of(text)
    for kind in ("statement", "pool"):
        assert told.get(kind, 0) == sum(each.ended_ns - each.began_ns for each in steps if each.kind == kind)
    row = msgspec.json.decode(text)
    said = [row[4][label].partition(" × ")[0] for _, label, _, _ in row[5]]
    assert sum(int(each) if each.isdigit() else 1 for each in said) == count
    assert row[5][0] == ["statement", 0, 0, 5000] or len(row[5]) < 3


def test_steps_that_ran_at_the_same_time_share_it_when_they_are_put_together() -> None:
    steps = tuple(Step("outbound", f"{i % 2} api.example", 0, 10**9 + i) for i in range(500))
    recording = timed(a_clean_recording())
    text = text_of(Timing(1, 0, 0, 0, 10**9 + 500, "GET /", steps))
    assert sums_of(text) == {"outbound": 10**9 + 499}
    [one] = sampled_of(replace(recording, events=(Event(0, TIMED, "app", text),)))
    assert sum(part.ended_ns - part.began_ns for part in one.parts) == round(one.latency_s * 1e9)


def test_groups_have_the_mean_of_each_part() -> None:
    found = sampled_of(timed(a_clean_recording()))
    median, slowest = spent_of(found)
    latencies = sorted(each.latency_s for each in found)
    assert median.group == "median"
    assert np.isclose(median.latency_s, np.median(latencies), rtol=0.1)
    assert np.isclose(slowest.latency_s, np.mean(latencies[-slowest.requests :]))
    for group in (median, slowest):
        assert np.isclose(sum(group.parts_s.values()), group.latency_s)
        assert group.of == len(found)
    assert spent_of(found[:19]) == ()


def test_the_terminal_and_the_page_show_where_time_was_spent() -> None:
    found = sampled_of(timed(a_clean_recording()))
    groups = spent_of(found)
    console = Console(file=io.StringIO(), width=180, highlight=False)
    one = structs.replace(found[0], name="[b]/shop")
    console.print(spent(groups), request(one))
    text = console.file.getvalue()  # type: ignore[attr-defined] # the file it was given
    assert "about the median" in text
    assert f"the slowest {groups[1].requests} of {len(found)}" in text
    assert "SELECT ?" in text
    assert "[b]/shop" in text
    trial = structs.replace(a_trial("1.1", "one", offered=10.0, achieved=10.0, p50=0.01), spent=groups)
    document = Document(
        prony="0", verb="run", title="t", campaign=1, started_at="", status="done", machine={}, trials=(trial,)
    )
    page = render(document, {})
    assert 'class="part-statement"' in page
    assert "Where the slowest requests spent their time" in page
    assert "sampled requests of trial 1.1," in page


def test_a_sampled_request_goes_through_json_and_back() -> None:
    one = sampled_of(timed(a_clean_recording()))[0]
    assert msgspec.json.decode(msgspec.json.encode(one), type=Sampled) == one
