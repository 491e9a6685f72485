"""`prony run --url` and `prony find --url`, as one would load something with wrk: servers of ours on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import psutil
import pytest

from prony.stack import folders
from tests.cli.test_cli import Terminal

pytestmark = pytest.mark.alone

SERVER = """
import json, socket, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        status = {"/moved": 302, "/gone": 404}.get(self.path, 200)
        said = {"path": self.path, "host": self.headers["Host"], "x": self.headers["X-Test"]}
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if status == 302:
            self.send_header("Location", "http://elsewhere.example/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_): pass

class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET

with Server((sys.argv[1], 0), Handler) as server:
    if sys.argv[2:]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


class Served:
    """A server's port, and prony run in an empty folder with a state folder of its own."""

    def __init__(self, folder: Path, address: str = "127.0.0.1", certificate: Path | None = None) -> None:
        self.folder = folder / "here"
        self.folder.mkdir()
        self.state = folder / "state"
        argv = [sys.executable, "-c", SERVER, address, *([] if certificate is None else [str(certificate)])]
        self.server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self.server.stdout
        self.port = int(self.server.stdout.readline())
        host = f"[{address}]" if ":" in address else address
        self.url = f"{'http' if certificate is None else 'https'}://{host}:{self.port}"

    def start(self, *argv: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "prony", *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=os.environ
            | {"XDG_STATE_HOME": str(self.state), "HOME": str(self.state), "http_proxy": "http://[::1]:9"},
        )

    def prony(self, *argv: str, code: int | None = None) -> tuple[str, str]:
        with self.start(*argv) as process:
            out, err = process.communicate(timeout=120)
        allowed = {0, 1, 4} if code is None else {code}  # a busy machine may break limits, or belief
        assert process.returncode in allowed, err
        assert "Traceback" not in err
        return out, err

    def document(self, *argv: str) -> Any:
        out, _ = self.prony(*argv, "--json")
        return json.loads(out)

    def close(self) -> None:
        self.server.kill()
        self.server.wait()
        assert self.server.stdout
        self.server.stdout.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with closing(Served(tmp_path_factory.mktemp("url"))) as found:
        yield found


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def test_users_in_a_loop_as_one_would_with_wrk(served: Served) -> None:
    found = served.document("run", "--url", f"{served.url}/?a=b", "--users", "3", "--duration", "1s")
    [trial] = found["trials"]
    assert trial["requests"] == trial["errors"]["by_status"]["200"] > 10
    assert trial["plan"]["destination"]["address"] == "127.0.0.1"
    assert trial["plan"]["traffic"]["users"] == 3
    assert trial["routes"][0]["name"] == "/?a=b"
    assert trial["tiers"]["app"]["memory_bytes"] > 1e6
    assert trial["tiers"]["listen_queue"]["length_max"] is not None
    assert {each["name"]: each["kind"] for each in found["doubts"]}["not_watched"] == "note"
    assert found["verdicts"][0]["cause"] in {"none", "not_watched", "load_generator"}
    assert not (served.folder / ".prony").exists()
    assert (served.state / "prony" / "prony.db").exists()


def test_a_rate_with_arrivals_several_pages_fields_and_expectations(served: Served) -> None:
    urls = ["--url", f"{served.url}/a", "--url", f"{served.url}/gone"]
    rest = ["-H", "X-Test: 1", "--header", "Host: shop.test", "--expect-status", "200,404", "--arrivals", "constant"]
    found = served.document("run", *urls, *rest, "--rate", "100", "--duration", "1s")
    [trial] = found["trials"]
    assert trial["scheduled"] == 100
    assert trial["plan"]["traffic"]["arrivals"] == "constant"
    assert {each["name"] for each in trial["routes"]} == {"/a", "/gone"}
    assert all(20 < each["requests"] < 80 for each in trial["routes"])
    assert trial["errors"]["share"] == 0


def test_the_report_says_what_was_not_watched_and_is_there_again(served: Served) -> None:
    out, err = served.prony("run", "--url", served.url, "--rate", "50", "--duration", "1s")
    assert "What to try next" in out
    assert "only the listen queue and the processes that listen there (python" in out
    assert "db conns" not in out
    number = err.split("prony report ")[1].split()[0]
    again, _ = served.prony("report", number)
    assert again == out
    page = served.folder / "report.html"
    served.prony("report", number, "--html", str(page))
    assert "not_watched" in page.read_text(encoding="utf-8")


def test_a_redirect_is_told_before_the_load_and_not_followed(served: Served) -> None:
    out, err = served.prony("run", "--url", f"{served.url}/moved", "--rate", "50", "--duration", "1s")
    assert 'answers 302, which leads to "http://elsewhere.example/": it is not followed' in err
    assert "Nothing valid was tested" in out
    assert f"curl -i {served.url}/moved" in out


def test_localhost_is_found_where_it_listens(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with closing(Served(tmp_path, "::1")) as served:
        for host in ("localhost", "localhost.", "shop.localhost", "[::1]"):
            found = served.document(
                "run", "--url", f"http://{host}:{served.port}/", "--rate", "20", "--duration", "500ms"
            )
            assert found["trials"][0]["plan"]["destination"]["address"] == "::1"
            assert found["trials"][0]["errors"]["share"] == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_https_is_loaded_whoever_signed_its_certificate(address: str, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl program to make a certificate")
    both = tmp_path / "both.pem"
    making = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=shop.test"]
    subprocess.run([openssl, *making, "-keyout", both, "-out", tmp_path / "c.pem"], check=True, capture_output=True)
    both.write_text(both.read_text() + (tmp_path / "c.pem").read_text())
    with closing(Served(tmp_path, address, both)) as served:
        found = served.document("run", "--url", served.url, "--rate", "20", "--duration", "500ms")
        assert found["trials"][0]["plan"]["destination"]["scheme"] == "https"
        assert found["trials"][0]["errors"]["by_status"] == {"200": found["trials"][0]["requests"]}


@pytest.mark.long
def test_the_capacity_of_what_runs_is_an_interval_on_the_one_start(served: Served) -> None:
    argv = ("find", "--url", served.url, "--budget", "20s", "--trial", "1s", "--start", "20")
    found = served.document(*argv)
    [capacity] = found["capacities"]
    assert capacity["trials"] >= 1
    assert capacity["starts"] == 1
    assert all(trial["plan"]["destination"]["port"] == served.port for trial in found["trials"])


def test_a_projects_mix_and_limits_go_to_the_host(served: Served, tmp_path: Path) -> None:
    (tmp_path / "prony.toml").write_text(
        '[app]\nentry = "nowhere:app"\n[stores.database]\nkind = "postgres"\n[limits]\np99 = "1ms"\nerrors = "5%"\n'
        '[[traffic.request]]\npath = "/one"\nweight = 3\n[[traffic.request]]\npath = "/two/{n}/"\n'
        'params = { n = ["1", "2"] }\n'
    )
    load = ("--rate", "60", "--duration", "1s", "--set", "limits.p99=30s")
    found = served.document("run", "--url", served.url, "--project", str(tmp_path), *load)
    [trial] = found["trials"]
    assert [each["name"] for each in trial["routes"]] == ["/one", "/two/{n}/"]
    assert trial["errors"]["by_status"] == {"200": trial["requests"]}
    assert trial["plan"]["limits"].startswith("p99 ≤ 30 s, errors ≤ 5 %")
    assert (tmp_path / ".prony" / "prony.db").exists()
    _, err = served.prony("run", "--url", f"{served.url}/x", "--project", str(tmp_path), code=2)
    assert "allowed: the host alone" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_leaves_nothing_behind_and_the_server_alone(served: Served, number: signal.Signals) -> None:
    with served.start("run", "--url", served.url, "--users", "2", "--duration", "60s") as process:
        try:
            prony = psutil.Process(process.pid)

            def engine() -> bool:
                below = prony.children(recursive=True)
                return any("prony.load.worker" in " ".join(each.cmdline()) for each in below)

            until(engine, "the load engine")
            started = prony.children(recursive=True)
            process.send_signal(number)
            code = process.wait(30)
        finally:
            process.kill()
            _, err = process.communicate()
    until(lambda: not any(each.is_running() for each in started), "the end of all")
    until(lambda: not list(folders.own_folder().glob(f"run-{process.pid}-*")), "the end of its folder")
    assert served.server.poll() is None
    if number != signal.SIGKILL:
        assert code == 130
        assert "interrupted" in err


def test_a_port_where_nobody_listens_is_an_error_before_any_load(served: Served) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        out, err = served.prony("run", "--url", f"http://127.0.0.1:{port}/", "--users", "1", code=2)
    assert out == ""
    assert f"found nobody who listens on 127.0.0.1:{port} (Connection refused)" in err
    assert "Try: " in err


# ---- what needs no server


@pytest.fixture
def prony_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Terminal(tmp_path / "here", capsys)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--url", "http://0.0.0.0:8000/"], "no address of any machine"),
        (["--url", "http://169.254.169.254/"], "link-local"),
        (["--url", "http://127.1/"], "Try: 127.0.0.1"),
        (["--url", "http://127.0.0.1@198.51.100.7/"], "somebody's name"),
        (["--url", "localhost:8000"], "Try: --url http://localhost:8000"),
        (["--url", "ftp://127.0.0.1/"], "allowed: http"),
        (["--url", "http://127.0.0.1/", "--url", "http://127.0.0.1:81/"], "of one host and port"),
        (["--url", "http://127.0.0.1/", "--set", "server.workers=5"], "--set"),
        (["--url", "http://127.0.0.1/", "-H", "no colon"], "--header: found a text without a name"),
        (["--url", "http://127.0.0.1/", "-H", "A: 1", "-H", "a: 2"], "twice"),
        (["--url", "http://127.0.0.1/", "-H", "Content-Length: 1"], "--header headers"),
        (["--url", "http://127.0.0.1/", "--expect-status", "20"], "numbers from 100 to 599"),
        (["--url", "http://127.0.0.1/", "--project", "nowhere"], "nowhere"),
        (["-H", "A: 1"], "without --url"),
        (["--expect-status", "200"], "without --url"),
        (["--url", "http://127.0.0.1/", "--users", "2", "--arrivals", "constant"], "beside --users"),
    ],
)
def test_a_wrong_flag_is_one_paragraph(prony_: Terminal, argv: list[str], said: str) -> None:
    found = prony_("run", *argv)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert not (prony_.folder.parent / "state" / "prony" / "prony.db").exists()


def test_doctor_prints_a_hosts_token_and_where_it_goes(prony_: Terminal) -> None:
    found = prony_("doctor", "--consent", "Staging.Example.com.")
    token = json.loads(prony_("doctor", "--consent", "staging.example.com", "--json").out)["token"]
    assert found.code == 0
    assert found.out.count(token) == 3
    assert "http://staging.example.com/.well-known/prony-consent" in found.out
    assert f"Prony-Consent: {token}" in found.out
    assert f'_prony-consent.staging.example.com. IN TXT "{token}"' in found.out
    for host, said in (
        ("127.0.0.1", "needs no consent"),
        ("http://a.example/", "a host alone"),
        ("127.1", "four numbers"),
    ):
        refused = prony_("doctor", "--consent", host)
        assert refused.code == 2
        assert said in refused.err
