"""A seed into answers that nobody should send: `hostile.py SEED`, a server that prints its port, ends with its stdin.

The n-th request gets the n-th hostile answer: truncated, with giant or endless heads, wrong or doubled lengths, broken
or tiny chunks, floods of interim answers, endless bodies, binary junk, answers nobody asked for, drips, early ends.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import socket
import sys
from collections.abc import Callable

from prony.load.loop import Loop

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 11\r\n\r\nhello world"
DRIPS_MAX = 6
BOMBS = tuple(gzip.compress(b"\0" * size, 9) for size in (1_000, 30_000_000))
DRIP_S = 0.005
ENDLESS = b"z" * 1_200_000  # over what whoever is tried takes of a body: 1 MB


def truncated(rng: random.Random) -> bytes:
    """A right answer, cut anywhere."""
    return WHOLE[: rng.randrange(len(WHOLE))]


def giant_head(rng: random.Random) -> bytes:
    """Fields without end, or one that is very long."""
    if rng.random() < 0.5:
        return OK + b"".join(b"X-%d: y\r\n" % number for number in range(rng.randrange(100, 6000)))
    return OK + b"X: " + b"y" * rng.randrange(1000, 100_000) + b"\r\nContent-Length: 0\r\n\r\n"


def wrong_length(rng: random.Random) -> bytes:
    """Lengths that lie, contradict each other, or are none."""
    lies = [b"5", b"100000", b"-1", b"99999999999999999999", b"0x10", b"5, 7", b"", b"5\r\nContent-Length: 7"]
    said = rng.choice(lies)
    return OK + b"Content-Length: " + said + b"\r\n\r\nhello world"


def broken_chunks(rng: random.Random) -> bytes:
    """Chunks with sizes that lie, extensions that go on, ends that do not come."""
    size = rng.choice([b"5", b"ffffffffffffffff", b"-1", b"zz", b"5;" + b"a=b;" * rng.randrange(1, 5000), b""])
    end = rng.choice([b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"0\r\n" + b"X: y\r\n" * rng.randrange(5000)])
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\nhello\r\n" + end


def tiny_chunks(rng: random.Random) -> bytes:
    """A body of two bytes a chunk, by the thousand; perhaps its end."""
    chunks = b"2\r\nzz\r\n" * rng.choice((10, 1_000, 60_000))
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + rng.choice([b"0\r\n\r\n", b""])


def interim_flood(rng: random.Random) -> bytes:
    """Interim answers, many of them, perhaps with one that counts at the end."""
    return b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * rng.randrange(1, 2000) + rng.choice([WHOLE, b""])


def endless_body(rng: random.Random) -> bytes:
    """More than anybody takes."""
    return rng.choice([OK + b"\r\n", OK + b"Content-Length: 99999999\r\n\r\n"]) + ENDLESS


def junk(rng: random.Random) -> bytes:
    """No HTTP at all."""
    return rng.randbytes(rng.randrange(1, 5000))


def too_many(rng: random.Random) -> bytes:
    """Answers nobody asked for."""
    return WHOLE * rng.randrange(2, 200)


def odd_status(rng: random.Random) -> bytes:
    """A first line that is not quite one."""
    lines = [b"HTTP/1.1 999 ?", b"HTTP/1.1 20 OK", b"HTTP/9.9 200 OK", b"HTTP/1.1", b"ICY 200 OK", b"\0\0\0\0"]
    return rng.choice(lines) + b"\r\nContent-Length: 0\r\n\r\n"


def switched(rng: random.Random) -> bytes:
    """Another protocol, unasked."""
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + rng.randbytes(50)


def packed(rng: random.Random) -> bytes:
    """A coding that does not undo."""
    body = rng.randbytes(200)
    return OK + b"Content-Encoding: gzip\r\nContent-Length: 200\r\n\r\n" + body


def bomb(rng: random.Random) -> bytes:
    """A few kB that unpack into many MB."""
    body = rng.choice(BOMBS)
    return OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def moved(rng: random.Random) -> bytes:
    """Redirects: to where one is, to elsewhere, to nowhere."""
    to = rng.choice([b"/", b"//", b"http://198.51.100.7/", b"/" * 5000, b"\xff\xfe", b"?", b"", b"http://[::1", b"/\0"])
    return b"HTTP/1.1 %d Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (rng.choice((301, 302, 307)), to)


def cookies(rng: random.Random) -> bytes:
    """Cookies by the hundred, huge ones, broken ones."""
    names = [rng.randbytes(rng.randrange(1, 50)).hex().encode() for _ in range(rng.randrange(1, 300))]
    parts = [
        b"; Path=/",
        b"; Max-Age=%d" % rng.randrange(-5, 10**18),
        b"; Expires=\xff",
        b"; Domain=.com",
        b";;;===",
        b"",
    ]
    fields = b"".join(b"Set-Cookie: %s=%s%s\r\n" % (n, b"v" * rng.randrange(200), rng.choice(parts)) for n in names)
    return OK + fields + b"Content-Length: 11\r\n\r\nhello world"


def page(rng: random.Random) -> bytes:
    """HTML that is nested without end, or a form that is not quite one."""
    body = rng.choice(
        [
            b"<div>" * rng.randrange(1, 60_000),
            b"<form id=add method=post action='" + rng.randbytes(30) + b"'><input name=qty value='" + rng.randbytes(9),
            b"<form id=add><input name=qty></form>",
            b"<a class=product href='" + rng.choice([b"//", b"http://[", b"javascript:x", b"/x"]) + b"'>",
        ]
    )
    return OK + b"Content-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def events(rng: random.Random) -> bytes:
    """Events that are none, or thousands at once."""
    body = rng.choice([b"data: x\n\n" * rng.randrange(1, 5000), b"data" * 20_000, b":\n\n\r\r" * 500, b"data: \xff\r"])
    return OK + b"Content-Type: text/event-stream\r\n\r\n" + body


def damaged(rng: random.Random) -> bytes:
    """A right answer with bytes changed, left out or put in."""
    raw = bytearray(WHOLE)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(raw))
        if rng.random() < 0.5:
            raw[at] = rng.randrange(256)
        else:
            raw[at:at] = rng.randbytes(rng.randrange(20))
    return bytes(raw)


KINDS: tuple[Callable[[random.Random], bytes], ...] = (
    truncated, giant_head, wrong_length, broken_chunks, tiny_chunks, interim_flood, endless_body, junk, too_many,
    odd_status, switched, packed, damaged, bomb, moved, cookies, page, events,
)  # fmt: skip


class Hostile:
    """The server."""

    def __init__(self, loop: Loop, seed: int) -> None:
        self._loop = loop
        self._seed = seed
        self._count = 0

    def welcome(self, listener: socket.socket) -> None:
        """Accept whoever waits."""
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = listener.accept()
                sock.setblocking(False)
                self._loop.add_reader(sock.fileno(), lambda sock=sock: self._read(sock))

    def _read(self, sock: socket.socket) -> None:
        try:
            asked = sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            asked = b""
        if not asked:
            self._close(sock)
            return
        self._count += 1
        rng = random.Random(self._seed * 1_000_003 + self._count)  # noqa: S311 - a seeded case, no secret
        answer = rng.choice(KINDS)(rng)
        pieces = rng.choice((1, 1, 1, rng.randrange(2, DRIPS_MAX)))
        cuts = sorted(rng.randrange(len(answer) + 1) for _ in range(pieces - 1))
        parts = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
        self._drip(sock, parts, closes=rng.random() < 0.5)

    def _drip(self, sock: socket.socket, parts: list[bytes], *, closes: bool) -> None:
        try:
            parts[0] = parts[0][sock.send(parts[0]) :]
        except BlockingIOError:
            pass
        except OSError:
            self._close(sock)
            return
        if not parts[0]:
            parts.pop(0)
        if parts:
            self._loop.call_later(DRIP_S, lambda: self._drip(sock, parts, closes=closes))
        elif closes:
            self._close(sock)

    def _close(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_reader(sock.fileno())
            sock.close()


def main(arguments: list[str]) -> int:
    """Serve until standard input ends; returns the exit code."""
    loop = Loop()
    server = Hostile(loop, int(arguments[0]))
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    loop.add_reader(listener.fileno(), lambda: server.welcome(listener))
    loop.add_reader(0, lambda: None if os.read(0, 64) else loop.stop())
    print(listener.getsockname()[1], flush=True)
    loop.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
