"""Stores on a launcher, and what an app would do with each: shared by the tests of stores and of the pooler."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from prony import plan
from prony.errors import MachineError
from prony.knobs import stores
from prony.stack.binaries import debian
from prony.stack.launch import Launcher, Process
from prony.stack.services.mariadb import MariaDB
from prony.stack.services.memcached import Memcached
from prony.stack.services.postgres import Postgres
from prony.stack.services.sqlite import SQLite
from prony.stack.services.store import Store
from prony.stack.services.valkey import Valkey

KEEPING = ("postgres", "mariadb", "sqlite", "valkey", "redis")
CLASSES: dict[str, Callable[..., Store]] = {
    "postgres": Postgres,
    "mariadb": MariaDB,
    "sqlite": SQLite,
    "valkey": Valkey,
    "redis": Valkey,
    "memcached": Memcached,
}
# Other settings than the defaults, and how the running program tells of them: query -> answer.
OTHER: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "postgres": (
        {"max_connections": 33, "work_mem_mb": 7, "synchronous_commit": False, "jit": False, "statement_timeout": 9.5},
        {
            "SHOW max_connections": "33",
            "SHOW work_mem": "7MB",
            "SHOW synchronous_commit": "off",
            "SHOW jit": "off",
            "SHOW statement_timeout": "9500ms",
        },
    ),
    "mariadb": (
        {"max_connections": 44, "innodb_log_file_size_mb": 12, "thread_handling": "pool-of-threads"},
        {
            "SELECT @@max_connections": "44",
            "SELECT @@innodb_log_file_size": str(12 * 1024 * 1024),
            "SELECT @@thread_handling": "pool-of-threads",
        },
    ),
    "sqlite": ({"journal_mode": "wal"}, {"PRAGMA journal_mode": "wal"}),
    "valkey": (
        {"memory": 64, "eviction": "allkeys-lfu", "save": False, "appendonly": True, "maxclients": 55},
        {
            "maxmemory": str(64 * 1024 * 1024),
            "maxmemory-policy": "allkeys-lfu",
            "save": "",
            "appendonly": "yes",
            "maxclients": "55",
        },
    ),
    "memcached": (
        {"memory": 32, "connections": 77, "threads": 3, "max_item_mb": 2},
        {
            "maxbytes": str(32 * 1024 * 1024),
            "maxconns": "77",
            "num_threads": "3",
            "item_size_max": str(2 * 1024 * 1024),
        },
    ),
}
OTHER["redis"] = OTHER["valkey"]
# What an app would do, in a process of its own inside the stack's network: put WORDS there, or print all there are.
CLIENTS = {
    "postgres": """
import sys, psycopg
url, *words = sys.argv[1:]
with psycopg.connect(url) as link:
    if words and words[0] == "ask":
        print(link.execute(words[1]).fetchone()[0])
    else:
        link.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        for word in words:
            link.execute("INSERT INTO words VALUES (%s)", [word])
        print(*sorted(row[0] for row in link.execute("SELECT word FROM words")))
""",
    "sqlite": """
import sqlite3, sys
url, *words = sys.argv[1:]
link = sqlite3.connect(url.removeprefix("sqlite:///"))
if words and words[0] == "ask":
    print(link.execute(words[1]).fetchone()[0])
else:
    link.execute("CREATE TABLE IF NOT EXISTS words (word text)")
    link.executemany("INSERT INTO words VALUES (?)", [[word] for word in words])
    link.commit()
    print(*sorted(row[0] for row in link.execute("SELECT word FROM words")))
""",
    "valkey": """
import sys, valkey
url, *words = sys.argv[1:]
link = valkey.from_url(url)
if words and words[0] == "ask":
    print(link.config_get(words[1])[words[1]])
else:
    for word in words:
        link.set(word, "x")
    print(*sorted(key.decode() for key in link.keys()))
link.close()
""",
    "memcached": """
