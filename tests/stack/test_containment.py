"""What an app under test tries to reach outside is refused, counted by code line, and told wherever prony tells."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from prony.errors import StackError
from prony.plan import Plan, read_file
from prony.stack import apptier
from prony.stack.stack import Stack, Start

APP = Path(__file__).parent.parent / "apps" / "tries_every_way_out.py"
MODULE = "tries_every_way_out"
# What is refused by each way: its host, its port, and the mark of its line.
WAYS = {
    "mail": "mail.invalid:25",
    "requests": "requests.invalid:80",
    "httpx": "httpx.invalid:443",
    "urllib": "198.51.100.7:8080",
    "lookup": "name.invalid",
    "aiohttp": "aiohttp.invalid:80",
    "loop": "loop.invalid:443",
}
SERVERS = {
    "gunicorn": f'[app]\nentry = "{MODULE}:application"\n',
    "uvicorn": f'[app]\nentry = "{MODULE}:served"\ninterface = "asgi"\n[server]\nkind = "uvicorn"\nworkers = 1\n',
}
CONTAINED = "prony contains the app under test"


@functools.cache
def line_of(mark: str) -> int:
    lines = APP.read_text(encoding="utf-8").splitlines()
    [found] = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}")]
    return found


def refusal(way: str) -> str:
    """How a refusal is told: "host:port at module.py:12"."""
    return f"{WAYS[way]} at {MODULE}.py:{line_of(way)}"


def refusals_in(text: str) -> dict[str, int]:
    """How often a doubt says that each way out was refused."""
    found = re.findall(r"tried (once|[\d ]+ times) to reach (\S+)(?: \([a-z ]+\))? from ([\w./]+:\d+)", text)
    counts = [int(often.replace("once", "1").removesuffix(" times").replace(" ", "")) for often, _, _ in found]
    return {f"{place} at {where}": count for (_, place, where), count in zip(found, counts, strict=True)}


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def get(stack: Stack, start: Start, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", start.port, timeout=60)
    connection.sock = stack.launcher.connect(start.port, 60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with what apps reach out by."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    made = folder / "bin" / "python"
    quiet = ["--quiet", "--disable-pip-version-check"]
    wanted = ["requests", "httpx", "aiohttp", "gunicorn", "uvicorn"]
    subprocess.run([str(made), "-m", "pip", "install", *quiet, *wanted], check=True, timeout=300)
    return str(made)


def project(folder: Path, python: str, toml: str) -> Path:
    folder.mkdir(exist_ok=True)
    shutil.copy(APP, folder)
    (folder / "prony.toml").write_text(toml.replace("[app]\n", f'[app]\npython = "{python}"\n', 1), encoding="utf-8")
    return folder


def plan_of(folder: Path, python: str, toml: str) -> Plan:
    return read_file(project(folder, python, toml))


@pytest.mark.parametrize("namespace", [True, False], ids=["namespace", "hook alone"])
def test_every_way_out_is_refused_and_counted_under_its_line(tmp_path: Path, python: str, namespace: bool) -> None:  # noqa: FBT001
    with Stack(tmp_path / "logs", namespace=namespace) as stack:
        if namespace and not stack.launcher.namespace:
            pytest.skip(stack.launcher.why_no_namespace)
        for name, toml in SERVERS.items():
            start = stack.boot(plan_of(tmp_path / name, python, toml))
            assert stack.refused() == {}, name
            for way in WAYS:
                said = get(stack, start, f"/{way}")
                assert CONTAINED in said, (name, way, said)
                assert "reached" not in said.replace("not reachable", "")
            assert stack.refused() == {refusal(way): 1 for way in WAYS}, name
            get(stack, start, "/mail")
            assert stack.refused()[refusal("mail")] == 2


@pytest.mark.parametrize("server", SERVERS)
def test_what_goes_round_the_hook_meets_a_network_with_no_way_out(tmp_path: Path, python: str, server: str) -> None:
    with Stack(tmp_path / "logs") as stack:
        if not stack.launcher.namespace:
            pytest.skip(stack.launcher.why_no_namespace)
        start = stack.boot(plan_of(tmp_path / "app", python, SERVERS[server]))
        unreachable, unknown = get(stack, start, "/round").splitlines()
        assert "Network is unreachable" in unreachable
        assert "name" in unknown.lower()
        assert stack.refused() == {}  # nobody there who could count it


def test_a_server_that_gives_no_answer_because_its_app_was_refused_is_told_with_what_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apptier, "READY_S", 10.0)
    app = 'import socket\ndef application(*_):\n    socket.create_connection(("api.invalid", 443), 3)\n'
    (tmp_path / "one.py").write_text(app, encoding="utf-8")
    (tmp_path / "prony.toml").write_text(f'[app]\nentry = "one:application"\npython = "{sys.executable}"\n')
    with Stack(tmp_path / "logs") as stack, pytest.raises(StackError, match="gave no answer to /") as caught:
        stack.boot(read_file(tmp_path))
    assert re.fullmatch(
        r"your app tried (once|\d+ times) to reach api\.invalid:443 from one\.py:3: name it under egress "
        r'\(\[app\] egress = \["api\.invalid"\]\), or stand in a service of ours \(\[services\.NAME\]\)',
        str(caught.value.hint),
    )


# ---- what is told

PREPARING, WORKING = "urllib", "lookup"  # ways that only the prepare command and the worker take
ASKED = [way for way in WAYS if way not in {PREPARING, WORKING}]
TRAFFIC = "".join(f'[[traffic.request]]\npath = "/{way}"\n' for way in ASKED)
BESIDE = f"""
[app]
entry = "{MODULE}:application"
prepare = ["python {MODULE}.py {PREPARING}"]
egress = ["192.0.2.9:25"]
[workers.mailer]
command = "python {MODULE}.py {WORKING} on"
[limits]
p99 = "60s"
"""


@pytest.fixture(scope="module")
def reaching(tmp_path_factory: pytest.TempPathFactory, python: str) -> Path:
    """A project whose app, prepare command and worker all reach out."""
    return project(tmp_path_factory.mktemp("reaching") / "project", python, BESIDE + TRAFFIC)


def prony(folder: Path, *argv: str) -> tuple[str, str]:
    """Its standard output and error."""
    command = [sys.executable, "-m", "prony", *argv, "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode in {0, 1, 4}, done.stderr
    return done.stdout, done.stderr


def test_a_trial_tells_what_app_command_and_worker_were_refused(reaching: Path) -> None:
    out, err = prony(reaching, "run", "--users", "1", "--duration", "3s", "--json")
    document = json.loads(out)
    doubts = {doubt["name"]: doubt["text"] for doubt in document["doubts"]}
    told = refusals_in(doubts["app_reached_out"])
    [trial] = document["trials"]
    assert set(told) == {refusal(way) for way in WAYS}
    assert (told[refusal(PREPARING)], told[refusal(WORKING)]) == (1, 1)
    # one each request, and few more by which prony saw that the app had come up
    assert trial["requests"] <= sum(told[refusal(way)] for way in ASKED) <= trial["requests"] + 5
    if "hook_only" in doubts:
        assert "Contained by the audit hook alone" in err
    else:
        assert doubts["egress_closed"].startswith("192.0.2.9 under [app] egress cannot be reached")


def test_the_terminal_tells_it_too_and_that_only_the_hook_stood(reaching: Path) -> None:
    out, err = prony(reaching, "run", "--users", "1", "--duration", "3s", "--no-namespace")
    said = " ".join(out.split())
    assert "Contained by the audit hook alone" in err
    assert "note hook_only" in said
    assert "note app_reached_out" in said
    assert set(refusals_in(said)) == {refusal(way) for way in WAYS}
    assert "egress_closed" not in said


def test_prony_up_shows_each_refusal_while_it_runs(reaching: Path, tmp_path: Path) -> None:
    log = tmp_path / "up"
    command = [sys.executable, "-m", "prony", "up", "--project", str(reaching)]

    def said(pattern: str) -> list[str]:
        return re.findall(pattern, log.read_text(encoding="utf-8"))

    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as up:
        try:
            until(lambda: bool(said("Ctrl-C stops")) or up.poll() is not None, "the stack")
            [address] = said(r"app +(http://\S+)")
            for way in ("requests", "aiohttp", "requests"):
                with urllib.request.urlopen(address + way, timeout=60) as answer:  # noqa: S310 - http, as matched
                    assert CONTAINED in answer.read().decode()
            patterns = {
                "urllib": rf"tried once to reach 198\.51\.100\.7:8080 from {MODULE}\.py:{line_of('urllib')}: name it",
                "lookup": rf"tried once to reach name\.invalid from {MODULE}\.py:{line_of('lookup')}: name it",
                "requests": rf"tried 2 times to reach requests\.invalid:80 from {MODULE}\.py:{line_of('requests')}: ",
                "aiohttp": rf"tried once to reach aiohttp\.invalid:80 from {MODULE}\.py:{line_of('aiohttp')}: name it",
            }
            until(lambda: all(map(said, patterns.values())) or up.poll() is not None, "the refusals")
            assert [way for way, pattern in patterns.items() if not said(pattern)] == [], log.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(up.pid, signal.SIGINT)
            up.wait(60)
