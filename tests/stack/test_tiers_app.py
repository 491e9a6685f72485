"""App servers, proxies, workers and boxes that come, change and go between two boots of one stack."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from prony.app.overlay import overlay
from prony.errors import MachineError, PlanError, StackError
from tests.stack.tiers_case import CACHE, DATABASE, PROXY, Rig, until

POSTGRES = DATABASE.format("postgres")
ASGI = '[servers.live]\nkind = "gunicorn"\nworker_class = "asgi"\nentry = "holds:asynchronous"\n'
LIVE_ROUTE = '[[proxy.route]]\npath = "/live"\nto = "live"\n'
AIOHTTP = """
from aiohttp import web
async def page(request):
    return web.json_response({"by": "aiohttp"})
app = web.Application()
app.router.add_get("/live", page)
"""
TICKS = """
import os, sys, time
print("ticking", os.environ.get("REDIS_URL", "")[:8], *sys.argv[1:], flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    found = Rig(tmp_path_factory.mktemp("tiers"))
    (found.folder / "tick.py").write_text(TICKS, encoding="utf-8")
    with found.stack:
        yield found


def answering(rig: Rig, requests: int = 12) -> set[int]:
    """The processes that answered some requests."""
    return {rig.get()["pid"] for _ in range(requests)}


def below(pids: list[int]) -> set[int]:
    return {child.pid for pid in pids for child in psutil.Process(pid).children()}


# ---- proxy, instances, further servers


def test_instances_come_and_go_behind_a_proxy_that_stays(rig: Rig) -> None:
    start = rig.boot("")
    assert len(answering(rig)) == 1
    direct, ports, proxies = start.port, [], []
    for instances in (1, 3, 1):
        start = rig.boot(PROXY + f"[server]\ninstances = {instances}\n")
        assert len({each.port for each in start.instances}) == instances
        assert answering(rig) == below(rig.pids("app"))
        assert len(below(rig.pids("app"))) == instances
        assert start.port == rig.stack.proxy.port if rig.stack.proxy else False
        ports.append(start.port)
        proxies.append(rig.pids("proxy"))
    assert len(set(ports)) == 1
    assert rig.boot("").port == direct
    assert rig.pids("proxy") == []
    assert rig.gone([pid for group in proxies for pid in group])
    assert len(answering(rig)) == 1


def test_servers_of_two_interfaces_serve_their_routes(rig: Rig) -> None:
    start = rig.boot(PROXY + ASGI + LIVE_ROUTE)
    assert rig.get("/live/one")["by"] == "asgi"
    assert rig.get("/other")["path"] == "/other"
    assert {name: checked.interface for name, checked in start.checked.items()} == {"app": "wsgi", "live": "asgi"}
    assert [each.server.name for each in start.instances] == ["app", "live"]
    rig.boot(PROXY)
    assert rig.get("/live/one")["path"] == "/live/one"
    with pytest.raises(PlanError) as caught:
        rig.boot(PROXY + ASGI.replace('"asgi"', '"sync"') + LIVE_ROUTE)
    assert "[servers.live]: gunicorn sync cannot serve holds:asynchronous" in caught.value.message


@pytest.mark.long
def test_an_aiohttp_app_stands_beside_a_wsgi_one(rig: Rig) -> None:
    try:
        place = overlay(sys.executable, ("aiohttp>=3.9",), rig.folder.parent / "own" / "overlays")
    except MachineError as error:
        pytest.skip(error.paragraph())
    (rig.folder / "stream.py").write_text(AIOHTTP, encoding="utf-8")
    server = '[servers.live]\nkind = "gunicorn"\nworker_class = "aiohttp"\nentry = "stream:app"\ninstances = 2\n'
    env = {"PYTHONPATH": place.path} if place.path else {}
    start = rig.boot(PROXY + server + LIVE_ROUTE, env=env)
    assert rig.get("/live") == {"by": "aiohttp"}
    assert rig.get("/")["path"] == "/"
    assert start.checked["live"].interface == "aiohttp"


def test_files_are_served_by_the_proxy_itself(rig: Rig) -> None:
    (rig.folder / "files").mkdir(exist_ok=True)
    (rig.folder / "files" / "note.txt").write_text("a file", encoding="utf-8")
    rig.boot(PROXY + '[proxy.static]\n"/static/" = "files"\n')
    assert rig.answer("/static/note.txt") == (200, b"a file")
    assert rig.answer("/static/none.txt")[0] == 404
    rig.boot(PROXY)
    assert rig.get("/static/note.txt")["path"] == "/static/note.txt"


def test_a_proxy_that_speaks_tls_answers_both_ways(rig: Rig) -> None:
    rig.boot(PROXY + "tls = true\n")
    assert rig.get()["path"] == "/"
    proxy = rig.stack.proxy
    assert proxy is not None
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = rig.stack.launcher.connect(proxy.tls_port, 20)
    with context.wrap_socket(plain) as link:
        link.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert link.recv(15) == b"HTTP/1.1 200 OK"


def test_a_proxy_that_died_is_told_and_one_that_cannot_come_back_leaves_nothing_running(rig: Rig) -> None:
    start = rig.boot(PROXY)
    os.kill(rig.pids("proxy")[0], signal.SIGTERM)
    until(lambda: [tier for tier, _, _ in rig.stack.dead()] == ["proxy"], "the proxy is told to be dead")
    with rig.stack.launcher.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", start.port))
        taken.listen()
        with pytest.raises(StackError) as caught:
            rig.boot(PROXY)
    assert "in use" in " ".join(caught.value.log)
    assert rig.stack.start is None
    assert rig.stack.app.instances == []
    rig.boot(PROXY)
    assert rig.get()["path"] == "/"


def test_a_second_server_that_fails_takes_the_first_with_it(rig: Rig) -> None:
    once = "open('imported', 'x').close()\nfrom holds import application\n"  # once, by prony's own look at it
    (rig.folder / "once.py").write_text(once, encoding="utf-8")
    server = '[servers.live]\nkind = "gunicorn"\nentry = "once:application"\n'
    with pytest.raises(StackError) as caught:
        rig.boot(PROXY + server + LIVE_ROUTE)
    assert "FileExistsError" in " ".join(caught.value.log)
    assert rig.stack.start is None
    assert rig.pids("app") == []
    rig.boot(PROXY)
    assert rig.get()["path"] == "/"


# ---- workers


def test_workers_run_beside_the_web_and_end_with_it(rig: Rig) -> None:
    (rig.folder / "Procfile").write_text("tick: python tick.py of the Procfile\n", encoding="utf-8")
    tables = '[workers.ticker]\ncommand = "python tick.py"\ninstances = 2\n[workers.other]\nprocess = "tick"\n'
    start = rig.boot(CACHE + tables)
    pids = rig.pids("ticker")
    assert (len(pids), len(rig.pids("other"))) == (2, 1)
    log = rig.stack.logs / f"worker-other-{start.number}-1.log"
    until(lambda: log.exists() and "ticking redis:// of the Procfile" in log.read_text(), "the Procfile's line runs")
    os.kill(pids[0], signal.SIGTERM)
    until(lambda: [tier for tier, _, _ in rig.stack.dead()] == ["ticker"], "one worker's end is told")
    [(_, process, how)] = rig.stack.dead()
    assert (process.pid, how) == (pids[0], "killed by SIGTERM")
    rig.boot(CACHE + tables)
    assert not list(rig.stack.dead())
    assert rig.gone(pids)
    rig.boot(CACHE)
    assert rig.pids("ticker") == []


# ---- boxes


def limits(rig: Rig, box: str) -> tuple[float, int]:
    """(cores, bytes) as the kernel holds them."""
    paths = rig.stack.ground.boxes[box]["paths"]
    if "cgroup" in paths:
        whole = Path(paths["cgroup"])
        quota, period = (int(word) for word in (whole / "cpu.max").read_text().split())
        return quota / period, int((whole / "memory.max").read_text())
    cpu, memory = Path(paths["cpu"]), Path(paths["memory"])
    quota, period = (int((cpu / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return quota / period, int((memory / "memory.limit_in_bytes").read_text())


def inside(rig: Rig, box: str) -> set[int]:
    """The processes in a box."""
    paths = rig.stack.ground.boxes[box]["paths"]
    file = Path(paths.get("cgroup") or paths["cpu"]) / "cgroup.procs"
    return {int(pid) for pid in file.read_text().split()}


def need_cgroups(rig: Rig) -> None:
    why = next((box["why"] for box in rig.stack.ground.boxes.values() if box["why"]), "")
    if why:
        pytest.skip(why)


def test_boxes_come_change_and_go(rig: Rig) -> None:
    rig.boot(POSTGRES + CACHE)
    database, cache = rig.pids("database"), rig.pids("cache")
    box = '[box.small]\nservices = ["app", "database"]\ncpus = 0.5\nmemory = "400M"\n'
    rig.boot(POSTGRES + CACHE + box)
    need_cgroups(rig)
    assert limits(rig, "small") == (0.5, 400 * 2**20)
    assert {*rig.pids("app"), *rig.pids("database")} <= inside(rig, "small")
    assert rig.gone(database), "it got into its box by a new start"
    assert rig.held() == (3, 3)
    database = rig.pids("database")
    rig.boot(POSTGRES + CACHE + box.replace("0.5", "0.75"))
    assert limits(rig, "small")[0] == 0.75
    assert rig.pids("database") == database, "other limits need no new start"
    rig.boot(POSTGRES + CACHE)
    assert rig.stack.ground.boxes == {}
    assert rig.gone(database)
    assert rig.held() == (3, 3)
    assert cache != []


def test_a_box_that_a_failed_boot_left_half_done_is_done_by_the_next(rig: Rig) -> None:
    box = '[box.front]\nservices = ["proxy", "feed", "pooler"]\ncpus = 1.0\n'
    rest = POSTGRES + PROXY + '[services.feed]\nenv = "FEED_URL"\n[pooler]\nkind = "pgbouncer"\n'
    rig.boot(rest)
    before = [*rig.pids("proxy"), *rig.pids("outside.feed"), *rig.pids("pooler")]
    with pytest.raises(PlanError):
        rig.boot(rest + box, entry="nothing_here:application")
    rig.boot(rest + box)
    need_cgroups(rig)
    after = {*rig.pids("proxy"), *rig.pids("outside.feed"), *rig.pids("pooler")}
    assert len(after) == 3
    assert after <= inside(rig, "front")
    assert rig.gone(before)


def test_a_whole_droplet_holds_every_tier(rig: Rig) -> None:
    names = ["app", "database", "cache", "proxy", "ticker", "live"]
    tables = POSTGRES + CACHE + PROXY + ASGI + LIVE_ROUTE + '[workers.ticker]\ncommand = "python tick.py"\n'
    rig.boot(tables + f'[box.droplet]\nservices = {names}\nsize = "droplet-512mb"\n'.replace("'", '"'))
    need_cgroups(rig)
    assert limits(rig, "droplet") == (1.0, 512 * 2**20)
    for tier in ("app", "database", "cache", "proxy", "ticker"):
        assert set(rig.pids(tier)) <= inside(rig, "droplet"), tier
    assert rig.held() == (3, 3)
    assert rig.get("/live")["by"] == "asgi"


def test_a_managed_database_brings_its_round_trip_and_connections(rig: Rig) -> None:
    rig.boot(POSTGRES + '[box.database]\nsize = "heroku-postgres-essential-0"\n')
    postgres = rig.stack.postgres
    assert postgres is not None
    assert postgres.ask("SHOW max_connections") == [("20",)]
    assert rig.stack.changeable() == {"link.database"}
    assert rig.held()[0] == 3
