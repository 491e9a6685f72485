from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.errors import MachineError
from prony.recording import SAMPLE, Recording
from prony.report import columns, hdrlog, samples_csv, samples_parquet
from prony.samples import EVENT_GAP, FIRST_EVENT, NOT_SENT, TIMEOUT
from prony.stats import quantile
from prony.summary import QUANTILES, Part, summarise
from tests.unit.recording_case import BEGAN_NS, a_recording, evenly, some_samples

WHOLE = Part()


@pytest.fixture
def recording() -> Recording:
    """10 s at 500 rps, exponential; every 50th has no answer, and every 70th was not sent."""
    random = np.random.default_rng(11)
    due_s = evenly(500, 10)
    number = np.arange(len(due_s))
    outcome = np.where(number % 50 == 0, TIMEOUT, np.where(number % 70 == 0, NOT_SENT, 0))
    service_s = random.exponential(0.02, len(due_s))
    return a_recording(some_samples(due_s, service_s=service_s, outcome=outcome, status=np.where(outcome, 0, 200)))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- CSV and Parquet


def test_every_column_of_a_sample_goes_out_and_instants_in_seconds_too() -> None:
    names = set(columns.COLUMNS)
    assert {name for name in SAMPLE.names or () if not name.startswith("_")} <= names
    assert {f"{name}_s" for name in columns.INSTANTS} <= names
    assert "trial" in names


