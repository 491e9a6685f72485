from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from tests.cli.up_case import Up, get, until

APP = """
import os, socket, sys, urllib.request

def application(environ, start_response):
    path = environ["PATH_INFO"]
    body = f"from {path}"
    if path == "/feed":
        body = urllib.request.urlopen(os.environ["FEED_URL"], timeout=30).read().decode()
    if path == "/out":
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=1)
        except OSError as error:
            body = f"refused {type(error).__name__}"
    if path == "/log":
        print("\\x1b[31ma red line\\x1b[0m of the app's", file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"""
SMALL = f"""
[app]
entry = "one:application"
python = "{sys.executable}"
[server]
kind = "gunicorn"
worker_class = "sync"
workers = 1
"""
WHOLE = """
[servers.threads]
kind = "gunicorn"
worker_class = "gthread"
workers = 1
threads = 4
[proxy]
kind = "nginx"
[stores.database]
kind = "postgres"
env = "DATABASE_URL"
[stores.cache]
kind = "valkey"
env = "REDIS_URL"
[services.feed]
env = "FEED_URL"
latency = "10ms"
[workers.clock]
command = "python clock.py"
"""
CLOCK = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.5)\n"
WEB = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{os.environ['PORT']} {os.environ.get('GREETING')} {os.environ.get('KEY')}".encode())
print("serving at", sys.argv[1], flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def project(folder: Path, toml: str, app: str = APP) -> Path:
    folder.mkdir()
    (folder / "one.py").write_text(app, encoding="utf-8")
    (folder / "clock.py").write_text(CLOCK, encoding="utf-8")
    (folder / "prony.toml").write_text(toml, encoding="utf-8")
    return folder


def change(up: Up, *argv: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "prony", "change", *argv],
        cwd=up.folder, env=os.environ | {"XDG_STATE_HOME": str(up.state)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def said(address: str, text: bytes) -> bytes:
    """What a server says to a text."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        connection.sendall(text)
        return connection.recv(1000)


def below(up: Up, word: str) -> list[psutil.Process]:
    found = []
    for process in up.below():
        try:
            if word in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- a plan: the tests of `whole` share one stack, and the last of them end it


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("whole")
    argv = ("--set", "link.database.round_trip=5ms")
    with Up(project(folder / "shop", SMALL + WHOLE), folder / "state", *argv) as up:
        up.await_up()
        yield up


def test_every_address_shown_leads_there(whole: Up) -> None:
    assert get(f"{whole.address('app')}/page") == (200, "from /page")
    assert get(f"{whole.address('threads')}/page") == (200, "from /page")
    assert get(whole.address("feed"))[0] == 200
    with psycopg.connect(whole.address("database"), connect_timeout=30) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app",)
    cache = whole.address("cache")
    assert said(cache, f"AUTH {urlsplit(cache).password}\r\nPING\r\n".encode()).startswith(b"+OK")


def test_what_it_shows_is_lines_of_text_each_with_the_name_of_whose_it_is(whole: Up) -> None:
    assert get(f"{whole.address('app')}/log")[0] == 200
    whole.line(r"^ +app │ a red line of the app's$")
    whole.line(r"^ +threads │ .*gthread")
    whole.line(r"^ +clock │ tick")
    assert not re.search(r"database │ .*(initialized|starting PostgreSQL)", whole.text), "how it came up is no news"
    assert "\x1b" not in whole.text
    whole.line(r"^  app +\S+ +nginx [\d.]+ before gunicorn sync, 1 worker, Python 3")
    whole.line(r"^  database +\S+ +postgres \d")


def test_what_the_app_is_refused_is_shown_with_the_way_to_allow_it(whole: Up) -> None:
    assert "refused" in get(f"{whole.address('app')}/out")[1]
    whole.line(r"^refused: your app tried once to reach 192\.0\.2\.1\S* from \S*one\.py\S*: name it .*\[app\] egress")


def test_a_service_and_a_link_are_changed_while_they_run(whole: Up) -> None:
    whole.line(r"^To change while it runs: link\.database, services\.feed")
    code, out, err = change(whole, "services.feed.latency=750ms", "link.database.round_trip=1ms", "--json")
    assert code == 0, err
    assert json.loads(out)["changed"] == {"services.feed": {"latency": 0.75}, "link.database": {"round_trip_s": 0.001}}
    whole.line(r"^changed: services\.feed\.latency=750ms, link\.database\.round_trip=1ms$")
    status, body = get(f"{whole.address('app')}/feed")
    assert (status, json.loads(body)["waited_s"] >= 0.75) == (200, True)
    assert change(whole, "services.feed.latency=10ms")[0] == 0


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (["services.feed.errors=100%", "link.cache.drop=10%"], ["link.cache", "allowed: link.database, services.feed"]),
        (["services.feed.latency=soon"], ['found "soon"', "a duration"]),
        (["server.workers=3"], ["found nothing that can be changed while it runs", "services.NAME.latency"]),
    ],
)
def test_what_cannot_be_changed_is_one_paragraph_and_changes_nothing(
    whole: Up, order: list[str], names: list[str]
) -> None:
    code, out, err = change(whole, *order)
    assert (code, out) == (2, "")
    assert all(name in err for name in names), err
    assert get(f"{whole.address('app')}/feed")[0] == 200


def test_a_second_up_in_the_same_project_is_refused_at_once(whole: Up) -> None:
    with Up(whole.folder, whole.state) as other:
        assert other.ended() == 2
        assert "running in this project already" in other.text
        assert "Starting gunicorn" not in other.text
    assert get(f"{whole.address('app')}/page")[0] == 200, "and the first goes on"


def test_a_store_that_dies_is_told_and_the_app_goes_on(whole: Up) -> None:
    [process] = below(whole, "valkey-server")
    process.kill()
    whole.line(r"^cache: .* ended \(killed by SIGKILL\)\.")
    assert get(f"{whole.address('app')}/page")[0] == 200


def test_when_no_app_server_is_left_the_stack_is_stopped_and_says_so(whole: Up) -> None:
    masters = {process.pid: process for process in below(whole, "gunicorn")}
    for process in masters.values():
        if process.ppid() not in masters:
            process.kill()
    assert whole.ended() == 2
    assert re.search(r"No app server is left \(gunicorn sync.*killed by SIGKILL", whole.text), whole.text
    assert not below_by_tag(whole)


def below_by_tag(up: Up) -> list[psutil.Process]:
    """What still works in the project's folder."""
    return [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(up.folder)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_it_all_with_130(tmp_path: Path, number: int) -> None:
    folder = project(tmp_path / "shop", SMALL)
    port = free_port()
    with Up(tmp_path, tmp_path / "state", "--project", "shop", "--no-namespace", "--port", str(port)) as up:
        up.await_up()
        assert up.address("app") == f"http://127.0.0.1:{port}"
        assert get(f"http://127.0.0.1:{port}/")[0] == 200
        assert "Contained by the audit hook alone" in up.text
        assert up.stop(number) == 130
        assert up.lines[-1] == "Stopped: nothing that was started is left."
    assert {path.name for path in folder.iterdir()} == {"one.py", "clock.py", "prony.toml", ".prony"}
    code, _, err = change(up, "--project", "shop", "services.feed.latency=1s")
    assert (code, "No prony up is running" in err) == (2, True)


def test_a_second_up_shows_no_log_of_the_first(tmp_path: Path) -> None:
    folder = project(tmp_path / "shop", SMALL)
    for number in (1, 2):
        with Up(folder, tmp_path / "state") as up:
            up.await_up()
            up.line("Booting worker")
            assert up.stop() == 130
        assert up.text.count("Booting worker") == 1, number


@pytest.mark.parametrize(
    ("app", "toml", "names"),
    [
        ("raise RuntimeError('no settings today')\n", SMALL, ["one:application", "RuntimeError: no settings today"]),
        (APP, SMALL + '[stores.database]\nkind = "url"\nurl = "postgres://u:hush@127.0.0.1:1/x"\n', ["127.0.0.1:1"]),
    ],
)
def test_what_does_not_come_up_is_one_paragraph(tmp_path: Path, app: str, toml: str, names: list[str]) -> None:
    with Up(project(tmp_path / "shop", toml, app), tmp_path / "state") as up:
        assert up.ended() == 2
    assert all(name in up.text for name in names), up.text
    assert "Traceback (most recent call last)" not in up.text.partition("prony: ")[0]
    assert "hush" not in up.text


# ---- a Procfile


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Up]:
    """Starts `prony up` on a Procfile of these lines."""
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "web.py").write_text(WEB, encoding="utf-8")

    def start(*text: str, env: str = "", argv: tuple[str, ...] = ()) -> Up:
        (folder / "Procfile").write_text("\n".join(text) + "\n", encoding="utf-8")
        (folder / ".env").write_text(env, encoding="utf-8")
        return Up(folder, tmp_path / "state", *argv)

    return start


def test_a_procfile_s_lines_get_their_ports_and_the_env_and_are_reached_at_the_same_port(
    lines: Callable[..., Up],
) -> None:
    first = free_port()
    while first > 65_000:
        first = free_port()
    env = f"# ours\nPORT={first}\nexport GREETING='good day'\nKEY=\"a#b\"\n"
    with lines("web: python web.py $PORT", "other: python web.py ${PORT}", env=env) as up:
        assert up.address("web") == f"http://127.0.0.1:{first}"
        assert get(up.address("web")) == (200, f"{first} good day a#b")
        assert get(up.address("other")) == (200, f"{first + 100} good day a#b")
        up.line(rf"^ +web │ serving at {first}")
        assert up.stop() == 130


def test_a_port_that_is_taken_on_this_machine_is_led_to_from_another(lines: Callable[..., Up]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with lines(f"web: python web.py {taken}") as up:
            up.line(rf"^  web +http.* {taken} where it runs, which is taken")
            if "audit hook alone" in up.text:
                pytest.skip("without a network of its own nothing can listen there")
            assert up.address("web") != f"http://127.0.0.1:{taken}"
            assert get(up.address("web")) == (200, "5000 None None")


@pytest.mark.parametrize(("ending", "code"), [("exit 7", 7), ("exit 0", 0), ("kill -9 $$", 137)])
def test_a_line_that_ends_takes_the_others_with_it(lines: Callable[..., Up], ending: str, code: int) -> None:
    with lines("web: python web.py $PORT", f"short: echo the last words; {ending}") as up:
        assert up.ended() == code
    how = "killed by SIGKILL" if code == 137 else f"exit code {code}"
    assert f"short: ended ({how})." in up.lines
    assert any(line.endswith("short │ the last words") for line in up.lines)
    assert not below_by_tag(up)


def test_a_release_line_is_run_first_and_its_failure_ends_it_all(lines: Callable[..., Up]) -> None:
    ready = "release: echo done > released"
    with lines("web: test -e released && exec python web.py $PORT", ready) as up:
        assert get(up.address("web"))[0] == 200
        assert up.stop() == 130
    with lines("web: python web.py $PORT", "release: echo no database here; exit 3") as up:
        assert up.ended() == 2
    assert "release line ended (exit code 3)" in up.text
    assert "no database here" in up.text


def test_a_line_may_start_nginx_though_none_is_on_path(lines: Callable[..., Up]) -> None:
    port = free_port()
    with lines("nginx: exec nginx -p . -c nginx.conf -e stderr") as up:
        conf = f"""
            daemon off; pid nginx.pid; error_log stderr; events {{}}
            http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fast;
                    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "nginx here"; }} }} }}
        """
        (up.folder / "nginx.conf").write_text(conf, encoding="utf-8")
        assert get(up.address("nginx")) == (200, "nginx here")
        assert up.stop() == 130


@pytest.mark.parametrize(
    ("text", "env", "argv", "names"),
    [
        ("web gunicorn", "", (), ["Procfile, line 1", '"web gunicorn"']),
        ("# nothing", "", (), ["found no line in it"]),
        ("web: nosuchprogram --port 1", "", (), ["web cannot be started", "nosuchprogram"]),
        ("web: python web.py $PORT", "KEY='secret", (), [".env, line 1", "no closing quotation"]),
        ("web: python web.py $PORT", "PORT=many", (), [".env: PORT: found many"]),
        ("web: python web.py $PORT", "", ("--set", "server.workers=2"), ["--set for a Procfile"]),
    ],
)
def test_a_mistake_in_a_procfile_is_one_paragraph(
    lines: Callable[..., Up], text: str, env: str, argv: tuple[str, ...], names: list[str]
) -> None:
    with lines(text, env=env, argv=argv) as up:
        assert up.ended() in {2, 3}
    assert all(name in up.text for name in names), up.text
    assert "secret" not in up.text
    assert "Traceback" not in up.text


def test_in_a_folder_with_neither_there_is_nothing_to_bring_up(tmp_path: Path) -> None:
    with Up(tmp_path, tmp_path / "state") as up:
        assert up.ended() == 2
    assert "prony.toml: there is no such file" in up.text
    until(lambda: not list(tmp_path.glob("*.toml")), "nothing is written")
