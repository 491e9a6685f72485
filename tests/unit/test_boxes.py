"""Boxes against trees of plain files: what is decided and written. Version 2 of cgroups is tried only here."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prony.knobs.sizes import SHARES, SIZES, size
from prony.knobs.values import NotAllowedError
from prony.probes.box import BoxProbe
from prony.recording import Event
from prony.stack import folders
from prony.stack.boxes import Boxes, scope_prefix
from prony.stack.cgroups import stale

V1 = {
    "cpu": ("cgroup.procs", "cpu.cfs_quota_us", "cpu.cfs_period_us"),
    "memory": ("cgroup.procs", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
}
V2 = ("cgroup.procs", "cgroup.subtree_control", "cpu.max", "memory.max", "memory.swap.max", "memory.oom.group")
RUN = "run-4711-abcd"
UID = os.getuid()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Path], tuple[str, ...]]], None]:
    """Files appear in each new folder, as in a cgroup."""

    def populate(files: Callable[[Path], tuple[str, ...]]) -> None:
        mkdir = Path.mkdir

        def made(self: Path, *args: object, **kwargs: object) -> None:
            mkdir(self, *args, **kwargs)  # type: ignore[arg-type] # handed on as they are
            for name in files(self) if self.is_relative_to(tmp_path) else ():
                (self / name).touch()

        monkeypatch.setattr(Path, "mkdir", made)

    return populate


def v1(folder: Path, path: str = "/work") -> tuple[Path, Path]:
    """A tree of version 1 in which this process is in `path`, as far as that is there."""
    for kind, names in V1.items():
        (folder / "cg" / kind / "work").mkdir(parents=True)
        for name in names:
            (folder / "cg" / kind / "work" / name).touch()
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(f"4:memory:{path}\n1:cpu:{path}\n0::/\n")
    return folder / "cg", folder / "proc"


def v2(
    folder: Path, own: str = "user.slice/run.scope", *, pids: str = "", handed_down: bool = False
) -> tuple[Path, Path]:
    """A tree of version 2 in which this process is in `own`, with `pids`; user.slice may hand controllers down."""
    cg = folder / "cg"
    (cg / own).mkdir(parents=True)
    for place in (cg, cg / "user.slice", cg / own):
        place.mkdir(exist_ok=True)
        for name in V2:
            (place / name).touch()
        (place / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        if place != cg:
            (place / "cgroup.type").write_text("domain\n")
            (place / "cpu.max").write_text("max 100000\n")
            (place / "memory.max").write_text("max\n")
    if handed_down:
        (cg / "user.slice" / "cgroup.subtree_control").write_text("cpu memory pids\n")
    (cg / own / "cgroup.procs").write_text(pids)
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(f"0::/{own}\n")
    return cg, folder / "proc"


def text(path: Path) -> str:
    return path.read_text().strip()


def test_version_1_gets_quota_period_and_memory_with_swap_below_its_own_cgroup(
    tmp_path: Path, kernel: Callable[..., None]
) -> None:
    root, proc = v1(tmp_path)
    kernel(lambda path: V1.get(path.relative_to(root).parts[0], ()))
    made = Boxes(RUN, root, proc).make("app", 0.5, 64 << 20, 0.02)
    cpu, memory = (root / kind / "work" / f"prony-{UID}-4711-abcd" / "box-app" for kind in ("cpu", "memory"))
    assert made == {"how": "cgroup v1", "why": "", "paths": {"cpu": str(cpu), "memory": str(memory)}}
    assert (text(cpu / "cpu.cfs_quota_us"), text(cpu / "cpu.cfs_period_us")) == ("10000", "20000")
    assert text(memory / "memory.limit_in_bytes") == text(memory / "memory.memsw.limit_in_bytes") == str(64 << 20)


@pytest.mark.parametrize(
    ("cpus", "period_s", "written"),
    [
        (None, 0.1, ("-1", "100000")),
        (2.0, 0.1, ("200000", "100000")),
        (0.0625, 0.08, ("5000", "80000")),
        (0.05, 0.01, ("1000", "20000")),  # below a millisecond the kernel takes none: the share is kept
        (1.0, 5.0, ("1000000", "1000000")),
    ],
)
def test_a_quota_is_one_that_the_kernel_takes(
    tmp_path: Path, kernel: Callable[..., None], cpus: float | None, period_s: float, written: tuple[str, str]
) -> None:
    root, proc = v1(tmp_path)
    kernel(lambda path: V1.get(path.relative_to(root).parts[0], ()))
    cpu = Path(Boxes(RUN, root, proc).make("app", cpus, None, period_s)["paths"]["cpu"])
    assert (text(cpu / "cpu.cfs_quota_us"), text(cpu / "cpu.cfs_period_us")) == written


def test_in_a_container_what_is_mounted_is_its_own_cgroup(tmp_path: Path, kernel: Callable[..., None]) -> None:
    root, proc = v1(tmp_path, path="/docker/0123")
    kernel(lambda path: V1.get(path.relative_to(root).parts[0], ()))
    made = Boxes(RUN, root, proc).make("app", 1.0, None)
    assert made["paths"]["cpu"] == str(root / "cpu" / f"prony-{UID}-4711-abcd" / "box-app")


def test_without_cgroups_it_says_why_and_what_holds_instead(tmp_path: Path) -> None:
    root, proc = v1(tmp_path)
    (root / "memory").rename(root / "elsewhere")
    boxes = Boxes(RUN, root, proc)
    made = boxes.make("app", 1.0, 64 << 20)
    assert made == {"how": "affinity and rlimit", "why": "the memory controller is not mounted", "paths": {}}
    assert boxes.change("app", 2.0, None) is False
    assert boxes.pids("app") == []
    assert boxes.kill_all()
    assert boxes.remove() == []


def test_version_2_alone_in_a_delegated_scope_moves_out_of_the_way_of_its_boxes(
    tmp_path: Path, kernel: Callable[..., None]
) -> None:
    root, proc = v2(tmp_path, pids=f"{os.getpid()}\n")
    kernel(lambda _: V2)
    made = Boxes(RUN, root, proc).make("app", 0.25, 128 << 20)
    scope = root / "user.slice" / "run.scope"
    run = scope / f"prony-{UID}-4711-abcd"
    assert made == {"how": "cgroup v2", "why": "", "paths": {"cgroup": str(run / "box-app")}}
    assert text(run / "guard" / "cgroup.procs") == "0"
    assert text(scope / "cgroup.subtree_control") == text(run / "cgroup.subtree_control") == "+cpu +memory"
    limits = [text(run / "box-app" / name) for name in V2[2:]]
    assert limits == ["25000 100000", str(128 << 20), "0", "0"]


def test_version_2_beside_others_goes_below_what_hands_cpu_and_memory_down(
    tmp_path: Path, kernel: Callable[..., None]
) -> None:
    root, proc = v2(tmp_path, pids=f"{os.getpid()}\n1\n", handed_down=True)
    kernel(lambda _: V2)
    made = Boxes(RUN, root, proc).make("app", None, None)
    box = root / "user.slice" / f"prony-{UID}-4711-abcd" / "box-app"
    assert made["paths"] == {"cgroup": str(box)}
    assert (text(box / "cpu.max"), text(box / "memory.max")) == ("max 100000", "max")
    assert not (box.parent / "guard").exists()
    assert text(root / "user.slice" / "cgroup.subtree_control") == "cpu memory pids"  # untouched


def test_a_limit_of_one_s_own_is_never_climbed_out_of(tmp_path: Path) -> None:
    root, proc = v2(tmp_path, pids=f"{os.getpid()}\n1\n", handed_down=True)
    (root / "user.slice" / "run.scope" / "memory.max").write_text("536870912\n")
    made = Boxes(RUN, root, proc).make("app", 1.0, None)
    assert made["how"] == "affinity and rlimit"
    assert "holds other processes too" in made["why"]


def test_a_box_may_not_be_named_like_a_path(tmp_path: Path) -> None:
    root, proc = v1(tmp_path)
    for name in ("", "..", "a/b", ".hidden", "a b"):
        with pytest.raises(ValueError, match="a box is named"):
            Boxes(RUN, root, proc).make(name, 1.0, None)


def test_a_run_without_boxes_is_gathered_where_that_limits_nothing(
    tmp_path: Path, kernel: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, proc = v1(tmp_path)
    for place in ("unified", "pids"):
        (root / place).mkdir()
        (root / place / "cgroup.procs").touch()
    (proc / "self" / "cgroup").write_text("5:pids:/\n4:memory:/work\n1:cpu:/work\n0::/elsewhere\n")
    kernel(lambda _: ("cgroup.procs",))
    boxes = Boxes(RUN, root, proc)
    boxes.gather()
    run = root / "unified" / f"prony-{UID}-4711-abcd"
    assert text(run / "guard" / "cgroup.procs") == "0"
    assert stale(UID, root) == []

    def removed(self: Path) -> None:  # files of a cgroup go with it
        shutil.rmtree(self)

    monkeypatch.setattr(Path, "rmdir", removed)
    assert boxes.remove() == []
    assert text(root / "unified" / "cgroup.procs") == "0"
    assert not run.exists()
    (root / "unified").rename(tmp_path / "unified")
    Boxes(RUN, root, proc).gather()
    assert (root / "pids" / f"prony-{UID}-4711-abcd" / "guard").is_dir()


def test_in_a_delegated_scope_boxes_stand_beside_what_was_gathered(tmp_path: Path, kernel: Callable[..., None]) -> None:
    root, proc = v2(tmp_path, pids=f"{os.getpid()}\n")
    kernel(lambda _: V2)
    boxes = Boxes(RUN, root, proc)
    boxes.gather()
    scope = root / "user.slice" / "run.scope"
    run = scope / f"prony-{UID}-4711-abcd"
    assert text(run / "guard" / "cgroup.procs") == "0"
    assert text(scope / "cgroup.subtree_control") == ""  # nothing is handed down before a box is asked for
    assert boxes.make("app", 0.25, None)["paths"] == {"cgroup": str(run / "box-app")}
    assert text(scope / "cgroup.subtree_control") == text(run / "cgroup.subtree_control") == "+cpu +memory"


def test_where_no_cgroup_can_be_made_a_run_goes_without(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "cgroup").write_text("0::/\n")
    boxes = Boxes(RUN, tmp_path, tmp_path)
    boxes.gather()
    assert boxes.remove() == []


def test_only_cgroups_of_that_user_that_nobody_holds_are_stale(tmp_path: Path) -> None:
    names = ("prony-7-11-aa", "prony-7-22-bb", "prony-8-33-cc", "other-7-11", "prony-77-11-aa")
    for name in names:
        (tmp_path / "cg" / "memory" / "deep" / name / "box-app").mkdir(parents=True)
    held = folders.take(tmp_path / "cg" / "memory" / "deep" / "prony-7-22-bb")
    assert stale(7, tmp_path / "cg") == [tmp_path / "cg" / "memory" / "deep" / "prony-7-11-aa"]
    os.close(held)
    assert [path.name for path in stale(7, tmp_path / "cg")] == ["prony-7-11-aa", "prony-7-22-bb"]


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Stands in for a systemd, which this has not been run under."""

    def pretend(state: str, controllers: str) -> Path:
        programs = tmp_path / "bin"
        programs.mkdir()
        for name, script in (("systemctl", f"echo {state}"), ("systemd-run", "exit 1")):
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        service = tmp_path / "cg" / "user.slice" / "user-1000.slice" / "user@1000.service"
        service.mkdir(parents=True)
        (service / "cgroup.controllers").write_text(controllers)
        monkeypatch.setenv("PATH", str(programs))
        monkeypatch.setattr(os, "getuid", lambda: 1000)
        return tmp_path / "cg"

    return pretend


