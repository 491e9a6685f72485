"""Hosts that [app] egress opens are reached by their names, from a stack that reaches nothing else."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from prony.campaign.bench import Bench
from prony.plan import Plan, changed, read_file
from prony.recording import Store
from prony.stack.launch import Launcher
from prony.stack.stack import Stack, Start

APP = Path(__file__).parent.parent / "apps" / "fetches.py"
NAME = socket.gethostname()  # the one name that leads somewhere on every machine: to itself


class Outside:
    """A web server on this machine, outside every stack; over TLS where it gets a certificate."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.asked: list[str] = []  # Host headers
        self.names: list[str | None] = []  # server names in TLS
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.headers["Host"])
                body = f"outside {self.path}".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("", 0), Handler)
        self.server.daemon_threads = True
        self.port: int = self.server.server_address[1]
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            context.sni_callback = lambda _socket, name, _context: self.names.append(name)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def outside() -> Iterator[tuple[Outside, Outside]]:
    """Two servers, each at a port of its own."""
    found = Outside(), Outside()
    try:
        socket.create_connection((NAME, found[0].port), 5).close()
    except OSError as error:
        pytest.skip(f"this machine does not reach itself as {NAME}: {error}")
    yield found
    for each in found:
        each.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("egress")) as found:
        yield found


@pytest.fixture
def contained(stack: Stack) -> Stack:
    if not stack.launcher.namespace:
        pytest.skip(stack.launcher.why_no_namespace)
    return stack


def plan_of(folder: Path, *hosts: str, ca: Path | None = None) -> Plan:
    shutil.copy(APP, folder)
    listed = ", ".join(f'"{host}"' for host in hosts)
    toml = f'[app]\nentry = "fetches:application"\npython = "{sys.executable}"\negress = [{listed}]\n'
    (folder / "prony.toml").write_text(toml + f'env = {{ CA = "{ca or ""}" }}\n', encoding="utf-8")
    return read_file(folder)


def fetched(stack: Stack, start: Start, url: str, path: str = "/") -> str:
    """What the app says that it got from there."""
    connection = http.client.HTTPConnection("127.0.0.1", start.port, timeout=60)
    connection.sock = stack.launcher.connect(start.port, 60)
    with contextlib.closing(connection):
        connection.request("GET", f"{path}?{quote(url, safe='')}")
        return connection.getresponse().read().decode()


def test_an_opened_host_and_port_is_reached_by_its_name_and_nothing_else_is(
    contained: Stack, outside: tuple[Outside, Outside], tmp_path: Path
) -> None:
    opened, closed = outside
    start = contained.boot(plan_of(tmp_path, f"{NAME}:{opened.port}"))
    assert contained.remarks == []
    for path in ("/", "/round"):
        assert fetched(contained, start, f"http://{NAME}:{opened.port}/page", path) == "outside /page"
        assert "refused" in fetched(contained, start, f"http://{NAME}:{closed.port}/", path)
        assert "refused" in fetched(contained, start, f"http://127.0.0.1:{opened.port}/", path)
    assert opened.asked == [f"{NAME}:{opened.port}"] * 2
    assert closed.asked == []
    assert contained.refused() == {}
    assert "prony contains" in fetched(contained, start, "http://other.invalid/")
    assert "nreachable" in fetched(contained, start, "http://192.0.2.1/", "/round")
    [said] = contained.refused()
    assert said.startswith("other.invalid:80 at fetches.py:")


def test_each_start_opens_what_its_plan_says(
    contained: Stack, outside: tuple[Outside, Outside], tmp_path: Path
) -> None:
    first, second = outside
    urls = [f"http://{NAME}:{each.port}/" for each in outside]
    for hosts, wanted in (
        ([f"{NAME}:{first.port}"], [True, False]),
        ([f"{NAME}:{second.port}"], [False, True]),
        ([], [False, False]),
        ([f"{NAME}:{first.port}", f"{NAME}:{second.port}"], [True, True]),
    ):
        start = contained.boot(plan_of(tmp_path, *hosts))
        assert [fetched(contained, start, url) == "outside /" for url in urls] == wanted
        assert [fetched(contained, start, url, "/round") == "outside /" for url in urls] == wanted


