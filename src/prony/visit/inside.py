"""A running stack in, what its app tells when it is asked in its own interpreter, and what it logs meanwhile, out."""

from __future__ import annotations

import signal
from pathlib import Path

from prony.app import routes
from prony.app.routes import AppRoutes
from prony.plan import Plan
from prony.stack.environment import environment
from prony.stack.stack import Stack, Start

ANSWER_S = 60.0
LINES_MAX = 400
BYTES_MAX = 200_000


def app_routes(stack: Stack, start: Start, plan: Plan) -> AppRoutes:
    """The app's routes, told in its own interpreter, contained as the app is; what fails is in their `error`."""
    command = routes.routes_command(plan.app.python, plan.app.entry)
    return routes.found(_told(stack, start, plan, command, "routes"))


def exceptions(stack: Stack, start: Start, plan: Plan, host: str, paths: list[str]) -> dict[str, str]:
    """The exceptions that a Django app meets at these paths, by path."""
    command = routes.errors_command(plan.app.python, plan.app.entry, host, paths)
    return routes.errors(_told(stack, start, plan, command, "exceptions"))


def _told(stack: Stack, start: Start, plan: Plan, command: list[str], name: str) -> str:
    """What a command prints that runs beside the app, in its environment; what it prints elsewhere stays in a log."""
    printed = stack.logs / f"{name}.out"
    printed.write_text("", encoding="utf-8")
    process = stack.launcher.spawn(
        f"the app's interpreter, for {name}",
        command,
        env=environment(stack.ground, plan.app, start.handed),
        cwd=Path(plan.app.folder),
        log=stack.logs / f"{name}.log",
        stdout=printed,
        cores=stack.ground.cores.stack,
    )
    if not stack.launcher.wait(process, ANSWER_S):
        stack.launcher.signal(process, signal.SIGKILL)
    stack.launcher.kill_group(process)
    text = printed.read_text(encoding="utf-8", errors="replace")
    return text if "prony-" in text else text + "\n".join(process.last_lines())


class Listener:
    """What the app logs and is refused, between one question and the next."""

    def __init__(self, stack: Stack, start: Start) -> None:
        self._stack = stack
        self._logs = {each.process.log: _size(each.process.log) for each in start.instances}
        self._refused = stack.refused()

    def lines(self) -> tuple[str, ...]:
        """Lines logged since this was asked last."""
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
