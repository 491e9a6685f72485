"""Boxes as the kernel holds to them, where this user can make cgroups; and what holds where not."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Flag
from time import monotonic

import pytest

from prony.probes.box import BoxProbe
from prony.recording import Event, Reading
from prony.stack import folders
from prony.stack.boxes import Boxes
from prony.stack.cgroups import clean, stale
from prony.stack.launch import Launcher

pytestmark = pytest.mark.alone

MB = 1 << 20
SPIN = "print('ready', flush=True)\nwhile True: pass"
# Takes more in steps until it is told no, or killed.
TAKE = """
import sys
held = []
try:
    for n in range(int(sys.argv[1])):
        held.append(bytearray(b"x" * (1 << 20)))
    print("had it all")
except MemoryError:
    print("refused after", n)
"""
# Has a child in a session of its own, which ignores what asks it to end.
FAMILY = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
os.write(1, b"%d\\n" % os.getpid())  # in one piece: two of them write here
while True:
    signal.pause()
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Flag().wait(0.02)


class Ground:
    """Boxes, and what was started in them."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self.started: list[subprocess.Popen[str]] = []

    def start(self, box: str, code: str, *arguments: str, cores: tuple[int, ...] = ()) -> subprocess.Popen[str]:
        argv = [sys.executable, "-S", "-c", code, *arguments]
        enter = lambda: self.boxes.enter(box, cores)  # noqa: E731 - what runs between fork and exec
        child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=enter)  # noqa: PLW1509 - one thread
        self.started.append(child)
        return child

    def end(self) -> None:
        for child in self.started:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        self.boxes.kill_all()
        for child in self.started:
            child.communicate(timeout=20)
        assert self.boxes.remove() == []


@pytest.fixture
def ground() -> Iterator[Ground]:
    found = Ground(Boxes(f"{os.getpid()}-test"))
    if found.boxes.why:
        pytest.skip(found.boxes.why)
    try:
        yield found
    finally:
        found.end()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Ground]:
    """As on a machine where this user can make no cgroup."""
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").touch()
    found = Ground(Boxes("1-bare", tmp_path, tmp_path))
    assert found.boxes.why
    try:
        yield found
    finally:
        found.end()


def readings(items: list[Reading | Event]) -> dict[str, float]:
    return {item.name: item.value for item in items if isinstance(item, Reading)}


def test_a_box_has_its_quota_of_cpu_and_the_probe_sees_it_throttled(ground: Ground) -> None:
    made = ground.boxes.make("app", 0.2, None, 0.02)
    probe = BoxProbe("box", made["paths"])
    probe.read()
    began_s = monotonic()
    for _ in range(2):  # a box is shared by all that is in it
        ground.start("app", SPIN)
    events: list[Event] = []
    found: dict[str, float] = {}

    def throttled_long_enough() -> bool:
        items = probe.read()
        found.update(readings(items))
        events.extend(item for item in items if isinstance(item, Event))
        return found["throttled_periods"] >= 25

    until(throttled_long_enough, "25 throttled periods")
    lasted_s = monotonic() - began_s
    assert found["cpu_quota_cores"] == 0.2
    assert found["cpu_s"] <= 0.2 * lasted_s + 0.05
    assert found["throttled_s"] > 0
    assert [event.kind for event in events] == ["throttled"]
    assert "under a quota of 0.2 cores" in events[0].text


def test_other_limits_hold_for_what_is_running(ground: Ground) -> None:
    paths = ground.boxes.make("app", 0.1, 200 * MB)["paths"]
    probe = BoxProbe("box", paths)
    assert readings(probe.read())["memory_limit_bytes"] == 200 * MB
    assert ground.boxes.change("app", 0.5, 400 * MB) is True
    assert readings(probe.read())["memory_limit_bytes"] == 400 * MB
    ground.boxes.change("app", 0.5, 100 * MB)
    now = readings(probe.read())
    assert (now["cpu_quota_cores"], now["memory_limit_bytes"]) == (0.5, 100 * MB)
    assert ground.boxes.make("app", None, None)["paths"] == paths
    now = readings(probe.read())
    assert "cpu_quota_cores" not in now
    assert "memory_limit_bytes" not in now


