from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import psutil
import pytest

import prony
from prony.campaign.bench import Bench, Measured
from prony.errors import MachineError, PlanError, StackError
from prony.plan import Plan, read_file
from prony.probes.gauge import GaugeReader
from prony.recording import Store
from prony.stack.environment import INHERITED
from prony.stack.stack import Stack, Start

PAGE = Path(prony.__file__).parent / "workloads" / "page"
APPS = Path(__file__).parent.parent / "apps"
SERVERS = {
    "sync": ("server.workers=2",),
    "gthread": ("server.worker_class=gthread", "server.workers=2", "server.threads=3"),
    "gevent": ("server.worker_class=gevent", "server.workers=2", "server.worker_connections=7"),
    "waitress": ("server.kind=waitress", "server.threads=5"),
}
PLANNED = {"sync": (2, 1), "gthread": (2, 3), "gevent": (2, 7), "waitress": (1, 5)}  # processes, slots of each
# Opens connections as the app would, until it is refused; then tries a wrong password.
CLIENT = """
import os, psycopg
url, held = os.environ["DATABASE_URL"], []
try:
    while len(held) < 200:
        held.append(psycopg.connect(url))
except psycopg.OperationalError as error:
    print(len(held), "then", "remaining connection slots are reserved" in str(error))
for connection in held:
    connection.close()
user, _, rest = url.partition("app:")
try:
    psycopg.connect(user + "app:wrong@" + rest.partition("@")[2]).close()
except psycopg.OperationalError as error:
    print("password authentication failed" in str(error))
"""
ADD = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
    connection.execute("INSERT INTO pages_page (text) VALUES ('written between two boots')")
"""
TELL_ENVIRONMENT = """
import json, os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(dict(os.environ)).encode()]
"""
# Goes round the audit hook: another interpreter, that knows nothing of it.
BYPASS = """
import subprocess, sys
CODE = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=3)"
def application(environ, start_response):
    done = subprocess.run([sys.executable, "-I", "-S", "-c", CODE], capture_output=True, env={})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [done.stderr or b"reached"]
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def files(folder: Path) -> set[str]:
    """Every file below a folder but the store's."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if ".prony" not in p.relative_to(folder).parts}


def below(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


def get(stack: Stack, start: Start) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", start.port, timeout=20)
    connection.sock = stack.launcher.connect(start.port, 20)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def project(folder: Path, app: str, *, more: str = "", python: Path | None = None) -> Plan:
    """A project of one module, without a database."""
    folder.mkdir(exist_ok=True)
    (folder / "one.py").write_text(app, encoding="utf-8")
    interpreter = f'python = "{python or sys.executable}"'
    (folder / "prony.toml").write_text(f'[app]\nentry = "one:application"\n{interpreter}\n{more}', encoding="utf-8")
    return read_file(folder)


class Shared:
    """One stack with a database for the tests that can share it, and a copy of the page workload."""

    def __init__(self, folder: Path) -> None:
        self.page = folder / "page"
        shutil.copytree(PAGE, self.page, ignore=shutil.ignore_patterns("__pycache__", ".prony"))
        self.shipped = files(self.page)
        self.folder = folder
        self.stack = Stack(folder / "logs")

    def boot(self, *sets: str) -> Start:
        return self.stack.boot(read_file(self.page, sets))

    def ask(self, query: str) -> object:
        assert self.stack.postgres is not None
        return self.stack.postgres.ask(query)[0][0]

    def pages(self) -> int:
        """Rows of the app's table, counted by the superuser."""
        assert self.stack.postgres is not None
        with self.stack.postgres._connect("app") as connection:
            row = connection.execute("SELECT count(*) FROM pages_page").fetchone()
        assert row is not None
        return int(row[0])

    def as_the_app(self, code: str) -> list[str]:
        """What a script prints that runs where the app runs, with its database."""
        log = self.folder / "client"
        log.unlink(missing_ok=True)
        env = {"PATH": os.environ["PATH"], **self.stack.stores.environment(read_file(self.page))}
        argv = [sys.executable, "-c", code]
        process = self.stack.launcher.spawn("client", argv, env=env, cwd=self.folder, log=log)
        assert self.stack.launcher.wait(process, 30)
        assert process.code == 0, log.read_text()
        return log.read_text().splitlines()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    found = Shared(tmp_path_factory.mktemp("shared"))
    with found.stack:
        yield found


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with Stack(tmp_path / "logs") as stack:
        yield stack


def test_postgres_has_the_connections_that_were_asked_for_and_keeps_three_of_them(shared: Shared) -> None:
    shared.boot("stores.database.max_connections=15", "server.workers=1")
    assert shared.ask("SHOW max_connections") == "15"
    shared.stack.stop_app()
    assert shared.as_the_app(CLIENT) == ["12 then True", "True"]


