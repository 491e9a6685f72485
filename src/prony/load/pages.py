"""An answer's fields and body in, what a journey reads of them out: its text, JSON, elements and forms."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from prony.load.checks import undone, why_not
from prony.load.forms import Form, FormError, FormReader
from prony.samples import CHECK_FAILED

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

PAGE_BYTES_MAX: Final = 1024 * 1024  # of a body; of a longer one nothing is kept
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_SPACES: Final = re.compile(r"\s+")


@lru_cache(maxsize=256)
def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else "utf-8"


Heads = list[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """What came of a step: its status, fields and body.

    Attributes:
        body: None where it was not kept.
        size: Bytes of the body as they came, chunks joined.
        lacks: As in `Page`.
    """

    status: int
    heads: Heads
    body: bytes | None
    size: int
    lacks: str | None


class StepFailed(Exception):  # noqa: N818 - it is an outcome, and reads so in a journey's `except`
    """A step did not come to what was expected of it: the journey ends there, and its sample says how.

    Attributes:
        outcome: See `prony.samples.OUTCOMES`.
        why: In a sentence; empty where the outcome says it all.
    """

    def __init__(self, outcome: int, why: str = "") -> None:
        super().__init__(why)
        self.outcome = outcome
        self.why = why


class Page:
    """One answer.

    Attributes:
        path: What was asked for, or where redirects led: path and query.
        status: Its status.
        size: Bytes of its body as they came, be they kept or not.
        lacks: What it lacks of what was to be looked at as it came, in a sentence; None where it is right.
    """

    __slots__ = ("_body", "_headers", "_heads", "_text", "_tree", "lacks", "path", "size", "status")

    def __init__(self, path: str, answer: Answer) -> None:
        self.path = path
        self.status, self._heads, self._body, self.size, self.lacks = answer
        self._headers: dict[str, str] | None = None
        self._text: str | None = None
        self._tree: LexborHTMLParser | None = None

    @property
    def kept_bytes(self) -> int:
        """How much of it is kept."""
        return len(self._body or b"")

    @property
    def headers(self) -> dict[str, str]:
        """Its header fields, names in small letters; several of a name joined with commas."""
        if self._headers is None:
            self._headers = {}
            for raw, value in self._heads:
                name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
                self._headers[name] = f"{self._headers[name]}, {text}" if name in self._headers else text
        return self._headers

    @property
    def kind(self) -> str:
        """Its media type, such as text/html; empty where it names none."""
        return self._field(b"content-type").partition(";")[0].strip().lower()

    @property
    def body(self) -> bytes:
        """As it came, content codings (gzip, deflate, br) undone.

        Raises:
            StepFailed: It was longer than `PAGE_BYTES_MAX`, or in another coding.
        """
        if self._body is None:
            long = self.size > PAGE_BYTES_MAX
            why = f"it is over {PAGE_BYTES_MAX >> 20} MiB" if long else "pages of other visitors take all the room"
            raise StepFailed(CHECK_FAILED, f"its body was not kept: {why}")
        coding = self._field(b"content-encoding").strip().lower().encode("latin-1")
        whole = undone(self._body, coding) if coding else self._body
        if whole is None:
            raise StepFailed(CHECK_FAILED, f"its body {why_not(coding)}")
        return whole

    @property
    def charset(self) -> str:
        """The charset that its fields name; utf-8 where they name none."""
        return _charset(self._field(b"content-type"))

    def _field(self, wanted: bytes) -> str:
        """One header field, without looking at the others; empty where there is none."""
        size = len(wanted)
        for name, value in self._heads:
            if len(name) == size and name.lower() == wanted:
                return value.decode("latin-1")
        return ""

    @property
    def text(self) -> str:
        """Its body as text, whatever it holds; HTML with its tags."""
        if self._text is None:
            try:
                self._text = self.body.decode(self.charset, "replace")
            except LookupError:
                self._text = self.body.decode("utf-8", "replace")
        return self._text

    def json(self) -> Any:
        """Its body as JSON.

        Raises:
            StepFailed: It is none.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError):
            raise StepFailed(CHECK_FAILED, "its body is no JSON") from None

    def has(self, text: str) -> bool:
        """Whether it contains a text: as it stands, or as a reader of the HTML sees it."""
        body = self.body
        if self.charset == "utf-8" and text.encode() in body:
            return True
        if text in self.text or html.escape(text) in self.text:
            return True
        if self.kind != "text/html":
            return False
        words = self.tree.body.text(deep=True) if self.tree.body is not None else ""
        return _SPACES.sub(" ", text).strip() in _SPACES.sub(" ", words)

    @property
    def tree(self) -> LexborHTMLParser:
        """Its elements (selectolax's parser), parsed when first asked for."""
        if self._tree is None:
            self._tree = LexborHTMLParser(self.text)
        return self._tree

    def all(self, selector: str) -> list[LexborNode]:
        """Every element that a CSS selector finds, in their order.

        Raises:
            ValueError: It is no selector.
        """
        try:
            return list(self.tree.css(selector))
        except SelectolaxError as error:
            raise ValueError(f"{selector!r} is no CSS selector") from error

    def first(self, selector: str) -> LexborNode:
        """The first of them.

        Raises:
            StepFailed: There is none.
        """
        found = self.all(selector)
        if not found:
            raise StepFailed(CHECK_FAILED, f"there is no {selector} on the page")
        return found[0]

    def form(self, selector: str, reader: FormReader | None = None, name: str = "") -> Form:
        """The first form that a CSS selector finds, itself or something within it.

        Args:
            selector: The CSS selector.
            reader: What reads it, and may know it already.
            name: By which the reader knows pages of this kind.

        Raises:
            StepFailed: There is none.
        """
        try:
            return (reader or FormReader()).read(self.body, selector, self.charset, name)
        except FormError as error:
            raise StepFailed(CHECK_FAILED, str(error)) from None
