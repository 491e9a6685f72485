"""A Django project's files in, its manage.py, settings and entries out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from prony.app.project.entries import module_of
from prony.app.project.files import Files
from prony.app.project.model import Candidate, Fact

_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*(?:,|\]\s*=|=)\s*["']([\w.]+)["']""")
_MADE = re.compile(
    r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\()*\s*(?:get_[aw]sgi_application|ProtocolTypeRouter)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Django:
    """A Django project.

    Attributes:
        root: The folder of its manage.py, relative to the project's.
        settings: The module that manage.py names.
        wsgi: Its WSGI entry, and the settings module named there.
        asgi: The same for ASGI.
    """

    root: str
    settings: Fact[str] | None
    wsgi: tuple[Candidate, Fact[str] | None] | None
    asgi: tuple[Candidate, Fact[str] | None] | None


def find(files: Files) -> list[Django]:
    """The Django projects, nearest the top first: told by a manage.py, or by a wsgi.py that asks Django for its app."""
    roots: dict[str, Fact[str] | None] = {}
    for name in files.names:
        if name.rpartition("/")[2] == "manage.py":
            text = files.text(name)
            if "django" in text.lower() or "DJANGO_SETTINGS_MODULE" in text:
                root = name.rpartition("/")[0] or "."
                roots[root] = _settings(name, text)
    named = [n for n in files.python() if "get_wsgi_application" in (t := files.text(n)) or "get_asgi_application" in t]
    for name in named:
        if not any(_below(name, root) for root in roots):
            roots.setdefault(module_of(name, files)[0], None)
    return [_project(files, root, settings, named) for root, settings in roots.items()]


def _below(name: str, root: str) -> bool:
    return root == "." or name.startswith(root + "/")


def _settings(name: str, text: str) -> Fact[str] | None:
    match = _SETTINGS.search(text)
    return Fact(match[1], f"{name}, line {text[: match.start()].count(chr(10)) + 1}") if match else None


def _project(files: Files, root: str, settings: Fact[str] | None, named: list[str]) -> Django:
    found: dict[str, tuple[Candidate, Fact[str] | None]] = {}
    for name in named:
        if not _below(name, root):
            continue
        text = files.text(name)
        interface = "asgi" if "get_asgi_application" in text else "wsgi"
        match = _MADE.search(text)
        attribute = match[1] if match else "application"
        if "ProtocolTypeRouter(" in text or re.search(r"^application\s*=", text, re.MULTILINE):
            attribute = "application"
        module = name.removesuffix(".py") if root == "." else name.removesuffix(".py").removeprefix(root + "/")
        line = text[: match.start()].count("\n") + 1 if match else 1
        entry = f"{module.replace('/', '.')}:{attribute}"
        candidate = Candidate(entry, f"{name}, line {line}", root, "django", interface, 90 - name.count("/"))
        found.setdefault(interface, (candidate, _settings(name, text)))
    return Django(root, settings, found.get("wsgi"), found.get("asgi"))
