"""A run that another process holds, with a daemon in it, to be crashed: prony and its guard at once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic

import psutil

from prony.stack import strays
from prony.stack.strays import Stray

# A daemon that has left its parent, its group and its session, and heeds nothing but SIGKILL.
DAEMON = """
import os, signal, sys
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    signal.pause()
"""
# A run as a prony of its own: it says what there is, and waits.
HOLDER = f"""
import json, sys, threading
from pathlib import Path
from prony.stack import folders
from prony.stack.launch import Launcher
place = Path(sys.argv[1])
folders.ROOT = place.parent
launcher = Launcher(folders.run_folder(), sweep=False)
box = launcher.box("app", 1.0, None, 0.1)
env = {{"PATH": "/usr/bin:/bin"}}
daemon = [sys.executable, "-S", "-c", {DAEMON!r}, str(place)]
launcher.boxed("app").spawn("daemon", daemon, env=env, cwd=Path("/"), log=launcher.run_folder / "log")
assert launcher.wait_until(place.exists, 30)
found = {{"guard": launcher._guard.pid, "daemon": int(place.read_text()), "folder": str(launcher.run_folder)}}
print(json.dumps(found), flush=True)
threading.Event().wait()
"""


def until(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


@dataclass
class Held:
    """A run that another process holds."""

    prony: subprocess.Popen[str]
    guard: psutil.Process
    daemon: psutil.Process
    folder: Path

    def crash(self) -> None:
        """Prony and guard at once: nobody is left to clean up."""
        self.guard.suspend()
        self.prony.kill()
        self.prony.wait(20)
        self.guard.kill()
        until(lambda: not there(self.guard), "the guard's end")

    @property
    def name(self) -> str:
        return self.folder.name.removeprefix("run-")

    def left(self) -> list[Stray]:
        return [each for each in strays.find() if self.name in each.what]


def there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def holding(place: Path) -> Iterator[Held]:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE, text=True) as prony:
        assert prony.stdout is not None
        told = json.loads(prony.stdout.readline())
        held = Held(prony, psutil.Process(told["guard"]), psutil.Process(told["daemon"]), Path(told["folder"]))
        try:
            yield held
        finally:
            prony.kill()
            prony.wait(20)
            if there(held.daemon):
                until(lambda: not there(held.guard), "the guard's end")
            strays.clean(strays.find(held.folder))
