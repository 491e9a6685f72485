"""`prony change`: links and slow services of the stack that `prony up` keeps up, changed while it runs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import click

import prony
from prony.cli import options, output
from prony.errors import PlanError, StackError
from prony.plan.changes import live_change
from prony.plan.read import parse_sets
from prony.stack.stack import Stack

BYTES_MAX = 64 * 1024
ANSWER_S = 10.0
_PEER = struct.Struct("3i")  # pid, uid, gid


@click.command()
@click.argument("changes", nargs=-1, required=True, metavar="NAME=VALUE...")
@options.several(options.project, options.as_json, options.debug)
def change(*, changes: tuple[str, ...], project: Path, as_json: bool, debug: bool) -> None:  # noqa: ARG001 - for main()
    """Changes a link or a slow service of the stack that `prony up` keeps up in this project, while it runs.

    \b
    Example:  prony change services.feed.latency=2s services.feed.errors=10%
              prony change link.database.frozen=true
    """
    order: dict[str, dict[str, Any]] = {}
    for name, value in parse_sets(changes).items():
        target, key, read = live_change(name, value)
        order.setdefault(target, {})[key] = read
    words = ", ".join(changes)
    answer = _ask(project, {"order": order, "words": words})
    if "error" in answer:
        raise PlanError(answer["error"], hint=answer.get("hint", ""))
    click.echo(f"changed: {words}", err=True)
    if as_json:
        output.print_json({"prony": prony.__version__, "verb": "change", "changed": order})


def _ask(project: Path, message: Mapping[str, Any]) -> dict[str, Any]:
    place = options.own_place(options.project_folder(project))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(_name(place))
            _check(connection)
        except OSError as error:
            raise PlanError(f"No prony up is running in {project.absolute()}.", hint="prony up") from error
        connection.settimeout(ANSWER_S)
        try:
            connection.sendall(json.dumps(message).encode())
            answer: dict[str, Any] = json.loads(connection.recv(BYTES_MAX))
        except TimeoutError as error:
            raise StackError(
                f"prony up gave no answer in {ANSWER_S:.0f} s; it is still starting, or busy.",
                hint="the same, once it has printed its addresses",
            ) from error
        except (OSError, ValueError) as error:
            raise StackError("prony up ended before it had answered.", hint="prony up") from error
    return answer


class Orders:
    """The Unix socket by which `prony change` reaches a stack that is up; there is one in a project at a time.

    It has a name of Linux's own kind, in no folder: the kernel gives it to one process and takes it back with that one,
    whatever ends it.
    """

    def __init__(self, place: Path) -> None:
        self._name = _name(place)
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        try:
            self._listening.bind(self._name)
        except OSError as error:
            self._listening.close()
            raise PlanError(
                "prony up is running in this project already.",
                hint="stop that one, or copy the project for another",
            ) from error
        self._listening.listen(8)
        self._listening.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def serve(self, stack: Stack, say: Callable[[str], None]) -> None:
        """Carries out what has been ordered, and says so."""
        with contextlib.suppress(BlockingIOError):
            while True:
                connection, _ = self._listening.accept()
                with connection, contextlib.suppress(OSError, ValueError, LookupError):
                    connection.settimeout(1.0)
                    _check(connection)
                    message = json.loads(connection.recv(BYTES_MAX))
                    answer = _carry_out(stack, message["order"])
                    if "error" not in answer:
                        say(f"changed: {message['words']}")
                    connection.sendall(json.dumps(answer).encode())


def _carry_out(stack: Stack, order: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All of it or, where one of the names is none of this stack's, nothing."""
    there = sorted(stack.changeable())
    unknown = [name for name in order if name not in there]
    if unknown:
        if not there:
            return {
                "error": f"{unknown[0]}: found a stack with nothing in it that can be changed; "
                "allowed: what has a [link.NAME] or is a [services.NAME].",
                "hint": "prony up --set link.database.round_trip=0ms",
            }
        return {"error": f"{unknown[0]}: found no such thing in this stack; allowed: {', '.join(there)}."}
    try:
        for name, values in order.items():
            stack.change(name, values)
    except (PlanError, StackError) as error:
        return {"error": error.paragraph()}
    return {"changed": sorted(order)}


def _name(place: Path) -> bytes:
    """The socket's name: the folder's own numbers, by whatever path it is reached."""
    state = place.stat()
    return f"\0prony-up-{state.st_dev:x}-{state.st_ino:x}".encode()


def _check(connection: socket.socket) -> None:
    """Raises PermissionError for another user at the other end: such a name has no owner and no mode."""
    _, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if uid not in {0, os.getuid()}:
        raise PermissionError(f"user {uid} is at the other end")
