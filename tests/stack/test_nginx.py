from __future__ import annotations

import gzip
import http.client
import json
import shutil
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import pytest

from prony.errors import StackError
from prony.knobs.proxy import PRESETS
from prony.plan import Proxy, Route
from prony.stack import folders
from prony.stack.launch import Launcher
from prony.stack.services.nginx import Nginx
from tests.stack.nginx_case import Answer, Ground, until

ROUTER = PRESETS["platform-router"]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    run_folder = folders.run_folder()
    with Launcher(run_folder) as launcher:
        yield Ground(tmp_path_factory.mktemp("ground"), launcher)
    shutil.rmtree(run_folder, ignore_errors=True)


@pytest.fixture
def nginx(ground: Ground, tmp_path: Path) -> Iterator[Nginx]:
    found = ground.new(tmp_path)
    yield found
    ground.gate.touch()
    found.stop()


def test_requests_go_to_the_upstream_of_the_longest_prefix(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    routes = (Route(path="/live", to="live"), Route(path="/live/old/", to="old"))
    upstreams = {"app": [ground.first], "live": [ground.second], "old": [ground.third]}
    nginx.start(Proxy(routes=routes), upstreams, tmp_path)
    asked = {path: ground.ask(nginx.port, path).told for path in ("/", "/live", "/live/x?y=1", "/live/old/x")}
    assert [told["name"] for told in asked.values()] == ["first", "second", "second", "third"]
    assert asked["/live/x?y=1"]["path"] == "/live/x"


def test_round_robin_gives_each_instance_the_same(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(), {"app": [ground.first, ground.second, ground.third]}, tmp_path)
    assert ground.names(nginx.port, 9) == {"first": 3, "second": 3, "third": 3}


def test_random_reaches_every_instance_and_takes_no_turns(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(balancing="random"), {"app": [ground.first, ground.second, ground.third]}, tmp_path)
    names = [ground.ask(nginx.port).told["name"] for _ in range(60)]
    assert min(Counter(names).values()) >= 5
    assert any(one == following for one, following in pairwise(names))


def test_ip_hash_keeps_a_client_with_its_instance(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(balancing="ip_hash"), {"app": [ground.first, ground.second]}, tmp_path)
    assert len(ground.names(nginx.port, 6)) == 1


@pytest.mark.parametrize(("balancing", "instances"), [("least_conn", 1), ("round_robin", 2)])
def test_least_conn_avoids_an_instance_that_is_stuck_and_taking_turns_does_not(
    ground: Ground, nginx: Nginx, tmp_path: Path, balancing: str, instances: int
) -> None:
    ports = {"first": ground.first, "second": ground.second}
    nginx.start(Proxy(balancing=balancing), {"app": list(ports.values())}, tmp_path)
    before = {name: ground.told(port, "held") for name, port in ports.items()}
    with ground.connection(nginx.port) as stuck:
        with ground.holding():
            stuck.request("GET", "/held")
            until(lambda: any(ground.told(p, "held") > before[name] for name, p in ports.items()), "a held request")
            holder = next(name for name, port in ports.items() if ground.told(port, "held") > before[name])
            names = ground.names(nginx.port, 6)
        assert Answer(stuck.getresponse()).status == 200
    assert len(names) == instances
    assert (holder in names) == (instances == 2)


def test_the_app_is_told_of_the_client(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(), {"app": [ground.first]}, tmp_path)
    told = ground.ask(nginx.port, Host="shop.example:81", X_Forwarded_For="192.0.2.7", X_Request_ID="abc-1").told
    assert told["HTTP_HOST"] == told["HTTP_X_FORWARDED_HOST"] == "shop.example:81"
    assert told["HTTP_X_FORWARDED_FOR"] == "192.0.2.7, 127.0.0.1"
    assert told["HTTP_X_FORWARDED_PROTO"] == "http"
    assert told["HTTP_X_REQUEST_ID"] == "abc-1"
    assert told["HTTP_X_REQUEST_START"].startswith("t=")
    assert float(told["HTTP_X_REQUEST_START"].removeprefix("t=")) > 1e9
    assert len(ground.ask(nginx.port, X_Request_ID="a b").told["HTTP_X_REQUEST_ID"]) == 32
    assert ground.ask(nginx.port, Connection="Upgrade", Upgrade="websocket").told["HTTP_CONNECTION"] == "upgrade"


def test_a_cached_route_asks_the_app_once_a_page_and_a_start_forgets(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    proxy = Proxy(routes=(Route(path="/cached", cache_s=60), Route(path="/unwell", cache_s=60)))
    nginx.start(proxy, {"app": [ground.first]}, tmp_path)
    asked = [ground.ask(nginx.port, path) for path in ("/cached", "/cached", "/cached?page=2", "/unwell", "/unwell")]
    assert [a.headers["X-Cache-Status"] for a in asked] == ["MISS", "HIT", "MISS", "MISS", "MISS"]
    assert asked[0].body == asked[1].body
    assert ground.ask(nginx.port, "/cached", Host="else.example").headers["X-Cache-Status"] == "MISS"
    assert ground.ask(nginx.port, "/other").headers["X-Cache-Status"] is None
    nginx.start(proxy, {"app": [ground.first]}, tmp_path)
    assert ground.ask(nginx.port, "/cached").headers["X-Cache-Status"] == "MISS"


def test_files_are_served_from_a_folder_closed_to_others_and_the_app_is_not_asked(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    closed = tmp_path / "a closed folder"
    (closed / "css").mkdir(parents=True)
    (closed / "css" / "site.css").write_text("body {}", encoding="utf-8")
    closed.chmod(0o700)
    static = {"/static/": "a closed folder", "/robots.txt": "a closed folder/css/site.css"}
    nginx.start(Proxy(static=static, knobs={"open_file_cache": 10}), {"app": [ground.first]}, tmp_path)
    found = ground.ask(nginx.port, "/static/css/site.css")
    assert (found.status, found.body, found.headers["Content-Type"]) == (200, b"body {}", "text/css")
    assert ground.ask(nginx.port, "/robots.txt").body == b"body {}"
    missing = ground.ask(nginx.port, "/static/none.css")
    assert missing.status == 404
    assert b"nginx" in missing.body
    assert ground.ask(nginx.port, "/static/../one.py").told["name"] == "first"


def test_a_get_is_tried_again_where_an_instance_is_dead(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    upstreams = {"app": [ground.dead(), ground.first]}
    nginx.start(Proxy(knobs={"max_fails": 0}), upstreams, tmp_path)
    assert ground.names(nginx.port, 6) == {"first": 6}
    nginx.start(Proxy(knobs={"max_fails": 0, "tries": 1}), upstreams, tmp_path)
    assert Counter(ground.ask(nginx.port).status for _ in range(6)) == {200: 3, 502: 3}


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("POST", 1)])
def test_a_request_that_was_sent_is_sent_again_only_when_it_is_idempotent(
    ground: Ground, nginx: Nginx, tmp_path: Path, method: str, sent: int
) -> None:
    ports = [ground.mute("close"), ground.mute("close")]
    nginx.start(Proxy(), {"app": ports}, tmp_path)
    assert ground.ask(nginx.port, "/", method, b"order=1" if method == "POST" else None).status == 502
    assert sum(ground.told(port, "asked") for port in ports) == sent


def test_an_answer_of_503_is_tried_elsewhere_only_when_asked(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    for retried, counts in ((False, 1), (True, 2)):
        nginx.start(Proxy(knobs={"retry_5xx": retried}), {"app": [ground.first, ground.second]}, tmp_path)
        before = [ground.ask(port).told["count"] for port in (ground.first, ground.second)]
        assert ground.ask(nginx.port, "/unwell").status == 503
        after = [ground.ask(port).told["count"] for port in (ground.first, ground.second)]
        assert sum(after) - sum(before) == 2 + counts


def test_a_streamed_route_passes_pieces_on_as_they_come(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(routes=(Route(path="/stream", buffering=False),)), {"app": [ground.first]}, tmp_path)
    with ground.connection(nginx.port) as streamed:
        with ground.holding():
            streamed.request("GET", "/stream")
            response = streamed.getresponse()
            assert response.read(6) == b"first "
        assert response.read() == b"last"
        assert response.headers["Transfer-Encoding"] == "chunked"


def test_an_answer_that_is_collected_frees_the_app_of_a_slow_client(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    size = 64  # MB: more than the kernel and waitress hold by themselves
    collected, passed = f"/big/collected/{size}", f"/big/passed/{size}"
    nginx.start(Proxy(routes=(Route(path="/big/passed", buffering=False),)), {"app": [ground.first]}, tmp_path)
    with ground.connection(nginx.port) as slow, ground.connection(nginx.port) as slower:
        slower.request("GET", passed)
        slow.request("GET", collected)
        until(lambda: ground.told(ground.first, collected) == 1, "the end of the collected answer")
        assert ground.told(ground.first, passed) == 0
        assert len(slower.getresponse().read()) == size * 1024 * 1024
        until(lambda: ground.told(ground.first, passed) == 1, "the end of the passed answer")


def test_https_is_answered_beside_http_with_a_certificate_for_localhost(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    nginx.start(Proxy(tls=True), {"app": [ground.first]}, tmp_path)
    context = ssl.create_default_context(cafile=str(tmp_path / "run" / "nginx" / "localhost.crt"))
    with ground.connection(nginx.tls_port) as connection:
        connection.sock = context.wrap_socket(connection.sock, server_hostname="localhost")
        connection.request("GET", "/")
        assert Answer(connection.getresponse()).told["HTTP_X_FORWARDED_PROTO"] == "https"
    assert ground.ask(nginx.port).told["HTTP_X_FORWARDED_PROTO"] == "http"
    assert (tmp_path / "run" / "nginx" / "localhost.key").stat().st_mode & 0o077 == 0
    tls_port = nginx.tls_port
    nginx.start(Proxy(), {"app": [ground.first]}, tmp_path)
    assert nginx.tls_port == 0
    nginx.start(Proxy(tls=True), {"app": [ground.first]}, tmp_path)
    assert nginx.tls_port == tls_port


def test_the_platform_router_has_its_own_answers_for_what_goes_wrong(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    # Here 30 s and 5 s are made shorter; the preset's other values stand.
    knobs = ROUTER | {"read_timeout": 0.3, "connect_timeout": 0.3}
    with ground.full() as full:
        ports = {"H12": ground.mute("hold"), "H13": ground.mute("close"), "H19": full, "H21": ground.dead()}
        proxy = Proxy(
            preset="platform-router",
            balancing="random",
            routes=tuple(Route(path=f"/{code}", to=code.lower()) for code in ports),
            knobs=knobs,
        )
        upstreams = {code.lower(): [port] for code, port in ports.items()}
        nginx.start(proxy, upstreams | {"app": [ground.first]}, tmp_path)
        for code in ports:
            began = monotonic()
            answer = ground.ask(nginx.port, f"/{code}")
            assert (answer.status, answer.headers["X-Router-Error"]) == (503, code)
            assert answer.headers["Content-Type"] == "text/html"
            assert b"Application error" in answer.body
            assert code not in {"H12", "H19"} or monotonic() - began >= 0.25
    own = ground.ask(nginx.port, "/unwell")
    assert (own.status, own.headers["X-Router-Error"], own.told["name"]) == (503, None, "first")
    started = ground.ask(nginx.port).told["HTTP_X_REQUEST_START"]
    assert len(started) == 13
    assert int(started) > 1e12


def test_the_platform_router_tries_one_instance_and_leaves_none_out(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    proxy = Proxy(preset="platform-router", balancing="random", knobs=ROUTER)
    nginx.start(proxy, {"app": [ground.first, ground.dead()]}, tmp_path)
    statuses = Counter(ground.ask(nginx.port).status for _ in range(60))
    assert set(statuses) == {200, 503}
    assert min(statuses.values()) >= 10


def test_past_its_limit_requests_are_turned_away_at_once(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    for preset, code in (("", None), ("platform-router", "H11")):
        nginx.start(Proxy(preset=preset, knobs={"limit_conn": 1}), {"app": [ground.first]}, tmp_path)
        before = ground.told(ground.first, "held")
        with ground.connection(nginx.port) as held:
            with ground.holding():
                held.request("GET", "/held")
                until(lambda seen=before: ground.told(ground.first, "held") > seen, "a held request")  # type: ignore[misc]
                answer = ground.ask(nginx.port)
                assert (answer.status, answer.headers["X-Router-Error"]) == (503, code)
            assert Answer(held.getresponse()).status == 200


def test_connections_to_the_app_are_made_anew_unless_they_are_kept(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    ports = {}
    for kept in (0, 4):
        nginx.start(Proxy(knobs={"upstream_keepalive": kept}), {"app": [ground.first]}, tmp_path)
        ports[kept] = len({ground.ask(nginx.port).told["REMOTE_PORT"] for _ in range(4)})
    assert ports == {0: 4, 4: 1}


def test_texts_are_compressed_and_bodies_bounded_as_asked(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    knobs = {"gzip": True, "gzip_comp_level": 5, "client_max_body_size": 2000}
    nginx.start(Proxy(knobs=knobs), {"app": [ground.first]}, tmp_path)
    answer = ground.ask(nginx.port, Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body))["name"] == "first"
    assert ground.ask(nginx.port, "/", "POST", b"x" * 2000).told["size"] == 2000
    assert ground.ask(nginx.port, "/", "POST", b"x" * 2001).status == 413


def test_the_running_processes_have_what_the_knobs_say(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(knobs={"worker_processes": 3, "worker_rlimit_nofile": 777}), {"app": [ground.first]}, tmp_path)
    process = nginx.process
    assert process is not None
    master = psutil.Process(process.pid)
    until(lambda: len(master.children()) == 3, "three workers")
    workers = master.children()
    until(lambda: all(w.rlimit(psutil.RLIMIT_NOFILE)[0] == 777 for w in workers), "their limit")
    nginx.stop()
    assert not process.alive
    until(lambda: not any(w.is_running() for w in workers), "the workers' end")
    with pytest.raises(ConnectionRefusedError):
        ground.launcher.connect(nginx.port, 5)


def test_every_request_leaves_a_line_with_its_times(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(knobs={"max_fails": 0}), {"app": [ground.dead(), ground.first]}, tmp_path)
    ground.ask(nginx.port, "/one?secret=1", X_Request_ID="one")
    ground.ask(nginx.port, '/a"b%0a', X_Request_ID="two")

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in nginx.timing_log.read_text(encoding="utf-8").splitlines()]

    until(lambda: len(lines()) == 2, "two lines")
    one = next(line for line in lines() if line["id"] == "one")
    assert (one["uri"], one["method"], one["status"]) == ("/one", "GET", "200")
    assert {line["uri"] for line in lines()} == {"/one", '/a"b\n'}
    assert one["msec"] > 1e9
    assert one["request_time"] >= 0
    assert float(one["upstream_response_time"].rpartition(", ")[2]) >= 0
    tried = next(line for line in lines() if ", " in line["upstream_addr"])
    assert tried["upstream_status"] == "502, 200"
    assert tried["upstream_connect_time"].startswith("-, 0.")


def test_a_configuration_that_nginx_refuses_is_told_in_its_own_words(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    with pytest.raises(StackError, match="refuses the configuration") as caught:
        nginx.start(Proxy(balancing="by_taste"), {"app": [ground.first]}, tmp_path)
    assert 'unknown directive "by_taste"' in caught.value.paragraph()
    assert nginx.process is None
    nginx.start(Proxy(), {"app": [ground.first]}, tmp_path)
    assert ground.ask(nginx.port).status == 200


def test_two_stand_side_by_side(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    other = ground.new(tmp_path / "other")
    try:
        nginx.start(Proxy(), {"app": [ground.first]}, tmp_path)
        other.start(Proxy(), {"app": [ground.second]}, tmp_path)
        assert nginx.port != other.port
        assert ground.names(nginx.port, 2) == {"first": 2}
        assert ground.names(other.port, 2) == {"second": 2}
    finally:
        other.stop()
    assert ground.names(nginx.port, 2) == {"first": 2}


def test_it_is_left_running_where_nothing_changed_and_keeps_its_port_where_something_did(
    ground: Ground, nginx: Nginx, tmp_path: Path
) -> None:
    pids, ports = [], []
    for upstream in (ground.first, ground.first, ground.second):
        nginx.start(Proxy(), {"app": [upstream]}, tmp_path)
        assert nginx.process is not None
        pids.append(nginx.process.pid)
        ports.append(nginx.port)
    assert pids[0] == pids[1] != pids[2]
    assert len(set(ports)) == 1
    assert ground.names(nginx.port, 2) == {"second": 2}


def test_a_port_that_somebody_took_is_said_by_nginx_itself(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(), {"app": [ground.first]}, tmp_path)
    nginx.stop()
    with ground.launcher.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", nginx.port))
        taken.listen()
        with pytest.raises(StackError) as caught:
            nginx.start(Proxy(), {"app": [ground.first]}, tmp_path)
    assert f"127.0.0.1:{nginx.port} failed (98: Address" in caught.value.paragraph()


def test_what_a_stop_finds_open_is_closed(ground: Ground, nginx: Nginx, tmp_path: Path) -> None:
    nginx.start(Proxy(), {"app": [ground.mute("hold")]}, tmp_path)
    with ground.connection(nginx.port) as waiting:
        waiting.request("GET", "/")
        began = monotonic()
        nginx.stop()
        assert monotonic() - began < 3
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            waiting.getresponse()
