"""`prony up` as a user runs it: a process of its own, its output read line by line, ended by Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Self

import psutil

from prony.stack import folders

UP_S = 60.0


def until(holds: Callable[[], bool], what: str, seconds: float = UP_S) -> None:
    """Poll until it holds."""
    deadline = monotonic() + seconds
    while not holds():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        Event().wait(0.02)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def get(url: str) -> tuple[int, str]:
    """Status and body; redirects are told, not followed."""
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=UP_S) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8", "replace")


class Up:
    """One `prony up`, in the folder it is started in; leaving kills it, if it still is there."""

    def __init__(self, folder: Path, state: Path, *argv: str, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.state = state
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "prony", "up", *argv],
            cwd=folder,
            env=os.environ | {"XDG_STATE_HOME": str(state)} | dict(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def text(self) -> str:
        """All that it has printed."""
        return "\n".join(self.lines)

    def line(self, pattern: str, seconds: float = UP_S) -> re.Match[str]:
        """The first line in which a pattern is found, once it is printed."""
        found: list[re.Match[str]] = []

        def printed() -> bool:
            ended = self._process.poll() is not None
            if ended:
                self._reader.join()
            found.extend(match for line in list(self.lines) if (match := re.search(pattern, line)))
            assert found or not ended, f"ended with {self._process.returncode} before {pattern}:\n{self.text}"
            return bool(found)

        until(printed, f"{pattern} in\n{self.text}", seconds)
        return found[0]

    def await_up(self, seconds: float = UP_S) -> None:
        """Waits until it has shown its addresses."""
        self.line(r"^Up after", seconds)

    def address(self, name: str) -> str:
        """The address shown beside a name."""
        return self.line(rf"^  {re.escape(name)} +(\S*127\.0\.0\.1:\S+)")[1].rstrip("/")

    def below(self) -> list[psutil.Process]:
        """Every process that it started."""
        return psutil.Process(self._process.pid).children(recursive=True)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def ended(self, seconds: float = UP_S) -> int:
        """Its exit code, once it has ended."""
        code = self._process.wait(seconds)
        self._reader.join()
        return code

    def stop(self, number: int = signal.SIGINT) -> int:
        """Ctrl-C, or another signal, and then nothing may be left; its exit code."""
        started = self.below()
        self._process.send_signal(number)
        code = self.ended()
        alive = [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        assert not alive, alive
        assert not list(folders.own_folder().glob(f"run-{self._process.pid}-*"))
        return code
