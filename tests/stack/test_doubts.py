"""Doubts provoked for real: a load on a server while something is wrong with the machine, the generator or the app."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec
import psutil
import pytest

from prony.campaign.bench import Bench, Measured
from prony.document import Document
from prony.doubts import LATENCY
from prony.plan import read_file
from prony.recording import Store
from prony.trial import Calibration, remembered
from prony.trial.calibration import NAME
from tests.stack.test_trial import FAST, SLEEPS, Rig

pytestmark = pytest.mark.alone

RESTS = SLEEPS.replace("0.05", "0.2")
BODY = b"prony" * 400_000
LARGE = """
import gzip
BODY = gzip.compress(b"prony" * 400_000)
def application(environ, start_response):
    length = ("Content-Length", str(len(BODY)))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Encoding", "gzip"), length])
    return [BODY]
"""
# Sixty statements a request: each a step of a record, so that records are long and a ring is soon full.
MANY_STEPS = """
import django
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
django.setup()
from django.db import connection
def application(environ, start_response):
    with connection.cursor() as cursor:
        for _ in range(60):
            cursor.execute("SELECT 1")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"asked"]
"""
# Holds a core for so many seconds of every so many, before all others where it may.
HOG = """
import os, sys, time
core, on_s, off_s = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
os.sched_setaffinity(0, {core})
if off_s and os.geteuid() == 0:
    os.setpriority(os.PRIO_PROCESS, 0, -20)
print("busy", flush=True)
while True:
    until_s = time.monotonic() + on_s
    while time.monotonic() < until_s:
        pass
    time.sleep(off_s)
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("doubted"))
    with found.bench:
        yield found
    found.store.close()