def test_passwords_go_by_scram_over_tcp(shared: Shared) -> None:
    shared.boot("server.workers=1")
    assert str(shared.ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")).startswith("SCRAM-SHA-256$")
    methods = "SELECT string_agg(DISTINCT auth_method, ' ') FROM pg_hba_file_rules WHERE type LIKE 'host%'"
    assert shared.ask(methods) == "scram-sha-256"
    assert shared.ask("SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_authid WHERE rolname = 'app'") is False


def test_settings_that_matter_are_postgres_s_own(shared: Shared) -> None:
    shared.boot("server.workers=1")
    shown = [shared.ask(f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")]
    assert shown == ["on", "on", "on"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root has to step down")
def test_postgres_runs_unprivileged_under_root(shared: Shared) -> None:
    shared.boot("server.workers=1")
    assert shared.stack.postgres is not None
    assert shared.stack.postgres.process is not None
    postmaster = psutil.Process(shared.stack.postgres.process.pid)
    assert 0 not in {*postmaster.uids(), *postmaster.gids()}
    for process in below(postmaster):
        with contextlib.suppress(psutil.NoSuchProcess):  # a connection's own ends with it
            assert 0 not in {*process.uids(), *process.gids()}


def test_a_restart_with_other_connections_keeps_what_was_prepared(shared: Shared) -> None:
    shared.boot("server.workers=1")
    was = shared.ask("SELECT pg_postmaster_start_time()")
    log = shared.stack.logs / "prepare-1.log"
    told = log.read_text()
    shared.boot("stores.database.max_connections=33", "server.workers=1")
    assert shared.ask("SELECT pg_postmaster_start_time()") != was
    assert (shared.ask("SHOW max_connections"), shared.pages()) == ("33", 1000)
    assert log.read_text() == told == "1000 pages added\n"
    assert get(shared.stack, shared.boot("server.workers=1"))[0] == 200


def test_every_boot_finds_the_data_as_prepared(shared: Shared) -> None:
    shared.boot("server.workers=1")
    shared.as_the_app(ADD)
    assert shared.pages() == 1001
    shared.boot("server.workers=1")
    assert shared.pages() == 1000


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_boots_answers_and_has_the_processes_planned(shared: Shared, server: str) -> None:
    start = shared.boot(*SERVERS[server])
    status, body = get(shared.stack, start)
    assert (status, 'class="text"' in body) == (200, True)
    master = psutil.Process(start.app.pid)
    workers = below(master) if server != "waitress" else [master]
    processes, slots = PLANNED[server]
    reader = GaugeReader(start.gauges)
    totals = reader.read()
    reader.close()
    assert (len(workers), totals.processes, totals.slots) == (processes, processes, processes * slots)
    if server == "waitress":
        assert master.num_threads() == slots + 1
    if server == "gthread":
        assert f"--threads={slots}" in master.cmdline()
    if server == "gevent":
        assert f"--worker-connections={slots}" in master.cmdline()
    assert start.checked["app"].versions["django"].startswith("5.2")
    shared.stack.stop_app()
    until(lambda: gone([master, *workers]), "the end of the app tier")


def test_the_app_and_the_generator_have_cores_of_their_own(shared: Shared) -> None:
    cores = shared.stack.cores
    if cores.shared:
        pytest.skip("this machine has one core")
    start = shared.boot("server.workers=1")
    for process in below(psutil.Process(start.app.pid)):
        assert process.cpu_affinity() == list(cores.stack)
    assert not set(cores.generator) & set(cores.stack)


def test_nothing_is_left_after_closing(tmp_path: Path) -> None:
    shared = Shared(tmp_path)
    with shared.stack as stack:
        shared.boot("server.workers=2")
        guard = psutil.Process(stack.launcher._guard.pid)
        started = [guard, *below(guard)]
        assert len(started) > 8  # guard, postgres and its helpers, proxy, server
        assert stack.run_folder.exists()
    assert gone(started)
    assert not stack.run_folder.exists()


def test_boots_write_nothing_into_the_project(shared: Shared) -> None:
    shared.boot("server.workers=1")
    assert files(shared.page) == shared.shipped


def test_a_failing_prepare_command_is_named_with_its_last_lines(stack: Stack, tmp_path: Path) -> None:
    command = 'python -c \'import sys; print(\\"step one\\"); sys.exit(\\"no such table: shop\\")\''
    plan = project(tmp_path / "app", TELL_ENVIRONMENT, more=f'prepare = ["{command}"]\n')
    with pytest.raises(StackError) as caught:
        stack.boot(plan)
    assert "[app] prepare: `python -c" in caught.value.message
    assert "exit code 1" in caught.value.message
    assert caught.value.log == ("step one", "no such table: shop")
    log = re.search(r"read the whole of (\S+);", caught.value.hint)
    assert log is not None
    assert "step one\n" in Path(log[1]).read_text(encoding="utf-8")
    assert str(tmp_path / "app") not in caught.value.hint, "there it would run on the project itself, and its data"


def test_an_app_that_raises_on_import_is_told_with_file_and_line(stack: Stack, tmp_path: Path) -> None:
    plan = project(tmp_path / "app", "x = 1\nx / 0\n")
    with pytest.raises(PlanError) as caught:
        stack.boot(plan)
    said = caught.value.message
    assert "ZeroDivisionError: division by zero" in said
    assert f"({tmp_path}/app/one.py, line 2)" in said
    assert '[app] entry: found "one:application"' in said


def test_the_line_told_is_the_app_s_own_where_a_library_raises(stack: Stack, tmp_path: Path) -> None:
    plan = project(tmp_path / "app", "import os\nKEY = os.environ['NO_SUCH_SETTING']\n")
    with pytest.raises(PlanError) as caught:
        stack.boot(plan)
    assert "KeyError: 'NO_SUCH_SETTING'" in caught.value.message
    assert f"({tmp_path}/app/one.py, line 2)" in caught.value.message


@pytest.mark.parametrize(
    ("app", "said"),
    [
        ("x = 1\n", "has no attribute 'application'"),
        ("application = 7\n", "no callable but a int"),
        ("def", "one.py"),
    ],
)
def test_an_entry_that_is_none_is_told(stack: Stack, tmp_path: Path, app: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        stack.boot(project(tmp_path / "app", app))
    assert said in caught.value.message


def test_a_server_missing_in_the_app_s_interpreter_and_not_to_be_had_is_a_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    plan = project(tmp_path / "app", TELL_ENVIRONMENT, python=venv / "bin" / "python")
    with Stack(tmp_path / "logs", own_folder=tmp_path / "own") as stack:  # where no overlay is kept yet
        with pytest.raises(MachineError) as caught:
            stack.boot(plan)
        assert "The app's environment lacks gunicorn" in caught.value.message
        assert stack.start is None


def test_the_app_sees_none_of_the_developer_s_environment(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "theirs")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere")
    plan = project(tmp_path / "app", TELL_ENVIRONMENT, more='env = { GREETING = "hello" }\n')
    start = stack.boot(plan)
    seen = json.loads(get(stack, start)[1])
    own = {"GREETING", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUNBUFFERED", "SERVER_SOFTWARE", "LC_CTYPE"}
    own |= {"GUNICORN_CMD_ARGS"}  # emptied: what it adds must not stand beside the knobs
    assert {name for name in seen if not name.startswith("PRONY_")} <= own | set(INHERITED)
    assert (seen["GREETING"], seen["GUNICORN_CMD_ARGS"]) == ("hello", "")
    for process in below(psutil.Process(start.app.pid)):
        assert "AWS_SECRET_ACCESS_KEY" not in process.environ()


def test_what_goes_round_the_hook_is_stopped_by_the_namespace(stack: Stack, tmp_path: Path) -> None:
    if not stack.launcher.namespace:
        pytest.skip(stack.launcher.why_no_namespace)
    start = stack.boot(project(tmp_path / "app", BYPASS))
    assert "Network is unreachable" in get(stack, start)[1]


def test_an_app_that_reaches_out_is_refused_and_the_trial_says_so(tmp_path: Path) -> None:
    plan = project(tmp_path / "app", (APPS / "reaches_out.py").read_text(encoding="utf-8"))
    before = files(tmp_path / "app")
    store = Store(tmp_path / "app" / ".prony" / "prony.db")
    with Bench(store, "run", "reaches out", tmp_path / "app" / ".prony") as bench:
        measured: Measured = bench.measure(plan.loaded(users=1, duration_s=1.0), "run")
    events = [event for event in store.recording(measured.id).events if event.kind == "egress_refused"]
    store.close()
    where = "shop.invalid:443 at one.py:12"
    assert {event.text for event in events} == {where}
    assert sum(event.times for event in events) == measured.summary.egress_refused[where]
    # what was refused while it came up, to the requests by which prony saw that it was ready, is told as well
    assert measured.summary.requests <= sum(event.times for event in events) <= measured.summary.requests + 5
    [doubt] = [doubt for doubt in measured.doubts if doubt.name == "app_reached_out"]
    assert "your app tried" in doubt.text
    assert "times to reach shop.invalid:443 from one.py:12" in doubt.text
    assert doubt.todo.startswith("Name a host under egress ([app] egress = [...]), or stand in a service of ours")
    assert files(tmp_path / "app") == before
