"""A store of the user's own is reached, and neither prepared, nor wiped, nor stopped, nor given away."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import psutil
import psycopg
import pytest

from prony.errors import PlanError, StackError
from prony.knobs.stores import STORES
from prony.plan import Store as StorePlan
from prony.plan import read_file
from prony.stack import folders
from prony.stack.cores import divide
from prony.stack.launch import Launcher
from prony.stack.services.own import OwnStore
from prony.stack.services.postgres import Postgres
from prony.stack.stack import Stack, Start

NAME = socket.gethostname()
# Writes a row a request, and tells how many there are and where it got them from.
APP = """
import os, psycopg
def application(environ, start_response):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("INSERT INTO visit VALUES ('by the app')")
        count = connection.execute("SELECT count(*) FROM visit").fetchone()[0]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{count} {os.environ['DATABASE_URL'].rpartition('@')[2]}".encode()]
"""
# Speaks to whatever CACHE_URL names, by Python's own sockets, which the audit hook sees.
BY_NAME = """
import os, socket
from urllib.parse import urlsplit
def application(environ, start_response):
    url = urlsplit(os.environ["CACHE_URL"])
    with socket.create_connection((url.hostname, url.port), 20) as connection:
        connection.sendall(b"hello")
        said = connection.recv(100).decode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{said} {url.hostname} {url.port} {url.username} {url.password} {url.path}".encode()]
