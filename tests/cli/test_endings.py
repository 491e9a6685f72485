"""Every way to end prony, and two of it at once: all is cleaned up, and neither is in the other's way."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.stack.chaos_case import Project, Trace, free_port, patience, until

pytestmark = pytest.mark.alone

UP_S = 120.0
READY = "Ctrl-C stops everything"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("endings"), daemon=False)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("other"), daemon=False)


@contextmanager
def up(project: Project, *argv: str) -> Iterator[tuple[subprocess.Popen[bytes], Trace, int]]:
    """Prony up, once it is; its port."""
    port = free_port()
    with project.start("up", "--port", str(port), *argv) as process:
        try:
            until(lambda: READY in project.printed() or process.poll() is not None, project.printed, UP_S)
            assert process.poll() is None, project.printed()
            yield process, Trace(process.pid, project, port), port
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGHUP])
def test_each_signal_that_means_stop_stops_everything_and_a_second_one_changes_nothing(
    project: Project, number: signal.Signals
) -> None:
    with up(project) as (process, trace, _):
        process.send_signal(number)
        until(lambda: "Stopping" in project.printed() or process.poll() is not None, project.printed, 20)
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, project.printed()
        assert trace.left() == []
    assert "Traceback" not in project.printed()


def test_a_closed_terminal_stops_everything(project: Project) -> None:
    port = free_port()
    pid, terminal = pty.fork()
    if pid == 0:
        with suppress(BaseException):
            os.chdir(project.folder)
            os.execv(sys.executable, [sys.executable, "-m", "prony", "up", "--port", str(port)])  # noqa: S606
        os._exit(1)
    shown = bytearray()
    reading = True
    while reading and READY.encode() not in shown:
        shown += os.read(terminal, 4096)
    trace = Trace(pid, project, port)
    assert trace.answers()
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    until(lambda: not trace.left(), trace.left, patience())
    assert os.waitstatus_to_exitcode(status) == 130


def test_a_reader_that_has_gone_stops_everything_without_a_word(project: Project) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "prony", "up", "--port", str(port)]
    with subprocess.Popen(argv, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            trace = Trace(process.pid, project, port)
            process.stdout.close()
            assert process.wait(UP_S) == 1
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()
    until(lambda: not trace.left(), trace.left, patience())


@pytest.mark.parametrize(
    "closed", ["<&- >&- 2>&-", *(pytest.param(each, marks=pytest.mark.long) for each in ("<&-", ">&-", "2>&-"))]
)
def test_standard_streams_that_are_closed_are_no_hindrance(project: Project, closed: str) -> None:
    port = free_port()
    script = f'exec "$0" -m prony up --port {port} {closed}'
    with subprocess.Popen(
        ["/bin/sh", "-c", script, sys.executable],
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            trace = Trace(process.pid, project, port)
            until(lambda: trace.answers() or process.poll() is not None, lambda: "no listener", UP_S)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
        finally:
            process.kill()
    until(lambda: not trace.left(), trace.left, patience())


def test_a_second_up_in_a_project_says_that_there_is_one_and_leaves_it_alone(project: Project) -> None:
    with up(project) as (process, trace, _):
        second = subprocess.run(
            [sys.executable, "-m", "prony", "up"],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=UP_S,
        )
        assert second.returncode == 2
        assert "prony up is running in this project already" in second.stderr
        assert process.poll() is None
        assert trace.answers()


def test_a_port_that_is_taken_is_an_error_that_names_who_has_it(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with project.start("up", "--port", str(port)) as process:
            assert process.wait(UP_S) == 2
    assert f"port {port} on 127.0.0.1: found it taken by" in project.printed()
    assert f"process {os.getpid()}" in project.printed()


@pytest.mark.parametrize(
    "way", [(), pytest.param(("--no-namespace",), marks=pytest.mark.long)], ids=["namespaces", "one-network"]
)
def test_two_at_once_in_one_project_and_in_two_all_finish(
    project: Project, other: Project, way: tuple[str, ...]
) -> None:
    argv = [sys.executable, "-m", "prony", "run", "--users", "1", "--duration", "1s", "--json", *way]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(argv, cwd=each.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            for each in (project, project, other)
        ]
        for process in started:
            stack.callback(process.kill)
        told = [process.communicate(timeout=180) for process in started]
    for process, (out, err) in zip(started, told, strict=True):
        assert process.returncode in {0, 1, 4}, err
        [trial] = json.loads(out)["trials"]
        assert trial["errors"]["by_status"].keys() == {"200"}, trial["errors"]
    campaigns = [json.loads(out)["campaign"] for out, _ in told[:2]]
    assert len(set(campaigns)) == 2
    project.check_store()


def test_a_program_that_is_missing_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def app(environ, start_response): ...\n")
    (tmp_path / "prony.toml").write_text(
        f'[app]\nentry = "app:app"\npython = "{sys.executable}"\n[stores.cache]\nkind = "memcached"\n'
        'env = "CACHE_URL"\n[server]\nkind = "gunicorn"\n[[traffic.request]]\npath = "/"\n'
    )
    empty = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    # No package can be fetched without apt-get, nothing is on the PATH, and nothing was fetched before.
    script = (
        "import sys; from pathlib import Path; from prony.stack import folders; from prony.cli import main;"
        "folders.ROOT = Path(sys.argv[1]); main(['up'])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=tmp_path, env=empty, capture_output=True, text=True, check=False, timeout=UP_S,
    )  # fmt: skip
    if found.returncode != 3 and Path("/usr/bin/memcached").exists():
        pytest.skip("memcached is installed where it is looked for beside the PATH")
    assert found.returncode == 3, found.stderr
    assert "memcached" in found.stderr
    assert "Try: " in found.stderr
