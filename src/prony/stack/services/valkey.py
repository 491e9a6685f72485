"""Valkey or Redis: a plan's [stores.NAME] in, a running server with its prepared dump loaded out."""

from __future__ import annotations

import secrets
from io import BufferedRWPair
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prony import plan
from prony.errors import StackError
from prony.plan.addresses import Address
from prony.stack import binaries
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import Home, Key, own_knobs

SAVE_S = 120.0
# The program's own snapshots, written out: a configuration file without this line would keep them too.
SNAPSHOTS = "3600 1 300 100 60 10000"


class Valkey:
    """One Valkey, or one Redis where the plan says so and this machine has it; `version` tells which it is.

    A prepared state is a dump, loaded at a fresh start: so memory is as little fragmented as it can be, and the
    server's counters begin at zero.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...], name: str) -> None:
        self.kind = "valkey"
        self.name = name
        self.version = ""
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self._launcher = launcher
        self._home = Home(launcher, run_folder / f"{name}-valkey", self.log, cores, f"[stores.{name}] Valkey")
        self._password = secrets.token_hex(
            16
        )  # without a network namespace, other users of this machine reach the port
        self._program: binaries.Program | None = None
        self._knobs: dict[str, Any] = {}
        self._expected: Address | None = None
        self._told = True  # whether the app is told the password
        self._fixed = 0
        self._kept: dict[Key, Path] = {}

    def start(self, settings: plan.Store, port: int = 0) -> None:
        wanted = own_knobs(settings)
        running = self.process is not None and self.process.alive
        same = (settings.kind, wanted, settings.address, settings.by_password, port)
        if running and same == (self.kind, self._knobs, self._expected, self._told, self._fixed):
            return
        self.stop()
        self._find(settings.kind)
        self._knobs, self._expected, self._told = wanted, settings.address, settings.by_password
        self.port, self._fixed = self._home.moved(self.port, self._fixed, port)
        # One with fewer databases refuses a dump of more; what was prepared is put back in any case.
        self._home.remove(self._home.folder / "dump.rdb")
        self._boot()

    def _find(self, kind: str) -> None:
        here = binaries.redis() if kind == "redis" else None
        self._program = here or binaries.valkey()
        self.kind = kind
        self.version = self._program.version
        if kind == "redis" and here is None:
            self.version += " (Valkey)"
        self._home.title = f"[stores.{self.name}] {'Redis' if here else 'Valkey'}"

    def _boot(self) -> None:
        assert self._program is not None  # noqa: S101 - start finds it
        self.port = self._home.port(self.port, self._fixed)
        configuration = self._home.write("server.conf", self._configuration())
        self.process = self._home.spawn([str(self._program.path), str(configuration)], env=self._program.env)
        self._home.await_up(self.process, self._answers)
        if self._knobs["appendonly"]:
            # Turned on only now: a server that starts with it reads its log of writes, never the dump.
            self.ask("CONFIG", "SET", "appendonly", "yes")
            if not self._launcher.wait_until(self._log_written, SAVE_S):
                raise StackError(f"{self._home.title}: the append-only file was not begun.", log=self._lines())

    def _configuration(self) -> str:
        knobs = self._knobs
        lines = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": _quoted(self.secret or ""),
            "dir": self._home.folder,
            "dbfilename": "dump.rdb",
            "maxmemory": f"{knobs['memory']}mb",
            "maxmemory-policy": knobs["eviction"],
            "save": SNAPSHOTS if knobs["save"] else '""',
            "appendonly": "no",
            "appendfsync": knobs["appendfsync"],
            "io-threads": knobs["io_threads"],
            "databases": knobs["databases"],
            "maxclients": knobs["maxclients"],
            "tcp-backlog": knobs["tcp_backlog"],
            "timeout": knobs["timeout"],
        }
        if self._named_user:
            # Its own user beside the one without a name, by whom prony asks.
            lines[f"user {self._named_user}"] = f"on {_quoted('>' + (self._expected_password or ''))} ~* &* +@all"
            if not self._expected_password:
                lines[f"user {self._named_user}"] = "on nopass ~* &* +@all"
        return "".join(f"{name} {value}\n" for name, value in lines.items())

    @property
    def _named_user(self) -> str:
        """Who the app's settings log in as, where they name somebody."""
        user = self._expected.user if self._expected is not None else ""
        return "" if user == "default" else user

    @property
    def _expected_password(self) -> str | None:
        return self._expected.password if self._expected is not None else None

    @property
    def secret(self) -> str | None:
        """The password of who has no name; None where none is asked for."""
        if self._expected is None and not self._told:
            return None
        if self._expected is None or self._named_user:
            return self._password
        return self._expected.password or None

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING") == "PONG")
        except (OSError, StackError):  # a dump that is being loaded answers with an error
            return False

    def _log_written(self) -> bool:
        info = str(self.ask("INFO", "persistence"))
        return "aof_enabled:1" in info and "aof_rewrite_in_progress:0" in info and "rewrite_scheduled:0" in info

    def ask(self, *words: str, timeout_s: float = 5.0) -> Any:
        """What the server answers to one command, such as "INFO", "stats".

        Raises:
            StackError: the answer is an error.
            OSError: the server does not answer.
        """
        with self._launcher.connect(self.port, timeout_s) as link, link.makefile("rwb") as file:
            for command in (("AUTH", self.secret), words) if self.secret else (words,):
                parts = [str(word).encode() for word in command]
                file.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
                file.flush()
                answer = self._answer(file)
        return answer

    def _answer(self, file: BufferedRWPair) -> Any:
        line = file.readline().rstrip(b"\r\n")
        mark, text = line[:1], line[1:].decode("utf-8", "replace")
        if mark == b"+":
            return text
        if mark == b":":
            return int(text)
        if mark == b"$":
            return None if text == "-1" else file.read(int(text) + 2)[:-2].decode("utf-8", "replace")
        if mark == b"*":
            return [self._answer(file) for _ in range(int(text))]
        if not line:
            raise ConnectionResetError("the connection was closed")
        raise StackError(f"{self._home.title}: {text}.", log=self._lines())

    def url(self, port: int) -> str:
        if self._expected is None:
            return f"redis://:{self._password}@127.0.0.1:{port}/0"
        login = f"{quote(self._expected.user)}:{quote(self._expected.password or '')}"
        login = "" if login == ":" else f"{login}@"
        return f"redis://{login}127.0.0.1:{port}/{self._expected.name or 0}"

    def empty(self) -> None:
        self._boot_with(None)

    def _boot_with(self, dump: Path | None) -> None:
        self.stop()
        for left in self._home.folder.glob("*"):
            if left not in self._kept.values():
                self._home.remove(left)
        if dump is not None:
            self._home.copy(dump, self._home.folder / "dump.rdb")
        self._boot()

    def keep(self, key: Key) -> None:
        if not self._launcher.wait_until(self._saved, SAVE_S):
            raise StackError(f"{self._home.title}: no dump was written in {SAVE_S:.0f} s.", log=self._lines())
        kept = self._kept.get(key, self._home.folder / f"kept-{len(self._kept)}.rdb")
        self._home.copy(self._home.folder / "dump.rdb", kept)
        self._kept[key] = kept

    def _saved(self) -> bool:
        try:
            return bool(self.ask("SAVE", timeout_s=SAVE_S) == "OK")
        except StackError as error:
            if "in progress" in error.message:  # a snapshot of its own accord goes first
                return False
            raise

    def prepared(self, key: Key) -> bool:
        return key in self._kept

    def restore(self, key: Key) -> None:
        self._boot_with(self._kept[key])

    def _lines(self) -> tuple[str, ...]:
        return self.process.last_lines() if self.process else ()

    def stop(self) -> None:
        """Kills it: what is worth keeping was kept, and a polite end would first write all of memory to disk."""
        self._home.end(self.process)
        self.process = None


def _quoted(text: str) -> str:
    """A text as one word of the configuration file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
