"""The guard: a small process that starts the stack on prony's behalf, and ends it when prony is gone.

It is the parent of every process under test. It holds one end of a socket to prony; when that breaks, whatever killed
prony, it ends them all, removes the run's folder, and goes. As a child subreaper it inherits whatever its children
leave behind, so nothing escapes by forking twice. Where the kernel allows, it first moves into a network namespace
that has a loopback and nothing else: what it starts can reach its own stack, and nothing outside.

Messages are JSON, one a packet: {"id", "do", ...} in, with "spawn", "signal", "socket", "box", "hosts", "cover" or
"uncover" to do; {"id", ...} or {"exit", ...} out. A spawn order may bring a descriptor, which the process gets as its
descriptor 200.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from prony.stack import folders, mounts
from prony.stack.boxes import Boxes

LOG_BYTES_MAX = 64 * 1024 * 1024
MESSAGE_BYTES_MAX = 256 * 1024
GRACE_S = 1.0
HANDED = 200  # the descriptor at which a process finds what it was handed: too high to be in use here

_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41


def enter_namespace() -> str:
    """Moves this process into a network namespace with loopback alone; the empty text, or why that cannot be."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if uid == 0 and libc.unshare(_CLONE_NEWNET) == 0:
        own_shared_memory()
        mounts.enter()
        return _loopback_up()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return f"the kernel refuses a network namespace: {os.strerror(ctypes.get_errno())}"
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    except OSError as error:
        # Already inside, with an unmapped uid: such a process cannot serve, so the caller must start over without one.
        raise SystemExit(f"namespace: {error}") from error
    own_shared_memory()
    mounts.enter()
    return _loopback_up()


