"""Every server with every kind of app it can serve: up, answering, as its knobs say, and down with nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import psutil
import pytest

from prony.cli import main
from prony.errors import PlanError, StackError
from prony.knobs.server import INTERFACES
from prony.probes.gauge import GaugeReader
from prony.stack import apptier
from tests.stack.servers_case import APPS, Case, Served, gone, served, tree, until

WSGI, ASGI, AIOHTTP = "by_wsgi:application", "by_asgi:application", "by_aiohttp:application"
DJANGO = {WSGI: "by_django_wsgi:application", ASGI: "by_django_asgi:application"}
ENTRIES = {"wsgi": WSGI, "asgi": ASGI, "aiohttp": AIOHTTP}
UNBOUNDED = 14  # requests at once that show that nothing holds them back
BOUNDED = 30  # enough to fill a few slots, however unevenly workers accept
FEW = 8  # the same for a server that lets 10 wait
LONG = pytest.mark.long


def server(kind: str, worker_class: str = "", **knobs: Any) -> dict[str, Any]:
    return {"kind": kind, **({"worker_class": worker_class} if worker_class else {}), **knobs}


def two(kind: str, worker_class: str = "", **knobs: Any) -> dict[str, Any]:
    return server(kind, worker_class, workers=2, **knobs)


# (kind, worker class) -> what it is run with, and what must be found.
CASES = {
    ("gunicorn", "sync"): Case(WSGI, two("gunicorn", "sync", backlog=77), slots=1, threads=1, backlog=77),
    ("gunicorn", "gthread"): Case(WSGI, two("gunicorn", "gthread", threads=3, backlog=77), slots=3, backlog=77),
    ("gunicorn", "gevent"): Case(
        WSGI, two("gunicorn", "gevent", worker_connections=3, backlog=77), slots=3, threads=1, backlog=77
    ),
    ("gunicorn", "asgi"): Case(ASGI, two("gunicorn", "asgi")),
    ("gunicorn", "uvicorn"): Case(ASGI, two("gunicorn", "uvicorn", backlog=77), backlog=77),
    ("gunicorn", "aiohttp"): Case(AIOHTTP, two("gunicorn", "aiohttp")),
    ("uvicorn", ""): Case(ASGI, two("uvicorn", backlog=77), backlog=77),
    ("granian", "wsgi"): Case(WSGI, two("granian", "wsgi", blocking_threads=3, backlog=177), slots=3, backlog=177),
    ("granian", "asgi"): Case(ASGI, two("granian", "asgi", backpressure=3, backlog=177), slots=3, backlog=177),
    ("uwsgi", "threads"): Case(WSGI, two("uwsgi", "threads", threads=3, backlog=77), slots=3, threads=3, backlog=77),
    ("uwsgi", "gevent"): Case(
        WSGI,
        two("uwsgi", "gevent", worker_connections=3, gevent_monkey_patch=True, backlog=77),
        slots=3,
        backlog=77,
    ),
    # its threads, and the one that accepts
    ("waitress", ""): Case(WSGI, server("waitress", threads=3, backlog=77), 1, slots=3, threads=4, backlog=77),
    ("hypercorn", ""): Case(ASGI, two("hypercorn", backlog=77), backlog=77),
    ("daphne", ""): Case(ASGI, server("daphne", backlog=77), 1, backlog=77),
    ("runserver", ""): Case(DJANGO[WSGI], server("runserver"), 1),
}
MORE = (
    Case(WSGI, two("hypercorn", backlog=77), backlog=77, pooled=True),
    Case(DJANGO[WSGI], server("runserver", nothreading=True), 1, slots=1),
)
# What else tests/stack boots in `make test`, or what is slow to get.
ELSEWHERE = {("gunicorn", each) for each in ("sync", "gthread", "gevent", "uvicorn")}
ELSEWHERE |= {("waitress", ""), ("daphne", ""), ("uwsgi", "gevent")}


def every_case() -> Iterator[Any]:
    for case in (*CASES.values(), *MORE):
        key = (case.server["kind"], case.server.get("worker_class", ""))
        slow = key in ELSEWHERE or case.pooled
        yield pytest.param(case, id=case.name, marks=[LONG] if slow else [])
        if case.entry in DJANGO:
            other = replace(case, entry=DJANGO[case.entry])
            yield pytest.param(other, id=other.name, marks=[LONG])


def of_each(*, short: set[tuple[str, str]]) -> pytest.MarkDecorator:
    """Each server's case; those not named only in `make test-all`."""
    found = [pytest.param(case, id=case.name, marks=[] if key in short else [LONG]) for key, case in CASES.items()]
    return pytest.mark.parametrize("case", found)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter of their own that has aiohttp and no server."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=120)
    python = str(folder / "bin" / "python")
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *quiet, "aiohttp"], check=True, timeout=300)
    return python


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("own"), {}) as found:
        yield found


