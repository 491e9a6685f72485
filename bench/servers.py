"""What the benches load: a real nginx that answers 148 bytes, and a server of ours that holds many streams open."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from paired import pinned

from prony.stack.services.nginx import locate

BODY = "x" * 148

NGINX = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        location / {{ default_type text/plain; add_header X-Served-By bench; return 200 "{body}"; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, core: int) -> Iterator[tuple[int, str]]:
    """The port of a real nginx with one worker on that core, and its version."""
    binary, version = locate()
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, body=BODY), encoding="utf-8")
    command = pinned(core, str(binary), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log"))
    with subprocess.Popen(command) as process:
        try:
            answers(port)
            yield port, version
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


@contextlib.contextmanager
def streams(core: int) -> Iterator[int]:
    """The port of a server that gives everybody an event at once and one each second, without an end."""
    command = pinned(core, sys.executable, __file__)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else 0)
        finally:
            process.communicate("", timeout=10)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(port: int) -> None:
    """Returns once something listens there; raises after 10 s."""
    deadline_s = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)
        else:
            return


def _serve_streams() -> None:
    from prony.load.loop import Loop  # noqa: PLC0415 - only the server needs it

    loop = Loop()
    open_: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 0\n\n"

    def welcome() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = listener.accept()
                sock.send(head)
                open_.append(sock)

    def tick() -> None:
        for sock in list(open_):
            try:
                sock.send(b"data: 1\n\n")
            except OSError:
                open_.remove(sock)
                sock.close()
        loop.call_later(1.0, tick)

    loop.add_reader(listener.fileno(), welcome)
    loop.add_reader(0, lambda: None if os.read(0, 64) else loop.stop())
    loop.call_later(1.0, tick)
    print(listener.getsockname()[1], flush=True)
    loop.run()


if __name__ == "__main__":
    _serve_streams()
