"""Orders to a program of ours while it runs: a JSON line into its Unix socket, a JSON line back."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prony.errors import StackError
from prony.stack.guard import HANDED
from prony.stack.launch import Launcher, Process

READY_S = 15.0
STOP_S = 3.0
ANSWER_S = 5.0
LINE_BYTES_MAX = 64 * 1024
BACKLOG = 4096

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Remote:
    """One program of ours among the stack's processes: listens on a port of its own, and takes orders.

    Attributes:
        address: Where it listens on the stack's loopback.
        port: Its port there, from the first start to the last; before, the one it was made for, or 0.
        process: The running program; None before the first start and after a stop.
    """

    def __init__(
        self,
        launcher: Launcher,
        module: str,
        title: str,
        *,
        logs: Path,
        path: Path,
        cores: tuple[int, ...],
        place: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.launcher, self.module, self.title = launcher, module, title
        self.logs, self.path, self.cores = logs, path, cores
        self.address, self.port = place
        self.process: Process | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.alive

    def start(self, settings: Mapping[str, Any]) -> None:
        """Starts the program; returns when it takes orders."""
        self.path.unlink(missing_ok=True)
        with self.launcher.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((self.address, self.port))
            except OSError as error:
                raise StackError(f"{self.title} cannot listen on port {self.port}: {error.strerror}.") from error
            listening.listen(BACKLOG)
            self.port = int(listening.getsockname()[1])
            self.process = self.launcher.spawn(
                self.title,
                [sys.executable, "-P", "-m", self.module, str(HANDED), str(self.path), json.dumps(settings)],
                env={"PATH": "/usr/bin:/bin"},
                cwd=self.logs,
                log=self.logs / f"{self.path.stem}.log",
                cores=self.cores,
                descriptors=True,
                urgent=True,
                handed=listening,
            )
        process = self.process

        def takes_orders() -> bool:
            if not process.alive:
                raise StackError(f"{self.title} ended while starting.", log=process.last_lines())
            try:
                self._ask({})
            except (OSError, ValueError):
                return False
            return True

        if not self.launcher.wait_until(takes_orders, READY_S):
            self.stop()
            raise StackError(f"{self.title} did not come up in {READY_S:.0f} s.", log=process.last_lines())

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """What it answers to an order.

        Raises:
            StackError: it does not answer, or refuses the order.
        """
        try:
            answer = self._ask(order)
        except (OSError, ValueError) as error:
            self.launcher.poll()
            said = self.process.last_lines() if self.process is not None else ()
            raise StackError(f"{self.title} takes no orders: {error}.", log=said) from error
        if "error" in answer:
            raise StackError(f"{self.title} cannot be changed: {answer['error']}.")
        return answer

    def stop(self) -> None:
        """Ends it and its connections; returns when it is gone."""
        if self.process is not None:
            self.launcher.kill_group(self.process)
            self.launcher.wait(self.process, STOP_S)
            self.process = None
        self.path.unlink(missing_ok=True)

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(str(self.path))
            connection.sendall(json.dumps(order).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer: dict[str, Any] = json.loads(lines.readline(LINE_BYTES_MAX))
        return answer


async def listen(path: str, answer: Answer) -> asyncio.Server:
    """The program's side: starts to answer orders; a ValueError becomes {"error": its text}."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(_answered(line, answer)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):  # gone, or a line too long
            pass
        finally:
            writer.close()

    os.umask(0o077)  # nobody else's orders
    return await asyncio.start_unix_server(serve, path, limit=LINE_BYTES_MAX)


def changed(settings: Mapping[str, Any], order: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]]) -> Any:
    """The settings with an order's changes; raises ValueError where one is unknown or not allowed."""
    for name, value in order.items():
        if name not in settings:
            raise ValueError(f"{name}: found an unknown setting; allowed: {', '.join(settings)}")
        low, high = bounds.get(name, (0, 1))
        kinds = (int, float) if isinstance(settings[name], float) else (type(settings[name]),)
        if type(value) not in kinds or not low <= value <= high:
            raise ValueError(f"{name}: found {value!r:.60}; allowed: {kinds[-1].__name__} from {low:g} to {high:g}")
    return {name: type(value)(order.get(name, value)) for name, value in settings.items()}


def _answered(line: bytes, answer: Answer) -> dict[str, Any]:
    try:
        order = json.loads(line)
        if not isinstance(order, dict):
            raise ValueError(f"found {line!r:.60}; allowed: one JSON object a line")  # noqa: TRY004, TRY301 - as json's
        return answer(order)
    except ValueError as error:
        return {"error": str(error)}
