"""A running stack in, what its app tells when it is asked in its own interpreter, and what it logs meanwhile, out."""

from __future__ import annotations

import contextlib
from pathlib import Path

from prony.app import routes
from prony.app.routes import AppRoutes
from prony.errors import StackError
from prony.plan import Plan
from prony.stack.stack import Stack, Start

ANSWER_S = 60.0
LOGGED_S = 0.5
LINES_MAX = 400
BYTES_MAX = 200_000


def app_routes(stack: Stack, plan: Plan) -> AppRoutes:
    """The routes of the app that runs, told in its own interpreter; what was in the way is in their `error`."""
    try:
        return routes.found(stack.ask("routes", {"entry": plan.app.entry, "values": True}, timeout_s=ANSWER_S))
    except StackError as error:
        return AppRoutes(error=" ".join([error.message, *error.log[-1:]]))


def exceptions(stack: Stack, plan: Plan, host: str, paths: list[str]) -> dict[str, str]:
    """The exceptions that a Django app which runs meets at these paths, by path."""
    with contextlib.suppress(StackError):
        task = {"entry": plan.app.entry, "host": host, "paths": paths}
        told = stack.ask("routes", task, timeout_s=ANSWER_S).get("errors", {})
        return {str(path): str(text) for path, text in told.items()}
    return {}


class Listener:
    """What the app logs and is refused, between one question and the next."""

    def __init__(self, stack: Stack, start: Start) -> None:
        self._stack = stack
        self._logs = {each.process.log: _size(each.process.log) for each in start.instances}
        self._refused = stack.refused()

    def lines(self, *, wait: bool = False) -> tuple[str, ...]:
        """Lines logged since this was asked last; some servers log what went wrong after they have answered."""
        if wait:
            self._stack.launcher.wait_until(lambda: any(_size(path) > at for path, at in self._logs.items()), LOGGED_S)
        found: list[str] = []
        for path, at in self._logs.items():
            size = _size(path)
            if size > at:
                with path.open("rb") as file:
                    file.seek(max(at, size - BYTES_MAX))
                    found += file.read(BYTES_MAX).decode("utf-8", "replace").splitlines()
            self._logs[path] = size
        return tuple(found[-LINES_MAX:])

    def refused(self) -> tuple[str, ...]:
        """What it was kept from since this was asked last, as "host:port at shop/mail.py:12"."""
        now = self._stack.refused()
        new = tuple(text for text, count in now.items() if count > self._refused.get(text, 0))
        self._refused = now
        return new


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
