"""Postgres: a plan's [stores.database] in, a cluster with its prepared database copied for every start out."""

from __future__ import annotations

import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from prony import plan
from prony.errors import StackError
from prony.stack import binaries
from prony.stack.launch import Launcher, Process
from prony.stack.services import dump as dumps
from prony.stack.services.extensions import stand_ins
from prony.stack.services.store import END_S, ROWS_MAX, ROWS_MS, Home, Key, own_knobs

# With prony's own superuser connection these make the 3 that a stock Postgres keeps back, so that an app under
# max_connections = N is refused at the same N - 3.
RESERVED = 3
ADMIN = "prony"  # "postgres" may be who the app's settings log in as
LOADER = "loader"  # who loads dumps: Postgres lets go of nothing that its first superuser owns
APP_USER = "app"
APP_DATABASE = "app"
_INITDB_S = 60.0
_LOAD_S = 1800.0


@dataclass(slots=True)
class _Cluster:
    """One Postgres's files and what is prepared in them: databases by key."""

    program: binaries.Program
    data: Path
    peopled: set[tuple[str, str, str]] = field(default_factory=set)  # roles of apps, with password and database
    prepared: dict[Key, str] = field(default_factory=dict)


class Postgres:
    """One cluster of a campaign for each source. Postgres's own settings otherwise: fsync on, SCRAM over TCP.

    Attributes:
        port: Where it listens on the stack's loopback.
        admin: A superuser connection held from before the load, or the probe would be refused along with the app.
        counts_statements: Whether it has pg_stat_statements, by that connection's database.
        user: Who the app connects as.
        password: The app's.
        database: The app's.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...], name: str) -> None:
        self.kind = "postgres"
        self.name = name
        self.version = ""
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self.admin: psycopg.Connection[tuple[Any, ...]] | None = None
        self.counts_statements = False
        self._own_password = secrets.token_urlsafe(18)
        self.user, self.password, self.database = APP_USER, self._own_password, APP_DATABASE
        self._fixed = 0
        self._launcher = launcher
        self._home = Home(launcher, run_folder / f"{name}-postgres", self.log, cores, f"[stores.{name}] Postgres")
        self._clusters: dict[str, _Cluster] = {}
        self._cluster: _Cluster | None = None
        self._knobs: dict[str, Any] = {}

    def start(self, settings: plan.Store, port: int = 0) -> None:
        wanted, expected = own_knobs(settings), settings.address
        who = (APP_USER, self._own_password, APP_DATABASE)
        if expected is not None:
            who = (expected.user, expected.password or "", expected.name)
        # How people log in, and which database prony's own connection is in.
        otherwise = (bool(self.password), self.database == "postgres") != (bool(who[1]), who[2] == "postgres")
        self.user, self.password, self.database = who
        running = self.process is not None and self.process.alive
        if not running or otherwise or (wanted, port) != (self._knobs, self._fixed):
            self._start_with(wanted, port)
        if self._cluster is not None and who not in self._cluster.peopled:
            self._people()
            self._cluster.peopled.add(who)

    def _start_with(self, wanted: dict[str, Any], port: int) -> None:
        self.stop()
        self.port, self._fixed = self._home.moved(self.port, self._fixed, port)
        source = wanted["source"]
        if source not in self._clusters:
            self._clusters[source] = self._made(source)
        self._cluster = self._clusters[source]
        self.version = self._cluster.program.version
        self._boot(self._cluster, wanted)
        self._knobs = wanted

    def _people(self) -> None:
        """Makes the app's role and its empty database."""
        self._role(self.user, "")
        role = sql.Identifier(self.user)
        self._run(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, self.password or None))
        self.empty()

    def _made(self, source: str) -> _Cluster:
        """A new cluster's files."""
        binaries.named_user()
        cluster = _Cluster(binaries.postgres(source), self._home.folder / f"data-{source}")
        command = [str(cluster.program.path / "initdb"), "-D", str(cluster.data), "-U", ADMIN, "-E", "UTF8"]
        command += ["--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"]
        command += ["--no-sync", "--no-instructions"]
        process = self._home.spawn(command)
        if not self._launcher.wait(process, _INITDB_S) or process.code != 0:
            self._home.end(process)
            raise StackError(f"{self._home.title}: initdb could not make a cluster.", log=process.last_lines())
        return cluster

    def _boot(self, cluster: _Cluster, knobs: dict[str, Any]) -> None:
        self.port = self._home.port(self.port, self._fixed)
        how = "scram-sha-256" if self.password else "trust"  # where the app's settings know of no password
        (cluster.data / "pg_hba.conf").write_text(f"local all all trust\nhost all all all {how}\n", encoding="utf-8")
        command = [str(cluster.program.path / "postgres"), "-D", str(cluster.data)]
        lacking = cluster.data.with_name(f"{cluster.data.name}-lacking")
        if knobs["source"] == "embedded" and stand_ins(cluster.program.path, lacking):
            command += ["-c", f"extension_control_path=$system:{lacking}"]
        # Costs a statement little, and is all that tells of statements from the server's side.
        self.counts_statements = (cluster.program.path.parent / "lib" / "pg_stat_statements.so").exists()
        if self.counts_statements:
            command += ["-c", "shared_preload_libraries=pg_stat_statements"]
        for name, value in self._settings(knobs).items():
            command += ["-c", f"{name}={value}"]
        # Its stop signal is an immediate shutdown's: data are scratch, and no shared memory stays behind.
        self.process = self._home.spawn(command, stop_signal=signal.SIGQUIT)
        self._home.await_up(self.process, self._connects)

    def _settings(self, knobs: dict[str, Any]) -> dict[str, object]:
        return {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._home.folder,
            "unix_socket_permissions": "0700",
            "max_connections": knobs["max_connections"],
            "superuser_reserved_connections": RESERVED - 1,
            "shared_buffers": f"{knobs['shared_buffers_mb']}MB",
            "work_mem": f"{knobs['work_mem_mb']}MB",
            "effective_cache_size": f"{knobs['effective_cache_size_mb']}MB",
            "random_page_cost": knobs["random_page_cost"],
            "synchronous_commit": knobs["synchronous_commit"],
            "max_wal_size": f"{knobs['max_wal_size_mb']}MB",
            "checkpoint_timeout": f"{knobs['checkpoint_timeout']:.0f}s",
            "statement_timeout": f"{knobs['statement_timeout'] * 1000:.0f}ms",
            "jit": knobs["jit"],
            "autovacuum": knobs["autovacuum"],
            "dynamic_shared_memory_type": "mmap",  # leaves nothing in /dev/shm, however it ends
            "log_line_prefix": "%m [%p] %e ",
            "lc_messages": "C",
            "log_timezone": "UTC",
        }

    def _connects(self) -> bool:
        try:
            # The app's database is dropped and made anew: prony's connection is in another.
            own = ADMIN if self.database == "postgres" else "postgres"
            try:
                self.admin = self._connect(own)
            except psycopg.OperationalError as error:
                if "does not exist" not in str(error):
                    return False
                with self._connect("template1") as first:
                    first.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(own)))
                self.admin = self._connect(own)
        except psycopg.OperationalError:
            return False
        self.admin.execute("SET statement_timeout = 0")  # the app's bound is none of prony's
        if self.counts_statements:
            try:
                self.admin.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            except psycopg.Error:  # a build that has its library, and lacks the rest
                self.counts_statements = False
        return True

    def _connect(self, database: str, user: str = ADMIN) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self._home.folder),
            port=self.port,
            user=user,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the superuser connection."""
        return self._admin().execute(query.encode()).fetchall()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT on the app's database, as the app's user, who may only read meanwhile.

        Raises:
            ValueError: Postgres refuses it.
        """
        try:
            with self._connect(self.database, self.user) as link:
                link.execute(f"SET statement_timeout = {ROWS_MS}")
                link.execute("SET default_transaction_read_only = on")
                return link.execute(query.encode()).fetchmany(ROWS_MAX)
        except psycopg.Error as error:
            raise ValueError(" ".join(str(error).split())[:200]) from error

    def _admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self.admin is None:
            raise StackError(f"{self._home.title} is not running.")
        return self.admin

    def url(self, port: int) -> str:
        return f"postgres://{quote(self.user)}:{quote(self.password)}@127.0.0.1:{port}/{quote(self.database)}"

    def empty(self) -> None:
        self._drop(self.database)
        self._run(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(self.database), sql.Identifier(self.user))
        )

    def load(self, dump: Path) -> None:
        """Fills the app's empty database from a file that pg_dump wrote; all that is in it is the app's user's then.

        Raises:
            PlanError: the file is none that can be loaded.
            StackError: loading it failed; the program's own words are in the error.
        """
        unpacked = self._home.folder / "dump"
        how = dumps.loading(dump, unpacked)
        self._role(LOADER, " SUPERUSER LOGIN")
        for role in how.roles:
            self._role(role, "")
        place = ["-h", str(self._home.folder), "-p", str(self.port), "-U", LOADER, "-d", self.database]
        program = self._running().program
        process = self._launcher.spawn(
            f"{self._home.title}: {how.program}",
            [str(program.path / how.program), *place, *how.options],
            env={"PATH": "/usr/bin:/bin", "PGOPTIONS": "-c synchronous_commit=off"} | program.env,
            cwd=self._home.folder,
            log=self.log.with_suffix(".dump.log"),
        )
        try:
            done = self._launcher.wait(process, _LOAD_S)
        finally:
            self._launcher.kill_group(process)
            self._home.remove(unpacked)
        if not done or process.code != 0:
            why = "failed" if done else f"was not done after {_LOAD_S:.0f} s"
            raise StackError(
                f"[stores.{self.name}] dump: loading {dump} {why}.", hint=dumps.HINT, log=process.last_lines()
            )
        names = sql.SQL(", ").join(sql.Identifier(each) for each in (LOADER, *how.roles) if each != self.user)
        with self._connect(self.database) as inside:
            inside.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(names, sql.Identifier(self.user)))
            inside.execute("ANALYZE")  # a dump holds no statistics, and plans made without are none to measure

    def _role(self, name: str, options: str) -> None:
        """Makes a role where it is missing."""
        if not self._admin().execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
            self._run(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)) + sql.SQL(options))

    def keep(self, key: Key) -> None:
        """Puts the app's database aside as the prepared state; `restore` brings a copy of it back."""
        prepared = self._running().prepared
        name, database = prepared.get(key, f"prepared_{len(prepared)}"), sql.Identifier(self.database)
        self._drop(name)
        # From now on nobody gets in, background workers included: what is being copied must have no visitors.
        self._run(sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false").format(database))
        if not self._launcher.wait_until(self._left, END_S):
            raise StackError(f"{self._home.title}: connections to the database {self.database} do not end.")
        self._run(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(database, sql.Identifier(name)))
        prepared[key] = name

    def _left(self) -> bool:
        """Ends whoever is in the app's database; whether nobody is."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return not self._admin().execute(query, [self.database]).fetchall()

    def prepared(self, key: Key) -> bool:
        return self._cluster is not None and key in self._cluster.prepared

    def restore(self, key: Key) -> None:
        """Makes the app's database anew, as a copy of a prepared one; its cold cache is the warm-up's business."""
        source = self._running().prepared[key]
        self._drop(self.database)
        names = (sql.Identifier(self.database), sql.Identifier(self.user), sql.Identifier(source))
        # Before Postgres 15 copying files was the only way, and had no name.
        how = sql.SQL(" STRATEGY FILE_COPY" if self._admin().info.server_version >= 150_000 else "")
        self._run(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(*names) + how)

    def _running(self) -> _Cluster:
        if self._cluster is None:
            raise StackError(f"{self._home.title} is not running.")
        return self._cluster

    def _drop(self, name: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.Composed) -> None:
        try:
            self._admin().execute(statement)
        except psycopg.Error as error:
            lines = self.process.last_lines() if self.process else ()
            raise StackError(f"{self._home.title}: {error}", log=lines) from error

    def stop(self) -> None:
        """Shuts it down, losing nothing that was committed."""
        if self.admin is not None:
            self.admin.close()
            self.admin = None
        self._home.end(self.process, signal.SIGINT)
        self.process = None
