from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from prony.probes.gauge import GaugeReader
from prony_gauge.install import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prony.probes.gauge import GaugeTotals

APPS = Path(__file__).parent.parent / "apps"


def old_python() -> str | None:
    """A Python 3.9, the oldest that the gauge runs in: on the PATH, or one of pyenv's."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    with contextlib.suppress(OSError):  # somebody else's folder
        return str(next(versions.glob("3.9.*/bin/python3"), None) or "") or shutil.which("python3.9")
    return shutil.which("python3.9")


OLD_PYTHON = old_python()
GUNICORN = ["-m", "gunicorn", "--no-control-socket", "--chdir", str(APPS), "prony_gauge.entry:application", "--bind"]
# name -> arguments before and after the address, processes, slots a process
SERVERS: dict[str, tuple[list[str], list[str], int, int]] = {
    "sync": (GUNICORN, ["--workers", "2"], 2, 1),
    "gthread": (GUNICORN, ["--threads", "4"], 1, 4),
    "gevent": (GUNICORN, ["--worker-class", "gevent", "--worker-connections", "10"], 1, 10),
    "preload": (GUNICORN, ["--preload", "--workers", "2"], 2, 1),
    "waitress": (["-m", "waitress", "--threads", "4"], ["prony_gauge.entry:application"], 1, 4),
}
EVERY_SERVER = pytest.mark.parametrize("server", SERVERS)


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def environment(folder: Path, **more: str) -> dict[str, str]:
    run, gauges = folder / "run", folder / "gauges"
    gauges.mkdir(exist_ok=True)
    lay_out(str(run))
    wanted = {
        "PYTHONPATH": os.pathsep.join([str(run), str(APPS)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PRONY_GAUGE_DIR": str(gauges),
        "PRONY_EGRESS": "on",
        "RELEASE": str(folder / "release"),
    }
    return {**os.environ, **wanted, **more}


class Served:
    """An app under a server, with the gauge in it."""

    def __init__(self, folder: Path, server: str, app: str) -> None:
        before, after, self.processes, self.slots = SERVERS[server]
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        address = f"127.0.0.1:{self.port}"
        where = [f"--listen={address}", *after] if server == "waitress" else [address, *after]
        more = {"PRONY_GAUGE_ENTRY": f"{app}:application", "PRONY_GAUGE_SLOTS": str(self.slots)}
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *before, *where],
                env=environment(folder, **more),
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.reader = GaugeReader(folder / "gauges")

    def read(self) -> GaugeTotals:
        return self.reader.read()

    def answers(self) -> bool:
        if self.process.poll() is not None:
            pytest.fail((self.folder / "log").read_text())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def get(self, path: str = "/") -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def stop(self) -> None:
        self.reader.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str, str], Served]]:
    running: list[Served] = []

    def start(server: str, app: str) -> Served:
        served = Served(tmp_path, server, app)
        running.append(served)
        until(lambda: served.answers() and served.read().processes == served.processes, "booted workers")
        return served

    try:
        yield start
    finally:
        for served in running:
            served.stop()


@EVERY_SERVER
def test_requests_are_seen_in_flight_and_ended(serve: Callable[[str, str], Served], server: str) -> None:
    served = serve(server, "waits")
    totals = served.read()
    assert (totals.slots, totals.begun, totals.in_flight) == (served.processes * served.slots, 0, 0)
    with ThreadPoolExecutor(2) as clients:
        answers = [clients.submit(served.get) for _ in range(2)]
        try:
            until(lambda: served.read().in_flight == 2, "two requests in flight")
            totals = served.read()
            assert (totals.processes, totals.begun, totals.ended) == (served.processes, 2, 0)
        finally:
            (served.folder / "release").touch()
        assert [answer.result(30) for answer in answers] == [(200, "released")] * 2
    until(lambda: served.read().ended == 2, "both ended")
    totals = served.read()
    spans = served.reader.spans()
    assert (totals.in_flight, totals.processes, len(spans)) == (0, served.processes, 2)
    assert totals.busy_ns == int((spans[:, 1] - spans[:, 0]).sum())
    assert (totals.exceptions, totals.refused, totals.connects) == ({}, {}, 0)


@EVERY_SERVER
def test_exceptions_are_counted_by_type_and_the_server_answers_as_ever(
    serve: Callable[[str, str], Served], server: str
) -> None:
    served = serve(server, "raises")
    assert [served.get()[0] for _ in range(3)] == [500] * 3
    with contextlib.suppress(HTTPException):  # half an answer
        served.get("/torn")
    until(lambda: served.read().ended == 4, "all ended")
    totals = served.read()
    assert totals.exceptions == {"raises.BrokenError": 3, "raises.TornError": 1}
    assert totals.in_flight == 0
    assert "BrokenError" in (served.folder / "log").read_text()


@pytest.mark.parametrize("server", ["sync", "gthread", "gevent", "waitress"])
def test_what_would_leave_the_machine_is_refused_and_counted(serve: Callable[[str, str], Served], server: str) -> None:
    served = serve(server, "reaches_out")
    assert "192.0.2.1 is not reachable; name it under [app].egress" in served.get("/connect")[1]
    for _ in range(2):
        assert "shop.invalid is not reachable" in served.get("/name")[1]
    refused = {text.replace(f"{APPS}/", ""): count for text, count in served.read().refused.items()}  # by its folder
    assert refused == {"192.0.2.1:80 at reaches_out.py:10": 1, "shop.invalid:443 at reaches_out.py:12": 2}


def test_a_killed_worker_leaves_its_counts_and_is_no_longer_serving(serve: Callable[[str, str], Served]) -> None:
    served = serve("sync", "waits")
    (served.folder / "release").touch()
    assert served.get() == (200, "released")
    until(lambda: served.read().ended == 1, "ended")
    before = {path.name for path in (served.folder / "gauges").iterdir()}
    os.kill(int(min(before).partition(".")[0]), signal.SIGKILL)
    until(lambda: len(list((served.folder / "gauges").glob("*.gauge"))) == 3, "a new worker's file")
    until(lambda: served.read().processes == 2, "two workers again")
    assert (served.read().begun, served.read().ended) == (1, 1)


def run(code: str, env: dict[str, str], python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_command_that_never_loads_the_entry_counts_what_it_was_refused(tmp_path: Path) -> None:
    done = run("import socket; socket.create_connection(('mail.invalid', 25))", environment(tmp_path))
    assert "PermissionError: [Errno 13] prony contains the app under test: mail.invalid" in done.stderr
    totals = GaugeReader(tmp_path / "gauges").read()
    assert (totals.processes, totals.refused) == (0, {"mail.invalid:25 at <string>:1": 1})


def test_an_opened_host_is_asked_for(tmp_path: Path) -> None:
    env = environment(tmp_path, PRONY_EGRESS_HOSTS="shop.invalid")
    done = run("import socket; socket.create_connection(('shop.invalid', 25))", env)
    assert "gaierror" in done.stderr
    assert GaugeReader(tmp_path / "gauges").read().refused == {}


def test_the_entry_s_own_errors_surface_and_no_worker_is_counted(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module_of_theirs\n")
    env = environment(tmp_path, PRONY_GAUGE_ENTRY="broken")
    env["PYTHONPATH"] += os.pathsep + str(tmp_path)
    done = run("import prony_gauge.entry", env)
    assert done.stderr.rstrip().endswith("ModuleNotFoundError: No module named 'no_such_module_of_theirs'")
    assert GaugeReader(tmp_path / "gauges").read().processes == 0


def test_without_a_folder_the_entry_is_the_app_itself(tmp_path: Path) -> None:
    env = environment(tmp_path, PRONY_GAUGE_ENTRY="waits", PRONY_GAUGE_DIR="")
    done = run("import waits, prony_gauge.entry as e; print(e.application is waits.application)", env)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize("body", ["print('theirs ran')", "raise LookupError('theirs failed')"])
def test_the_user_s_own_sitecustomize_runs_as_it_would_without_us(tmp_path: Path, body: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "sitecustomize.py").write_text(body + "\n")
    env = environment(tmp_path)
    code = (
        "import sys; print('prony_gauge.boot' in sys.modules, getattr(sys.modules.get('sitecustomize'), '__file__', 0))"
    )
    alone = run(code, {**env, "PYTHONPATH": str(theirs)})
    both = run(code, {**env, "PYTHONPATH": env["PYTHONPATH"] + os.pathsep + str(theirs)})
    assert both.stdout == alone.stdout.replace("False", "True")
    assert both.stderr == alone.stderr


def test_nothing_that_gevent_patches_is_imported_early(tmp_path: Path) -> None:
    code = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    env = environment(tmp_path, PRONY_EGRESS_HOSTS="shop.invalid")
    without = set(json.loads(run(code, {**env, "PYTHONPATH": ""}).stdout))
    added = set(json.loads(run(code, env).stdout)) - without
    assert {"prony_gauge.boot", "prony_gauge.egress", "prony_gauge.libraries"} <= added
    assert not added & {"threading", "socket", "_socket", "ssl", "select", "queue", "typing", "psycopg", "django"}


HELPER = """
import os, sys
from prony_gauge.entry import application
open(os.environ["RELEASE"], "w").close()
application({}, lambda *_: None).close()
if os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_helper_that_a_worker_forked_does_not_count_as_serving(tmp_path: Path) -> None:
    env = environment(tmp_path, PRONY_GAUGE_ENTRY="waits:application")
    arguments: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HELPER], env=env, start_new_session=True, **arguments) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            reader = GaugeReader(tmp_path / "gauges")
            until(lambda: len(list((tmp_path / "gauges").glob("*.gauge"))) == 2, "a file for the child")
            totals = reader.read()
            assert (totals.processes, totals.begun) == (1, 1)
            reader.close()
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(OLD_PYTHON is None, reason="no Python 3.9 on this machine")
def test_the_gauge_works_on_python_3_9(tmp_path: Path) -> None:
    code = (
        "import sys; from prony_gauge.entry import application; assert sys.version_info[:2] == (3, 9)\n"
        "import prony_gauge.install, prony_gauge.egress, prony_gauge.imports\n"
        "answer = application({'PATH_INFO': '/'}, print); print(b''.join(answer)); answer.close()"
    )
    done = run(code, environment(tmp_path, PRONY_GAUGE_ENTRY="reaches_out"), str(OLD_PYTHON))
    assert "shop.invalid is not reachable" in done.stdout, done.stderr
    totals = GaugeReader(tmp_path / "gauges").read()
    assert (totals.begun, totals.ended, list(totals.refused.values())) == (1, 1, [1])
    [refused] = totals.refused
    assert refused.startswith("shop.invalid:443 at ")
    assert refused.endswith("apps/reaches_out.py:12")
