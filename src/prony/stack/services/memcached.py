"""memcached: a plan's [stores.NAME] in, a running memcached out."""

from __future__ import annotations

from pathlib import Path

from prony import plan
from prony.stack import binaries
from prony.stack.launch import Launcher, Process
from prony.stack.services.store import Home, Key, own_knobs


class Memcached:
    """One memcached.

    What is in it cannot be kept: nothing reads all of it out. So `restore` gives it back empty, and an app that wants
    something in it has to put it there. It is emptied by a restart, which also forgets how memory was divided among
    item sizes; flush_all would not.
    """

    def __init__(self, launcher: Launcher, run_folder: Path, logs: Path, cores: tuple[int, ...], name: str) -> None:
        self.kind = "memcached"
        self.name = name
        self.version = ""
        self.port = 0
        self.process: Process | None = None
        self.log = logs / f"{name}.log"
        self._launcher = launcher
        self._home = Home(launcher, run_folder / f"{name}-memcached", self.log, cores, f"[stores.{name}] memcached")
        self._program: binaries.Program | None = None
        self._knobs: dict[str, object] = {}
        self._fixed = 0
        self._kept: set[Key] = set()

    def start(self, settings: plan.Store, port: int = 0) -> None:
        wanted = own_knobs(settings)
        running = self.process is not None and self.process.alive
        if running and (wanted, port) == (self._knobs, self._fixed):
            return
        self.stop()
        self._knobs = wanted
        self.port, self._fixed = self._home.moved(self.port, self._fixed, port)
        self._boot()

    def _boot(self) -> None:
        self._program = self._program or binaries.memcached()
        self.version = self._program.version
        self.port = self._home.port(self.port, self._fixed)
        options = {
            "-l": "127.0.0.1",
            "-p": self.port,
            "-U": 0,
            "-m": self._knobs["memory"],
            "-c": self._knobs["connections"],
            "-t": self._knobs["threads"],
            "-I": f"{self._knobs['max_item_mb']}m",
            "-b": self._knobs["backlog"],
        }
        argv = [str(self._program.path), *(str(part) for option in options.items() for part in option)]
        self.process = self._home.spawn(argv, env=self._program.env)
        self._home.await_up(self.process, self._answers)

    def _answers(self) -> bool:
        return bool(self.stats())

    def stats(self) -> dict[str, str]:
        """Its own counters by name, such as "get_hits" and "evictions"; empty where it does not answer."""
        try:
            with self._launcher.connect(self.port, 2) as link, link.makefile("rwb") as file:
                file.write(b"stats\r\n")
                file.flush()
                found = {}
                while (line := file.readline().decode("ascii", "replace").split()) and line[0] == "STAT":
                    found[line[1]] = line[2] if len(line) > 2 else ""
        except OSError:
            return {}
        return found

    def url(self, port: int) -> str:
        return f"memcached://127.0.0.1:{port}"

    def empty(self) -> None:
        self.stop()
        self._boot()

    def keep(self, key: Key) -> None:
        """Notes only that this state was prepared: see the class."""
        self._kept.add(key)

    def prepared(self, key: Key) -> bool:
        return key in self._kept

    def restore(self, key: Key) -> None:  # noqa: ARG002 - as all stores
        self.empty()

    def stop(self) -> None:
        self._home.end(self.process)
        self.process = None
