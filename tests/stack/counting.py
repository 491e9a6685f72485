"""A server that notes when requests come: `python counting.py [SECONDS]` answers so late, and prints its port.

It ends with its stdin, and then prints what it saw: [[begun, ended], ...] in nanoseconds of the monotonic clock.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SEEN: list[list[int]] = []


class Counting(asyncio.Protocol):
    """One connection, whose requests come one after the other."""

    late_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        for _ in range(data.count(b"\r\n\r\n")):
            seen = [now_ns, 0]
            SEEN.append(seen)
            if self.late_s:
                asyncio.get_running_loop().call_later(self.late_s, self.answer, seen)
            else:
                self.answer(seen)

    def answer(self, seen: list[int]) -> None:
        seen[1] = time.monotonic_ns()
        self.transport.write(ANSWER)


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Counting, "127.0.0.1", 0, backlog=1024)
    say(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)
    say(json.dumps(SEEN))


if __name__ == "__main__":
    Counting.late_s = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    asyncio.run(serve())
