"""A form's controls and what somebody puts in, in; the fields that a browser would send out, and their bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from selectolax.lexbor import LexborNode

Scalar = str | int | float | bool
Value = Scalar | None | list[Scalar] | tuple[str, bytes] | tuple[str, bytes, str]

_BUTTONS: Final = {"submit", "image", "button", "reset"}
_TICKED: Final = {"checkbox", "radio"}
_BOUNDARY: Final = "prony-form-7f3a9c51d2e84b06"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is sent with a form."""

    name: str
    content: bytes = b""
    kind: str = "application/octet-stream"


Field = tuple[str, str | Upload]


@dataclass(slots=True)
class Control:
    """One control of a form: `kind` is an input's type, or `select`, `textarea`, `submit`.

    Attributes:
        values: What it sends as it came, each with its name.
        choices: Of a select: value, words, and whether it can be chosen.
        attributes: Its own, as they are written.
    """

    name: str
    kind: str
    values: list[str]
    value: str
    attributes: Mapping[str, str | None]
    choices: Sequence[tuple[str, str, bool]] = ()
    words: str = ""
    many: bool = False


def controls_of(nodes: Iterable[LexborNode], form: str, *, nested: bool = True) -> list[Control]:
    """The controls among some nodes that a form of this id would send; those switched off are none.

    `nested` says whether what they stand in may switch them off.
    """
    found = []
    for node in nodes:
        given = node.attributes
        owner = given.get("form")
        if "disabled" in given or (owner is not None and owner != form) or (nested and _within_disabled(node)):
            continue
        control = _control(node, given)
        if control is not None:
            found.append(control)
    return found


def _within_disabled(node: LexborNode) -> bool:
    parent = node.parent
    while parent is not None and parent.tag != "form":
        tag = parent.tag
        if tag == "datalist" or (tag == "fieldset" and "disabled" in parent.attributes):
            return True
        parent = parent.parent
    return False


def _control(node: LexborNode, given: Mapping[str, str | None]) -> Control | None:
    name = given.get("name") or ""
    tag = node.tag
    if tag == "select":
        return _select(node, name, given) if name else None
    if tag == "textarea":
        text = _lines(node.text(deep=True, strip=False))
        return Control(name, "textarea", [text], text, given) if name else None
    kind = (given.get("type") or ("submit" if tag == "button" else "text")).lower()
    value = given.get("value")
    if kind in _BUTTONS:
        if kind in {"button", "reset"}:
            return None
        words = " ".join(node.text(deep=True).split()) if tag == "button" else value or ""
        return Control(name, kind, [], value or "", given, words=words)
    if tag == "button" or not name:
        return None
    if kind in _TICKED:
        value = "on" if value is None else value
        return Control(name, kind, [value] if "checked" in given else [], value, given)
    if kind == "hidden" and name == "_charset_":
        value = "UTF-8"
    return Control(name, kind, [] if kind == "file" else [value or ""], value or "", given)


def _select(node: LexborNode, name: str, given: Mapping[str, str | None]) -> Control:
    choices, chosen = [], []
    for option in node.css("option"):
        own = option.attributes
        words = " ".join(option.text(deep=True).split())
        value = own.get("value") if "value" in own else words
        group = option.parent
        open_ = "disabled" not in own and not (
            group is not None and group.tag == "optgroup" and "disabled" in group.attributes
        )
        choices.append((value or "", words, open_))
        if "selected" in own:
            chosen.append((value or "", open_))
    many = "multiple" in given
    if many:
        values = [value for value, open_ in chosen if open_]
    elif chosen:
        values = [value for value, open_ in chosen[-1:] if open_]
    else:
        values = [value for value, _, open_ in choices if open_][:1]
    return Control(name, "select", values, "", given, choices=choices, many=many)


def filled(
    controls: Iterable[Control], values: Mapping[str, Value], button: str | None
) -> tuple[list[Field], Control | None]:
    """The fields that are sent, and the button pressed, where there is one.

    Raises:
        ValueError: A name that no control bears, a choice that is not offered, no such button.
    """
    controls = list(controls)
    pressed = _pressed(controls, button)
    left: dict[str, Any] = {name: _given(value) for name, value in values.items()}
    known = {control.name for control in controls}
    for name in left:
        if name not in known:
            named = ", ".join(sorted(known - {""})) or "none"
            raise ValueError(f'the form has no field "{name}"; it has: {named}')
    fields: list[Field] = []
    for control in controls:
        if control.kind in {"submit", "image"}:
            fields += _of_button(control) if control is pressed else []
        elif control.name in left:
            fields += _put(control, left)
        elif control.kind == "file":
            fields.append((control.name, Upload("")))
        else:
            fields += [(control.name, value) for value in control.values]
    for name, wanted in left.items():
        over = [each for each in wanted or () if not isinstance(each, bool)]
        if over:
            raise ValueError(f'the form\'s "{name}" offers no {_short(over[0])}')
    return fields, pressed


