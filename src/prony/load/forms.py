"""A page's source and a selector in, that form with what it would send out, to be filled in and sent as browsers do.

Only the form's own part of the source is parsed: between its start tag and the next `</form>`, which is also what HTML
takes to belong to it where it is nested wrongly (a form within a table, say).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from prony.load.fields import Control, Field, controls_of, filled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from selectolax.lexbor import LexborNode

    from prony.load.fields import Value

# What may hide a form's tags, or be one.
_RAW: Final = (b"script", b"style", b"textarea", b"title", b"template", b"xmp", b"iframe", b"noembed", b"noframes")
_MARKS: Final = re.compile(rb"<(?:!--|(" + rb"|".join(_RAW) + rb")(?=[\s/>])|(/?)form(?=[\s/>]))")
_RAW_ENDS: Final = {name: re.compile(rb"</" + name + rb"(?=[\s/>])") for name in _RAW}
_TAG: Final = re.compile(rb"""<form(?:[^"'>]|"[^"]*"|'[^']*')*>""", re.IGNORECASE)
_SWITCHING: Final = (b"disabled", b"DISABLED", b"datalist", b"DATALIST")
_ELSEWHERE: Final = b"form="
# Selectors that a form, or something within it, answers by itself.
_SIMPLE: Final = re.compile(
    r"""(?P<tag>[a-zA-Z][\w-]*)?(?:#(?P<id>[\w-]+))?(?:\.[\w-]+|\[[^\]'"]*(?:"[^"]*"|'[^']*')?\])*""", re.ASCII
)
_TOKEN: Final = rb"[A-Za-z0-9_=+/.:-]{8,}"
_KNOWN_MAX: Final = 200


class FormError(Exception):
    """A form that is not there, or cannot be filled in so; the text says why."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form as it came.

    Attributes:
        action: Where it is sent, as it is written; empty for the page itself.
        method: `get` or `post`.
        kind: Its enctype.
        charset: In which its fields are written.
        controls: What it sends if nothing is filled in, and what could be: its controls in their order.
    """

    action: str
    method: str
    kind: str
    charset: str
    controls: list[Control] = field(default_factory=list)

    def fill(self, values: Mapping[str, Value], button: str | None = None) -> tuple[Form, list[Field]]:
        """What is sent once it is filled in so and a button pressed, and the form with what that button changes.

        Args:
            values: By the controls' names: a text or number; True or False for a box to tick; the value or the words of
                a choice, several as a list; (file name, bytes) or (file name, bytes, type) for a file; None to leave
                one out.
            button: Name, value or words of the button; None for the first one, as Enter does it.

        Raises:
            FormError: A name that the form has not, a choice it does not offer, or no such button.
        """
        try:
            fields, pressed = filled(self.controls, values, button)
        except ValueError as error:
            raise FormError(str(error)) from None
        if pressed is None:
            return self, fields
        given = pressed.attributes
        return (
            Form(
                action=given.get("formaction") or self.action,
                method=_method(given.get("formmethod") or self.method),
                kind=_kind(given.get("formenctype") or self.kind),
                charset=self.charset,
            ),
            fields,
        )


class FormReader:
    """Reads forms, and knows again one that it has read, where only hidden values are new, as CSRF tokens are.

    What it gives is the same as if it knew nothing. Parsing is most of what a form costs.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], _Known] = {}

    def read(self, source: bytes, selector: str, charset: str = "utf-8", page: str = "") -> Form:
        """The first form of a page that a CSS selector finds: the form itself, or something within it.

        Args:
            source: The page.
            selector: Of the form, or of something that stands in it.
            charset: The page's.
            page: Where forms like this one may be met again.

        Raises:
            FormError: There is none, or the selector is none.
        """
        simple = _SIMPLE.fullmatch(selector)
        if simple is None:
            return _form_about(source, selector, charset)
        key = (page, selector, charset)
        known = self._known.get(key) if simple["tag"] == "form" else None
        same = known.form_on(source) if known is not None else None
        if same is not None:
            return same
        tags: list[bytes] = []
        lower = source.lower()
        for begin, end in _forms(source, lower):
            tag = _tag(source, begin)
            tags.append(tag)
            if simple["tag"] == "form" and simple["id"] and simple["id"].encode() not in tag:
                continue
            own = source[begin:end]
            form = known.form_of(own, tags, lower) if known is not None else None
            if form is None:
                part = LexborHTMLParser(_text(own, charset))
                node = _first(part, selector)
                if node is None or not _is_within_form(node):
                    continue
                form = _form(part.css_first("form") or node, part, own, source, charset)
                if len(self._known) < _KNOWN_MAX or key in self._known:
                    around = None if _ELSEWHERE in lower else (source[:begin], source[end:])
                    self._known[key] = _Known(own, tags, form, around)
            return form
        raise FormError(f"there is no form at {selector} on the page")


class _Known:
    """A form that was read before.

    Args:
        own: Its source.
        tags: The start tags of the page's forms, up to its own.
        form: What was read.
        around: What stands before it and after it on its page; None where some of it may be the form's.
    """

    __slots__ = ("_around", "_form", "_like", "_places", "_tags")

    def __init__(self, own: bytes, tags: list[bytes], form: Form, around: tuple[bytes, bytes] | None) -> None:
        self._form = form
        self._around = around
        self._tags = tags
        spans: list[tuple[int, int, int]] = []
        for place, control in enumerate(form.controls):
            value = control.value.encode()
            if control.kind == "hidden" and own.count(value) == 1 and re.fullmatch(_TOKEN, value):
                begin = own.find(value)
                spans.append((begin, begin + len(value), place))
        spans.sort()
        self._places = [place for _, _, place in spans]
        ends = [0, *(end for _, end, _ in spans)]
        begins = [*(begin for begin, _, _ in spans), len(own)]
        between = (re.escape(own[end:begin]) for end, begin in zip(ends, begins, strict=True))
        self._like = re.compile((b"(" + _TOKEN + b")").join(between))

    def form_on(self, source: bytes) -> Form | None:
        """The form of a page that is the one it was read on but for hidden values; None where it is another page."""
        if self._around is None:
            return None
        before, after = self._around
        end = len(source) - len(after)
        if end < len(before) or not source.startswith(before) or not source.endswith(after):
            return None
        return self._like_this(source[len(before) : end])

    def form_of(self, own: bytes, tags: list[bytes], lower: bytes) -> Form | None:
        """The form of this source, where it is the one that is known; None where it must be read."""
        if tags != self._tags or _ELSEWHERE in lower:
            return None
        return self._like_this(own)

    def _like_this(self, own: bytes) -> Form | None:
        found = self._like.fullmatch(own)
        if found is None:
            return None
        form = self._form
        controls = form.controls.copy()
        for place, value in zip(self._places, found.groups(), strict=True):
            old, text = controls[place], value.decode()
            controls[place] = Control(old.name, old.kind, [text], text, old.attributes)
        return Form(form.action, form.method, form.kind, form.charset, controls)


def _is_within_form(node: LexborNode | None) -> bool:
    while node is not None and node.tag != "form":
        node = node.parent
    return node is not None


def _tag(source: bytes, begin: int) -> bytes:
    found = _TAG.match(source, begin)
    return source[begin:] if found is None else found[0]


def _form_about(source: bytes, selector: str, charset: str) -> Form:
    """The form that a selector means which only the whole page can answer."""
    page = LexborHTMLParser(_text(source, charset))
    node: LexborNode | None = _first(page, selector)
    while node is not None and node.tag != "form":
        node = node.parent
    if node is None:
        raise FormError(f"there is no form at {selector} on the page")
    place = [each.mem_id for each in page.css("form")].index(node.mem_id)
    parts = [
        (LexborHTMLParser(_text(source[begin:end], charset)), source[begin:end])
        for begin, end in _forms(source, source.lower())
    ]
    for part, own in [*parts[place : place + 1], *parts]:
        found = part.css_first("form")
        if found is not None and found.attributes == node.attributes:
            return _form(found, part, own, source, charset)
    raise FormError(f"there is no form at {selector} on the page")


def _first(page: LexborHTMLParser, selector: str) -> LexborNode | None:
    try:
        return page.css_first(selector)
    except (SelectolaxError, ValueError) as error:
        raise FormError(f"{selector!r} is no CSS selector") from error


def _forms(source: bytes, lower: bytes) -> Iterator[tuple[int, int]]:
    """Where each form begins and ends, also one that is never closed; comments, scripts and the like hold no tags."""
    at, begin = 0, -1
    while found := _MARKS.search(lower, at):
        at = found.end()
        if found[0] == b"<!--":
            end = source.find(b"-->", found.start() + 2)
            at = len(source) if end < 0 else end + 3
        elif found[1]:
            closing = _RAW_ENDS[found[1]].search(lower, at)
            at = len(source) if closing is None else closing.start()
        elif begin < 0:
            if not found[2]:
                begin = found.start()
                at = begin + len(_tag(source, begin))
        elif found[2]:
            yield begin, found.start()
            begin = -1
    if begin >= 0:
        yield begin, len(source)


def _form(node: LexborNode, part: LexborHTMLParser, own: bytes, source: bytes, charset: str) -> Form:
    given = node.attributes
    nodes: list[LexborNode] = part.css("input,select,textarea,button")
    name = given.get("id")
    nested = any(mark in own for mark in _SWITCHING)
    if name and _ELSEWHERE in source.lower():  # controls that stand elsewhere, and name their form
        page = LexborHTMLParser(_text(source, charset))
        nodes += [each for each in page.css("[form]") if each.attributes.get("form") == name]
        nested = True
    accepted = (given.get("accept-charset") or charset).split()[0:1]
    return Form(
        action=(given.get("action") or "").strip(),
        method=_method(given.get("method")),
        kind=_kind(given.get("enctype")),
        charset=_known(accepted[0] if accepted else charset),
        controls=controls_of(nodes, name or "", nested=nested),
    )


def _method(text: str | None) -> str:
    return "post" if (text or "").lower() == "post" else "get"


def _kind(text: str | None) -> str:
    text = (text or "").lower()
    return text if text in {"multipart/form-data", "text/plain"} else "application/x-www-form-urlencoded"


def _known(charset: str) -> str:
    try:
        "".encode(charset)
    except LookupError:
        return "utf-8"
    return charset


def _text(source: bytes, charset: str) -> bytes:
    """The source in UTF-8, which is what the parser reads."""
    if charset.lower() in {"utf-8", "utf8", "us-ascii", "ascii"}:
        return source
    return source.decode(_known(charset), "replace").encode()
