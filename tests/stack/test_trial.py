from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

import prony
from prony.campaign.bench import Bench, Measured, Silent
from prony.plan import Plan, read_file
from prony.recording import Recording, Store
from prony.samples import OK
from prony.trial import Progress
from prony.verdict import Verdict, conclude
from tests.stack.tiers_case import until

pytestmark = pytest.mark.alone

PAGE = Path(prony.__file__).parent / "workloads" / "page"
SLEEPS = """
import time
def application(environ, start_response):
    time.sleep(0.05)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"rested"]
"""
BURNS = """
import time
def application(environ, start_response):
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"burnt"]
"""
MISSING = """
def application(environ, start_response):
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"no such page"]
"""
FAST = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
"""
TIERS = {
    ("workers", "in_flight"),
    ("workers", "slots"),
    ("workers", "ended"),
    ("workers", "connects"),
    ("app", "cpu_s"),
    ("app", "memory_bytes"),
    ("connections", "count"),
    ("connections", "limit"),
    ("connections", "usable"),
    ("database", "cpu_s"),
    ("database", "sessions"),
    ("database", "active"),
    ("listen_queue", "length"),
    ("listen_queue", "overflows"),
    ("host", "busy_s"),
    ("host", "cores"),
    ("canary", "stack_s"),
    ("canary", "generator_s"),
    ("generator", "scheduled"),
    ("generator", "done"),
}


class Meddler(Silent):
    """A teller that does something, once, when a trial is so far."""

    def __init__(self) -> None:
        self.at = math.inf
        self.what: Callable[[], None] = lambda: None

    def watch(self, label: str, plan: Plan) -> Callable[[Progress], None]:  # noqa: ARG002 - the protocol's names
        began_ns = 0

        def follow(now: Progress) -> None:
            nonlocal began_ns
            began_ns = began_ns or now.t_ns
            if (now.t_ns - began_ns) / 1e9 >= self.at * plan.traffic.duration_s:
                self.at = math.inf
                self.what()

        return follow


class Rig:
    """A bench that the tests share, each with trials of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "state" / "prony.db")
        self.meddler = Meddler()
        self.bench = Bench(self.store, "run", "tests", folder / "state", self.meddler)

    def page(self, *sets: str) -> Plan:
        folder = self.folder / "page"
        if not folder.exists():
            shutil.copytree(PAGE, folder, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
        return read_file(folder, sets)

    def app(self, name: str, code: str, more: str) -> Plan:
        """A project of one module, without a database."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "one.py").write_text(code, encoding="utf-8")
        head = f'[app]\nentry = "one:application"\npython = "{sys.executable}"\n[[traffic.request]]\npath = "/"\n'
        (folder / "prony.toml").write_text(head + more, encoding="utf-8")
        return read_file(folder)

    def measured(self, plan: Plan) -> tuple[Measured, Recording]:
        found = self.bench.measure(plan, "test", "run")
        return found, self.store.recording(found.id)

    def verdict(self, plan: Plan) -> tuple[Measured, Verdict]:
        """What a trial says; it is repeated, twice at most, where other programs had much of the cores."""
        for _ in range(3):
            found, _ = self.measured(plan)
            if not disturbed(found):
                break
        return found, conclude(found.summary, found.judgement)


def disturbed(measured: Measured) -> bool:
    """Whether others used over a quarter of the stack's cores, or kept the generator from sending in time."""
    host, app = measured.summary.tiers["host"], measured.summary.tiers["app"]
    others = (host["busy_share"] or 0) - (app["cpu_share"] or 0) / (host["cores"] or 1)
    return others > 0.25 or "late_sends" in {doubt.name for doubt in measured.doubts}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("rig"))
    with found.bench:
        yield found
    found.store.close()


