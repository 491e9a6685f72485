"""`prony list` and `prony report` on stored recordings: shown again, sliced, taken elsewhere; no stack."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prony.cli import main
from prony.recording import Store
from prony.stats import quantile
from tests.unit.recording_case import a_load, a_plan, evenly, some_samples

ROOT = Path(__file__).parent.parent.parent


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(list(argv))
        self.code = ended.value.code
        self.out, self.err = capsys.readouterr()
        assert "Traceback" not in self.out + self.err

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Here:
    """A project whose store holds two recordings: the first of two trials, the second of one."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        (folder / "prony.toml").write_text('[app]\nentry = "shop:app"\n', encoding="utf-8")
        store = Store(folder / ".prony" / "prony.db")
        for labels in (("light", "heavy"), ("run",)):
            campaign = store.begin_campaign("run", "gunicorn sync, 3 workers", {"cpus": 2})
            for label in labels:
                record(store, campaign, label)
            store.end_campaign(campaign, "done")
        store.close()

    def __call__(self, *argv: str) -> Said:
        return Said(argv, self._capsys)


def record(store: Store, campaign: int, label: str, *, finished: bool = True) -> None:
    """One trial of 5 000 requests in 10 s, two chunks, the later half of it slower."""
    due_s = evenly(500, 10)
    service_s = np.random.default_rng(5).exponential(np.where(due_s < 5, 0.01, 0.03))
    samples = some_samples(due_s, service_s=service_s)
    writer = store.begin_trial(campaign, a_plan().loaded(rate_rps=500, duration_s=10), label, "run", 1)
    writer.write(samples[:2500])
    if finished:
        writer.write(samples[2500:])
        writer.finish("done", a_load(samples, 10.0))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Here(tmp_path, capsys)


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# ---- list


def test_all_recordings_are_listed_and_one_s_trials(here: Here) -> None:
    said = here("list")
    assert (said.code, said.err) == (0, "")
    assert "10 000" in said.out, "both trials' requests"
    said = here("list", "1")
    assert "1.1" in said.out
    assert "heavy" in said.out
    assert "prony report 1.2" in said.out
    assert [trial["id"] for trial in here("list", "1", "--json").document[0]["trials"]] == ["1.1", "1.2"]
    assert [each["id"] for each in here("list", "--json").document] == [1, 2]


def test_a_recording_that_is_not_there_is_not_listed(here: Here) -> None:
    said = here("list", "7")
    assert (said.code, said.out) == (2, "")
    assert "no recording 7" in said.err


# ---- report


def test_a_recording_is_shown_again_and_so_is_one_of_its_trials(here: Here) -> None:
    assert "Trial 1.2" in here("report", "1").out
    said = here("report", "1.2")
    assert (said.code, said.err) == (0, "")
    assert "Trial 1.2" in said.out
    assert "Trial 1.1" not in said.out
    assert [trial["id"] for trial in here("report", "1.2", "--json").document["trials"]] == ["1.2"]


def test_percentiles_of_the_csv_are_those_that_json_tells(here: Here) -> None:
    said = here("report", "2", "--csv", "samples.csv", "--json")
    assert said.code == 0
    assert f"Written: {here.folder / 'samples.csv'} (5000 rows)" in said.err
    values = np.sort([float(row["latency_s"]) for row in csv_rows(here.folder / "samples.csv")])
    figures = said.document["trials"][0]["latency_s"]
    for name, q in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)):
        assert quantile(values, q) == figures[name]


def test_a_whole_recording_s_trials_go_into_one_file(here: Here) -> None:
    assert here("report", "1", "--csv", "samples.csv").code == 0
    found = [row["trial"] for row in csv_rows(here.folder / "samples.csv")]
    assert found == ["1.1"] * 5000 + ["1.2"] * 5000


def test_html_and_an_hdr_log_are_written_side_by_side(here: Here) -> None:
    said = here("report", "--html", "report.html", "--hdr", "latency.hlog")
    assert (said.code, said.out) == (0, "")
    assert "latency.hlog (5000 latencies)" in said.err
    assert (here.folder / "report.html").stat().st_size > 1000
    assert "Tag=/,9.000,1.000," in (here.folder / "latency.hlog").read_text()


