"""Paths into planted answers: `python planted.py` is a web server that prints its port and ends with its stdin."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import re
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world"
STATS = {"connections": 0, "requests": 0, "under_way": 0, "most_under_way": 0}
ASKED: Counter[str] = Counter()  # how often each path, and by whom: their cookies


def junk(number: int) -> bytes:
    """An answer that is damaged in one of many ways, the same for the same number."""
    rng = random.Random(number)  # noqa: S311 - a seeded case, no secret
    whole = rng.choice(
        [
            HELLO,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" + HELLO,
            b"HTTP/1.0 200 OK\r\n\r\nhello",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
            b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello",
        ]
    )
    damaged = bytearray(whole)
    for _ in range(rng.randrange(4)):
        kind, at = rng.randrange(4), rng.randrange(len(damaged))
        if kind == 0:
            damaged[at] = rng.randrange(256)
        elif kind == 1:
            damaged[at:at] = rng.randbytes(rng.randrange(1, 200))
        elif kind == 2:
            del damaged[at : at + rng.randrange(1, 20)]
        else:
            damaged += damaged[at:]
    return rng.randbytes(300) if number % 10 == 0 else bytes(damaged or b"\0")


class Planted(asyncio.Protocol):
    """One connection; what is answered stands in the request's path."""

    frozen = False
    cases = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.asked = b""
        self.requests_here = 0
        STATS["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self.asked += data
        while b"\r\n\r\n" in self.asked:
            head, _, self.asked = self.asked.partition(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.requests_here += 1
            STATS["requests"] += 1
            cookie = re.search(rb"^cookie: (.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)
            ASKED[f"{target} {cookie[1].decode() if cookie else ''}".strip()] += 1
            name, _, argument = target.strip("/").partition("/")
            handler: Callable[[str, str], None] = getattr(self, f"do_{name}")
            handler(method, argument)

    def write(self, *pieces: bytes) -> None:
        """Each piece a segment of its own, one after the other, if the connection still stands."""
        for delay, piece in enumerate(pieces):
            asyncio.get_running_loop().call_later(delay * 0.002, self.transport.write, piece)

    def end(self, *pieces: bytes) -> None:
        self.write(*pieces)
        asyncio.get_running_loop().call_later(len(pieces) * 0.002, self.transport.close)

    def do_ok(self, method: str, _: str) -> None:
        self.transport.write(HELLO.removesuffix(b"hello world") if method == "HEAD" else HELLO)

    def do_status(self, _: str, code: str) -> None:
        self.transport.write(f"HTTP/1.1 {code} Planted\r\nContent-Length: 0\r\n\r\n".encode())

    def do_bodiless(self, _: str, code: str) -> None:
        self.transport.write(f"HTTP/1.1 {code} Planted\r\nETag: x\r\n\r\n".encode())

    def do_slow(self, _: str, milliseconds: str) -> None:
        STATS["under_way"] += 1
        STATS["most_under_way"] = max(STATS["most_under_way"], STATS["under_way"])
        asyncio.get_running_loop().call_later(int(milliseconds) / 1000, self.slow_end)

    def slow_end(self) -> None:
        STATS["under_way"] -= 1
        self.transport.write(HELLO)

    def do_hang(self, *_: str) -> None:
        """No answer at all."""

    def do_half(self, *_: str) -> None:
        self.transport.write(HELLO[:-4])

    def do_freeze(self, _: str, milliseconds: str) -> None:
        if not Planted.frozen:
            Planted.frozen = True
            time.sleep(int(milliseconds) / 1000)
        self.transport.write(HELLO)

    def do_close(self, *_: str) -> None:
        self.end(HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    def do_old(self, *_: str) -> None:
        self.end(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nhel", b"lo world")

    def do_lengthless(self, *_: str) -> None:
        self.end(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n\r\nhel", b"lo world")

    def do_cut(self, *_: str) -> None:
        self.end(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\nhello world")

    def do_chunked(self, *_: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.write(head[:20], head[20:] + b"3\r\nhel", b"\r\n8\r\nlo ", b"world\r\n0\r\n", b"\r\n")

    def do_interim(self, *_: str) -> None:
        self.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", HELLO)

    def do_reset(self, *_: str) -> None:
        linger = self.transport.get_extra_info("socket")
        linger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.transport.abort()

    def do_drop(self, *_: str) -> None:
        """Answer the first request of a connection, close it when the second one comes."""
        if self.requests_here == 1:
            self.transport.write(HELLO)
        else:
            self.transport.close()

    def do_twice(self, *_: str) -> None:
        self.transport.write(HELLO + HELLO)

    def do_head(self, _: str, size: str) -> None:
        self.write(b"HTTP/1.1 200 OK\r\nX: ", b"y" * int(size), b"\r\nContent-Length: 0\r\n\r\n")

    def do_body(self, _: str, size: str) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % int(size) + b"z" * int(size))

    def do_endless(self, *_: str) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.more()

    def more(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"z" * 50_000)
            asyncio.get_running_loop().call_later(0.002, self.more)

    def do_junk(self, *_: str) -> None:
        Planted.cases += 1
        raw = junk(Planted.cases)
        cut = Planted.cases % len(raw)
        (self.end if Planted.cases % 3 else self.write)(raw[:cut], raw[cut:])

    def do_json(self, *_: str) -> None:
        body = b'{"items": [{"name": "Tea"}]}'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nX-Cache: HIT from edge\r\n"
        self.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body[:9], body[9:])

    def do_packed(self, *_: str) -> None:
        body = gzip.compress(b"<title>Shop")
        self.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def do_moved(self, _: str, hops: str) -> None:
        """So many redirects to one's self, then an answer; `away` leads to another host, `big` to so many bytes."""
        argument, _, size = hops.partition("/")
        if argument == "away":
            to = "http://198.51.100.7/"
        elif argument == "big":
            to = f"/body/{size}"
        else:
            to = f"/moved/{int(hops) - 1}" if int(hops) > 1 else "/ok"
        self.transport.write(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode())

    def do_flaky(self, _: str, code: str) -> None:
        """Every second request fails: with a status, or with half an answer."""
        Planted.cases += 1
        if Planted.cases % 2 == 0:
            self.transport.write(HELLO)
        elif code == "close":
            self.end(HELLO[:-4])
        else:
            self.do_status("", code)

    def do_events(self, _: str, count: str) -> None:
        """So many server-sent events 10 ms apart, with comments between; then the end. `endless` has none."""
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
        self.one_event(-1 if count == "endless" else int(count))

    def one_event(self, left: int) -> None:
        if left == 0:
            self.transport.close()
        elif not self.transport.is_closing():
            self.transport.write(b'event: tick\r\ndata: {"n"')
            self.transport.write(b": 1}\r\n\r\n: ping\n\n")
            asyncio.get_running_loop().call_later(0.01, self.one_event, left - 1)

    def do_quiet(self, _: str, milliseconds: str) -> None:
        """The head of a stream at once, and nothing but a comment until an event that comes so much later."""
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
        asyncio.get_running_loop().call_later(int(milliseconds) / 1000, self.write, b"data: x\n\n")

    def do_pieces(self, *_: str) -> None:
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.write(head, b"3\r\nhel\r\n", b"8\r\nlo world\r\n", b"0\r\n\r\n")

    def do_asked(self, *_: str) -> None:
        body = json.dumps(dict(ASKED)).encode()
        self.end(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)

    def do_stats(self, *_: str) -> None:
        body = json.dumps(STATS).encode()
        self.end(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)


async def main() -> None:
    loop = asyncio.get_running_loop()
    over_tls = None
    if len(sys.argv) > 1:  # the folder of a certificate and its key
        over_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        over_tls.load_cert_chain(f"{sys.argv[1]}/certificate.pem", f"{sys.argv[1]}/key.pem")
    server = await loop.create_server(Planted, "127.0.0.1", 0, backlog=1024, ssl=over_tls)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    loop.add_reader(0, lambda: None if os.read(0, 1) else ended.set())
    await ended.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
