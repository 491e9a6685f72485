from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import psutil
import pytest

from prony.errors import MachineError, StackError
from prony.stack import launch, strays
from prony.stack.launch import Launcher, Process

ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
# A daemon that has left its parent, its group and its session; it ignores what asks it politely to end.
DAEMON = """
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    signal.pause()
"""
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True:
    signal.pause()
"""
SERVE = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    server.accept()
"""
IDLE = "import signal; print('ready', flush=True); signal.pause()"
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5).close()
    print("reached")
except OSError as error:
    print(error.strerror or error)
"""
# What holds a Launcher and is then killed: it prints the pids, and waits for its end.
HOLDER = f"""
import json, signal, sys, threading
from pathlib import Path
from prony.stack.launch import Launcher
folder = Path(sys.argv[1])
env = {ENV!r}
launcher = Launcher(folder / "run")
idle = launcher.spawn("idle", [sys.executable, "-c", {IDLE!r}], env=env, cwd=folder, log=folder / "idle")
stubborn = launcher.spawn(
    "stubborn", [sys.executable, "-c", {STUBBORN!r}], env=env, cwd=folder, log=folder / "stubborn",
    stop_signal=signal.SIGTERM,
)
launcher.spawn("daemon", [sys.executable, "-c", {DAEMON!r}, str(folder / "daemon")], env=env, cwd=folder,
    log=folder / "daemon.log")