def test_percentiles_of_the_csv_are_those_of_the_report_to_the_last_digit(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    assert samples_csv.write(path, [recording], WHOLE) == 5000
    rows = rows_of(path)
    summary = summarise(recording)
    for column, figures in (("latency_s", summary.latency_s), ("service_time_s", summary.service_time_s)):
        values = np.sort([float(row[column]) for row in rows if row[column]])
        assert len(values) == summary.answered
        assert {name: quantile(values, q) for name, q in QUANTILES.items()} == {
            name: figures[name] for name in QUANTILES
        }
    by_outcome = {name: sum(row["outcome"] == name for row in rows) for name in summary.errors.by_outcome}
    assert by_outcome == summary.errors.by_outcome


def test_the_csv_has_the_rows_as_they_are(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    samples_csv.write(path, [recording], WHOLE)
    rows = rows_of(path)
    assert list(rows[0]) == list(columns.COLUMNS)
    for name in ("due_ns", "sent_ns", "first_byte_ns", "done_ns", "bytes", "status", "arrival", "attempt"):
        assert [int(row[name]) for row in rows] == recording.samples[name].tolist()
    first = rows[0]
    assert (first["trial"], first["route"], first["kind"]) == ("1.1", "/", "request")
    assert float(first["due_s"]) == (int(first["due_ns"]) - BEGAN_NS) / 1e9
    unsent = next(row for row in rows if row["outcome"] == "not_sent")
    assert (unsent["sent_ns"], unsent["sent_s"], unsent["latency_s"]) == ("0", "", ""), "it never happened"


def test_a_part_takes_its_rows_alone(recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    assert samples_csv.write(path, [recording], Part(from_s=2.0, to_s=3.0)) == 500
    assert all(2.0 <= float(row["due_s"]) < 3.0 for row in rows_of(path))


def test_several_trials_stand_one_after_the_other_in_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(columns, "BLOCK", 7)
    recording = a_recording(some_samples(evenly(10, 2)))
    path = tmp_path / "samples.csv"
    assert samples_csv.write(path, [recording, recording], WHOLE) == 40
    assert [row["due_ns"] for row in rows_of(path)] == 2 * [str(ns) for ns in recording.samples["due_ns"]]


def test_events_of_streamed_answers_follow_the_requests(tmp_path: Path) -> None:
    request = some_samples([1.0], service_s=3.0, lag_s=0.0)
    events = some_samples([1.0, 1.25], service_s=[0.25, 0.5], lag_s=0.0)
    events["kind"] = [FIRST_EVENT, EVENT_GAP]
    plain = a_recording(request)
    recording = Recording(**{name: getattr(plain, name) for name in plain.__slots__} | {"stream_events": events})
    path = tmp_path / "samples.csv"
    samples_csv.write(path, [recording], WHOLE)
    rows = rows_of(path)
    assert [row["kind"] for row in rows] == ["request", "first_event", "event_gap"]
    assert [row["done_s"] for row in rows] == ["4.0", "1.25", "1.75"]
    assert [row["latency_s"] for row in rows] == ["0.25", "", ""], "to its first event, as every report has it"
    assert summarise(recording).latency_s["p50"] == 0.25


def test_parquet_holds_what_the_csv_holds_with_types(recording: Recording, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra prony[parquet] is not installed")
    assert samples_parquet.write(tmp_path / "samples.parquet", [recording], WHOLE) == 5000
    table = parquet.read_table(tmp_path / "samples.parquet")
    assert table.column_names == list(columns.COLUMNS)
    assert str(table.schema.field("due_ns").type) == "int64"
    samples_csv.write(tmp_path / "samples.csv", [recording], WHOLE)
    found: list[dict[str, Any]] = table.to_pylist()
    as_text = [{name: "" if value is None else str(value) for name, value in row.items()} for row in found]
    assert as_text == rows_of(tmp_path / "samples.csv")
    latencies = np.sort([row["latency_s"] for row in found if row["latency_s"] is not None])
    assert quantile(latencies, 0.99) == summarise(recording).latency_s["p99"]


def test_without_pyarrow_the_error_names_the_extra(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MachineError, match="needs pyarrow") as raised:
        samples_parquet.write(tmp_path / "samples.parquet", [recording], WHOLE)
    assert "prony[parquet]" in raised.value.hint
    assert not (tmp_path / "samples.parquet").exists()


# ---- HdrHistogram


@given(st.lists(st.integers(0, 2 * hdrlog.HIGHEST_NS), min_size=1, max_size=300))
def test_the_standard_library_of_histograms_reads_what_was_counted(values: list[int]) -> None:
    histograms = pytest.importorskip("hdrh.histogram", reason="HdrHistogram_py, of the development group, is not there")
    read = histograms.HdrHistogram.decode(hdrlog.encoded(np.array(values)).encode())
    ours = histograms.HdrHistogram(1, max(hdrlog.HIGHEST_NS, *values), 3)
    for value in values:
        ours.record_value(value)
    assert read.get_total_count() == len(values)
    assert bytes(read.encoder.get_counts()) == bytes(ours.encoder.get_counts()), "each value in its place"


def test_the_log_s_percentiles_are_the_report_s_to_three_digits(recording: Recording, tmp_path: Path) -> None:
    logs = pytest.importorskip("hdrh.log", reason="HdrHistogram_py, of the development group, is not there")
    histograms = pytest.importorskip("hdrh.histogram")
    path = tmp_path / "latency.hlog"
    summary = summarise(recording)
    assert hdrlog.write(path, [recording], WHOLE) == summary.answered
    together = histograms.HdrHistogram(1, hdrlog.HIGHEST_NS, 3)
    reader = logs.HistogramLogReader(str(path), together)
    seconds = []
    while (interval := reader.get_next_interval_histogram()) is not None:
        assert interval.get_tag() == "/"
        seconds.append(interval.get_start_time_stamp() / 1000)
        together.add(interval)
    reader.input_file.close()
    assert seconds == list(range(10))
    assert together.get_total_count() == summary.answered
    for name, q in QUANTILES.items():
        rank = math.ceil(q * summary.answered)  # that library rounds a rank, where the report takes the next whole one
        found_ns = together.get_value_at_percentile(100 * rank / summary.answered)
        assert found_ns / 1e9 == pytest.approx(summary.latency_s[name], rel=1e-3)


def test_each_route_has_its_own_line_a_second(tmp_path: Path) -> None:
    samples = some_samples(evenly(10, 3))
    samples["route"] = np.arange(30) % 2
    hdrlog.write(tmp_path / "a.hlog", [a_recording(samples)], Part(to_s=2.0))
    lines = [line for line in (tmp_path / "a.hlog").read_text().splitlines() if line.startswith("Tag=")]
    assert [line.split(",")[:3] for line in lines] == [
        [f"Tag={tag}", f"{second}.000", "1.000"] for second in (0, 1) for tag in ("/", "route%201")
    ]


@pytest.mark.parametrize(
    ("name", "tag"),
    [("/shop/{id}/", "/shop/{id}/"), ("/a,b c", "/a%2Cb%20c"), ("50%", "50%25"), ("ware\nhouse", "ware%0Ahouse")],
)
def test_a_tag_has_no_comma_blank_or_line_break(name: str, tag: str) -> None:
    assert hdrlog.tag_of(name) == tag


def test_a_log_is_of_one_trial(recording: Recording, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unpack"):
        hdrlog.write(tmp_path / "a.hlog", [recording, recording], WHOLE)
