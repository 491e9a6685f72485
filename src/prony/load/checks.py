"""What is expected of an answer into what to take of it while it comes, and a sentence on the first thing missing."""

from __future__ import annotations

import hashlib
import re
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from prony.load.spec import Expectation, JsonValue

KEPT_BYTES_MAX: Final = 4 * 1024 * 1024  # of one body, undone codings included
_MOST: Final = f"{KEPT_BYTES_MAX >> 20} MiB"
_NOTHING: Final = object()
_CODING: Final = b"content-encoding"
_TYPE: Final = b"content-type"
_SHOWN_CHARACTERS: Final = 60


class Checks:
    """The expectations of one kind of request besides its status, made ready to be judged by.

    An answer's fields and body are given to `missing` once it is whole. What the body must be like is asked of it with
    content codings (gzip, deflate, br) undone.

    Attributes:
        wanted: Names of the header fields that `missing` looks at, in small letters.
        reads: Whether anything of the body is looked at, be it its length.
        keeps: Whether the whole body is needed; else its length and whether `needle` was in it are enough, unless it
            comes in a content coding.
        needle: What to look for in a body that is not kept.

    Args:
        expected: What a right answer is like.
        name: What reports call the request: each sentence begins with it.
    """

    __slots__ = ("_body", "_fields", "_least", "_most", "_name", "keeps", "needle", "reads", "wanted")

    def __init__(self, expected: Expectation, name: str) -> None:
        self._name = name
        self._fields = list(_field_checks(expected))
        self._body = list(_body_checks(expected))
        self._least, self._most = expected.min_bytes, expected.max_bytes
        self.needle = None if expected.contains is None else expected.contains.encode()
        self.keeps = bool(self._body)
        self.reads = self.keeps or self.needle is not None or self._least is not None or self._most is not None
        names = {name for name, _, _ in self._fields}
        self.wanted = frozenset(names | {_CODING}) if self.reads else frozenset(names)

    def missing(self, fields: Mapping[bytes, bytes], size: int, body: bytes | None, *, found: bool) -> str | None:
        """What the answer lacks, in a sentence that does not depend on what the server sent; None where it is right.

        Args:
            fields: Of `wanted` those that came; several of one name joined with commas.
            size: Bytes of the body as they came, chunks joined.
            body: The same bytes where they were kept; None where they were not, or were too many.
            found: Whether `needle` was seen in a body that was not kept.
        """
        for name, text, right in self._fields:
            if not right(fields.get(name)):
                return f"{self._name}: {text}"
        if not self.reads:
            return None
        coding = fields.get(_CODING, b"identity").strip().lower()
        if self.keeps or coding != b"identity":
            if body is None:
                return f"{self._name}: the body was not kept: it is over {_MOST}, or too many were at one time"
            whole = undone(body, coding)
            if whole is None:
                return f"{self._name}: the body {why_not(coding)}"
            size = len(whole)
            found = self.needle is None or self.needle in whole
        else:
            whole = b""
        return self._missing_in(whole, size, found=found)

    def _missing_in(self, body: bytes, size: int, *, found: bool) -> str | None:
        if self._least is not None and size < self._least:
            return f"{self._name}: the body has fewer than {self._least} bytes"
        if self._most is not None and size > self._most:
            return f"{self._name}: the body has more than {self._most} bytes"
        if self.needle is not None and not found:
            return f'{self._name}: the body does not contain "{_short(self.needle.decode())}"'
        for text, right in self._body:
            if not right(body):
                return f"{self._name}: {text}"
        return None


def checks_of(expected: Expectation, name: str) -> Checks | None:
    """The checks of an expectation; None where only a status is expected, which costs nothing more."""
    made = Checks(expected, name)
    return made if made.reads or made.wanted else None


def undone(body: bytes, coding: bytes) -> bytes | None:
    """A body with its content coding undone; None for a coding not known, damage, or over `KEPT_BYTES_MAX` bytes."""
    if coding in {b"", b"identity"}:
        return body
    if coding == b"br":
        return _unbrotlied(body)
    if coding not in {b"gzip", b"x-gzip", b"deflate"}:
        return None
    for bits in (47, -15):  # gzip or zlib by their first bytes; and what some servers call deflate, without any
        inflater = zlib.decompressobj(bits)
        try:
            whole = inflater.decompress(body, KEPT_BYTES_MAX + 1)
        except zlib.error:
            continue
        return whole if inflater.eof and len(whole) <= KEPT_BYTES_MAX else None
    return None