def test_memory_past_the_limit_is_a_kill_that_the_probe_tells_of(ground: Ground) -> None:
    probe = BoxProbe("box", ground.boxes.make("app", None, 48 * MB)["paths"])
    assert not any(isinstance(item, Event) for item in probe.read())
    within = ground.start("app", TAKE, "16")
    assert within.communicate(timeout=60)[0] == "had it all\n"
    past = ground.start("app", TAKE, "96")
    past.communicate(timeout=60)
    assert past.returncode == -signal.SIGKILL
    events = [item for item in probe.read() if isinstance(item, Event)]
    assert [(event.kind, event.tier, event.times) for event in events] == [("out_of_memory", "box", 1)]
    assert "at a limit of 48 MB" in events[0].text
    assert not any(isinstance(item, Event) for item in probe.read())


def test_children_are_in_the_box_and_all_of_it_can_be_killed(ground: Ground) -> None:
    ground.boxes.make("app", 1.0, None)
    ground.boxes.make("other", 1.0, None)
    family = ground.start("app", FAMILY)
    assert family.stdout is not None
    pids = sorted(int(family.stdout.readline()) for _ in range(2))
    assert ground.boxes.pids("app") == pids
    assert ground.boxes.pids("other") == []
    assert ground.boxes.kill_all()
    assert ground.boxes.pids("app") == []


def test_what_a_dead_run_left_is_found_and_removed_with_what_runs_in_it() -> None:
    left = Ground(Boxes(f"{os.getpid()}-left"))
    if left.boxes.why:
        pytest.skip(left.boxes.why)
    left.boxes.make("app", 1.0, None)
    idle = left.start("app", FAMILY)
    assert idle.stdout is not None
    idle.stdout.readline()
    for held in left.boxes._held:  # as when its holder ends: the kernel lets go
        os.close(held)
    found = [path for path in stale(os.getuid()) if path.name.endswith("-left")]
    assert found
    assert clean(found) == []
    assert idle.wait(20) == -signal.SIGKILL
    idle.stdout.close()
    assert not any(path.exists() for path in found)


def test_a_living_run_is_not_stale(ground: Ground) -> None:
    made = ground.boxes.make("app", 1.0, None)
    runs = {Path(path).parent for path in made["paths"].values()}
    assert not runs & set(stale(os.getuid()))


def test_the_guard_starts_processes_in_their_box_whatever_user_they_become_and_removes_it() -> None:
    with Launcher(folders.run_folder()) as launcher:
        made = launcher.box("app", 0.5, 256 * MB, 0.1)
        if made["why"]:
            pytest.skip(made["why"])
        runs = [Path(path).parent for path in made["paths"].values()]
        for uid in (None, 65534 if os.getuid() == 0 else None):
            log = launcher.run_folder / f"log-{uid}"
            argv = [sys.executable, "-S", "-c", "print(open('/proc/self/cgroup').read())"]
            if uid is not None:
                argv = [
                    "/bin/cat",
                    "/proc/self/cgroup",
                ]  # any user may run it: our interpreter may lie in a closed folder
            process = launcher.boxed("app").spawn("boxed", argv, env={}, cwd=Path("/"), log=log, uid=uid)
            assert launcher.wait(process, 20)
            held = [line for line in process.last_lines(40) if line.endswith("/box-app")]
            assert len(held) >= len(runs)
        assert all(run.exists() for run in runs)
    assert not any(run.exists() for run in runs)


def test_without_cgroups_a_box_is_so_many_cores_and_an_address_space_a_process(bare: Ground) -> None:
    made = bare.boxes.make("app", 0.5, 200 * MB)
    assert (made["how"], made["paths"]) == ("affinity and rlimit", {})
    cores = tuple(sorted(os.sched_getaffinity(0)))
    show = "import os, resource; print(len(os.sched_getaffinity(0)), resource.getrlimit(resource.RLIMIT_AS)[0])"
    assert bare.start("app", show).communicate(timeout=20)[0] == f"1 {200 * MB}\n"
    assert bare.start("app", TAKE, "400").communicate(timeout=60)[0].startswith("refused after")
    bare.boxes.make("second", 1.0, None)
    told = [bare.start(name, "import os; print(os.sched_getaffinity(0))", cores=cores) for name in ("app", "second")]
    first, second = (child.communicate(timeout=20)[0] for child in told)
    assert (first != second) is (len(cores) > 1)  # boxes do not pile up on the first core
    bare.boxes.make("all", float(len(cores) + 5), None)
    assert bare.start("all", show).communicate(timeout=20)[0].split()[0] == str(len(cores))
