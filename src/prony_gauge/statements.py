"""Turns a statement as an app wrote it into its shape: without anybody's values, so that it may be shown and kept."""

from __future__ import annotations

import re

CHARS = 380  # of a shape
RAW_CHARS = 20_000  # of a statement: what comes after does not tell it from others

_PARTS = re.compile(
    r"""
    (?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))
    | (?P<value>
        [eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)                # with backslashes
        | (?:[uU]&|[nNbBxX])?'(?:[^']|'')*(?:'|\Z)      # what never ends is a value to the end
        | \$(?P<tag>[A-Za-z_]\w*)?\$.*?(?:\$(?P=tag)\$|\Z)
        | \$\$.*?(?:\$\$|\Z)
        | (?<![\w.$"])[-+]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)(?!\w)
    )
    | (?P<place>%s|%\(\w+\)s|%b|%t|\$\d+(?!\w)|(?<![:\w]):[A-Za-z_]\w*|\?)
    | (?P<name>"(?:[^"]|"")*(?:"|\Z)|`[^`]*(?:`|\Z)|\[[A-Za-z_][\w ]*\])
    | (?P<space>\s+)
    """,
    re.VERBOSE | re.DOTALL,
)
_MARKS = re.compile(r"\?(?:::[\w\[\]]+)?(?: ?, ?\?(?:::[\w\[\]]+)?)+")
_GROUPS = re.compile(r"\(\?\)(?: ?, ?\(\?\))+")
_NAME = re.compile(r'"[A-Za-z_][\w$.\- ]{0,62}"|`[^`]{1,64}`|\[.*\]')
_MYSQL_STRING = re.compile(r"'(?:[^'\\]|\\.|'')*(?:'|\Z)|\"(?:[^\"\\]|\\.|\"\")*(?:\"|\Z)", re.DOTALL)


def shape_of(text: str, *, mysql: bool = False) -> str:
    """The statement with every literal and placeholder as `?`, lists of them as one, on one line, bounded.

    Args:
        text: The statement.
        mysql: Whether double quotes hold strings, and backslashes escape within quotes, as MySQL has it.
    """
    text = text[:RAW_CHARS]
    if mysql:
        text = _MYSQL_STRING.sub("?", text)
    text = " ".join(_PARTS.sub(_part, text).split()).strip(" ;")
    text = _GROUPS.sub("(?)", _MARKS.sub("?", text).replace("( ?", "(?").replace("? )", "?)"))
    return text if len(text) <= CHARS else text[: CHARS - 1] + "…"


def _part(found: re.Match[str]) -> str:
    if found.lastgroup is None:
        return "?"
    if found.group("name") is not None:
        name = found.group("name")
        return name if _NAME.fullmatch(name) else "?"  # a name no schema has may be somebody's words
    if found.group("comment") is not None or found.group("space") is not None:
        return " "
    return "?"