def test_parquet_is_written_where_its_extra_is_there(here: Here) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra prony[parquet] is not installed")
    said = here("report", "2", "--parquet", "samples.parquet", "--json")
    values = np.sort(parquet.read_table(here.folder / "samples.parquet")["latency_s"].to_numpy())
    assert quantile(values, 0.99) == said.document["trials"][0]["latency_s"]["p99"]


def test_without_pyarrow_the_error_names_the_extra(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = here("report", "2", "--parquet", "samples.parquet")
    assert (said.code, said.out) == (3, "")
    assert "--parquet needs pyarrow" in said.err
    assert "pip install 'prony[parquet]'" in said.err


# ---- a part of it


def test_a_slice_has_exact_figures_with_their_number_and_interval(here: Here) -> None:
    found = here("report", "2.1", "--from", "5s", "--to", "10s", "--csv", "late.csv", "--json").document["slices"][0]
    assert (found["requests"], found["answered"], found["from_s"], found["to_s"]) == (2500, 2500, 5.0, 10.0)
    p99 = found["latency_s"]["p99"]
    values = np.sort([float(row["latency_s"]) for row in csv_rows(here.folder / "late.csv")])
    assert len(values) == 2500
    assert quantile(values, 0.99) == p99["value_s"]
    assert p99["low_s"] < p99["value_s"] < p99["high_s"]
    said = here("report", "2.1", "--route", "/", "--from", "5s", "--to", "10s").out
    assert "Trial 2.1, /, due from 5 s to 10 s" in said
    assert "n = 2500" in said
    assert "insufficient: 2500 of 4000" in said, "p99.9"


def test_of_a_recording_of_several_trials_one_is_to_be_named(here: Here) -> None:
    for flags in (("--from", "1s"), ("--route", "/"), ("--hdr", "x.hlog")):
        said = here("report", "1", *flags)
        assert (said.code, said.out) == (2, "")
        assert flags[0] in said.err
        assert "recording 1 has 2" in said.err
        assert "Try: prony report 1.2" in said.err


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (("--route", "/shp"), ["--route: found /shp", "trial 2.1 has /."]),
        (("--from", "5s", "--to", "5s"), ["from 5s to 5s", "10 s"]),
        (("--from", "11s"), ["from 11s", "the 10 s"]),
        (("--from", "five"), ["--from", "found five"]),
        (("--csv", "no/such/folder.csv"), ["no/such/folder.csv", "cannot be written", "--csv"]),
        (("--hdr", "no/such/folder.hlog"), ["cannot be written"]),
    ],
)
def test_a_wrong_part_or_file_is_one_paragraph(here: Here, flags: tuple[str, ...], names: list[str]) -> None:
    said = here("report", "2", *flags)
    assert (said.code, said.out) == (2, "")
    assert all(name in said.err for name in names), said.err


@pytest.mark.parametrize("name", ["0", "1.", "1.0", ".2", "-1", "1.2.3", "first", "9" * 30])
def test_what_is_no_id_is_told_with_what_one_is(here: Here, name: str) -> None:
    said = here("report", "--", name)
    assert (said.code, said.out) == (2, "")
    assert f"found {name}" in said.err
    assert "such as 3" in said.err


def test_a_trial_that_is_not_there_is_refused(here: Here) -> None:
    said = here("report", "1.7")
    assert (said.code, said.out) == (2, "")
    assert "Recording 1 has 2 trials, and no 1.7" in said.err


def test_a_run_that_was_killed_is_exported_up_to_what_it_had_written(here: Here) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from prony.recording import Store\n"
        "from tests.cli.test_report import record\n"
        "store = Store(Path(sys.argv[1]))\n"
        "record(store, store.begin_campaign('run', 'killed', {}), 'run', finished=False)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    store = here.folder / ".prony" / "prony.db"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code, str(store)], env=env, check=False).returncode == -9
    assert here("list", "3", "--json").document[0]["trials"][0]["status"] == "killed"
    said = here("report", "3", "--csv", "half.csv", "--hdr", "half.hlog", "--json")
    assert said.code == 0
    rows = csv_rows(here.folder / "half.csv")
    assert len(rows) == said.document["trials"][0]["requests"] == 2500
    assert here("report", "3.1", "--from", "1s", "--to", "2s", "--json").document["slices"][0]["requests"] == 500
