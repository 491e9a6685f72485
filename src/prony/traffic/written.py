"""An imported mix in, prony.traffic.toml out; and prony.toml made to read it, in its own text."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from prony.errors import PlanError
from prony.traffic.mix import Route
from prony.traffic.rates import Rates

FILE = "prony.traffic.toml"
MARK = "# Written by `prony import`"
LINE = f'file = "{FILE}"'
_WIDTH = 116
_HEADER = re.compile(r"[ \t]*\[[ \t]*traffic[ \t]*\][ \t]*(#.*)?")


def toml(routes: Iterable[Route], rates: Rates | None, about: Iterable[str], *, guessed: bool) -> str:
    """The file's text: `about` as comments, then the requests, then the rate over the day.

    The tables are those of prony.toml's [[traffic.request]], as [[request]].
    """
    lines = [f"{MARK}, which overwrites it. prony.toml reads it by [traffic] {LINE}."]
    lines += [f"# {line}".rstrip() for line in about]
    if guessed:
        lines += ["", "guessed = true  # of the weights; take this line out when they are as they should be"]
    for route in routes:
        lines += ["", "[[request]]"]
        lines += [f"# {route.note}"] if route.note else []
        lines.append(f"path = {_text(route.template)}")
        lines += [f"method = {_text(route.method)}"] if route.method != "GET" else []
        lines.append(f"weight = {route.weight}")
        lines += [f"name = {_text(route.name)}"] if route.name else []
        if route.status != (200,):
            lines.append(f"expect = {{ status = [{', '.join(map(str, route.status))}] }}")
        if route.paths:
            lines += _array("paths", [_text(path) for path in route.paths])
    if rates is not None:
        lines += ["", f"# Requests per second in each step, from {rates.begins} on.", "[rate]"]
        lines += [f'step = "{rates.step_s:g}s"', f"begins = {_text(rates.begins)}"]
        lines += _array("rps", [f"{rate:g}" for rate in rates.rps])
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value)


def _array(name: str, items: list[str]) -> list[str]:
    lines, line = [f"{name} = ["], "   "
    for item in items:
        if len(line) + len(item) + 2 > _WIDTH and line.strip():
            lines.append(line)
            line = "   "
        line += f" {item},"
    return [*lines, line, "]"]


def put(path: Path, text: str) -> None:
    """Writes the file whole or not at all; one that stands there is overwritten where this wrote it.

    Raises:
        PlanError: another file stands there, or it cannot be written.
    """
    try:
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            raise PlanError(f"{path} is there, and prony import did not write it.", hint=f"move {path} away")
        _replace(path, text)
    except OSError as error:
        raise PlanError(f"{path} cannot be written: {error.strerror}.") from error


def _replace(path: Path, text: str) -> None:
    path = path.resolve()  # a link stays one
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def link(path: Path, *, write: bool = True) -> tuple[bool, str]:
    """Makes a prony.toml read the file: whether it does now, and a sentence on what was changed or is to be.

    One line is added; every other stays as it is. Where that is not safely possible, the sentence says what to do.

    Raises:
        PlanError: prony.toml cannot be read or written.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        before = tomllib.loads(text)
    except OSError as error:
        raise PlanError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{path} is not TOML: {str(error)[:200]}.", hint=f"edit {path} there") from error
    table = before.get("traffic", {})
    if not isinstance(table, dict):
        return False, f"{path}: make traffic a table [traffic], and add to it: {LINE}"
    if table.get("file") == FILE:
        return True, f"{path} reads it already."
    if "file" in table:
        return False, f"{path} reads another file; to read this one, put in its place: {LINE}"
    if "request" in table:
        return (
            False,
            f"{path} has [[traffic.request]] tables of its own: take them out, and add under [traffic]: {LINE}",
        )
    after = _with_line(text)
    try:
        good = tomllib.loads(after) == before | {"traffic": table | {"file": FILE}}
    except ValueError:
        good = False
    if not good:
        return False, f"{path}: add under [traffic]: {LINE}"
    if not write:
        return False, f"{path} would get the line {LINE} under [traffic]."
    try:
        _replace(path, after)
    except OSError as error:
        raise PlanError(f"{path} cannot be written: {error.strerror}.", hint=f"add under [traffic]: {LINE}") from error
    added = "the line" if "traffic" in before else "a table [traffic] with the line"
    return True, f"{path}: {added} {LINE} was added under [traffic]; nothing else was changed."


def _with_line(text: str) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    for i, line in enumerate(lines):
        if _HEADER.fullmatch(line.rstrip("\r\n")):
            lines[i] = line.rstrip("\r\n") + end + LINE + end
            return "".join(lines)
    gap = "" if not text or text.endswith("\n") else end
    return f"{text}{gap}{end if text else ''}[traffic]{end}{LINE}{end}"