wanted = [folder / "daemon", folder / "idle", folder / "stubborn"]
launcher.wait_until(lambda: all(path.exists() and path.stat().st_size for path in wanted), 30)
pids = [launcher._guard.pid, idle.pid, stubborn.pid, int((folder / "daemon").read_text())]
print(json.dumps(pids), flush=True)
threading.Event().wait()
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def found(pids: list[int]) -> list[psutil.Process]:
    """The processes behind pids, remembered with their time of birth."""
    return [psutil.Process(pid) for pid in pids]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of them that have not ended; a zombie has, whoever is to reap it."""
    left = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
        except psutil.NoSuchProcess:
            continue
    return left


class Run:
    """A Launcher with a folder for what its processes print."""

    def __init__(self, folder: Path, launcher: Launcher) -> None:
        self.folder = folder
        self.launcher = launcher
        self._count = 0

    def python(self, code: str, *arguments: str) -> Process:
        self._count += 1
        argv = [sys.executable, "-c", code, *arguments]
        log = self.folder / f"log-{self._count}"
        return self.launcher.spawn(f"script {self._count}", argv, env=ENV, cwd=self.folder, log=log)

    def printed(self, code: str, *arguments: str) -> str:
        process = self.python(code, *arguments)
        assert self.launcher.wait(process, 20)
        return process.log.read_text().strip()

    def daemon(self) -> psutil.Process:
        self.python(DAEMON, str(self.folder / "daemon"))
        until((self.folder / "daemon").exists, "the daemon's pid")
        return psutil.Process(int((self.folder / "daemon").read_text()))


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Launcher(tmp_path / "run") as launcher:
        yield Run(tmp_path, launcher)


@pytest.fixture
def contained(run: Run) -> Run:
    if not run.launcher.namespace:
        pytest.skip(run.launcher.why_no_namespace)
    return run


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_the_exit_code_of_a_process_is_told(run: Run, code: str, expected: int) -> None:
    process = run.python(code)
    assert run.launcher.wait(process, 20)
    assert (process.code, process.alive) == (expected, False)


def test_a_process_gets_its_environment_and_folder_and_nothing_else(run: Run) -> None:
    text = run.printed("import json, os; print(json.dumps([dict(os.environ), os.getcwd()]))")
    assert json.loads(text) == [ENV | {"PRONY_RUN": str(run.launcher.run_folder)}, str(run.folder)]


def test_output_is_kept_in_the_log_and_its_last_lines_are_at_hand(run: Run) -> None:
    process = run.python("import sys; print('first'); print(); print('second', flush=True); sys.exit('third')")
    assert run.launcher.wait(process, 20)
    assert process.last_lines() == ("first", "second", "third")
    assert process.last_lines(1) == ("third",)
    assert process.log == run.folder / "log-1"


def test_standard_output_may_go_elsewhere(run: Run) -> None:
    argv = [sys.executable, "-c", "import sys; print('out', flush=True); sys.exit('err')"]
    log, out = run.folder / "err", run.folder / "out"
    process = run.launcher.spawn("two files", argv, env=ENV, cwd=run.folder, log=log, stdout=out)
    assert run.launcher.wait(process, 20)
    assert (out.read_text(), log.read_text()) == ("out\n", "err\n")


def test_every_one_of_many_short_processes_is_reaped_with_its_own_code(run: Run) -> None:
    started = [
        run.launcher.spawn(
            f"short {n}", ["/bin/sh", "-c", f"exit {n}"], env=ENV, cwd=run.folder, log=run.folder / "short"
        )
        for n in range(100)
    ]
    assert run.launcher.wait_until(lambda: not any(process.alive for process in started), 20)
    assert [process.code for process in started] == list(range(100))


def test_a_process_runs_on_the_cores_it_is_given(run: Run) -> None:
    core = max(os.sched_getaffinity(0))
    argv = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]
    process = run.launcher.spawn("bound", argv, env=ENV, cwd=run.folder, log=run.folder / "log", cores=(core,))
    assert run.launcher.wait(process, 20)
    assert process.last_lines() == (f"[{core}]",)


def test_a_missing_program_is_a_lack_of_the_machine_with_a_hint(run: Run) -> None:
    with pytest.raises(MachineError) as caught:
        run.launcher.spawn("the server", ["/nowhere/server"], env=ENV, cwd=run.folder, log=run.folder / "log")
    assert "the server cannot be started" in caught.value.message
    assert "/nowhere/server" in caught.value.hint
    assert run.printed("print('still serving')") == "still serving"


def test_wait_gives_up_in_time_and_a_signal_ends_it(run: Run) -> None:
    process = run.python(IDLE)
    assert not run.launcher.wait(process, 0.1)
    run.launcher.signal(process, signal.SIGKILL)
    assert run.launcher.wait(process, 20)
    assert process.code == -signal.SIGKILL


def test_nothing_outside_can_be_reached(contained: Run) -> None:
    assert contained.printed(CONNECT, "192.0.2.1", "80") == "Network is unreachable"


def test_what_listens_on_this_machine_is_outside_too(contained: Run, listener: socket.socket) -> None:
    assert contained.printed(CONNECT, "127.0.0.1", str(listener.getsockname()[1])) == "Connection refused"


def test_processes_of_the_stack_reach_each_other(contained: Run) -> None:
    port = contained.launcher.free_port()
    server = contained.python(SERVE, str(port))
    until(lambda: bool(server.last_lines()), "the listener")
    assert contained.printed(CONNECT, "127.0.0.1", str(port)) == "reached"
    contained.launcher.connect(port, 5).close()


def test_the_namespace_holds_a_loopback_and_nothing_else(contained: Run) -> None:
    assert contained.printed("import socket; print([name for _, name in socket.if_nameindex()])") == "['lo']"


def test_a_socket_of_the_launcher_lives_inside(contained: Run) -> None:
    with contained.launcher.socket() as inside:
        inside.bind(("127.0.0.1", 0))
        inside.listen()
        port = inside.getsockname()[1]
        with socket.socket() as outside:
            assert outside.connect_ex(("127.0.0.1", port)) != 0
        assert contained.printed(CONNECT, "127.0.0.1", str(port)) == "reached"


def test_it_works_without_a_namespace(tmp_path: Path, listener: socket.socket) -> None:
    with Launcher(tmp_path / "run", namespace=False) as launcher:
        assert (launcher.namespace, launcher.why_no_namespace) == (False, "not asked for")
        run = Run(tmp_path, launcher)
        assert run.printed(CONNECT, "127.0.0.1", str(listener.getsockname()[1])) == "reached"
        daemon = run.daemon()
    assert living([daemon]) == []


def test_closing_ends_all_of_it_and_removes_the_folder(run: Run) -> None:
    (run.folder / "run" / "file").touch()
    daemon = run.daemon()
    stubborn = run.python(STUBBORN)
    until(lambda: bool(stubborn.last_lines()), "the stubborn one")
    started = [daemon, *found([stubborn.pid, run.launcher._guard.pid])]
    assert living(started) == started
    run.launcher.close()
    assert living(started) == []
    assert not (run.folder / "run").exists()
    assert list(run.folder.glob("run*")) == []


def test_a_killed_group_loses_also_those_whose_leader_has_gone(run: Run) -> None:
    leader = run.python("import os, signal\npid = os.fork()\nif pid == 0: signal.pause()\nprint(pid, flush=True)")
    assert run.launcher.wait(leader, 20)
    [left] = found([int(leader.last_lines()[0])])
    assert living([left]) == [left]
    run.launcher.kill_group(leader)
    until(lambda: not living([left]), "the forked one's end")
    run.launcher.kill_group(leader)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_whatever_kills_prony_nothing_is_left_after_two_seconds(tmp_path: Path, number: signal.Signals) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        pids = json.loads(holder.stdout.readline())
        started = found(pids)
        assert len(living(started)) == 4
        holder.send_signal(number)
    until(lambda: not living(started) and not (tmp_path / "run").exists(), "the end of all", 2)


def test_when_the_guard_is_killed_all_of_it_goes_and_prony_says_so(run: Run) -> None:
    child, daemon = run.python(IDLE), run.daemon()
    started = [*found([child.pid]), daemon]
    assert living(started) == started
    os.kill(run.launcher._guard.pid, signal.SIGKILL)
    assert run.launcher.wait(child, 20)
    until(lambda: not living(started), "the end of child and daemon", 2)
    with pytest.raises(StackError, match="guard process"):
        run.python(IDLE)
    run.launcher.close()
    assert strays.find(run.launcher.run_folder) == []


def test_prony_closing_ends_what_a_killed_guard_left(run: Run) -> None:
    daemon = run.daemon()
    os.kill(run.launcher._guard.pid, signal.SIGKILL)
    run.launcher.close()
    assert living([daemon]) == []
    assert strays.find(run.launcher.run_folder) == []


def test_a_guard_that_cannot_listen_to_prony_any_more_is_killed_and_its_processes_with_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "END_S", 0.2)
    child, daemon = run.python(IDLE), run.daemon()
    started = [*found([child.pid]), daemon]
    os.kill(run.launcher._guard.pid, signal.SIGSTOP)
    run.launcher.close()
    assert living(started) == []
    assert not run.launcher.run_folder.exists()


@pytest.mark.parametrize(("script", "scoped"), [('echo "$0" >> "$1"; shift; exec "$@"', True), ("exit 1", False)])
def test_a_guard_is_started_by_what_hands_it_a_cgroup_and_without_where_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, *, scoped: bool
) -> None:
    """Stands in for systemd-run, which replaces itself by the program as this does."""
    said = tmp_path / "said"
    monkeypatch.setattr(launch, "scope_prefix", lambda: ["/bin/sh", "-c", script, "scope", str(said)])
    with Launcher(tmp_path / "run") as launcher:
        assert Run(tmp_path, launcher).printed("print('served')") == "served"
        assert said.exists() is scoped
    assert not (tmp_path / "run").exists()


def test_what_it_starts_heeds_ctrl_c(run: Run) -> None:
    process = run.python("import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)")
    assert run.launcher.wait(process, 20)
    assert process.last_lines() == ("False",)
