"""Static files that were asked for in vain in, what is wrong with them and what to write out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from prony.visit.diagnosis import Facts, Finding, finding

SHOWN = 3
_BUILDS = ("build", "prod", "production", "dist")
_FOLDERS = ("", "frontend", "static", "assets", "client", "web", "theme/static_src")


def lost_files(lost: Sequence[str], asked: int, facts: Facts, served: Collection[str], folder: Path) -> Finding:
    """What is said of them.

    Args:
        lost: Their paths.
        asked: How many were asked for in all.
        facts: Of the app.
        served: The prefixes that a proxy serves from folders.
        folder: The app's.
    """
    shown = ", ".join(lost[:SHOWN]) + (", …" if len(lost) > SHOWN else "")
    if served and all(path.startswith(tuple(served)) for path in lost):
        text = f"{len(lost)} of {asked} static files are in none of the folders that [proxy.static] names: {shown}"
        return finding("static_files", text, build_of(folder) or "[app] prepare = [ …, the command that makes them ]")
    url = str(facts.settings.get("static_url") or "/static/")
    root = str(facts.settings.get("static_root") or "static")
    remedy = f'[proxy.static] "{url}" = "{root}"'
    if facts.framework == "django":
        remedy += ', and [app] prepare = [ …, "python manage.py collectstatic --noinput" ]'
    return finding("static_files", f"{len(lost)} of {asked} static files are not served: {shown}", remedy)


def build_of(folder: Path) -> str:
    """How a project's own package.json makes its files, to be typed; empty where none says so."""
    for name in _FOLDERS:
        place = folder / name
        try:
            scripts: object = json.loads((place / "package.json").read_text(encoding="utf-8")).get("scripts")
        except (OSError, ValueError, AttributeError):
            continue
        script = next((each for each in _BUILDS if isinstance(scripts, Mapping) and each in scripts), "")
        if script:
            return f"cd {place} && npm install && npm run {script}; then prony check"
    return ""