@pytest.fixture
def site(shared: Served, request: pytest.FixtureRequest) -> Served:
    """The stack; an app that needs aiohttp gets the interpreter that has it."""
    case = getattr(request.node, "callspec", None) and request.node.callspec.params.get("case")
    if case is not None and case.entry == AIOHTTP:
        shared.places["by_aiohttp"] = request.getfixturevalue("bare")
    return shared


def write(site: Served, name: str, text: str, like: str = "") -> str:
    """Another module of theirs, run by the same interpreter as `like`; its entry."""
    (site.folder / "served" / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    if like in site.places:
        site.places[name] = site.places[like]
    return f"{name}:application"


def at_once(site: Served, case: Case) -> None:
    """As many requests are in the app at once as its knobs let in, and no more."""
    bound = case.processes * case.slots
    began = site.gauge().ended
    with site.waiting((BOUNDED if case.backlog else FEW) if bound else UNBOUNDED) as waiting:
        expected = bound or (case.processes + 1 if case.pooled else UNBOUNDED)
        until(lambda: site.filled(waiting, expected, 120 if case.backlog and bound else 0), f"{expected} in the app")
        Event().wait(0.2)  # time for one too many to get in
        assert case.pooled or site.gauge().in_flight == expected
        if case.server.get("worker_class") in {"gthread", "wsgi"}:  # these make threads as they need them
            assert all(process.num_threads() > case.slots for process in site.workers())
        site.release.touch()
        assert {connection.getresponse().status for connection in waiting} == {200}
    until(lambda: site.gauge().ended >= began + len(waiting), "every request's end counted")


@pytest.mark.parametrize("case", list(every_case()))
def test_a_server_comes_up_answers_is_what_its_knobs_say_and_goes_down(site: Served, case: Case) -> None:
    start = site.boot(case.entry, **case.server)
    planned = start.plan.server
    assert (planned.processes, planned.slots_per_process) == (case.processes, case.slots)
    until(lambda: site.gauge().processes == case.processes, "every worker booted")
    assert site.gauge().slots == case.processes * case.slots
    workers = site.workers()
    assert len(workers) == case.processes
    assert site.pid() in {process.pid for process in workers}
    if case.threads:
        threads = [case.threads] * case.processes
        until(lambda: [process.num_threads() for process in workers] == threads, f"{case.threads} threads each")
    if case.backlog:
        assert site.backlog() == case.backlog
    at_once(site, case)
    assert start.app.alive, start.app.last_lines()
    running = tree(start.app.pid)
    site.stack.stop_app(gently=True)
    assert start.app.code not in {None, -signal.SIGKILL}, "its own signal ends it in time"
    until(lambda: gone(running) and not site.left(), "the end of all it had started")
    again = site.boot(case.entry, **case.server)
    running = tree(again.app.pid)
    site.stack.stop_app(gently=False)
    assert again.app.code == -signal.SIGKILL
    until(lambda: gone(running) and not site.left(), "the end of all it had forked")


def test_a_server_that_their_environment_lacks_is_brought_by_an_overlay(site: Served, bare: str) -> None:
    site.places["by_asgi"] = bare
    try:
        checked = site.boot(ASGI, **two("uvicorn")).checked["app"]
        assert "uvicorn" in checked.versions
        assert Path(checked.overlay).is_relative_to(site.stack.app.own_folder / "overlays")
        site.pid()
        # what another knob needs is brought too: this environment has no uvloop
        start = site.boot(ASGI, **two("uvicorn", loop="uvloop", http="httptools"))
        assert {"uvicorn", "uvloop", "httptools"} <= start.checked["app"].versions.keys()
        site.pid()
        for process in site.workers():
            loaded = " ".join(mapped.path for mapped in process.memory_maps())
            assert "/uvloop/" in loaded
            assert "/httptools/" in loaded
    finally:
        del site.places["by_asgi"]


@LONG
def test_what_they_have_of_a_server_keeps_its_version(site: Served, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    python = str(tmp_path / "venv" / "bin" / "python")
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *quiet, "gunicorn==23.0.0"], check=True, timeout=300)
    name = write(site, "by_older", "from by_wsgi import application")
    site.places["by_older"] = python
    start = site.boot(name, **two("gunicorn", "gevent"))
    versions = start.checked["app"].versions
    assert versions["gunicorn"] == "23.0.0"
    assert "gevent" in versions
    site.pid()