@contextmanager
def busy(core: int, on_s: float = 1.0, off_s: float = 0.0) -> Iterator[None]:
    """A process of somebody else's on this core."""
    with subprocess.Popen(
        [sys.executable, "-c", HOG, str(core), str(on_s), str(off_s)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def names(measured: Measured) -> set[str]:
    return {doubt.name for doubt in measured.doubts}


def voided(measured: Measured) -> dict[str, tuple[str, ...]]:
    return {doubt.name: doubt.voids for doubt in measured.doubts if doubt.voids}


def generators(rig: Rig) -> list[psutil.Process]:
    """The processes that send this bench's load."""
    run = str(rig.bench.stack.run_folder)
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "prony.load.worker" in command and any(run in word for word in command):
                found.append(process)
    return found


def meddling(rig: Rig, what: Callable[[], object], at: float = 0.3) -> None:
    """Once, when so much of the next trial is over."""

    def once() -> None:
        what()

    rig.meddler.what, rig.meddler.at = once, at


def test_a_clean_run_raises_no_void_at_all(rig: Rig) -> None:
    """Repeated where other programs disturbed it; what those raise is not this run's."""
    plan = rig.app("rests", SLEEPS, '[server]\nworker_class = "gthread"\nworkers = 2\nthreads = 40\n')
    found = []
    for _ in range(4):
        measured, _ = rig.measured(plan.loaded(rate_rps=420, duration_s=10.0))
        if not voided(measured):
            return
        found.append([(doubt.name, doubt.text) for doubt in measured.doubts])
    if all({name for name, _ in each} & {"neighbours", "steal", "canary_moved"} for each in found):
        pytest.skip(f"this machine was never calm: {found}")
    pytest.fail(f"on a calm machine: {found}")


def test_an_overload_is_a_result_and_voids_no_more_than_latencies(rig: Rig) -> None:
    plan = rig.app("sleeps", SLEEPS, '[server]\nworkers = 1\n[limits]\np99 = "200ms"\n')
    measured, _ = rig.measured(plan.loaded(rate_rps=60, duration_s=5.0))
    voids = voided(measured)
    assert "backlog_growing" in voids
    assert {figure.partition(".")[0] for voids in voids.values() for figure in voids} <= set(LATENCY)
    assert measured.judgement.held is False
    assert measured.entry.achieved_rps == measured.summary.achieved_rps > 0


def test_few_answers_void_the_quantiles_they_are_too_few_for(rig: Rig) -> None:
    measured, _ = rig.measured(rig.app("fast", FAST, "").loaded(rate_rps=60, duration_s=1.5))
    [doubt] = [each for each in measured.doubts if each.name == "few_samples"]
    assert {"latency_s.p99", "service_time_s.p999"} <= set(doubt.voids)
    assert measured.entry.latency_s["p99"] is None
    assert "no_store" in names(measured)


def test_a_generator_that_is_kept_from_its_core_sent_late(rig: Rig) -> None:
    with busy(rig.bench.stack.cores.generator[0], 0.04, 0.04):
        measured, _ = rig.measured(rig.app("fast", FAST, "").loaded(rate_rps=150, duration_s=4.0))
    assert "late_sends" in names(measured), measured.doubts
    assert set(measured.entry.latency_s.values()) == {None}
    assert measured.entry.achieved_rps is not None


def test_a_generator_that_stands_still_every_now_and_then_sent_unevenly(rig: Rig) -> None:
    """As on a virtual machine that its host takes off the core; of fewer than 4 000 requests it could not be told."""
    stop = threading.Event()

    def stutter() -> None:
        [generator, *_] = generators(rig)
        with suppress(psutil.NoSuchProcess):
            while not stop.is_set():
                generator.suspend()
                stop.wait(0.04)
                generator.resume()
                stop.wait(0.04)

    stuttering = threading.Thread(target=stutter)
    meddling(rig, stuttering.start, 0.1)
    try:
        measured, _ = rig.measured(rig.app("fast", FAST, "").loaded(rate_rps=700, duration_s=7.0))
    finally:
        stop.set()
        stuttering.join()
    assert "uneven_sends" in names(measured), measured.doubts
    assert set(measured.entry.latency_s.values()) == {None}


def test_a_generator_whose_work_fills_its_core_voids_all_of_it(rig: Rig) -> None:
    """It inflates every answer and takes a digest, which costs it many times what the app's sending costs the app."""
    expect = f'expect = {{ status = 200, sha256 = "{sha256(BODY).hexdigest()}" }}\n'
    measured, _ = rig.measured(rig.app("large", LARGE, expect).loaded(users=16, duration_s=3.0))
    assert measured.summary.errors.share == 0
    assert "generator_busy" in names(measured), (measured.doubts, measured.summary.generator)
    assert measured.entry.achieved_rps is None


def test_requests_that_were_due_and_not_sent_void_all(rig: Rig) -> None:
    plan = rig.app("fast", FAST, "[traffic]\nconnections = 8\n")
    measured, _ = rig.measured(plan.loaded(rate_rps=20_000, duration_s=1.0, drain_s=0.1))
    assert "sent_short" in names(measured), measured.doubts
    assert measured.entry.achieved_rps is None


def test_somebody_elses_program_on_the_stacks_core_is_told_and_the_canary_has_moved(rig: Rig) -> None:
    """It begins in mid-trial, and takes the core for a millisecond every time, before all others."""
    core = rig.bench.stack.cores.stack[0]
    with ExitStack() as programs:
        meddling(rig, lambda: programs.enter_context(busy(core, 0.001, 0.0005)))
        measured, _ = rig.measured(rig.app("fast", FAST, "").loaded(rate_rps=20, duration_s=3.0))
    assert {"neighbours", "canary_moved"} <= names(measured), measured.doubts
    assert not {"neighbours", "canary_moved"} & set(voided(measured)), "these are notes"


@pytest.mark.parametrize(
    ("descriptors", "kept", "name"),
    [(10, "false", "generator_exhausted"), (70, "true", "generator_near_exhaustion")],
)
def test_a_generator_short_of_descriptors_says_so(rig: Rig, descriptors: int, kept: str, name: str) -> None:
    def tighten() -> None:
        for process in generators(rig):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))

    meddling(rig, tighten)
    server = '[server]\nworker_class = "gthread"\nworkers = 1\nthreads = 80\n'
    plan = rig.app("rests_longer", RESTS, f"{server}[traffic]\nkeep_alive = {kept}\n")
    measured, _ = rig.measured(plan.loaded(users=62, duration_s=3.0))
    assert name in names(measured), (measured.doubts, measured.summary.errors)