@pytest.mark.parametrize(
    ("state", "controllers", "serves"),
    [
        ("running", "cpu memory pids", True),
        ("degraded", "cpu memory pids", True),
        ("running", "memory pids", False),  # as on distributions that do not delegate cpu
        ("offline", "cpu memory pids", False),
    ],
)
def test_systemd_is_asked_for_a_scope_where_it_can_give_one(
    systemd: Callable[[str, str], Path], state: str, controllers: str, *, serves: bool
) -> None:
    prefix = scope_prefix(systemd(state, controllers))
    assert bool(prefix) is serves
    if serves:
        assert prefix[0].endswith("/systemd-run")
        assert prefix[1:3] == ["--user", "--scope"]
        assert "Delegate=yes" in prefix
        assert prefix[-1] == "--"


def test_root_and_machines_without_systemd_need_no_scope(
    systemd: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = systemd("running", "cpu memory")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert scope_prefix(root) == []
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(root))
    assert scope_prefix(root) == []


def test_the_probe_reads_version_2_and_tells_of_throttling_once_and_of_every_kill(tmp_path: Path) -> None:
    def now(periods: int, throttled: int, kills: int) -> None:
        stat = (
            f"usage_usec 2500000\nnr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {throttled * 50_000}\n"
        )
        (tmp_path / "cpu.stat").write_text(stat)
        (tmp_path / "memory.events").write_text(f"low 0\nmax {kills * 3}\noom_kill {kills}\n")

    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text("67108864\n")
    (tmp_path / "memory.current").write_text("33554432\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 1048576\n")
    (tmp_path / "io.pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n")
    probe = BoxProbe("box app", {"cgroup": str(tmp_path)})
    now(10, 2, 1)
    first = {item.name: item.value for item in probe.read() if not isinstance(item, Event)}
    assert first["cpu_s"] == 2.5
    assert first["cpu_quota_cores"] == 0.5
    assert first["throttled_s"] == 0.1
    assert first["io_pressure_s"] == 1.5
    assert (first["memory_bytes"], first["memory_limit_bytes"]) == (33554432 - 1048576, 67108864)
    events = []
    for periods, throttled, kills in ((20, 2, 1), (30, 6, 1), (40, 9, 3)):
        now(periods, throttled, kills)
        events += [item for item in probe.read() if isinstance(item, Event)]
    assert [(event.kind, event.times) for event in events] == [("throttled", 1), ("out_of_memory", 2)]
    assert events[0].text == "in 4 of 10 periods, for 0.2 s in all, under a quota of 0.5 cores"
    assert "limit of 64 MB, which was hit 6 times" in events[1].text


