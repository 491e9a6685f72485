"""PgBouncer: a plan's [pooler] in, a running pooler before the database out."""

from __future__ import annotations

import re
import secrets
import signal
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from prony import plan
from prony.errors import StackError
from prony.stack import binaries
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import Home

ADMIN = "prony"
_PREPARED_SINCE = (1, 21)


class PgBouncer:
    """One PgBouncer between the app and its database; the app's user and password are the database's own.

    Attributes:
        port: Where it listens on the stack's loopback.
        admin: A connection to its console, over a Unix socket and held from before the load.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...], name: str) -> None:
        self.kind = "pgbouncer"
        self.name = name
        self.version = ""
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self.admin: psycopg.Connection[DictRow] | None = None
        self._home = Home(launcher, run_folder / f"{name}-pgbouncer", self.log, cores, f"[{name}] PgBouncer")
        self._password = secrets.token_hex(16)
        self._fixed = 0
        self._started_with: tuple[object, ...] = ()

    def start(
        self, settings: plan.Pooler, to_port: int, user: str, password: str, database: str, *, port: int = 0
    ) -> None:
        """Brings it up before a Postgres, or restarts it where any of these differs from before.

        Args:
            settings: The plan's.
            to_port: Where the database is, on the stack's loopback.
            user: Who may connect, here and there.
            password: Theirs.
            database: The only one that it leads to.
            port: Where it must listen; 0: where it likes.

        Raises:
            StackError: it did not come up, or lacks what a knob asks for.
            MachineError: PgBouncer is missing; how to get it is in the error.
        """
        wanted = (settings, to_port, user, password, database, port)
        if self.process is not None and self.process.alive and wanted == self._started_with:
            return
        self.stop()
        program = binaries.pgbouncer()
        self.version = program.version
        self.port, self._fixed = self._home.moved(self.port, self._fixed, port)
        self.port = self._home.port(self.port, port)
        users = self._home.write("users.txt", f'{_quoted(user)} {_quoted(password)}\n"{ADMIN}" "{self._password}"\n')
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": self._home.folder,
            "unix_socket_mode": "0700",
            "auth_type": "scram-sha-256" if password else "trust",
            "auth_file": users,
            "admin_users": ADMIN,
        }
        written = "".join(f"{key} = {value}\n" for key, value in (lines | self._options(settings)).items())
        place = f"host=127.0.0.1 port={to_port}"
        # No other name can stand there: then any database, as it was asked for.
        plain = re.fullmatch(r"[\w-]+", database)
        target = f"{database} = {place} dbname={database}" if plain else f"* = {place}"
        configuration = self._home.write("pgbouncer.ini", f"[databases]\n{target}\n\n[pgbouncer]\n{written}")
        self.process = self._home.spawn([str(program.path), str(configuration)], env=program.env)
        self._home.await_up(self.process, self._connects)
        self._started_with = wanted

    def _options(self, settings: plan.Pooler) -> dict[str, object]:
        found = dict(settings.knobs)
        if tuple(map(int, self.version.split(".")[:2])) < _PREPARED_SINCE:  # it would refuse to start over the name
            wanted = found.pop("max_prepared_statements")
            if wanted:
                raise StackError(
                    f"[pooler] max_prepared_statements: found {wanted}; PgBouncer {self.version} does not know it "
                    f"(1.21 and newer do), so allowed: 0.",
                    hint="--set pooler.max_prepared_statements=0, or install a newer PgBouncer",
                )
        return found

    def _connects(self) -> bool:
        try:
            self.admin = psycopg.connect(
                host=str(self._home.folder),
                port=self.port,
                user=ADMIN,
                password=self._password,
                dbname="pgbouncer",
                autocommit=True,
                connect_timeout=5,
                row_factory=dict_row,
                prepare_threshold=None,  # its console knows no prepared statements
            )
        except psycopg.OperationalError:
            return False
        return True

    def show(self, what: str) -> list[dict[str, Any]]:
        """The rows of one of its console's reports: "POOLS", "STATS", "SERVERS", "CONFIG"."""
        if self.admin is None:
            raise StackError(f"{self._home.title} is not running.")
        return self.admin.execute(f"SHOW {what}".encode()).fetchall()

    def stop(self) -> None:
        """Ends it; clients are cut off."""
        if self.admin is not None:
            self.admin.close()
            self.admin = None
        self._home.end(self.process, signal.SIGTERM)
        self.process = None


def _quoted(text: str) -> str:
    """A text as its files hold it."""
    return '"' + text.replace('"', '""') + '"'