def told(measured: Measured, verdict: Verdict) -> str:
    """What a failing test shows."""
    shown = {
        "verdict": verdict,
        "achieved_rps": measured.summary.achieved_rps,
        "latency_s": measured.summary.latency_s,
        "errors": measured.summary.errors,
        "tiers": measured.summary.tiers,
        "judgement": measured.judgement,
        "doubts": [(doubt.name, doubt.text) for doubt in measured.doubts],
    }
    return "\n".join(f"{name}: {value}" for name, value in shown.items())


def test_an_open_trial_sends_what_was_scheduled_and_every_tier_is_read(rig: Rig) -> None:
    measured, recording = rig.measured(rig.page().loaded(rate_rps=25, duration_s=4.0))
    summary, load = measured.summary, recording.load
    assert load is not None
    assert len(recording.samples) == load["scheduled"] == load["sent"] == summary.requests == summary.scheduled
    assert 50 <= summary.requests <= 160
    assert (summary.errors.share, recording.status) == (0.0, "done")
    assert set(np.unique(recording.samples["outcome"])) == {OK}
    rows = recording.samples
    assert (rows["due_ns"] <= rows["sent_ns"]).all()
    assert (rows["sent_ns"] < rows["first_byte_ns"]).all()
    assert (rows["first_byte_ns"] <= rows["done_ns"]).all()
    assert set(recording.readings) >= TIERS, TIERS - set(recording.readings)
    assert not [event for event in recording.events if event.kind in {"probe_failed", "died", "log_error"}]


def test_levels_are_read_often_and_agree_with_the_plan(rig: Rig) -> None:
    _, recording = rig.measured(rig.page("server.workers=2").loaded(users=4, duration_s=3.0))
    assert len(recording.values("workers", "in_flight")) >= 30
    assert set(recording.values("workers", "slots")) == {2.0}
    assert recording.values("workers", "in_flight").max() <= 2
    assert set(recording.values("connections", "limit")) == {20.0}
    assert set(recording.values("connections", "usable")) == {17.0}
    assert recording.values("connections", "count").max() <= 4
    # each request opens a connection of its own: Django without CONN_MAX_AGE
    ended = recording.growth("workers", "ended")
    assert ended >= len(recording.samples) - 4
    assert recording.growth("workers", "connects") == pytest.approx(ended, abs=4)
    assert recording.growth("database", "sessions") == pytest.approx(ended, rel=0.5, abs=40)
    assert recording.growth("app", "cpu_s") > 0.2
    assert recording.values("app", "memory_bytes").min() > 10_000_000


def test_the_plan_is_stored_without_secrets(rig: Rig) -> None:
    measured, recording = rig.measured(rig.page().loaded(users=1, duration_s=0.5))
    assert recording.plan.traffic.users == 1
    assert set(recording.plan.app.env.values()) == {"(redacted)"}
    assert measured.plan.app.env["SECRET_KEY"] == "only-for-the-bench"  # noqa: S105 - the workload's own
    assert b"only-for-the-bench" not in rig.store.path.read_bytes()


def test_a_server_killed_in_mid_trial_is_an_event_and_the_trial_ends(rig: Rig) -> None:
    def kill() -> None:
        start = rig.bench.stack.start
        assert start is not None
        os.kill(start.app.pid, signal.SIGKILL)

    plan = rig.app("fast", FAST, '[server]\nworkers = 2\n[limits]\np99 = "1s"\n')
    rig.meddler.what, rig.meddler.at = kill, 0.4
    measured, recording = rig.measured(plan.loaded(rate_rps=50, duration_s=3.0, drain_s=1.0))
    [died] = [event for event in recording.events if event.kind == "died"]
    assert (died.tier, "killed by SIGKILL" in died.text) == ("app", True)
    assert "[INFO]" in died.text, "its last log lines"
    assert recording.status == "done"
    outcomes = measured.summary.errors.by_outcome
    assert outcomes["ok"] > 20
    assert outcomes.get("refused", 0) > 20
    assert measured.judgement.held is False
    again, _ = rig.measured(plan.loaded(rate_rps=20, duration_s=1.0))
    assert again.summary.errors.share == 0