def test_the_probe_leaves_out_limits_that_are_not_set_and_reads_nothing_of_no_cgroup(tmp_path: Path) -> None:
    for name, value in (("cpu.max", "max 100000"), ("memory.max", "max"), ("memory.current", "1"), ("cpu.stat", "")):
        (tmp_path / name).write_text(value)
    for name in ("memory.stat", "memory.events"):
        (tmp_path / name).touch()
    names = {item.name for item in BoxProbe("app", {"cgroup": tmp_path}).read() if not isinstance(item, Event)}
    assert "cpu_quota_cores" not in names
    assert "memory_limit_bytes" not in names
    assert "cpu_s" in names
    assert BoxProbe("app", {}).read() == []


def test_every_size_can_be_made_a_box_of_and_says_where_it_is_from() -> None:
    assert len(SIZES) > 30
    for name, found in SIZES.items():
        assert found.name == name
        assert 0 < found.cpus <= 64, name
        assert 128 <= found.memory_mb <= 65536, name
        assert 1 <= found.period_ms <= 1000, name
        assert found.share in SHARES, name
        assert found.source, name
        assert found.checked or not found.date, f"{name}: a date of a page that was not read"
        if found.share == "burstable" or (name.startswith("dyno") and found.checked):
            assert found.note, f"{name}: how was its CPU derived?"
        assert (found.max_connections is None) or found.database, name


def test_the_sizes_that_the_docs_promise_are_there() -> None:
    assert (SIZES["droplet-512mb"].memory_bytes, SIZES["droplet-512mb"].cpus) == (512 << 20, 1.0)
    assert SIZES["dyno-basic"].period_s == 0.1
    assert SIZES["fly-shared-1x-256mb"].period_s == 0.08
    assert SIZES["heroku-postgres-essential-0"].max_connections == 20


def test_an_unknown_size_names_the_nearest() -> None:
    with pytest.raises(NotAllowedError, match=r"droplet-512mb or .*the nearest names; or cpus and memory"):
        size("droplet-512")
    with pytest.raises(NotAllowedError, match="one of droplet-512mb, "):
        size("§§")
    assert size("dyno-eco").name == "dyno-eco"
