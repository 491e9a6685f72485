"""A project's .env and its example in, the variables that the app gets out; and harmless values for what is missing."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from prony.app.project.files import Files
from prony.app.project.model import Fact
from prony.errors import PlanError
from prony.plan.procfile import read_env

EXAMPLES = (
    ".env.example", "env.example", ".env.sample", ".env.template", ".env.dist", "example.env", "sample.env",
    ".env-example", ".env_example", ".env.local.example", ".env.development", "env.sample", "dotenv.example",
)  # fmt: skip
NEAR_LINES = 4
FILES_MAX = 400
_ASKED = re.compile(
    r"""(?:environ(?:\.get)?\s*[\[(]|getenv\(|\bconfig\(|\benv(?:\.\w+)?\(|\bget_env\w*\()\s*["'](\w+)["']"""
)
INVENTED = "only-for-the-bench"
# Secrets that are checked for their length are longer than this seldom.
LONG = "only-for-the-bench-only-for-the-bench-only-for-the-bench"
_UPPER = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\b[A-Z]{3,}\b")
_WORDS = re.compile(
    r"environment|env(?:ironment)? ?var|variable|must be set|must be|required|missing|not set|undefined", re.IGNORECASE
)
_NUMBER = re.compile(
    r"(^|_)(PORT|TIMEOUT|COUNT|SIZE|LIMIT|DAYS|HOURS|MINUTES|SECONDS|TTL|AGE|MAX|MIN|NUM|WORKERS|ID|LENGTH)$"
)
_FLAG = re.compile(r"(^|_)(DEBUG|ENABLED?|DISABLED?|USE|IS|ALLOW|TESTING|TLS|SSL|SECURE|VERIFY)(_|$)")


@dataclass(slots=True)
class Variables:
    """What a project's files set.

    Attributes:
        file: The .env that the app runs with; None where there is none.
        values: What that file sets; it is never written or shown.
        examples: What an example of it sets, where there is no .env.
        flask: FLASK_APP and the like from .flaskenv.
    """

    file: Fact[str] | None = None
    values: dict[str, str] = field(default_factory=dict)
    examples: dict[str, Fact[str]] = field(default_factory=dict)
    flask: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def known(self) -> dict[str, str]:
        """All of them, .env first."""
        return {**self.flask, **{name: fact.value for name, fact in self.examples.items()}, **self.values}


def read(files: Files, root: str = ".") -> Variables:
    """The variables of .env, of its example where there is none, and of .flaskenv."""
    found = Variables()
    places = [""] if root == "." else ["", root + "/"]
    for place in places:
        values = _values(files, place + ".env", found)
        if values is not None and found.file is None:
            found.file, found.values = Fact(place + ".env", f"{place}.env"), values
        found.flask |= _values(files, place + ".flaskenv", found) or {}
    if found.file is None:
        name = next((place + name for name in EXAMPLES for place in places if files.has(place + name)), "")
        for key, value in (_values(files, name, found) or {}).items() if name else ():
            if value:
                found.examples[key] = Fact(value, name)
    return found


def _values(files: Files, name: str, found: Variables) -> dict[str, str] | None:
    if not files.has(name):
        return None
    try:
        return read_env(files.folder / name)
    except PlanError as error:
        found.remarks.append(f"Not read: {error.message}")
        return None


def missing(
    error: dict[str, Any], reads: list[dict[str, Any]], invented: Mapping[str, str] = {}
) -> list[tuple[str, str]]:
    """(variable, what is said of it) of those for want of which an import has failed, as far as that can be told.

    Args:
        error: What the import ended with.
        reads: The variables that were asked for.
        invented: Those that have got a value of ours already, which may be one that does not fit.
    """
    fields = [(each["name"], f"{each['type']} {each['text']}") for each in error.get("fields", ())]
    if fields or error.get("type") in {"ModuleNotFoundError", "SyntaxError", "IndentationError"}:
        return fields
    texts = [error.get("text", ""), *(each["text"] for each in error.get("causes", ()))]
    asked = {each["name"] for each in reads if not each["there"]} | set(invented)
    if error.get("type") != "KeyError":
        here = [
            each["name"] for each in reads if each["line"] in error.get("lines", [])[-1:] and each["name"] in invented
        ]
        unfit = [name for name, value in invented.items() if any(value in text for text in texts)]
        both = [name for name in unfit if name in here] or unfit or here
        if both:
            return [(both[-1], texts[0])]
    for text in texts:
        named = [word for word in re.findall(r"[A-Za-z_]\w*", text) if word in asked]
        if named:
            return [(named[0], text)]
    for text in texts:
        upper = _UPPER.findall(text)
        if upper and (_WORDS.search(text) or error.get("type") in {"KeyError", "UndefinedValueError"}):
            return [(upper[0], text)]
    return [(name, texts[0]) for name in _asked_near(error.get("lines", []), reads, invented)]


def _asked_near(lines: list[str], reads: list[dict[str, Any]], invented: Collection[str]) -> list[str]:
    """The variable, not there, that was asked for last in the line that failed, else a few lines before it."""
    wanted = [each for each in reads if not each["there"] and each["default"] is None and each["name"] not in invented]
    for line in reversed(lines):
        file, _, number = line.rpartition(":")
        near = []
        for each in wanted:
            asked_in, _, asked_at = each["line"].rpartition(":")
            if asked_in == file and 0 <= int(number) - int(asked_at) <= NEAR_LINES:
                near.append((int(asked_at), each["name"]))
        if near:
            return [max(near)[1]]
    return []


def named_in(files: Files) -> list[str]:
    """Every variable that the project's code asks for by name, whether or not it comes to that."""
    found: dict[str, None] = {}
    for name in files.python()[:FILES_MAX]:
        text = files.text(name)
        if "env" in text or "config(" in text:
            found.update(dict.fromkeys(_ASKED.findall(text)))
    return list(found)


def invent(name: str, said: str, tried: Collection[str]) -> str | None:
    """A harmless value for a variable, by its name and what was said of it, but none of those tried; None after all."""
    upper, lower = name.upper(), said.lower()
    ideas: list[str] = []
    if any(word in lower for word in ("invalid literal for int", "integer", "int_parsing", "int()", "number")):
        ideas.append("60")
    if any(word in lower for word in ("boolean", "bool_parsing", "truth value", "not a boolean")):
        ideas.append("false")
    if "fernet" in lower or "base64" in lower or "32 url-safe" in lower:
        ideas.append(base64.urlsafe_b64encode((INVENTED * 2)[:32].encode()).decode())
    if "email" in lower and "email" not in upper.lower():
        ideas.append("bench@example.com")
    if "url_parsing" in lower or "valid url" in lower or "url scheme" in lower:
        ideas.append("http://localhost:9")
    if "uuid" in lower:
        ideas.append("00000000-0000-4000-8000-000000000000")
    if "list" in lower or "json" in lower or "array" in lower:
        ideas.append('["localhost", "127.0.0.1"]')
    ideas += [_by_name(upper), LONG, "1", "false", "http://localhost:9", '["*"]', "production", "bench@example.com"]
    return next((idea for idea in ideas if idea not in tried), None)


def _by_name(upper: str) -> str:
    fernet = base64.urlsafe_b64encode((INVENTED * 2)[:32].encode()).decode()
    ideas = (
        ("FERNET" in upper or "ENCRYPTION_KEY" in upper, fernet),
        (upper.endswith(("URL", "URI", "ENDPOINT", "ORIGIN")), "http://localhost:9"),
        ("HOSTS" in upper, "localhost,127.0.0.1"),
        (upper.endswith(("HOST", "DOMAIN", "SERVER_NAME")), "localhost"),
        (_NUMBER.search(upper), "60"),
        (_FLAG.search(upper), "false"),
        (upper.endswith(("EMAIL", "_FROM", "SENDER")) or "EMAIL_ADDRESS" in upper, "bench@example.com"),
        (upper in {"ENV", "ENVIRONMENT", "APP_ENV", "FLASK_ENV", "DJANGO_ENV", "STAGE"}, "production"),
        (any(word in upper for word in ("SECRET", "KEY", "TOKEN", "SALT", "JWT")), LONG),
    )
    return next((value for holds, value in ideas if holds), INVENTED)
