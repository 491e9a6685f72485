"""Postgres from the embedded wheel: a fresh cluster a campaign, a prepared database copied for every start."""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from prony.errors import StackError
from prony.plan import Database
from prony.stack import binaries
from prony.stack.launch import Launcher, Process

READY_S = 20.0
# With prony's own superuser connection these make the 3 that a stock Postgres keeps back, so that an app under
# max_connections = N is refused at the same N - 3.
RESERVED = 3
APP_USER = "app"
APP_DATABASE = "app"


class Postgres:
    """One cluster of a campaign. Postgres's own settings otherwise: fsync on, SCRAM passwords over TCP.

    Attributes:
        port: Where it listens on the stack's loopback.
        admin: A superuser connection held from before the load, or the probe would be refused along with the app.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...]) -> None:
        self._launcher = launcher
        self._bin, self.version = binaries.postgres()
        self._uid = binaries.unprivileged_uid()
        self._cores = cores
        self._folder = run_folder / "postgres"
        self._log = logs / "postgres.log"
        self._password = secrets.token_urlsafe(18)
        self._settings: Database | None = None
        self._prepared: dict[tuple[object, ...], str] = {}
        self.port = 0
        self.process: Process | None = None
        self.admin: psycopg.Connection[tuple[Any, ...]] | None = None

    @property
    def log(self) -> Path:
        """Its log file, each line with its SQLSTATE."""
        return self._log

    def create(self) -> None:
        """Makes the cluster's files."""
        self._folder.mkdir(mode=0o700)
        if self._uid is not None:
            os.chown(self._folder, self._uid, self._uid)
        command = [str(self._bin / "initdb"), "-D", str(self._folder / "data"), "-U", "postgres", "-E", "UTF8"]
        command += [
            "--locale=C.UTF-8",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
            "--no-instructions",
        ]
        process = self._spawn("initdb", command)
        if not self._launcher.wait(process, 60) or process.code != 0:
            raise StackError("Postgres: initdb could not make a cluster.", log=process.last_lines())

    def start(self, settings: Database) -> None:
        """Starts it with these settings, or restarts it where they differ from the running one's."""
        if self.process is not None and self.process.alive and settings == self._settings:
            return
        self.stop()
        self.port = self._launcher.free_port()
        given = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self._folder,
            "unix_socket_permissions": "0700",
            "max_connections": settings.max_connections,
            "superuser_reserved_connections": RESERVED - 1,
            "shared_buffers": f"{settings.shared_buffers_mb}MB",
            "dynamic_shared_memory_type": "mmap",  # leaves nothing in /dev/shm, however it ends
            "log_line_prefix": "%m [%p] %e ",
            "lc_messages": "C",
            "log_timezone": "UTC",
        }
        command = [str(self._bin / "postgres"), "-D", str(self._folder / "data")]
        for name, value in given.items():
            command += ["-c", f"{name}={value}"]
        self.process = self._spawn("postgres", command)
        if not self._launcher.wait_until(self._connects, READY_S):
            raise StackError("Postgres did not come up.", log=self.process.last_lines())
        self._settings = settings

    def _spawn(self, name: str, command: list[str]) -> Process:
        return self._launcher.spawn(
            name,
            command,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            cwd=self._folder,
            log=self._log,
            cores=self._cores,
            uid=self._uid,
            stop_signal=signal.SIGQUIT,  # immediate shutdown: data are scratch; no shared memory stays behind
        )

    def _connects(self) -> bool:
        if self.process is None or not self.process.alive:
            raise StackError("Postgres ended while starting.", log=self.process.last_lines() if self.process else ())
        try:
            self.admin = self._connect("postgres")
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=str(self._folder), port=self.port, user="postgres", dbname=database, autocommit=True, connect_timeout=5
        )

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query on the superuser connection."""
        if self.admin is None:
            raise StackError("Postgres is not running.")
        return self.admin.execute(query.encode()).fetchall()

    def url(self, port: int, database: str = APP_DATABASE) -> str:
        """The app's URL of a database, reached at `port`."""
        return f"postgres://{APP_USER}:{self._password}@127.0.0.1:{port}/{database}"

    def prepared(self, key: tuple[object, ...]) -> str | None:
        """The database in which the state named `key` was prepared, if it was."""
        return self._prepared.get(key)

    def new_database(self) -> str:
        """An empty database to prepare; call `keep` when that went well."""
        self._make_role()
        name = f"prepared_{len(self._prepared)}"
        self._drop(name)
        self._run(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(APP_USER)))
        return name

    def keep(self, key: tuple[object, ...], name: str) -> None:
        """Notes that a database now holds the prepared state `key`."""
        self._prepared[key] = name

    def restore(self, key: tuple[object, ...]) -> None:
        """Makes the app's database anew, as a copy of a prepared one."""
        self._drop(APP_DATABASE)
        self._run(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(APP_DATABASE), sql.Identifier(APP_USER), sql.Identifier(self._prepared[key])
            )
        )

    def _drop(self, name: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _make_role(self) -> None:
        if not self._prepared:
            self._run(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(APP_USER)))
            self._run(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(APP_USER), sql.Literal(self._password)
                )
            )

    def _run(self, statement: sql.Composed) -> None:
        if self.admin is None:
            raise StackError("Postgres is not running.")
        try:
            self.admin.execute(statement)
        except psycopg.Error as error:
            raise StackError(f"Postgres: {error}", log=self.process.last_lines() if self.process else ()) from error

    def stop(self) -> None:
        """Shuts it down, losing nothing that was committed."""
        if self.admin is not None:
            self.admin.close()
            self.admin = None
        if self.process is None or not self.process.alive:
            return
        self._launcher.signal(self.process, signal.SIGINT)
        if not self._launcher.wait(self.process, 10):
            self._launcher.signal(self.process, signal.SIGQUIT)
            self._launcher.wait(self.process, 5)