def test_a_rate_near_what_the_generator_could_do_when_it_was_tried_is_noted(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    slow = Calibration(
        machine=remembered.this_machine(), at="2026-01-02", closed_rps=40.0, cpu_s_per_request=0.02, sent=()
    )
    remembered.keep(NAME, slow)
    measured, _ = rig.measured(rig.app("fast", FAST, "").loaded(rate_rps=40, duration_s=1.0))
    assert "generator_near_limit" in names(measured)


def test_a_service_that_answers_late_and_one_that_is_gone_are_doubts_about_their_probe(rig: Rig) -> None:
    plan = rig.app("cached", FAST, "[stores.cache]\nkind = 'valkey'\n")

    def store() -> psutil.Process:
        [group] = [group for tier, group in rig.bench.stack.watched() if tier == "cache"]
        return psutil.Process(group[0].pid)

    def hold_up() -> None:
        process = store()
        process.suspend()
        threading.Timer(1.6, process.resume).start()  # a look each second: one waits 0.6 s or longer, none 2 s

    meddling(rig, hold_up)
    measured, _ = rig.measured(plan.loaded(rate_rps=20, duration_s=4.0))
    late = {doubt.name: doubt.text for doubt in measured.doubts}
    assert "cache" in late["probe_slow"]
    assert {"shared_core", "one_core"} & set(late)
    meddling(rig, lambda: store().send_signal(signal.SIGKILL))
    measured, _ = rig.measured(plan.loaded(rate_rps=20, duration_s=4.0))
    gone = {doubt.name: doubt for doubt in measured.doubts}
    assert "cache" in gone["probe_failed"].text
    assert gone["probe_failed"].kind == "note"


def test_records_that_were_overwritten_before_they_were_read_are_told(rig: Rig) -> None:
    """Prony itself is kept from its work for a while, as it would be on a machine with too much to do."""
    meddling(rig, lambda: sum(range(100_000_000)))  # in C: no other thread of prony's runs meanwhile
    plan = rig.app("many_steps", MANY_STEPS, "[server]\nworkers = 1\n")
    measured, recording = rig.measured(plan.loaded(users=4, duration_s=4.0))
    lost = recording.growth("workers", "records_lost")
    assert lost > 0
    [doubt] = [each for each in measured.doubts if each.name == "gauge_lost"]
    assert doubt.voids == (("gauged",) if lost > 0.01 * measured.summary.requests else ())
    assert (measured.believed.gauged == ()) == bool(doubt.voids)


def test_a_box_larger_than_the_machine_is_told(rig: Rig) -> None:
    measured, _ = rig.measured(rig.app("boxed", FAST, "[box.app]\ncpus = 200\n").loaded(rate_rps=20, duration_s=1.0))
    assert "box_beyond_cores" in names(measured)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_a_machine_with_one_core_is_told(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(FAST, encoding="utf-8")
    toml = f'[app]\nentry = "one:application"\npython = "{sys.executable}"\n[[traffic.request]]\npath = "/"\n'
    (tmp_path / "prony.toml").write_text(toml, encoding="utf-8")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        with closing(Store(tmp_path / "prony.db")) as store, Bench(store, "run", "one core", tmp_path / "b") as bench:
            measured = bench.measure(read_file(tmp_path).loaded(rate_rps=20, duration_s=1.0), "one", "run")
    finally:
        os.sched_setaffinity(0, cores)
    assert "one_core" in names(measured)


def test_a_log_so_long_that_reading_it_costs_more_than_a_fiftieth_of_a_core_is_told(rig: Rig) -> None:
    talks = FAST.replace("def app", "import sys\ndef app").replace(
        "    start", '    sys.stderr.write("nothing of note happened this time\\n" * 8000)\n    start'
    )
    measured, _ = rig.measured(rig.app("talks", talks, "").loaded(rate_rps=12, duration_s=3.0))
    assert "probes_costly" in names(measured), measured.summary.tiers["probes"]


def test_a_box_that_no_cgroup_holds_voids_what_it_would_have_limited(tmp_path: Path) -> None:
    """In a mount namespace in which no cgroup is to be seen."""
    unshare = [str(shutil.which("unshare")), "--mount"]
    if os.geteuid() or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    (tmp_path / "one.py").write_text(FAST, encoding="utf-8")
    toml = f'[app]\nentry = "one:application"\npython = "{sys.executable}"\n[[traffic.request]]\npath = "/"\n'
    (tmp_path / "prony.toml").write_text(f"{toml}[box.app]\ncpus = 0.5\n", encoding="utf-8")
    run = f"{sys.executable} -m prony run --project {tmp_path} --rate 20 --duration 1s --json"
    hidden = f"mount -t tmpfs none /sys/fs/cgroup && exec {run}"
    told = subprocess.run([*unshare, "sh", "-c", hidden], capture_output=True, text=True, timeout=60, check=False)
    document = msgspec.convert(json.loads(told.stdout), Document)
    [doubt] = [each for each in document.doubts if each.name == "box_not_held"]
    assert doubt.kind == "void"
    assert document.trials[0].achieved_rps is None