def own_shared_memory() -> None:
    """Gives what is started shared memory of System V's kind that ends with it, where the kernel allows that.

    A Postgres that is killed leaves its segment behind; in a namespace of its own the kernel removes that.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_CLONE_NEWIPC)


def _loopback_up() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))
    return ""


class Guard:
    """The loop: takes orders from prony's socket, reaps children, and cleans up when the socket breaks."""

    def __init__(self, link: socket.socket, run_folder: str) -> None:
        self.link = link
        self.run_folder = run_folder
        self.children: dict[int, subprocess.Popen[bytes]] = {}
        self.stop_signals: dict[int, int] = {}
        self.logs: set[str] = set()
        self.boxes = Boxes(Path(run_folder).name)
        self.wake_read, wake_write = os.pipe()
        os.set_blocking(self.wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, lambda *_: None)  # not "ignore", which all that it starts would inherit
        self.ended = False
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_: object) -> None:
        self.ended = True

    def take_hold(self) -> None:
        """Makes the run's folder and, where one can be made, a cgroup for all that will run; held until the end."""
        folders.take(Path(self.run_folder))
        self.boxes.gather()

    def run(self) -> None:
        """Serves orders until the socket breaks."""
        while not self.ended:
            watched: list[Any] = [self.link, self.wake_read]
            ready, _, _ = select.select(watched, [], [], 1.0)
            self._reap()
            self._bound_logs()
            if self.link in ready and not self._order():
                break

    def _order(self) -> bool:
        """Carries out one order; False when prony is gone."""
        try:
            packet, handed, _, _ = socket.recv_fds(self.link, MESSAGE_BYTES_MAX, 1)
        except OSError:
            return False
        if not packet:
            return False
        order = json.loads(packet)
        reply: dict[str, Any] = {"id": order["id"]}
        descriptors: list[int] = []
        try:
            if order["do"] == "spawn":
                reply["pid"] = self._spawn(order, handed)
            elif order["do"] == "signal":
                reply["sent"] = self._signal(order["pid"], order["signal"], group=order["group"])
            elif order["do"] == "socket":
                descriptors.append(socket.socket(*order["family"]).detach())
            elif order["do"] == "box":
                reply["box"] = self.boxes.make(order["name"], order["cpus"], order["memory_bytes"], order["period_s"])
            elif order["do"] == "hosts":
                mounts.name_hosts(order["file"])
            elif order["do"] == "cover":
                what = (order["folder"], order["layers"], order["upper"], order["through"])
                mounts.cover(*what, synced=order["synced"])
            elif order["do"] == "uncover":
                mounts.uncover(order["folder"])
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            number = error.errno if isinstance(error, OSError) else None
            reply["error"] = str(error)
            reply["missing"] = number in {errno.ENOENT, errno.EACCES}
        sent = self._say(reply, descriptors)
        for descriptor in [*descriptors, *handed]:
            os.close(descriptor)
        return sent

    def _say(self, message: dict[str, Any], descriptors: list[int] | None = None) -> bool:
        data = json.dumps(message).encode()
        try:
            socket.send_fds(self.link, [data], descriptors or [])
        except OSError:
            return False
        return True

    def _spawn(self, order: dict[str, Any], handed: list[int]) -> int:
        parent = os.getpid()
        # Python hands descriptors on at their own numbers only, so a copy is put where the process looks for it.
        if handed:
            os.dup2(handed[0], HANDED)
        try:
            with open(order["stdout"], "ab") as out, open(order["stderr"], "ab") as err:  # noqa: PTH123 - prony's paths
                child = subprocess.Popen(
                    order["argv"],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=order["cwd"],
                    env=order["env"],
                    start_new_session=True,
                    preexec_fn=lambda: self._before_exec(order, parent),  # noqa: PLW1509 - this process has one thread
                    pass_fds=(HANDED,) if handed else (),
                )
        finally:
            if handed:
                os.close(HANDED)
        self.logs |= {order["stdout"], order["stderr"]}
        self.children[child.pid] = child
        self.stop_signals[child.pid] = order["stop_signal"]
        return child.pid

    def _before_exec(self, order: dict[str, Any], parent: int) -> None:
        """Runs in the child: its box, cores, priority and limits, then who it is; what follows is the program."""
        if order.get("urgent"):
            with contextlib.suppress(OSError):  # root's privilege: others go without
                os.setpriority(os.PRIO_PROCESS, 0, -10)
        if order.get("cores") and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, order["cores"])
        if order.get("box"):
            self.boxes.enter(order["box"], tuple(order.get("cores") or ()))
        if order.get("descriptors"):
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        if order.get("uid") is not None:
            os.setgroups([])
            os.setgid(order["uid"])
            os.setuid(order["uid"])
        # Last: a change of uid would have cleared the signal.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    def _signal(self, pid: int, number: int, *, group: bool) -> bool:
        """Signals a child, or all that is left of its group (each child leads one) even when it has gone itself."""
        if group and pid in self.stop_signals:
            # One of ours must be left in it: else the number may be somebody else's group by now.
            if pid in self.children or any(_group_of(each) == pid for each in descendants(os.getpid())):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, number)
            return True
        if pid not in self.children:
            return False
        os.kill(pid, number)
        return True

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_read, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is not None:
                child.returncode = os.waitstatus_to_exitcode(status)
                self._say({"exit": pid, "code": child.returncode})

    def _bound_logs(self) -> None:
        """A log past its bound starts over: they are opened for appending, so truncating is safe."""
        for log in self.logs:
            with contextlib.suppress(OSError):
                if os.path.getsize(log) > LOG_BYTES_MAX:  # noqa: PTH202 - called every second for every log
                    os.truncate(log, 0)

    def end_all(self) -> None:
        """Each child gets its stop signal, then whatever is left below this process is killed."""
        try:
            self._end_children()
            self.boxes.kill_all()
            self.boxes.remove()
        finally:
            shutil.rmtree(self.run_folder, ignore_errors=True)

    def _end_children(self) -> None:
        for pid in reversed(list(self.children)):
            with contextlib.suppress(OSError):
                os.kill(pid, self.stop_signals[pid])
        deadline = time.monotonic() + GRACE_S
        while self.children and time.monotonic() < deadline:
            self._reap()
            select.select([self.wake_read], [], [], 0.01)
        deadline = time.monotonic() + 2 * GRACE_S
        while time.monotonic() < deadline:
            left = descendants(os.getpid())
            if not left:
                break
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self._reap()
            select.select([], [], [], 0.01)


def _group_of(pid: int) -> int:
    """The process group of a process; 0 where it is gone."""
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, by /proc."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is wanted
        if entry.isdigit():
            try:
                stat = Path("/proc", entry, "stat").read_bytes()
            except OSError:
                continue
            fields = stat[stat.rindex(b")") + 2 :].split()
            if fields[0] != b"Z" or int(fields[1]) == pid:
                parents.setdefault(int(fields[1]), []).append(int(entry))
    found: list[int] = []
    queue = [pid]
    while queue:
        below = parents.get(queue.pop(), [])
        found += below
        queue += below
    return found


def main() -> None:
    """The program: `guard DESCRIPTOR RUN_FOLDER NAMESPACE`, where NAMESPACE is 0 or 1."""
    descriptor, run_folder, wanted = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "1"
    link = socket.socket(fileno=descriptor)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    why = enter_namespace() if wanted else "not asked for"
    if why:
        own_shared_memory()
    guard = Guard(link, run_folder)
    try:
        guard.take_hold()
        link.send(json.dumps({"ready": True, "namespace": not why, "why": why}).encode())
        guard.run()
    finally:
        guard.end_all()


if __name__ == "__main__":
    main()