def test_tls_sees_the_host_s_own_name_and_certificate(contained: Stack, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl program to make a certificate")
    key, certificate, both = (tmp_path / name for name in ("key", "certificate", "both"))
    argv = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=prony"]
    argv += ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    with contextlib.closing(Outside(both)) as server:
        start = contained.boot(plan_of(tmp_path, f"{NAME}:{server.port}", ca=certificate))
        assert fetched(contained, start, f"https://{NAME}:{server.port}/safe") == "outside /safe"
        assert server.names == [NAME]


def test_a_host_without_a_port_has_the_web_s_ports_and_one_on_loopback_its_own(
    contained: Stack, outside: tuple[Outside, Outside], tmp_path: Path
) -> None:
    start = contained.boot(plan_of(tmp_path, "made-up.invalid", f"localhost:{outside[0].port}"))
    assert "reset by peer" in fetched(contained, start, "http://made-up.invalid/")  # the relay's look-up failed
    assert "refused" in fetched(contained, start, "http://made-up.invalid:8080/")
    assert fetched(contained, start, f"http://localhost:{outside[0].port}/") == "outside /"
    assert fetched(contained, start, f"http://127.0.0.1:{outside[0].port}/") == "outside /"


def test_without_a_network_of_the_stack_s_own_the_hook_opens_it(
    outside: tuple[Outside, Outside], tmp_path: Path
) -> None:
    interfaces = [each for group in psutil.net_if_addrs().values() for each in group if each.family == socket.AF_INET]
    address = next((each.address for each in interfaces if not each.address.startswith("127.")), "")
    if not address:
        pytest.skip("this machine has no address but loopback's, which is open in any case")
    url = f"http://{address}:{outside[0].port}/"
    with Stack(tmp_path / "logs", namespace=False) as stack:
        start = stack.boot(plan_of(tmp_path, f"{address}:{outside[0].port}"))
        assert fetched(stack, start, url) == "outside /"
        assert "prony contains" in fetched(stack, start, "http://other.invalid/")
        start = stack.boot(plan_of(tmp_path))
        assert "prony contains" in fetched(stack, start, url)
        assert list(stack.refused().values()) == [1]
        assert [each.kind for each in stack.remarks] == ["folder_written"]  # and none of hosts that stayed closed


def test_what_cannot_be_opened_is_a_doubt_of_the_trial(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "192.0.2.9:25")
    store = Store(tmp_path / "state" / "prony.db")
    with contextlib.closing(store), Bench(store, "run", "closed", tmp_path / "state") as bench:
        if not bench.stack.launcher.namespace:
            pytest.skip(bench.stack.launcher.why_no_namespace)
        measured = bench.measure(plan.loaded(users=1, duration_s=1.0), "run")
        [doubt] = [each for each in measured.doubts if each.name == "egress_closed"]
        assert doubt.text.startswith("192.0.2.9 under [app] egress cannot be reached from the stack's network: ")
        bench.stack.boot(changed(plan, {"app.egress": []}))
        assert [each.kind for each in bench.stack.remarks] == []


def test_where_no_file_can_stand_for_the_names_the_host_stays_closed_and_that_is_said(
    outside: tuple[Outside, Outside], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Launcher, "name_hosts", lambda *_: os.strerror(1))  # as kernels do that lock mounts away
    with Stack(tmp_path / "logs") as stack:
        if not stack.launcher.namespace:
            pytest.skip(stack.launcher.why_no_namespace)
        start = stack.boot(plan_of(tmp_path, f"other.invalid:{outside[0].port}"))
        [remark] = stack.remarks
        assert remark.kind == "egress_closed"
        assert remark.text.startswith("other.invalid under [app] egress")
        assert remark.text.endswith(os.strerror(1))
        assert "outside" not in fetched(stack, start, f"http://other.invalid:{outside[0].port}/")


def test_where_the_hook_stands_alone_what_listened_here_before_is_closed_unless_it_is_named(
    outside: tuple[Outside, Outside], tmp_path: Path
) -> None:
    """This machine's mail server, its databases, a tunnel to production: they are on the app's loopback then."""
    named, other = (f"127.0.0.1:{each.port}" for each in outside)
    with Stack(tmp_path / "logs", namespace=False, own_folder=tmp_path / "own") as stack:
        start = stack.boot(plan_of(tmp_path, named))
        assert "outside /a" in fetched(stack, start, f"http://{named}/a")
        told = fetched(stack, start, f"http://{other}/b")
        assert "PermissionError" in told
        assert f'as "{other}"' in told
        assert outside[1].asked == []
        assert any(host.startswith(f"{other} at ") for host in stack.refused())