def why_not(coding: bytes) -> str:
    """Why a body in this coding was not `undone`, as the end of a sentence."""
    if coding == b"br" and _brotli() is None:
        return "is in the coding br: pip install 'prony[brotli]'"
    return f"is damaged, over {_MOST}, or in a coding that was not undone"


@cache
def _brotli() -> Any:
    """The module that undoes br; None where there is none, or an old one that cannot be told to stop."""
    try:
        import brotli  # noqa: PLC0415 - an extra, and only where an answer is in br

        brotli.Decompressor().process(b"", output_buffer_limit=1)
    except (ImportError, TypeError):
        return None
    return brotli


def _unbrotlied(body: bytes) -> bytes | None:
    brotli = _brotli()
    if brotli is None:
        return None
    inflater, whole = brotli.Decompressor(), b""
    try:
        while not inflater.is_finished() and len(whole) <= KEPT_BYTES_MAX:
            piece = inflater.process(body, output_buffer_limit=KEPT_BYTES_MAX + 1)
            if not piece and not body:
                return None  # it is cut off
            whole, body = whole + piece, b""
    except brotli.error:
        return None
    return whole if len(whole) <= KEPT_BYTES_MAX else None


def wildcard(pattern: str) -> re.Pattern[str]:
    """A text in which each `*` stands for anything, as a regular expression for the whole of another."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def value_at(document: Any, path: str) -> Any:
    """What a JSON document holds at a path such as `items.0.name`; a private mark where it holds nothing there."""
    for step in path.split("."):
        if isinstance(document, dict):
            document = document.get(step, _NOTHING)
        elif isinstance(document, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(document):
            document = document[int(step[:9])]
        else:
            return _NOTHING
    return document


FieldCheck = tuple[bytes, str, "Callable[[bytes | None], bool]"]


def _field_checks(expected: Expectation) -> list[FieldCheck]:
    found: list[FieldCheck] = []
    if expected.type is not None:
        media_type = expected.type.lower().encode()

        def is_type(value: bytes | None) -> bool:
            return value is not None and value.partition(b";")[0].strip().lower() == media_type

        found.append((_TYPE, f"the type is not {expected.type}", is_type))
    for name, pattern in expected.header.items():
        text = f"no field {name}" if pattern == "*" else f'the field {name} is not "{_short(pattern)}"'
        found.append((name.lower().encode(), text, _is_like(pattern)))
    return found


def _is_like(pattern: str) -> Callable[[bytes | None], bool]:
    if "*" not in pattern:
        wanted = pattern.encode("latin-1")
        return lambda value: value is not None and value.strip() == wanted
    matches = wildcard(pattern).fullmatch
    return lambda value: value is not None and matches(value.strip().decode("latin-1")) is not None


BodyCheck = tuple[str, "Callable[[bytes], bool]"]


def _body_checks(expected: Expectation) -> list[BodyCheck]:
    found: list[BodyCheck] = []
    if expected.matches is not None:
        search = re.compile(expected.matches).search
        text = f'nothing in the body matches "{_short(expected.matches)}"'
        found.append((text, lambda body: search(body.decode("utf-8", "replace")) is not None))
    if expected.json:
        found += _json_checks(expected.json)
    if expected.sha256 is not None:
        digest = expected.sha256.lower()
        found.append((f"the body is not the one of SHA-256 {digest[:12]}…", lambda body: _digest(body) == digest))
    return found


def _json_checks(expected: Mapping[str, JsonValue]) -> list[BodyCheck]:
    """One check for each path; the document is decoded once for those of one body."""
    decoded: list[Any] = [None, _NOTHING]

    def at(body: bytes, path: str) -> Any:
        if decoded[0] is not body:
            decoded[:] = [body, _json(body)]
        return value_at(decoded[1], path)

    def check(path: str, wanted: JsonValue) -> Callable[[bytes], bool]:
        if wanted == "*":
            return lambda body: at(body, path) is not _NOTHING
        if isinstance(wanted, str):
            matches = wildcard(wanted).fullmatch
            return lambda body: isinstance(value := at(body, path), str) and matches(value) is not None
        truth = isinstance(wanted, bool)  # in Python True is 1; in JSON it is not
        return lambda body: (
            isinstance(value := at(body, path), int | float) and isinstance(value, bool) == truth and value == wanted
        )

    def text(path: str, wanted: JsonValue) -> str:
        shown = f'"{_short(wanted)}"' if isinstance(wanted, str) else str(wanted).lower()
        return f"no JSON with {path}" if wanted == "*" else f"no JSON with {path} = {shown}"

    return [(text(path, wanted), check(path, wanted)) for path, wanted in expected.items()]


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _NOTHING


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