IMPOSSIBLE = [
    pytest.param(of, kind, id=f"{' '.join(of).strip()} {kind}", marks=[LONG] if kind == "aiohttp" else [])
    for of, serves in INTERFACES.items()
    for kind in ENTRIES
    if kind not in serves
]


@pytest.mark.parametrize(("of", "kind"), IMPOSSIBLE)
def test_an_impossible_pair_is_refused_with_the_reason(
    shared: Served, of: tuple[str, str], kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "aiohttp":
        shared.places["by_aiohttp"] = request.getfixturevalue("bare")
    with pytest.raises(PlanError) as caught:
        shared.boot(ENTRIES[kind], **server(*of))
    said = caught.value.message
    assert said.startswith(f"prony.toml: [server]: {' '.join(of).strip()} cannot serve {ENTRIES[kind]}: ")
    reasons = {"wsgi": "a WSGI app", "asgi": "an ASGI app", "aiohttp": "an aiohttp app"}
    if of[0] == "runserver" and kind == "aiohttp":
        assert said.endswith("runserver is Django's own, and the app's interpreter has no Django.")
    else:
        assert said.endswith(f"and this is {reasons[kind]}.")
    assert "kind" in caught.value.hint
    assert shared.left() == []


def test_the_command_line_refuses_an_impossible_pair_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("told.py", "by_asgi.py"):
        (tmp_path / name).write_text((APPS / name).read_text(encoding="utf-8"), encoding="utf-8")
    text = f'[app]\nentry = "by_asgi:application"\npython = "{sys.executable}"\nenv = {{ RELEASE = "/nowhere" }}\n'
    (tmp_path / "prony.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        main(["run", "--project", str(tmp_path), "--rate", "5"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert "gunicorn sync can call a WSGI app, and this is an ASGI app" in said.err


RAISES_UNDER_THE_SERVER = """
    import os
    from pathlib import Path
    imports = Path(os.environ["RELEASE"] + "-imports")
    with imports.open("a") as file:
        file.write(".")
    if imports.stat().st_size > 1:
        raise LookupError("no such setting: SHOP")
    from {} import *
"""


@of_each(short={("gunicorn", "gthread"), ("granian", "asgi"), ("hypercorn", ""), ("uwsgi", "threads")})
def test_an_app_that_raises_only_under_its_server_is_told_by_its_last_words(
    site: Served, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.server["kind"] == "uvicorn":  # it starts workers that die again and again
        monkeypatch.setattr(apptier, "READY_S", 5.0)
    like = case.entry.partition(":")[0]
    name = write(site, f"raising_{like}", RAISES_UNDER_THE_SERVER.format(like), like)
    imports = Path(f"{site.release}-imports")
    imports.unlink(missing_ok=True)
    # runserver imports the settings' WSGI_APPLICATION, and that only when it serves
    more = {"DJANGO_SETTINGS_MODULE": "raising_settings"} if case.server["kind"] == "runserver" else {}
    if more:
        write(site, "raising_settings", f"from by_django import *\nWSGI_APPLICATION = '{name}'".replace(":", "."))
    plan = site.plan(name, case.server, env=more)
    with pytest.raises(StackError) as caught:
        site.stack.boot(plan)
    text = "\n".join(caught.value.log)
    assert "LookupError: no such setting: SHOP" in text
    assert f"raising_{like}.py" in text
    assert len(caught.value.log) <= 12
    ended = f"{plan.server.title} ended " in caught.value.message
    assert ended or (
        case.server["kind"] == "uvicorn" and "not every worker had booted after 5 s" in caught.value.message
    )
    until(lambda: not site.left(), "the end of all it had started")


@pytest.mark.parametrize(
    ("entry", "of"),
    [
        ("by_wsgi:create('made')", two("gunicorn", "sync")),
        ("by_asgi:create(title='made')", two("uvicorn")),
        pytest.param("by_aiohttp:create('made')", two("gunicorn", "aiohttp"), marks=LONG),
        pytest.param("by_wsgi:create('made')", two("granian", "wsgi"), marks=LONG),
        pytest.param("by_wsgi:create('made')", two("uwsgi", "threads"), marks=LONG),
        pytest.param("by_asgi:create('made')", two("hypercorn"), marks=LONG),
        pytest.param("by_asgi:create('made')", server("daphne"), marks=LONG),
    ],
)
def test_a_factory_is_called_with_what_the_entry_says(
    shared: Served, entry: str, of: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    if "aiohttp" in entry:
        shared.places["by_aiohttp"] = request.getfixturevalue("bare")
    shared.boot(entry, **of)
    assert shared.pid(title="made") in {process.pid for process in shared.workers()}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("by_wsgi:UNCALLABLE", "UNCALLABLE is no callable but a str"),
        ("by_wsgi:create", 'if it is a factory, write it as a call, "module:create()"'),
        ("by_asgi:create(7, 8)", "takes from 0 to 1 positional arguments but 2 were given"),
    ],
)
def test_an_entry_that_no_server_can_call_is_told_before_one_is_started(shared: Served, entry: str, said: str) -> None:
    with pytest.raises(PlanError) as caught:
        shared.boot(entry, **server("uvicorn"))
    assert said in caught.value.message
    assert f'[app] entry: found "{entry}"' in caught.value.message


BLOCKS = """
    import os, time
    from pathlib import Path
    imports = Path(os.environ["RELEASE"] + "-blocked")
    print("waiting for the licence server", flush=True)
    with imports.open("a") as file:
        file.write(".")
    if imports.stat().st_size > {}:
        time.sleep(600)
    from by_wsgi import *
"""


@pytest.mark.parametrize(
    ("imports", "said"),
    [
        (0, "blocks:application was not imported after 2 s"),
        (1, "gunicorn sync, 2 workers: not every worker had booted"),
    ],
    ids=["when it is tried", "under its server"],
)
def test_an_app_that_never_gets_ready_is_given_up_with_its_last_lines(
    shared: Served, monkeypatch: pytest.MonkeyPatch, imports: int, said: str
) -> None:
    monkeypatch.setattr(apptier, "READY_S", 2.0 + 3 * imports)
    Path(f"{shared.release}-blocked").unlink(missing_ok=True)
    name = write(shared, "blocks", BLOCKS.format(imports))
    shared.stack.app._checked.clear()
    with pytest.raises(StackError) as caught:
        shared.boot(name, **two("gunicorn", "sync"))
    assert said in caught.value.message
    assert "waiting for the licence server" in caught.value.log
    until(lambda: not shared.left(), "the end of all it had started")


ALONE = {"waitress", "daphne", "runserver"}  # one process: nobody is there to start it again


@of_each(short={("uvicorn", ""), ("granian", "wsgi"), ("uwsgi", "threads")})
def test_a_killed_worker_is_replaced_by_its_server_and_counted(site: Served, case: Case) -> None:
    more = {"respawn_failed_workers": True} if case.server["kind"] == "granian" else {}
    start = site.boot(case.entry, **case.server, **more)
    reader = GaugeReader(start.gauges)
    until(lambda: reader.read().processes == case.processes, "every worker booted")
    victim = psutil.Process(site.pid())  # one that has answered, so that it serves beyond doubt
    os.kill(victim.pid, signal.SIGKILL)
    if case.server["kind"] in {*ALONE, "hypercorn"}:  # hypercorn ends with the first of its workers
        until(lambda: not site.stack.alive(), "the server's end noted")
        [(tier, process, how)] = site.stack.dead()
        assert (tier, process) == ("app", start.app)
        assert how == "killed by SIGKILL" if case.server["kind"] in ALONE else how.startswith("exit code")
        reader.close()
        return

    def replaced() -> bool:  # its threads may outlive its first one by a moment, and with them its file's lock
        totals = reader.read()
        return totals.processes_ended == 1 and totals.processes == case.processes

    until(replaced, "another worker in its place, and the former counted")
    reader.close()
    assert victim.pid not in {process.pid for process in site.workers()}
    assert site.pid() in {process.pid for process in site.workers()}
    assert site.stack.alive()
    assert list(site.stack.dead()) == []


def test_without_respawning_granian_ends_with_its_worker(shared: Served) -> None:
    shared.boot(WSGI, **two("granian", "wsgi"))
    os.kill(shared.workers()[-1].pid, signal.SIGKILL)
    until(lambda: not shared.stack.alive(), "the server's end noted")


def test_every_server_there_is_stands_in_the_matrix() -> None:
    assert set(CASES) == set(INTERFACES)
    served_by = {(of, kind) for of, kinds in INTERFACES.items() for kind in kinds}
    tried = {((c.server["kind"], c.server.get("worker_class", "")), c.entry) for c in (*CASES.values(), *MORE)}
    kinds = {entry: kind for kind, entry in ENTRIES.items()} | {DJANGO[WSGI]: "wsgi"}
    assert {(of, kinds[entry]) for of, entry in tried} == served_by
