"""prony's side of the guard: orders in, processes and sockets of the stack's own network out."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from prony.errors import MachineError, StackError
from prony.stack import strays
from prony.stack.boxes import scope_prefix
from prony.stack.guard import MESSAGE_BYTES_MAX

GUARD_READY_S = 15.0
END_S = 10.0
PORT_LOW, PORT_HIGH = 11_000, 32_000  # the kernel's own range of local ports begins at 32768
PORT_TRIES = 200


@dataclass(slots=True)
class Process:
    """One process of the stack: alive while `code` is None; a negative code is the signal that ended it."""

    name: str
    pid: int
    log: Path
    code: int | None = None

    @property
    def alive(self) -> bool:
        """Whether the guard has not reported its end."""
        return self.code is None

    def last_lines(self, count: int = 12) -> tuple[str, ...]:
        """The end of its log."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - 16_384))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ()
        return tuple(line.rstrip() for line in lines if line.strip())[-count:]


class Launcher:
    """Starts the guard and talks to it. Use as a context manager: leaving ends every process.

    Args:
        run_folder: Where the run keeps its files: its guard makes it, and removes it in the end.
        namespace: Whether to try for a network of the stack's own.
        sweep: Whether to remove first what runs that are over have left.

    Attributes:
        namespace: Whether the stack has a network of its own.
        why_no_namespace: Why not; empty where it has.
    """

    def __init__(self, run_folder: Path, *, namespace: bool = True, sweep: bool = True) -> None:
        self.run_folder = run_folder
        self.processes: dict[int, Process] = {}
        self._orders = itertools.count(1)
        self._box = ""
        self._lost: list[bool] = []  # shared with the launchers of boxes: the guard is gone, and that was seen to
        if sweep:
            strays.sweep()
        self._start(namespace=namespace)

    def _start(self, *, namespace: bool) -> None:
        ways = [(scope_prefix(), namespace), ([], namespace), ([], False)]
        failure: list[str] = []
        for prefix, wanted in [way for number, way in enumerate(ways) if way not in ways[:number]]:
            hello = self._try(prefix, namespace=wanted)
            if hello is not None:
                self.namespace = bool(hello["namespace"])
                self.why_no_namespace = str(hello["why"])
                if namespace and not wanted:
                    self.why_no_namespace = failure[-1] if failure else "the guard could not enter one"
                return
            self._link.close()
            self._guard.kill()
            self._guard.wait()
            failure = self._said()
            self._printed.close()
        raise MachineError("The guard process, which starts the stack, did not come up.", log=tuple(failure[-5:]))

    def _try(self, prefix: list[str], *, namespace: bool) -> dict[str, Any] | None:
        """Starts a guard; its first message, or None where it does not come up."""
        self._lost.clear()
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - has no name, so that nothing is left of it
        program = [sys.executable, "-P", "-m", "prony.stack.guard"]
        with theirs:
            self._guard = subprocess.Popen(
                [*prefix, *program, str(theirs.fileno()), str(self.run_folder), str(int(namespace))],
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        return self._receive(GUARD_READY_S)

    def _said(self) -> list[str]:
        """What the guard printed: nothing, unless something is wrong."""
        if self._printed.closed:
            return []
        self._printed.seek(0)
        return self._printed.read(16_384).decode("utf-8", "replace").strip().splitlines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def boxed(self, box: str) -> Launcher:
        """The same launcher, whose processes go into a box; the empty name: into none."""
        other = copy.copy(self)
        other.into_box(box)
        return other

    def into_box(self, box: str) -> None:
        """What this launcher starts from now on goes into that box."""
        self._box = box

    def close(self) -> None:
        """Ends the guard and with it everything it started; returns when it is gone."""
        self._link.close()
        try:
            self._guard.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._printed.close()
        if self._guard.returncode != 0:  # it did not get to it
            strays.clean(strays.find(self.run_folder))

    def spawn(
        self,
        name: str,
        argv: list[str],
        *,
        env: dict[str, str],
        cwd: Path,
        log: Path,
        cores: tuple[int, ...] = (),
        stdout: Path | None = None,
        uid: int | None = None,
        stop_signal: int = signal.SIGKILL,
        descriptors: bool = False,
        urgent: bool = False,
        handed: socket.socket | None = None,
    ) -> Process:
        """Starts one process; what it prints goes to `log` (its stdout to `stdout`, where named).

        Args:
            name: What errors and events call it.
            argv: Program and arguments.
            env: Its whole environment.
            cwd: Folder it starts in.
            log: File its output is appended to.
            cores: Cores it may run on; empty for all.
            stdout: Another file for its standard output.
            uid: User and group it becomes, where prony is root.
            stop_signal: What ends it well when prony dies.
            descriptors: Raise its limit on open files as far as is allowed.
            urgent: Let it run before others on its cores, where this user may ask for that.
            handed: A socket that the process gets as its descriptor 200.
        """
        order = {
            "do": "spawn",
            "argv": argv,
            "env": env | {strays.TAG: str(self.run_folder)},
            "cwd": str(cwd),
            "stdout": str(stdout or log),
            "stderr": str(log),
            "cores": list(cores),
            "uid": uid,
            "stop_signal": int(stop_signal),
            "descriptors": descriptors,
            "urgent": urgent,
            "box": self._box,
        }
        reply = self._ask(order, [] if handed is None else [handed.fileno()])
        if "error" in reply:
            if reply.get("missing"):
                raise MachineError(
                    f"{name} cannot be started: {reply['error']}.", hint=f"check that {argv[0]} is there"
                )
            raise StackError(f"{name} cannot be started: {reply['error']}.")
        process = Process(name, reply["pid"], log)
        self.processes[process.pid] = process
        return process

    def signal(self, process: Process, number: int) -> None:
        """Sends a signal to a process, if it is still there."""
        if process.alive:
            self._ask({"do": "signal", "pid": process.pid, "signal": int(number), "group": False})

    def kill_group(self, process: Process) -> None:
        """Kills what is left of a process and of those it forked."""
        self._ask({"do": "signal", "pid": process.pid, "signal": int(signal.SIGKILL), "group": True})

    def connect(self, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection to a port on the stack's own loopback; raises OSError."""
        connection = self.socket()
        try:
            connection.settimeout(timeout_s)
            connection.connect(("127.0.0.1", port))
        except OSError:
            connection.close()
            raise
        return connection

    def socket(self, family: tuple[int, int, int] = (socket.AF_INET, socket.SOCK_STREAM, 0)) -> socket.socket:
        """A socket made inside the stack's network; (family, type, protocol)."""
        reply = self._ask({"do": "socket", "family": [int(part) for part in family]})
        if "error" in reply:
            raise StackError(f"A socket inside the stack's network cannot be made: {reply['error']}.")
        return socket.socket(*family, fileno=reply["descriptors"][0])

    def box(self, name: str, cpus: float | None, memory_bytes: int | None, period_s: float) -> dict[str, Any]:
        """Makes a box, or gives one other limits; how it is enforced, why not better, and where it is accounted for."""
        order = {"do": "box", "name": name, "cpus": cpus, "memory_bytes": memory_bytes, "period_s": period_s}
        reply = self._ask(order)
        if "error" in reply:
            raise StackError(f"[box.{name}] cannot be made: {reply['error']}.")
        found: dict[str, Any] = reply["box"]
        return found

    def name_hosts(self, file: Path) -> str:
        """Lets a file stand for /etc/hosts in the stack; the empty text, or why that cannot be."""
        return str(self._ask({"do": "hosts", "file": str(file)}).get("error", ""))

    def cover(self, folder: str, layers: list[str], upper: str, through: list[str], *, synced: bool) -> str:
        """Covers a folder in the stack, as `mounts.cover` has it; the empty text, or why that cannot be."""
        places = {"folder": folder, "layers": layers, "upper": upper, "through": through}
        order = {"do": "cover", **places, "synced": synced}
        return str(self._ask(order).get("error", ""))

    def uncover(self, folder: str) -> None:
        """Takes the cover off it again."""
        self._ask({"do": "uncover", "folder": folder})

    def free_port(self) -> int:
        """A port that was free a moment ago, below those that the kernel gives to outgoing connections.

        A server that is restarted finds its port again: no client's connection can have taken it meanwhile.
        """
        for port in random.sample(range(PORT_LOW, PORT_HIGH), PORT_TRIES):
            with self.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
                return port
        raise MachineError(f"None of {PORT_TRIES} ports tried between {PORT_LOW} and {PORT_HIGH} is free.")

    def poll(self) -> None:
        """Takes note of processes that ended."""
        while self._receive(0) is not None:
            pass

    def wait(self, process: Process, timeout_s: float) -> bool:
        """Waits until a process has ended; False when it has not by then."""
        return self.wait_until(lambda: not process.alive, timeout_s)

    def wait_until(self, done: Callable[[], bool], timeout_s: float, every_s: float = 0.02) -> bool:
        """Waits until `done()`, noting ended processes meanwhile; False when it was not done by then."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() >= deadline:
                return False
            if self._lost:  # its socket is always ready then
                time.sleep(every_s)
            self._receive(every_s)
        return True

    def _ask(self, order: dict[str, Any], handed: list[int] | None = None) -> dict[str, Any]:
        number = order["id"] = next(self._orders)
        try:
            socket.send_fds(self._link, [json.dumps(order).encode()], handed or [])
        except OSError as error:
            self._bereaved()
            raise StackError(f"The guard process is gone: {error.strerror}.", log=tuple(self._said()[-5:])) from error
        while True:
            message = self._receive(GUARD_READY_S)
            if message is None:
                raise StackError("The guard process does not answer.")
            if message.get("id") == number:
                return message

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        """One message of the guard's, or None when there is none in time; ends of processes are noted on the way."""
        ready, _, _ = select.select([self._link], [], [], timeout_s)
        if not ready:
            return None
        with contextlib.suppress(OSError):
            data, descriptors, _, _ = socket.recv_fds(self._link, MESSAGE_BYTES_MAX, 4)
            if data:
                message: dict[str, Any] = json.loads(data)
                if "exit" in message and message["exit"] in self.processes:
                    self.processes[message["exit"]].code = message["code"]
                message["descriptors"] = descriptors
                return message
            for descriptor in descriptors:
                os.close(descriptor)
        if self._guard.poll() is not None or timeout_s:
            self._bereaved()
        return None

    def _bereaved(self) -> None:
        """The guard is gone: what it started ends too, what has forked away from it included."""
        if self._lost:
            return
        self._lost.append(True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._guard.wait(END_S)
        strays.clean([each for each in strays.find(self.run_folder) if each.kind != "folder"])
        for process in self.processes.values():
            process.code = process.code if process.code is not None else -signal.SIGKILL
