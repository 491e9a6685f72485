"""A listening socket on one side of the stack's network in, connections to a host and port on the other side out.

`relay FD HOST PORT` accepts at a descriptor and connects from where it runs itself, where HOST is also looked up: a
socket keeps the network it was made in. Where its standard input is a pipe, it ends with that.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from typing import Self

import psutil
import uvloop

from prony.errors import PlanError, StackError
from prony.stack.guard import HANDED
from prony.stack.launch import Launcher, Process
from prony.stack.services.control import BACKLOG
from prony.stack.services.wire import Line

STOP_S = 3.0
CONNECTIONS_MAX = 4096
_MODULE = "prony.stack.services.relay"


class OutwardRelay:
    """A port inside the stack's network that leads to one host and port outside it, and to nothing else.

    Args:
        launcher: Whose network it is.
        host: Name or address; looked up outside, at each connection.
        port: Its port.
        listen: Address and port inside; port 0 takes a free one.

    Attributes:
        port: The port inside.
        process: The program, a child of this process: it ends when this one does, whatever ends it.

    Raises:
        StackError: the address inside is taken, or not this user's to take.
    """

    def __init__(self, launcher: Launcher, host: str, port: int, listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        with launcher.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind(listen)
            except OSError as error:
                place = f"{listen[0]}:{listen[1]} inside the stack's network"
                raise StackError(f"The way to {host}:{port} cannot begin at {place}: {error.strerror}.") from error
            listening.listen(BACKLOG)
            self.port = int(listening.getsockname()[1])
            self.log = launcher.run_folder / f"relay-out-{listen[0]}-{self.port}.log"
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", _MODULE, str(listening.fileno()), host, str(port)],
                    env=os.environ | {"PRONY_RUN": str(launcher.run_folder)},
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[listening.fileno()],
                    start_new_session=True,  # Ctrl-C is prony's to act on
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it and every connection through it; may be called twice."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class InwardRelay:
    """A port of this machine's that leads to one port inside the stack's network: how a browser gets to the app.

    Args:
        launcher: Whose network it is.
        to_port: The port inside.
        listen_port: The port outside; 0 takes a free one.
        host: The address outside.

    Attributes:
        port: The port outside.
        process: The program, one of the guard's.

    Raises:
        PlanError: the port outside is taken, or not this user's to take.
    """

    def __init__(self, launcher: Launcher, to_port: int, listen_port: int = 0, host: str = "127.0.0.1") -> None:
        self._launcher = launcher
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((host, listen_port))
            except OSError as error:
                raise _no_port(host, listen_port, error) from error
            listening.listen(BACKLOG)
            self.port = int(listening.getsockname()[1])
            self.process: Process = launcher.spawn(
                f"the way in from port {self.port}",
                [sys.executable, "-P", "-m", _MODULE, str(HANDED), "127.0.0.1", str(to_port)],
                env={"PATH": "/usr/bin:/bin"},
                cwd=launcher.run_folder,
                log=launcher.run_folder / f"relay-in-{self.port}.log",
                handed=listening,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends it and every connection through it; may be called twice."""
        if self.process.alive:
            self._launcher.kill_group(self.process)
            self._launcher.wait(self.process, STOP_S)


def check_port(port: int, host: str = "127.0.0.1") -> None:
    """Raises PlanError where a port of this machine's cannot be had: before a stack is brought up in vain."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _no_port(host, port, error) from error


def _no_port(host: str, port: int, error: OSError) -> PlanError:
    """Why a port of this machine's cannot be had, with what holds it where that can be seen."""
    if error.errno == errno.EACCES:
        return PlanError(
            f"port {port} on {host}: found a port that only root may take; allowed: 1024 to 65535.",
            hint=f"choose another, such as port {8000 + port % 1000}",
        )
    if error.errno != errno.EADDRINUSE:
        return PlanError(f"port {port} on {host}: it cannot be listened on: {error.strerror}.")
    holder = _holder(port)
    if holder is None:
        return PlanError(
            f"port {port} on {host}: found it taken by another program, whose name this user may not see; "
            "allowed: a free port.",
            hint=f"choose another port, or see who has it: ss -ltnp 'sport = :{port}'",
        )
    return PlanError(
        f"port {port} on {host}: found it taken by {holder.name()} (process {holder.pid}); allowed: a free port.",
        hint=f"choose another port, or end that one: kill {holder.pid}",
    )


def _holder(port: int) -> psutil.Process | None:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr
            if listens and listens.port == port and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        return None
    return None


async def serve(descriptor: int, host: str, port: int) -> None:
    """Passes connections on until ended."""
    loop = asyncio.get_running_loop()
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        loop.add_reader(0, _end_with_parent)
    line = Line(loop, host, port, CONNECTIONS_MAX)
    async with await line.serve(socket.socket(fileno=descriptor)) as server:
        await server.serve_forever()


def _end_with_parent() -> None:
    if not os.read(0, 4096):
        os.kill(os.getpid(), signal.SIGKILL)  # an orderly end would wait for threads that look names up


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
