from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prony.probes.app import Workers
from prony.probes.gauge import GaugeReader
from prony.recording import Event, Reading
from prony.recording.named import READINGS
from prony_gauge import layout, work
from prony_gauge.mapped import Gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def gauge(tmp_path: Path) -> Iterator[Gauge]:
    made = Gauge(str(tmp_path), slots=4)
    yield made
    if made.descriptor is not None:
        os.close(made.descriptor)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[GaugeReader]:
    made = GaugeReader(tmp_path)
    yield made
    made.close()


def test_a_loaded_entry_is_a_booted_worker_before_any_request(gauge: Gauge, reader: GaugeReader) -> None:
    assert reader.read().processes == 0
    gauge.serving()
    totals = reader.read()
    assert (totals.processes, totals.slots, totals.begun) == (1, 4, 0)


def test_requests_in_flight_are_those_begun_and_not_ended(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.serving()
    first, second = gauge.begin(), gauge.begin()
    assert reader.read().in_flight == 2
    gauge.end(second)
    gauge.end(first)
    totals = reader.read()
    assert (totals.in_flight, totals.begun, totals.ended) == (0, 2, 2)
    spans = reader.spans()
    assert spans[:, 0].tolist() == [second, first]
    assert totals.busy_ns == int((spans[:, 1] - spans[:, 0]).sum())


def test_levels_are_of_the_processes_that_were_known_and_a_ring_that_fills_is_read(
    gauge: Gauge, reader: GaugeReader
) -> None:
    gauge.serving()
    assert reader.levels()[:2] == (0, 0)  # nothing was read yet
    reader.read()
    entry = gauge.begin()
    assert reader.levels()[:2] == (1, 4)
    gauge.end(entry)
    for _ in range(20_000):
        gauge.end(gauge.begin())
        reader.levels()
    assert reader.levels()[:2] == (0, 4)
    assert reader.read().counters["records_lost"] == 0
    assert len(reader.spans()) == 20_001


def test_spans_are_handed_out_once(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.serving()
    gauge.end(gauge.begin())
    assert len(reader.spans()) == 1
    assert len(reader.spans()) == 0
    gauge.end(gauge.begin())
    assert len(reader.spans()) == 1


def test_a_ring_that_ran_over_keeps_the_last_and_says_how_many_are_lost(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.serving()
    gauge.end(gauge.begin())
    assert len(reader.spans()) == 1
    entries = []
    for _ in range(10_000):
        entries.append(gauge.begin())
        gauge.end(entries[-1])
    kept = reader.spans()[:, 0].tolist()
    assert 0 < len(kept) < 10_000
    assert kept == entries[-len(kept) :]
    assert reader.read().counters["records_lost"] == 10_000 - len(kept)
    assert (reader.read().ended, reader.read().in_flight) == (10_001, 0)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_a_ring_read_in_time_loses_nothing_wherever_its_end_lies(steps: list[int], laps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        gauge, reader = Gauge(folder, slots=1), GaugeReader(Path(folder))
        gauge.serving()
        told = 0
        for lap in range(laps * 10):
            for count in steps:
                gauge.record(1, 5, 7, 0, 0, [work.ONCE, 5, 6] * count)
                told += count
            if lap % 3 == 0 or sum(steps) > 2000:
                reader.read()
        counters = reader.read().counters
        assert (counters["statements"], counters["records_lost"]) == (told, 0)
        assert len(reader.spans()) == laps * 10 * len(steps)
        reader.close()
        assert gauge.descriptor is not None
        os.close(gauge.descriptor)


def test_names_are_counted_by_kind(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.failed("ValueError")
    gauge.failed("ValueError")
    gauge.count(layout.REFUSED, "mail.example:25")
    gauge.connected(0, failed=True)
    gauge.count(layout.CONNECT_ERROR, "psycopg.OperationalError[53300]")
    totals = reader.read()
    assert totals.exceptions == {"ValueError": 2}
    assert totals.refused == {"mail.example:25": 1}
    assert totals.connect_errors == {"psycopg.OperationalError[53300]": 1}
    assert (totals.connects, totals.connect_failed) == (1, 1)


def test_a_process_that_never_loaded_the_entry_does_not_serve(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.count(layout.REFUSED, "mail.example:25")
    assert reader.read().processes == 0
    gauge.serving()
    assert reader.read().processes == 1


def test_a_name_too_many_is_counted_among_the_others(gauge: Gauge, reader: GaugeReader) -> None:
    for number in range(200):
        gauge.count(layout.REFUSED, f"host{number}:80")
    gauge.count(layout.EXCEPTION, "KeyError")
    totals = reader.read()
    assert sum(totals.refused.values()) == 200
    assert totals.refused[layout.OTHERS] == 200 - (layout.NAMES - layout.KINDS)
    assert totals.exceptions == {layout.OTHERS: 1}


def test_a_long_name_is_cut_at_248_bytes_and_those_cut_alike_count_as_one(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.count(layout.EXCEPTION, "é" * 200)
    gauge.count(layout.EXCEPTION, "é" * 300)
    assert reader.read().exceptions == {"é" * 124: 2}


def test_threads_at_once_lose_no_request(gauge: Gauge, reader: GaugeReader) -> None:
    gauge.serving()

    def serve() -> None:
        for _ in range(500):
            gauge.end(gauge.begin())

    threads = [threading.Thread(target=serve) for _ in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    totals = reader.read()
    assert (totals.begun, totals.ended, len(reader.spans())) == (3000, 3000, 3000)


def test_a_request_that_entered_before_a_fork_does_not_end_in_the_child(gauge: Gauge, reader: GaugeReader) -> None:
    entry = gauge.begin()
    gauge.serving()
    gauge.forked()  # as in the child, which here has the same pid: its file takes the place of the other
    gauge.end(entry)
    gauge.end(gauge.begin())
    totals = reader.read()
    assert (totals.begun, totals.ended) == (1, 1)
    assert gauge.role == layout.FORKED


def test_a_gauge_that_is_off_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    off = Gauge("", slots=1)
    off.failed("ValueError")
    off.connected(0, failed=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_the_app_nothing(tmp_path: Path) -> None:
    deaf = Gauge(str(tmp_path / "absent"), slots=1)
    deaf.serving()
    deaf.end(deaf.begin())
    deaf.failed("ValueError")


@pytest.mark.parametrize("content", [b"", b"half", bytes(layout.SIZE_BYTES), b"x" * layout.SIZE_BYTES])
def test_a_file_of_another_make_is_skipped(tmp_path: Path, reader: GaugeReader, content: bytes) -> None:
    (tmp_path / "77.gauge").write_bytes(content)
    (tmp_path / "78.gauge").mkdir()
    assert reader.read().processes == 0
    assert reader.spans().shape == (0, 2)


def test_a_folder_that_is_not_there_yet_reads_as_nothing(tmp_path: Path) -> None:
    assert GaugeReader(tmp_path / "later").read().processes == 0


def file_of(folder: Path, pid: int, role: int, parent: int = 0, begun: int = 0) -> None:
    words = memoryview(bytearray(layout.SIZE_BYTES)).cast("Q")
    words[layout.MAGIC_AT], words[layout.VERSION_AT], words[layout.PID_AT] = layout.MAGIC, layout.VERSION, pid
    words[layout.ROLE_AT], words[layout.PARENT_AT], words[layout.SLOTS_AT] = role, parent, 1
    words[layout.BEGUN_AT] = begun
    (folder / f"{pid}.gauge").write_bytes(words)


ALONE = (1, layout.LOADED, 0, 0)


@pytest.mark.parametrize(
    ("files", "serving"),
    [
        ([ALONE], 1),
        ([ALONE, (2, layout.LOADED, 0, 5)], 2),
        ([ALONE, (2, layout.FORKED, 1, 0), (3, layout.FORKED, 1, 9)], 2),  # a master that preloads, and two workers
        ([(1, layout.LOADED, 0, 7), (2, layout.FORKED, 1, 0)], 1),  # a worker, and a helper it forked
        ([(1, layout.LOADED, 0, 7), (2, layout.FORKED, 1, 3)], 2),
        ([ALONE, (2, layout.OTHER, 0, 0)], 1),
    ],
)
def test_masters_and_helpers_do_not_count_as_serving(
    tmp_path: Path,
    reader: GaugeReader,
    monkeypatch: pytest.MonkeyPatch,
    files: list[tuple[int, int, int, int]],
    serving: int,
) -> None:
    monkeypatch.setattr("prony.probes.gauge._File.alive", lambda _: True)
    for pid, role, parent, begun in files:
        file_of(tmp_path, pid, role, parent, begun)
    assert reader.read().processes == serving


def test_what_a_dead_process_counted_stays(tmp_path: Path, reader: GaugeReader) -> None:
    file_of(tmp_path, 1, layout.LOADED, begun=7)
    for _ in range(2):
        totals = reader.read()
        assert (totals.processes, totals.in_flight, totals.begun) == (0, 0, 7)


def test_every_reading_of_the_workers_is_a_named_one(gauge: Gauge, tmp_path: Path) -> None:
    gauge.serving()
    gauge.words[layout.TOKENS_AT] = 40
    workers = Workers(tmp_path)
    gauge.end(gauge.begin())
    found = [*workers.levels(), *workers.counters()]
    workers.close()
    names = {each.name for each in found if isinstance(each, Reading)}
    assert names == {each.name for each in READINGS["workers"]}


def test_a_hook_that_is_off_is_told_in_each_trial_and_an_exception_in_its_own(gauge: Gauge, tmp_path: Path) -> None:
    gauge.serving()
    gauge.count(layout.HOOK_OFF, "redis")
    gauge.count(layout.CONNECT_ERROR, "psycopg.OperationalError[53300]")
    gauge.failed("ValueError")
    for trial in range(2):
        workers = Workers(tmp_path)
        gauge.failed("KeyError")
        events = [each for _ in range(2) for each in workers.counters() if isinstance(each, Event)]
        workers.close()
        assert {(each.kind, each.text.partition(":")[0], each.times) for each in events} == {
            ("hook_off", "redis", 1),
            ("exception", "KeyError", 1),
        }, trial
        assert len(events) == 2


def test_levels_asked_by_one_thread_and_totals_by_another_count_every_record_once(
    gauge: Gauge, reader: GaugeReader
) -> None:
    """As the sampler asks, while requests end and the ring fills."""
    gauge.serving()
    reader.read()
    wrong: list[BaseException] = []
    over = threading.Event()

    def asks(what: Callable[[], object]) -> None:
        try:
            while not over.is_set():
                what()
        except BaseException as error:  # noqa: BLE001 - the test tells it
            wrong.append(error)

    threads = [threading.Thread(target=asks, args=(each,)) for each in (reader.levels, reader.levels, reader.read)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        told = 0
        for number in range(4000):
            gauge.end(gauge.begin())
            gauge.record(layout.ALONE, 0, 0, 0, 0, (work.ONCE, 1, 2) * 20)
            told += 20
            if number % 400 == 399:
                reader.read()  # before the ring runs over
    finally:
        over.set()
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join(60)
    assert wrong == []
    totals = reader.read()
    assert (totals.ended, totals.counters["statements"], totals.counters["records_lost"]) == (4000, told, 0)
