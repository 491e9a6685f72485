"""Postgres: a plan's [stores.database] in, a cluster with its prepared database copied for every start out."""

from __future__ import annotations

import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from prony import plan
from prony.errors import StackError
from prony.stack import binaries
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import END_S, ROWS_MAX, ROWS_MS, Home, Key, own_knobs

# With prony's own superuser connection these make the 3 that a stock Postgres keeps back, so that an app under
# max_connections = N is refused at the same N - 3.
RESERVED = 3
APP_USER = "app"
APP_DATABASE = "app"
_INITDB_S = 60.0


@dataclass(slots=True)
class _Cluster:
    """One Postgres's files and what is prepared in them: databases by key."""

    program: binaries.Program
    data: Path
    peopled: bool = False  # whether the app's role is there
    prepared: dict[Key, str] = field(default_factory=dict)


class Postgres:
    """One cluster of a campaign for each source. Postgres's own settings otherwise: fsync on, SCRAM over TCP.

    Attributes:
        port: Where it listens on the stack's loopback.
        admin: A superuser connection held from before the load, or the probe would be refused along with the app.
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
        self.user = APP_USER
        self.password = secrets.token_urlsafe(18)
        self.database = APP_DATABASE
        self._launcher = launcher
        self._home = Home(launcher, run_folder / f"{name}-postgres", self.log, cores, f"[stores.{name}] Postgres")
        self._clusters: dict[str, _Cluster] = {}
        self._cluster: _Cluster | None = None
        self._knobs: dict[str, Any] = {}

    def start(self, settings: plan.Store) -> None:
        wanted = own_knobs(settings)
        if self.process is not None and self.process.alive and wanted == self._knobs:
            return
        self.stop()
        source = wanted["source"]
        if source not in self._clusters:
            self._clusters[source] = self._made(source)
        self._cluster = self._clusters[source]
        self.version = self._cluster.program.version
        self._boot(self._cluster, wanted)
        self._knobs = wanted
        if not self._cluster.peopled:
            self._run(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(self.user), self.password))
            self.empty()
            self._cluster.peopled = True

    def _made(self, source: str) -> _Cluster:
        """A new cluster's files."""
        binaries.named_user()
        cluster = _Cluster(binaries.postgres(source), self._home.folder / f"data-{source}")
        command = [str(cluster.program.path / "initdb"), "-D", str(cluster.data), "-U", "postgres", "-E", "UTF8"]
        command += ["--locale=C.UTF-8", "--auth-local=trust", "--auth-host=scram-sha-256"]
        command += ["--no-sync", "--no-instructions"]
        process = self._home.spawn(command)
        if not self._launcher.wait(process, _INITDB_S) or process.code != 0:
            self._home.end(process)
            raise StackError(f"{self._home.title}: initdb could not make a cluster.", log=process.last_lines())
        return cluster

    def _boot(self, cluster: _Cluster, knobs: dict[str, Any]) -> None:
        self.port = self._home.port(self.port)
        command = [str(cluster.program.path / "postgres"), "-D", str(cluster.data)]
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
            self.admin = self._connect("postgres")
        except psycopg.OperationalError:
            return False
        self.admin.execute("SET statement_timeout = 0")  # the app's bound is none of prony's
        return True

    def _connect(self, database: str, user: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
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
        return f"postgres://{self.user}:{self.password}@127.0.0.1:{port}/{self.database}"

    def empty(self) -> None:
        self._drop(self.database)
        self._run(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(self.database), sql.Identifier(self.user))
        )

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
        return not self.ask(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self.database}'"  # noqa: S608 - a constant
        )

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
