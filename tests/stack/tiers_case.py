"""One stack that tests of many tiers share: plans as TOML in, requests through their entrance and what ran out."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import psutil
import pytest

from prony.errors import MachineError
from prony.plan import Plan, read_document
from prony.stack.stack import Stack, Start

APP = Path(__file__).parent.parent / "apps" / "holds.py"
DATABASE = '[stores.database]\nkind = "{}"\n'
CACHE = '[stores.cache]\nkind = "valkey"\n'
PROXY = '[proxy]\nkind = "nginx"\n'


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


class Rig:
    """A stack, and a project folder whose app says what its stores hold."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        shutil.copy(APP, self.folder)
        self.stack = Stack(folder / "logs", own_folder=folder / "own")

    def plan(self, tables: str = "", *, prepare: str = "python holds.py 3", **app: Any) -> Plan:
        """A plan of these tables; its stores are prepared with three things each."""
        document = tomllib.loads(tables)
        document["app"] = {"entry": "holds:application", "python": sys.executable} | app
        if prepare:
            document["app"]["prepare"] = [prepare]
        return read_document(document, "prony.toml", self.folder)

    def boot(self, tables: str = "", **app: Any) -> Start:
        """A fresh start; a program that this machine cannot have skips the test."""
        try:
            return self.stack.boot(self.plan(tables, **app))
        except MachineError as error:
            pytest.skip(error.paragraph())

    def get(self, path: str = "/") -> Any:
        """The JSON that the stack's entrance answers with, whatever the status."""
        return json.loads(self.answer(path)[1])

    def answer(self, path: str = "/", timeout_s: float = 60) -> tuple[int, bytes]:
        """Status and body."""
        assert self.stack.start is not None
        port = self.stack.start.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        connection.sock = self.stack.launcher.connect(port, timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def held(self, path: str = "/") -> tuple[Any, Any]:
        """(what the database holds, what the cache holds) as the app sees it."""
        found = self.get(path)
        return found["database"], found["cache"]

    def prepared(self) -> int:
        """How often the prepare command has run to its end."""
        log = self.stack.logs / "prepare-0.log"
        return log.read_text(encoding="utf-8").count("prepared") if log.exists() else 0

    def pids(self, tier: str) -> list[int]:
        """The first processes of a tier; none where it does not run."""
        return [process.pid for name, group in self.stack.watched() if name == tier for process in group]

    def gone(self, pids: list[int]) -> bool:
        """Whether none of these runs any more."""
        return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)