import socket, sys
url, *words = sys.argv[1:]
host, port = url.removeprefix("memcached://").split(":")
link = socket.create_connection((host, int(port))).makefile("rwb")
def say(text):
    link.write(text); link.flush()
if words and words[0] == "ask":
    say(b"stats settings\\r\\n")
    found = {}
    while (line := link.readline()) != b"END\\r\\n":
        found[line.split()[1].decode()] = line.split()[2].decode()
    print(found[words[1]])
else:
    for word in words:
        say(f"set {word} 0 0 1\\r\\nx\\r\\n".encode())
        assert link.readline() == b"STORED\\r\\n"
    say(b"get prepared late\\r\\n")
    found = []
    while (line := link.readline()) != b"END\\r\\n":
        found += [line.split()[1].decode()] if line.startswith(b"VALUE") else []
    print(*sorted(found))
""",
}
CLIENTS["redis"] = CLIENTS["valkey"]


def settings(kind: str, **knobs: Any) -> plan.Store:
    name = "database" if kind in {"postgres", "mariadb", "sqlite"} else "cache"
    return plan.Store(name=name, kind=kind, knobs={k.key: k.default for k in stores.STORES[kind]} | knobs)


class Bench:
    """A launcher, and what tests do with stores on it."""

    def __init__(self, launcher: Launcher, folder: Path) -> None:
        self.launcher = launcher
        self.folder = folder
        self._count = 0
        self._stores: list[Store] = []

    def close(self) -> None:
        """Stops what a failed test left running."""
        for store in self._stores:
            store.stop()

    def store(self, kind: str) -> Store:
        """A store of its own, started."""
        self._count += 1
        made = CLASSES[kind](self.launcher, self.launcher.run_folder, self.folder, (), f"{kind}{self._count}")
        self._stores.append(made)
        self.start(made, settings(kind))
        return made

    def start(self, store: Any, *how: Any) -> None:
        try:
            store.start(*how)
        except MachineError as error:
            pytest.skip(error.paragraph())

    def python(self, code: str, *words: str) -> Process:
        self._count += 1
        argv = [sys.executable, "-c", code, *words]
        env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        log = self.folder / f"client-{self._count}"
        return self.launcher.spawn("a client", argv, env=env, cwd=self.folder, log=log)

    def done(self, process: Process) -> str:
        """What a client printed, once it has ended well."""
        assert self.launcher.wait(process, 60)
        printed = process.log.read_text().strip()
        assert process.code == 0, printed
        return printed

    def words(self, store: Store, *words: str) -> str:
        """All words in a store as its app sees it, after these were put there; or, after "ask", one answer."""
        if store.kind == "mariadb":
            return self.done(self._mariadb(store.url(store.port), words))
        return self.done(self.python(CLIENTS[store.kind], store.url(store.port), *words))

    def _mariadb(self, url: str, words: tuple[str, ...]) -> Process:
        unpacked = debian.unpacked("mariadb-client-core", "mariadb")
        parts = urlsplit(url)
        statements = "CREATE TABLE IF NOT EXISTS words (word text);"
        statements += "".join(f"INSERT INTO words VALUES ('{word}');" for word in words)  # noqa: S608 - our own words
        statements += "SELECT group_concat(word ORDER BY word SEPARATOR ' ') FROM words HAVING count(*) > 0"
        argv = [str(debian.program(unpacked, "mariadb")), "--no-defaults", "--protocol=tcp", "--batch", "--silent"]
        argv += [f"--host={parts.hostname}", f"--port={parts.port}", f"--user={parts.username}", parts.path[1:]]
        argv += ["-e", words[1] if words[:1] == ("ask",) else statements]
        env = debian.environment(unpacked) | {"MYSQL_PWD": parts.password or ""}
        self._count += 1
        return self.launcher.spawn("mariadb", argv, env=env, cwd=self.folder, log=self.folder / f"client-{self._count}")