def _given(value: Value) -> list[Any] | None:
    if value is None:
        return None
    return list(value) if isinstance(value, list) else [value]


def _pressed(controls: list[Control], button: str | None) -> Control | None:
    buttons = [control for control in controls if control.kind in {"submit", "image"}]
    if button is None:
        return buttons[0] if buttons else None
    for control in buttons:
        if button in {control.name, control.value, control.words}:
            return control
    raise ValueError(f"the form has no button {_short(button)}")


def _of_button(control: Control) -> list[Field]:
    if control.kind == "image":
        dot = f"{control.name}." if control.name else ""
        return [(f"{dot}x", "1"), (f"{dot}y", "1")]
    return [(control.name, control.value)] if control.name else []


def _put(control: Control, left: dict[str, Any]) -> list[Field]:
    """What one control sends of what was put in under its name; what is taken is taken out of `left`."""
    wanted = left[control.name]
    if wanted is None:
        return []
    if control.kind in _TICKED:
        for each in wanted:
            if each is True or (not isinstance(each, bool) and str(each) == control.value):
                stays = each is True and control.kind == "checkbox"  # which ticks all boxes of that name
                left[control.name] = wanted if stays else [one for one in wanted if one is not each]
                return [(control.name, control.value)]
        return []
    if control.kind == "select":
        taken = wanted if control.many else wanted[:1]
        left[control.name] = wanted[len(taken) :]
        return [(control.name, _choice(control, each)) for each in taken]
    if not wanted:  # one of several of that name, and fewer were given
        return [(control.name, value) for value in control.values]
    left[control.name] = wanted[1:]
    if control.kind == "file":
        return [(control.name, Upload(*wanted[0]) if isinstance(wanted[0], tuple) else Upload(str(wanted[0])))]
    text = _plain(wanted[0])
    return [(control.name, _lines(text) if control.kind == "textarea" else text)]


def _choice(control: Control, wanted: Any) -> str:
    text = _plain(wanted)
    for value, words, open_ in control.choices:
        if open_ and text in {value, words}:
            return value
    raise ValueError(f'the form\'s "{control.name}" offers no {_short(text)}')


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(value: Any) -> str:
    text = str(value)
    return f'"{text}"' if len(text) <= 40 else f'"{text[:39]}…"'


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


# ---- their bytes


def urlencoded(fields: Iterable[Field], charset: str = "utf-8") -> str:
    """As in a query: `a=1&b=2+3`."""
    return "&".join(f"{_quoted(name, charset)}={_quoted(_name(value), charset)}" for name, value in fields)


def _quoted(text: str, charset: str) -> str:
    if text.isascii() and text.isalnum():
        return text
    return quote_plus(text.encode(charset, "xmlcharrefreplace"), safe="*-._").replace("~", "%7E")


def _name(value: str | Upload) -> str:
    return value.name if isinstance(value, Upload) else value


def encoded(fields: Sequence[Field], kind: str, charset: str = "utf-8") -> tuple[bytes, str]:
    """The body of a POST, and its Content-Type."""
    if kind == "text/plain":
        lines = "".join(f"{name}={_name(value)}\r\n" for name, value in fields)
        return lines.encode(charset, "xmlcharrefreplace"), kind
    if kind != "multipart/form-data":
        return urlencoded(fields, charset).encode("ascii"), kind
    parts = []
    boundary = _BOUNDARY
    while any(boundary.encode() in _bytes(value, charset) for _, value in fields):
        boundary += "0"
    for name, value in fields:
        head = f'Content-Disposition: form-data; name="{_escaped(name)}"'
        if isinstance(value, Upload):
            head += f'; filename="{_escaped(value.name)}"\r\nContent-Type: {value.kind}'
        opened = f"--{boundary}\r\n{head}\r\n\r\n".encode(charset, "xmlcharrefreplace")
        parts += [opened, _bytes(value, charset), b"\r\n"]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"{kind}; boundary={boundary}"


def _bytes(value: str | Upload, charset: str) -> bytes:
    return value.content if isinstance(value, Upload) else value.encode(charset, "xmlcharrefreplace")


def _escaped(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