def test_a_worker_killed_in_mid_trial_comes_back_and_is_told(rig: Rig) -> None:
    def kill() -> None:
        start = rig.bench.stack.start
        assert start is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(start.app.pid).children()[0].kill()

    slow_to_boot = "import time\ntime.sleep(0.6)\n" + FAST
    plan = rig.app("slow_to_boot", slow_to_boot, '[server]\nworkers = 2\n[limits]\np99 = "1s"\n')
    rig.meddler.what, rig.meddler.at = kill, 0.3
    measured, recording = rig.measured(plan.loaded(rate_rps=30, duration_s=4.0))
    assert recording.count("worker_killed", "SIGKILL") >= 1
    assert recording.count("died") == 0
    slots = recording.values("workers", "slots")
    assert (slots.min(), slots[-1]) == (1.0, 2.0)
    assert recording.values("workers", "processes_ended")[-1] == 1
    assert (recording.count("restarted"), recording.count("recycled")) == (1, 0)
    assert measured.summary.happened["restarted"] == 1


def test_workers_that_their_server_recycles_are_counted_as_such(rig: Rig) -> None:
    plan = rig.app("fast", FAST, '[server]\nworkers = 2\nmax_requests = 20\n[limits]\np99 = "5s"\n')
    measured, recording = rig.measured(plan.loaded(rate_rps=40, duration_s=3.0))
    ended = recording.values("workers", "processes_ended")
    assert 3 <= ended[-1] <= len(recording.samples) / 20 + 1
    assert 3 <= recording.count("recycled") <= ended[-1]
    assert recording.count("restarted") == recording.count("died") == 0
    assert "restarted" not in measured.summary.happened


def test_two_sleeping_workers_serve_forty_a_second_and_are_named(rig: Rig) -> None:
    plan = rig.app("sleeps", SLEEPS, '[server]\nworkers = 2\n[limits]\np50 = "100ms"\n')
    measured, verdict = rig.verdict(plan.loaded(users=8, duration_s=5.0))
    assert measured.summary.achieved_rps == pytest.approx(40, rel=0.25), told(measured, verdict)
    assert measured.summary.latency_s["p50"] == pytest.approx(0.2, rel=0.3), told(measured, verdict)
    assert (verdict.tier, verdict.cause) == ("workers", "worker_starvation"), told(measured, verdict)


@pytest.mark.parametrize(
    "server",
    ["workers = 3", 'worker_class = "gthread"\nworkers = 2\nthreads = 4', 'kind = "waitress"\nthreads = 8'],
    ids=["sync", "gthread", "waitress"],
)
def test_an_app_that_burns_cpu_is_named_whatever_serves_it(rig: Rig, server: str) -> None:
    plan = rig.app("burns", BURNS, f'[server]\n{server}\n[limits]\np50 = "50ms"\n')
    measured, verdict = rig.verdict(plan.loaded(users=12, duration_s=4.0))
    assert (verdict.tier, verdict.cause) == ("app", "app_cpu"), told(measured, verdict)
    cores = len(rig.bench.stack.cores.stack)
    assert measured.summary.achieved_rps <= 55 * cores, told(measured, verdict)


def test_an_app_that_answers_404_was_not_tested(rig: Rig) -> None:
    plan = rig.app("missing", MISSING, "")
    measured, verdict = rig.verdict(plan.loaded(rate_rps=30, duration_s=2.0))
    assert (verdict.tier, verdict.cause) == ("app", "wrong_answers"), told(measured, verdict)
    assert set(measured.summary.errors.by_status) == {"404"}
    assert "nothing_valid" in {doubt.name for doubt in measured.doubts}
    assert measured.believed.latency_s["p50"] is None
    assert measured.entry.achieved_rps is None


def test_an_app_under_light_load_is_fine(rig: Rig) -> None:
    plan = rig.app("fast", FAST, '[server]\nworkers = 2\n[limits]\np99 = "1s"\n')
    measured, verdict = rig.verdict(plan.loaded(rate_rps=20, duration_s=3.0))
    assert (verdict.tier, verdict.cause) == ("none", "none"), told(measured, verdict)
    assert measured.judgement.held is True


