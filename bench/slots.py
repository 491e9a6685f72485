"""An HTTP server with a capacity by construction: `python slots.py SLOTS SERVICE_S LOG`.

SLOTS threads take requests in the order in which they came, and each sleeps SERVICE_S over one before it answers: that
costs no CPU, so nothing but the slots can give out. When each slot was taken and when it was free again (pairs of
CLOCK_MONOTONIC, ns) is written to LOG once stdin ends: a sleep lasts a little longer than asked for, and its true
length is what counts. Its port is printed first; it shares no code with what it tests.
"""

from __future__ import annotations

import array
import contextlib
import queue
import select
import socket
import sys
import threading
import time
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
SWITCH_S = 0.0002  # a thread that wakes waits no longer than this for the interpreter


def serve(asked: queue.SimpleQueue[socket.socket], service_s: float, taken: array.array[int]) -> None:
    """One slot: a request at a time, for ever."""
    while True:
        connection = asked.get()
        began_ns = time.monotonic_ns()
        time.sleep(service_s)
        with contextlib.suppress(OSError):
            connection.send(ANSWER)
        taken.extend((began_ns, time.monotonic_ns()))


def take(asked: queue.SimpleQueue[socket.socket], listener: socket.socket) -> None:
    """Queues every request that comes, until stdin ends."""
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    epoll.register(sys.stdin, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    while True:
        for fd, _ in epoll.poll():
            if fd == sys.stdin.fileno():
                return
            if fd == listener.fileno():
                with contextlib.suppress(BlockingIOError):
                    while True:
                        connection, _ = listener.accept()
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        connections[connection.fileno()] = connection
                        epoll.register(connection, select.EPOLLIN)
                continue
            connection = connections[fd]
            try:
                data = connection.recv(65536)
            except OSError:
                data = b""
            for _ in range(data.count(b"\r\n\r\n")):
                asked.put(connection)
            if not data:
                epoll.unregister(fd)
                del connections[fd]
                connection.close()


def main() -> None:
    """Serves until stdin ends."""
    slots, service_s, log = int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])
    sys.setswitchinterval(SWITCH_S)
    asked: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    taken: list[array.array[int]] = [array.array("q") for _ in range(slots)]
    for each in taken:
        threading.Thread(target=serve, args=(asked, service_s, each), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    take(asked, listener)
    log.write_bytes(b"".join(each.tobytes() for each in taken))


if __name__ == "__main__":
    main()
