"""MariaDB: a plan's [stores.database] in, a running server with a copy of its prepared data folder out."""

from __future__ import annotations

import secrets
import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prony import plan
from prony.errors import MachineError, StackError
from prony.plan.addresses import Address
from prony.stack import binaries
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import Home, Key, own_knobs

BOOTSTRAP_S = 120.0
# What a fresh installation's own scripts leave, less what lets anybody in; `app` is reached over TCP alone.
_ACCOUNTS = """
FLUSH PRIVILEGES;
DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host <> 'localhost');
DELETE FROM mysql.proxies_priv WHERE Host <> 'localhost';
FLUSH PRIVILEGES;
CREATE DATABASE {database} CHARACTER SET utf8mb4;
CREATE USER {user}@'%' IDENTIFIED BY {password};
GRANT ALL ON *.* TO {user}@'%';
CREATE USER '{watcher}'@'%' IDENTIFIED BY '{watchword}';
"""
WATCHER = "prony"  # may ask for the server's status, and nothing else
_SCRIPTS = ("system_tables", "performance_tables", "system_tables_data")


class MariaDB:
    """One MariaDB. A state is its data folder, copied while the server is down: so restoring takes a restart.

    Attributes:
        port: Where it listens on the stack's loopback.
        extra_port: The same for prony: a connection there is none of max_connections.
        watchword: The password of `WATCHER`.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...], name: str) -> None:
        self.kind = "mariadb"
        self.name = name
        self.version = ""
        self.port = self.extra_port = 0
        self.watchword = secrets.token_hex(16)
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self._own = Address(scheme="mysql", host="", port=0, user="app", password=secrets.token_hex(16), name="app")
        self._who = self._own
        self._launcher = launcher
        self._home = Home(launcher, run_folder / f"{name}-mariadb", self.log, cores, f"[stores.{name}] MariaDB")
        self._data = self._home.folder / "data"
        self._fresh: dict[Address, Path] = {}
        self._program: binaries.Program | None = None
        self._knobs: dict[str, Any] = {}
        self._fixed = 0
        self._kept: dict[Key, Path] = {}

    @property
    def user(self) -> str:
        """Who the app connects as."""
        return self._who.user

    @property
    def password(self) -> str:
        """The app's."""
        return self._who.password or ""

    @property
    def database(self) -> str:
        """The app's."""
        return self._who.name

    def start(self, settings: plan.Store, port: int = 0) -> None:
        wanted, who = own_knobs(settings), settings.address or self._own
        running = self.process is not None and self.process.alive
        if running and (wanted, who, port) == (self._knobs, self._who, self._fixed):
            return
        self.stop()
        self._program = self._program or binaries.mariadb()
        self.version = self._program.version
        moved = who != self._who or not self._data.exists()
        self._knobs, self._who = wanted, who
        self.port, self._fixed = self._home.moved(self.port, self._fixed, port)
        if who not in self._fresh:
            self._make()
        if moved:
            self._home.copy(self._fresh[who], self._data)
        self._boot()

    def _make(self) -> None:
        """A new server's data folder, with the app's account and its empty database."""
        scripts = self._share()
        texts = ["CREATE DATABASE mysql;\nUSE mysql;\n"]
        for each in _SCRIPTS:
            # "mysql_" or "mariadb_" before the name: that changed with a version
            texts += [path.read_text(encoding="utf-8") for path in sorted(scripts.glob(f"m*_{each}.sql"))[:1]]
        statements = self._home.write("bootstrap.sql", "".join(texts) + self._accounts())
        made = self._home.folder / "making"
        made.mkdir(mode=0o700)
        self._home.give(made)
        # It reads statements from its standard input, which only a shell can put in place here.
        command = ["/bin/sh", "-c", 'exec "$@" < "$0"', str(statements), *self._command(made), "--bootstrap"]
        process = self._home.spawn(command, env=self._env())
        done = self._launcher.wait(process, BOOTSTRAP_S)
        self._home.end(process)
        statements.unlink()
        if not done or process.code != 0:
            raise StackError(f"{self._home.title}: it could not make its data folder.", log=process.last_lines())
        self._fresh[self._who] = made.rename(self._home.folder / f"fresh-{len(self._fresh)}")

    def _accounts(self) -> str:
        who = {"user": _text(self.user), "password": _text(self.password)}
        who |= {"watcher": WATCHER, "watchword": self.watchword}
        return _ACCOUNTS.format(database="`" + self.database.replace("`", "``") + "`", **who)

    def _share(self) -> Path:
        """Its folder of scripts and messages."""
        for name in ("mysql", "mariadb"):
            for folder in (self._prefix() / "share" / name, Path("/usr/share") / name):
                if next(folder.glob("m*_system_tables.sql"), None) is not None:
                    return folder
        raise MachineError(
            f"MariaDB is incomplete: the scripts that make its system tables are not below {self._prefix() / 'share'}.",
            hint="apt-get install mariadb-server-core",
        )

    def _prefix(self) -> Path:
        assert self._program is not None  # noqa: S101 - start finds it
        return self._program.path.resolve().parent.parent

    def _env(self) -> dict[str, str]:
        return self._program.env if self._program is not None else {}

    def _command(self, data: Path) -> list[str]:
        assert self._program is not None  # noqa: S101 - start finds it
        knobs, share = self._knobs, self._share()
        options = {
            "basedir": self._prefix(),
            "lc-messages-dir": share,
            "character-sets-dir": share / "charsets",
            "datadir": data,
            "tmpdir": self._home.folder,
            "socket": self._home.folder / "server.sock",
            "pid-file": self._home.folder / "server.pid",
            "bind-address": "127.0.0.1",
            "port": self.port,
            "extra-port": self.extra_port,
            "skip-name-resolve": "ON",
            "max-connections": knobs["max_connections"],
            "innodb-buffer-pool-size": f"{knobs['innodb_buffer_pool_size_mb']}M",
            "innodb-flush-log-at-trx-commit": knobs["innodb_flush_log_at_trx_commit"],
            "innodb-log-file-size": f"{knobs['innodb_log_file_size_mb']}M",
            "innodb-io-capacity": knobs["innodb_io_capacity"],
            "thread-handling": knobs["thread_handling"],
            "table-open-cache": knobs["table_open_cache"],
            "wait-timeout": knobs["wait_timeout"],
        }
        return [str(self._program.path), "--no-defaults", *(f"--{name}={value}" for name, value in options.items())]

    def _boot(self) -> None:
        self.port = self._home.port(self.port, self._fixed)
        self.extra_port = self._home.port(self.extra_port)
        self.process = self._home.spawn(self._command(self._data), env=self._env())
        self._home.await_up(self.process, self._greets)

    def _greets(self) -> bool:
        """Whether it opens a conversation: the server speaks first."""
        try:
            with self._launcher.connect(self.port, 2) as link:
                return len(link.recv(5)) == 5
        except OSError:
            return False

    def url(self, port: int) -> str:
        return f"mysql://{quote(self.user)}:{quote(self.password)}@127.0.0.1:{port}/{quote(self.database)}"

    def empty(self) -> None:
        self._boot_with(self._fresh[self._who])

    def _boot_with(self, folder: Path) -> None:
        self._home.end(self.process)  # killed: what it holds is about to be replaced
        self.process = None
        self._home.copy(folder, self._data)
        self._boot()

    def keep(self, key: Key) -> None:
        kept = self._kept.get(key, self._home.folder / f"kept-{len(self._kept)}")
        self.stop()
        self._home.copy(self._data, kept)
        self._kept[key] = kept
        self._boot()

    def prepared(self, key: Key) -> bool:
        return key in self._kept

    def restore(self, key: Key) -> None:
        self._boot_with(self._kept[key])

    def stop(self) -> None:
        """Shuts it down, losing nothing that was committed."""
        self._home.end(self.process, signal.SIGTERM)
        self.process = None


def _text(value: str) -> str:
    """A text as a statement holds it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