def test_a_load_goes_through_the_proxy_and_every_tier_is_read_and_named(rig: Rig) -> None:
    tables = "[server]\ninstances = 2\n[proxy]\nkind = 'nginx'\n[stores.cache]\nkind = 'valkey'\n"
    tables += "[workers.idle]\ncommand = 'python -c \"import time; time.sleep(99)\"'\n"
    tables += "[link.app]\nround_trip = '5ms'\n[services.feed]\nenv = 'FEED_URL'\n"
    plan = rig.app("fronted", FAST, tables + '[limits]\np99 = "5s"\n')
    measured, recording = rig.measured(plan.loaded(rate_rps=40, duration_s=3.0))
    assert measured.summary.errors.share == 0
    stack = rig.bench.stack
    assert stack.start is not None
    assert stack.proxy is not None
    assert stack.start.port == stack.proxy.port
    timing, requests = stack.proxy.timing_log, measured.summary.requests
    until(lambda: len(timing.read_text().splitlines()) >= requests, "every request in the proxy's log")
    assert (measured.summary.service_time_s["p50"] or 0) >= 0.005, "by way of the link"
    for tier in ("app", "proxy", "cache", "idle", "outside.feed"):
        assert len(recording.values(tier, "cpu_s")) >= 3, tier
        assert recording.values(tier, "memory_bytes").min() > 1_000_000, tier
    assert recording.growth("proxy", "cpu_s") > 0
    assert len(recording.values("listen_queue", "length")) >= 20
    assert set(recording.values("workers", "slots")) == {2.0}
    versions = {event.tier: event.text for event in recording.events if event.kind == "versions"}
    assert versions["proxy"].startswith("nginx 1.")
    assert versions["cache"].startswith("valkey ")
    assert {"Python", "gunicorn"} <= {word.strip(",") for word in versions["app"].split()}


def test_links_and_services_change_while_a_trial_runs(rig: Rig) -> None:
    asks = FAST.replace("def app", "import os, urllib.request\ndef app").replace(
        '    start_response("200',
        '    urllib.request.urlopen(os.environ["FEED_URL"], timeout=5).read()\n    start_response("200',
    )
    plan = rig.app(
        "asks", asks, '[services.feed]\nenv = "FEED_URL"\nlatency = "1ms"\n[link.feed]\nround_trip = "1ms"\n'
    )

    def worse() -> None:
        rig.bench.stack.change("services.feed", {"latency": 0.3})
        rig.bench.stack.change("link.feed", {"round_trip_s": 0.1})

    rig.meddler.what, rig.meddler.at = worse, 0.5
    _, recording = rig.measured(plan.loaded(users=1, duration_s=4.0))
    rows = recording.samples
    took = (rows["done_ns"] - rows["sent_ns"]) / 1e9
    assert took[:3].min() < 0.3
    assert took[-2:].min() >= 0.5, "the latency, and a round trip for opening and one for the answer"
    _, recording = rig.measured(plan.loaded(users=1, duration_s=1.0))  # a fresh start is as planned again
    assert len(recording.samples) >= 3


def test_a_store_that_dies_in_mid_trial_is_told_with_its_last_lines(rig: Rig) -> None:
    def kill() -> None:
        [store] = [group for tier, group in rig.bench.stack.watched() if tier == "cache"]
        os.kill(store[0].pid, signal.SIGTERM)

    plan = rig.app("cached", FAST, "[stores.cache]\nkind = 'valkey'\n")
    rig.meddler.what, rig.meddler.at = kill, 0.4
    _, recording = rig.measured(plan.loaded(rate_rps=20, duration_s=2.0))
    [died] = [event for event in recording.events if event.kind == "died"]
    assert died.tier == "cache"
    assert "exit code 0" in died.text
    assert "bye bye" in died.text
