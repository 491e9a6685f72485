"""A page's body in, what is on it out: title, links, files it needs, a log-in form, whether it lists nothing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from prony.visit.browser import Page

PARSED_BYTES_MAX = 4 * 1024 * 1024
LINKS_MAX = 2000
JSON_DEPTH_MAX = 6
_TITLE = re.compile(r"<title[^>]*>.*?</title>", re.IGNORECASE | re.DOTALL)
_NOTHING = re.compile(
    r"\b(no [\w -]{1,40} (?:yet|found|available|to show|here)|nothing (?:here|found|to (?:show|see))|0 results|"
    r"no (?:results|items|entries|records|posts|products|articles|objects|data))\b",
    re.IGNORECASE,
)
_ICONS = {"stylesheet", "icon", "preload", "modulepreload", "manifest", "apple-touch-icon"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What is on a page.

    Attributes:
        title: The text of its title.
        landmark: The title's element as it stands in the body.
        links: (where, text) of every link and of every form that is sent by GET.
        files: Style sheets, scripts, images and icons.
        keys: The top-level names of a JSON object.
        data: A JSON body.
        login: Whether it asks for a password.
        nothing: What shows that it lists nothing; empty where nothing does.
        html: Whether it is a page of HTML.
    """

    title: str = ""
    landmark: str = ""
    links: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    data: Any = None
    login: bool = False
    nothing: str = ""
    html: bool = False


def contents_of(page: Page) -> Contents:
    """What is on a page; of kinds that are neither HTML nor JSON nothing is told."""
    if len(page.body) > PARSED_BYTES_MAX:
        return Contents()
    if page.kind == "application/json" or page.kind.endswith("+json"):
        return _json(page)
    if page.kind in {"text/html", "application/xhtml+xml"}:
        return _html(page)
    return Contents()


def _json(page: Page) -> Contents:
    try:
        data = json.loads(page.body)
    except (ValueError, RecursionError):
        return Contents()
    nothing = "an empty list" if _lists_nothing(data) else ""
    keys = tuple(data) if isinstance(data, dict) else ()
    return Contents(links=tuple(_urls(data)), keys=keys, data=data, nothing=nothing)


def _lists_nothing(data: Any) -> bool:
    if isinstance(data, list):
        return not data
    lists = [each for each in data.values() if isinstance(each, list)] if isinstance(data, dict) else []
    return len(lists) == 1 and not lists[0] and len(data) <= 6


def _urls(data: Any, depth: int = 0) -> list[tuple[str, str]]:
    """Texts of a JSON body that are paths or addresses."""
    found: list[tuple[str, str]] = []
    if depth > JSON_DEPTH_MAX:
        return found
    each: Any
    for each in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        if isinstance(each, str):
            if each.startswith(("/", "http://", "https://")) and len(each) < 1000 and not re.search(r"\s", each):
                found.append((each, ""))
        else:
            found += _urls(each, depth + 1)
        if len(found) >= LINKS_MAX:
            break
    return found[:LINKS_MAX]


def _html(page: Page) -> Contents:
    text = page.text
    tree = LexborHTMLParser(text)
    links = [(_of(node, "href"), _said(node)) for node in tree.css("a[href], area[href]")]
    forms = [node for node in tree.css("form") if (node.attributes.get("method") or "get").lower() == "get"]
    links += [(_of(node, "action"), " ".join(node.text().split())[:60]) for node in forms]
    files = [_of(node, "src") for node in tree.css("script[src], img[src]")]
    needed = [node for node in tree.css("link[href]") if _ICONS & set(_of(node, "rel").lower().split())]
    files += [_of(node, "href") for node in needed]
    title = tree.css_first("title")
    raw = _TITLE.search(text)
    return Contents(
        title=" ".join(title.text().split())[:200] if title else "",
        landmark=raw[0] if raw else "",
        links=tuple(links[:LINKS_MAX]),
        files=tuple(dict.fromkeys(each for each in files if each and not each.startswith("data:")))[:LINKS_MAX],
        login=tree.css_first('input[type="password"]') is not None,
        nothing=_empty(tree),
        html=True,
    )


def _of(node: Any, name: str) -> str:
    return str(node.attributes.get(name) or "")


def _said(node: Any) -> str:
    words = " ".join(node.text().split()) or _of(node, "title") or _of(node, "aria-label")
    return words[:100]


def _empty(tree: LexborHTMLParser) -> str:
    """What shows that a page lists nothing: its own words, or no words at all."""
    body = tree.body
    if body is None:
        return "no body"
    for node in body.css("script, style, noscript, template"):
        node.decompose()
    words = " ".join(body.text(separator=" ").split())
    if not words and not body.css_first("img, svg, canvas, video, input, [id]"):
        return "no words"
    found = _NOTHING.search(words) if len(words) < 20_000 else None
    return f"“{found[0]}”" if found else ""