"""
PREPARE = """prepare = ["python -c 'open(\\"prepared\\", \\"w\\")'"]\n"""


@dataclass
class Own:
    """The user's Postgres, that prony did not start: on this machine's loopback, with a table."""

    postgres: Postgres

    @property
    def url(self) -> str:
        return self.postgres.url(self.postgres.port)

    @property
    def password(self) -> str:
        return self.postgres.password

    def rows(self) -> int:
        with psycopg.connect(self.url) as connection:
            found = connection.execute("SELECT count(*) FROM visit").fetchone()
        assert found is not None
        return int(found[0])


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("own")
    run_folder = folders.run_folder()
    with Launcher(run_folder, namespace=False) as launcher:
        postgres = Postgres(launcher, run_folder, folder, divide().stack, "database")
        knobs = {knob.key: knob.default for knob in STORES["postgres"]}
        postgres.start(StorePlan(name="database", kind="postgres", env="DATABASE_URL", knobs=knobs))
        found = Own(postgres)
        with psycopg.connect(found.url) as connection:
            connection.execute("CREATE TABLE visit (text text)")
            connection.execute("INSERT INTO visit VALUES ('the user''s')")
        yield found
        postgres.stop()


def project(folder: Path, url: str, *, app: str = APP, more: str = "", store: str = "database") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "one.py").write_text(app, encoding="utf-8")
    env = "" if store == "database" else 'env = "CACHE_URL"\n'
    (folder / "prony.toml").write_text(
        f'[app]\nentry = "one:application"\npython = "{sys.executable}"\n{more}'
        f'[stores.{store}]\nkind = "url"\nurl = "{url}"\n{env}',
        encoding="utf-8",
    )
    return folder


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


def get(stack: Stack, start: Start) -> list[str]:
    connection = http.client.HTTPConnection("127.0.0.1", start.port, timeout=60)
    connection.sock = stack.launcher.connect(start.port, 60)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        return connection.getresponse().read().decode().split()


def prony(folder: Path, *argv: str) -> tuple[int, str, str]:
    """Exit code, standard output and error."""
    command = [sys.executable, "-m", "prony", *argv, "--project", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    return done.returncode, done.stdout, done.stderr


def holding(folder: Path, secret: str) -> list[Path]:
    """The files below that hold it, prony.toml apart."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "prony.toml"]
    assert folder / ".prony" / "prony.db" in paths or folder / ".prony" / "logs" / "up" / "app-1.log" in paths
    return [path for path in paths if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize("namespace", [True, False], ids=["namespace", "none"])
def test_the_app_reaches_it_and_what_it_writes_stays(own: Own, tmp_path: Path, namespace: bool) -> None:  # noqa: FBT001
    plan = read_file(project(tmp_path / "app", own.url, more=PREPARE))
    before = own.rows()
    with Stack(tmp_path / "logs", namespace=namespace) as stack:
        if namespace and not stack.launcher.namespace:
            pytest.skip(stack.launcher.why_no_namespace)
        start = stack.boot(plan)
        count, address = get(stack, start)
        assert int(count) > before
        assert address.startswith("127.0.0.1:")
        assert (address == f"127.0.0.1:{own.postgres.port}/app") == (not namespace)
        assert int(get(stack, stack.boot(plan))[0]) > int(count)  # nothing was restored in between
        [remark] = [each for each in stack.remarks if each.kind != "folder_written"]
        assert (remark.kind, remark.tier) == ("own_store", "database")
        assert "[app] prepare was not run" in remark.text
        stack.boot(read_file(project(tmp_path / "app", own.url)))
        assert [each.text for each in stack.remarks if each.kind == "own_store"] == [
            "[stores.database] is your own: what the app writes to it stays"
        ]
    assert own.rows() > before + 1  # it runs, and holds it all
    assert not (tmp_path / "app" / "prepared").exists()


def test_its_password_is_nowhere_in_what_prony_keeps_or_prints(own: Own, tmp_path: Path) -> None:
    folder = project(tmp_path / "app", own.url, more=PREPARE)
    code, out, err = prony(folder, "run", "--users", "1", "--duration", "1s", "--json")
    assert code in {0, 1, 4}, err
    document = json.loads(out)
    [doubt] = [doubt for doubt in document["doubts"] if doubt["name"] == "own_store"]
    assert "[app] prepare was not run" in doubt["text"]
    assert document["trials"][0]["errors"]["by_status"] == {"200": document["trials"][0]["requests"]}
    assert own.password not in out + err
    assert own.password not in prony(folder, "report")[1]
    assert holding(folder, own.password) == []


def test_prony_up_shows_where_it_is_and_not_its_password(own: Own, tmp_path: Path) -> None:
    folder, log = project(tmp_path / "app", own.url), tmp_path / "up"
    with log.open("wb") as out:
        up = subprocess.Popen([sys.executable, "-m", "prony", "up", "--project", str(folder)], stdout=out, stderr=out)
    try:
        until(lambda: b"Ctrl-C stops" in log.read_bytes() or up.poll() is not None, "the stack")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(up.pid, signal.SIGINT)
        up.wait(60)
    said = log.read_text(encoding="utf-8")
    assert f"postgresql://127.0.0.1:{own.postgres.port}/app" in said.replace("postgres://", "postgresql://")
    assert own.password not in said
    assert holding(folder, own.password) == []


def test_where_nobody_answers_the_error_tells_the_address_and_no_password(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        folder = project(tmp_path / "app", f"postgres://me:s3cr3t@127.0.0.1:{port}/shop")
        code, out, err = prony(folder, "run", "--users", "1", "--duration", "1s", "--json")
    assert (code, out) == (2, "")
    assert f"[stores.database] url: nobody answers at 127.0.0.1:{port}: Connection refused." in err
    assert "s3cr3t" not in err
    assert "Traceback" not in err
    assert holding(folder, "s3cr3t") == []


@pytest.mark.parametrize(
    "url", ["postgres://me:s3cr#3t@db.invalid/shop", "s3cr3t", "postgres://a,b:s3cr3t@h1:1,h2:2/x"]
)
def test_a_url_that_is_none_is_told_without_it(tmp_path: Path, url: str) -> None:
    code, _, err = prony(project(tmp_path / "app", url), "run", "--users", "1", "--duration", "1s")
    assert code == 2
    assert "[stores.database] url: found no URL with a scheme and a host" in err
    assert "s3cr" not in err


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OwnStore]:
    run_folder = folders.run_folder()
    with Launcher(run_folder) as launcher:
        found = OwnStore(launcher, run_folder, tmp_path, (), "shop")
        yield found
        found.stop()


def settings(url: str) -> StorePlan:
    return StorePlan(name="shop", kind="url", env="SHOP_URL", url=url)


def test_a_name_that_leads_nowhere_is_told(store: OwnStore) -> None:
    with pytest.raises(StackError, match=r"\[stores\.shop\] url: nobody answers at db\.invalid:5432: "):
        store.start(settings("postgres://me:s3cr3t@db.invalid/shop"))


def test_a_url_without_a_port_that_anybody_knows_is_told(store: OwnStore) -> None:
    with pytest.raises(
        PlanError, match=r"found a cassandra URL without a port; allowed: .* cassandra://db\.invalid:1234"
    ):
        store.start(settings("cassandra://me:s3cr3t@db.invalid/shop"))


@pytest.fixture
def capitals() -> Iterator[int]:
    """The port of a server that answers in capitals, at every address of this machine."""
    with socket.create_server(("", 0)) as listening:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, contextlib.suppress(ConnectionError):
                        connection.sendall(connection.recv(100).upper())

        Thread(target=answer, daemon=True).start()
        yield int(listening.getsockname()[1])
        listening.shutdown(socket.SHUT_RDWR)


def address() -> str:
    """One of this machine's that is not loopback."""
    found = [
        each.address for group in psutil.net_if_addrs().values() for each in group if each.family == socket.AF_INET
    ]
    return next((each for each in found if not each.startswith("127.")), "")


@pytest.mark.parametrize("namespace", [True, False], ids=["namespace", "none"])
@pytest.mark.parametrize("host", [NAME, address()], ids=["name", "address"])
def test_its_name_stays_in_the_url_for_tls_goes_by_it_and_the_hook_lets_it_through(
    tmp_path: Path, capitals: int, host: str, *, namespace: bool
) -> None:
    try:
        socket.create_connection((host or "no-address.invalid", capitals), 5).close()
    except OSError as error:
        pytest.skip(f"this machine does not reach itself as {host}: {error}")
    plan = read_file(project(tmp_path / "app", f"rediss://me:s3cr3t@{host}:{capitals}/0", app=BY_NAME, store="cache"))
    with Stack(tmp_path / "logs", namespace=namespace) as stack:
        if namespace and not stack.launcher.namespace:
            pytest.skip(stack.launcher.why_no_namespace)
        said, seen, port, *rest = get(stack, stack.boot(plan))
        assert (said, rest) == ("HELLO", ["me", "s3cr3t", "/0"])
        assert seen == ("127.0.0.1" if namespace and host != NAME else host.lower())
        assert (int(port) == capitals) == (not namespace)
        assert stack.refused() == {}


def test_one_that_looks_like_production_is_told_before_it_is_tried(tmp_path: Path) -> None:
    said: list[str] = []
    plan = read_file(project(tmp_path / "app", "postgres://somebody:hush@shop-prod.invalid:5432/shop"))
    with Stack(tmp_path / "logs", say=said.append) as stack:
        for _ in range(2):
            with pytest.raises(StackError, match=r"nobody answers at shop-prod\.invalid"):
                stack.boot(plan)
    [warning] = said
    assert warning.startswith("WARNING: [stores.database] url looks like production: its host shop-prod.invalid")
    assert "hush" not in warning
