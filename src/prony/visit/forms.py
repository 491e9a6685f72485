"""A page of HTML in, its forms out, each with what a browser would send if it were submitted as it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from prony.load.fields import controls_of, filled

_NEVER_FILLED = {"hidden", "submit", "image", "file"}
_TOLD = (
    ".errorlist, .errornote, .error, .errors, .alert, .invalid-feedback, .help-block, .messages li, .messagelist li, "
    ".flash, .flashes li, .notification, .message, [role=alert]"
)
_CAPTCHAS = ("captcha", "cf-turnstile")
_TOLD_CHARS = 200


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a page.

    Attributes:
        action: Where it is sent, as written; empty for the page itself.
        method: "GET" or "POST".
        values: What is sent unless something else is filled in: hidden fields, defaults, the button that submits it.
        names: Its fields to be filled in, in order: those that a person sees.
        passwords: Those of them that hide what is typed.
        captcha: Whether something in it asks for proof that a person is there.
    """

    action: str
    method: str
    values: dict[str, str]
    names: tuple[str, ...]
    passwords: tuple[str, ...]
    captcha: bool

    def has(self, fields: Iterable[str]) -> bool:
        """Whether all of these can be filled in."""
        return all(name in self.names or name in self.values for name in fields)


def forms_of(html: str, selector: str | None = None) -> list[Form]:
    """The forms of a page, or those that a CSS selector chooses.

    Raises:
        ValueError: it is no selector.
    """
    tree = LexborHTMLParser(html)
    try:
        found = tree.css(selector or "form")
    except SelectolaxError as error:
        raise ValueError(str(error)) from error
    chosen = [each for each in found if each.tag == "form"]
    inner = [form for each in found if each.tag != "form" for form in each.css("form")]
    return [_form(tree, each) for each in chosen + inner]


def shows_password_field(html: str) -> bool:
    """Whether a page asks for a password."""
    return LexborHTMLParser(html).css_first("input[type=password i]") is not None


def told(html: str) -> str:
    """What a page says went wrong, on one line; empty where nothing on it looks like that."""
    said: list[str] = []
    for node in LexborHTMLParser(html).css(_TOLD):
        text = " ".join(node.text(separator=" ").split())
        if text and not any(text in each or each in text for each in said):
            said.append(text)
    line = " ".join(said)
    return line if len(line) <= _TOLD_CHARS else line[: _TOLD_CHARS - 1] + "…"


def heading(html: str) -> str:
    """What a page calls itself: its title, else its first heading."""
    tree = LexborHTMLParser(html)
    for name in ("title", "h1"):
        node = tree.css_first(name)
        text = " ".join(node.text().split()) if node is not None else ""
        if text:
            return text[:80]
    return ""


def _form(tree: LexborHTMLParser, form: LexborNode) -> Form:
    attributes = form.attributes
    fields = form.css("input, select, textarea, button")
    name = attributes.get("id") or ""
    if name and '"' not in name and "\\" not in name:
        fields += tree.css(
            f'input[form="{name}"], select[form="{name}"], textarea[form="{name}"], button[form="{name}"]'
        )
    controls = controls_of(fields, name)
    sent, _ = filled(controls, {}, None)
    seen = [each for each in controls if each.kind not in _NEVER_FILLED]
    html = (form.html or "").lower()
    return Form(
        action=attributes.get("action") or "",
        method="POST" if (attributes.get("method") or "").upper() == "POST" else "GET",
        values={key: value for key, value in sent if isinstance(value, str)},
        names=tuple(dict.fromkeys(each.name for each in seen)),
        passwords=tuple(each.name for each in seen if each.kind == "password"),
        captcha=any(each in html for each in _CAPTCHAS),
    )
