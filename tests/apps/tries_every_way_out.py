"""Tries one way out of the stack a path, by name of the path: WSGI as `application`, ASGI as `served`."""

import asyncio
import os
import smtplib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import requests

# Another interpreter, that knows nothing of the audit hook.
ROUND_THE_HOOK = """
import socket
for way in (lambda: socket.create_connection(("192.0.2.1", 80), 3), lambda: socket.getaddrinfo("name.invalid", 80)):
    try:
        way()
        print("reached")
    except OSError as error:
        print(error)
"""


async def by_aiohttp() -> None:
    async with aiohttp.ClientSession() as session:
        await session.get("http://aiohttp.invalid/")  # aiohttp


async def by_httpx_in_the_loop() -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get("https://loop.invalid/")  # loop


def by_smtp() -> None:
    smtplib.SMTP("mail.invalid", 25, timeout=3)  # mail


def by_requests() -> None:
    requests.get("http://requests.invalid/", timeout=3)  # requests


def by_httpx() -> None:
    httpx.get("https://httpx.invalid/", timeout=3)  # httpx


def by_urllib() -> None:
    urllib.request.urlopen("http://198.51.100.7:8080/", timeout=3)  # urllib


def look_up() -> None:
    socket.gethostbyname("name.invalid")  # lookup


def go_round() -> str:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", ROUND_THE_HOOK], capture_output=True, text=True, env={})
    return done.stdout + done.stderr


BLOCKING: dict[str, Callable[[], Any]] = {
    "mail": by_smtp,
    "requests": by_requests,
    "httpx": by_httpx,
    "urllib": by_urllib,
    "lookup": look_up,
    "round": go_round,
}
WAITING: dict[str, Callable[[], Awaitable[None]]] = {"aiohttp": by_aiohttp, "loop": by_httpx_in_the_loop}


def told(error: BaseException) -> str:
    """All that is behind an error."""
    found, behind = [], [error]
    while behind:
        each = behind.pop()
        found.append(repr(each))
        behind += [one for one in (each.__cause__, each.__context__) if one is not None]
    return "\n".join(found)


async def tried(way: str) -> str:
    try:
        if way in WAITING:
            await WAITING[way]()
            return "reached"
        return str(BLOCKING[way]() or "reached") if way in BLOCKING else "here"
    except Exception as error:
        return told(error)


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    text = asyncio.run(tried(environ["PATH_INFO"].strip("/")))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


async def served(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    if scope["type"] == "http":
        text = await tried(scope["path"].strip("/"))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": text.encode()})


if __name__ == "__main__":  # a prepare command, or a worker
    print(asyncio.run(tried(sys.argv[1])))
    if len(sys.argv) > 2:
        print("working", os.getpid(), flush=True)
        asyncio.run(asyncio.Event().wait())
