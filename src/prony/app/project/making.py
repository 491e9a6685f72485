"""What a trial import and a project's files show in, the commands that make its data out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prony.app.project.files import Files
from prony.app.project.model import Step
from prony.app.project.sources import Sources
from prony.app.project.trials import Outcome

SEED_NAME = re.compile(
    r"(^|[_-])(seed\w*|populate\w*|demo\w*|fake\w*|samples?|dummy\w*|initdb|initdata|bootstrap)([_-]|$)"
    r"|^(load|create|generate|make|init|setup|add|insert|fill)[_-]?(\w+[_-])?(data|db|demo|samples?|fixtures|seed|initial|content)$"
)
SEED_HELP = re.compile(
    r"\b(seeds?|populates?|demo|fake|sample|dummy|test) (data|content|database|the database|objects)", re.IGNORECASE
)
NEVER = re.compile(
    r"superuser|flush|reset|drop|delete|clear|clean|purge|destroy|wipe|remove|dump|backup|export|send|mail"
)
MANIFEST = re.compile(r"Manifest|Compressed\w*Static|whitenoise")
SEED_FILE = re.compile(
    r"(^|/)(seeds?|seed_\w+|seeder|populate\w*|init_?db|create_?db|create_?tables|load_?data|fill_?db)\.py$"
)
FIXTURES_BYTES_MAX = 20_000_000


def steps(
    files: Files, root: str, outcome: Outcome, sources: Sources, installed: Mapping[str, str]
) -> tuple[list[Step], list[str]]:
    """The commands, in the order to run them, and what else is to be said."""
    django = outcome.found.get("django")
    if django:
        return _django(files, root, django)
    found, remarks = _migrations(files, root, outcome, installed)
    flask = outcome.found.get("flask") or {}
    seeds = [each for each in flask.get("commands") or [] if _seeds(each["name"], each["help"])]
    for each in seeds:
        line = _in(root, f"python -m flask --app {flask.get('entry', '')} {each['name']}")
        said = f"Flask command {each['name']}" + (f': "{each["help"]}"' if each["help"] else "")
        found.append(Step(line, said, sure=not each["needs"]))
    if not seeds:
        found += _scripts(files, root)
    found += _hints(sources, found)
    return found, remarks


def _in(root: str, line: str) -> str:
    return line if root in {".", ""} else f"cd {root} && {line}"


def _seeds(name: str, text: str) -> bool:
    last = name.rpartition(" ")[2]
    plain = not NEVER.search(name)
    return plain and bool(SEED_NAME.search(last.lower()) or SEED_NAME.search(name.lower()) or SEED_HELP.search(text))


def _django(files: Files, root: str, django: Mapping[str, Any]) -> tuple[list[Step], list[str]]:
    remarks: list[str] = []
    manage = next((n for n in files.names if n == ("manage.py" if root == "." else f"{root}/manage.py")), "")
    python = "python manage.py" if manage else "python -m django"
    source = manage or "Django"
    bare = django.get("without_migrations") or []
    line = f"{python} migrate --noinput" + (" --run-syncdb" if bare else "")
    why = f"; {', '.join(bare)} has models and no migrations" if bare else ""
    found = [] if not django.get("DATABASES") else [Step(_in(root, line), source + why)]
    storages = django.get("STORAGES") or {}
    backend = f"{(storages.get('staticfiles') or {}).get('BACKEND', '')} {django.get('STATICFILES_STORAGE') or ''}"
    if MANIFEST.search(backend) and django.get("STATIC_ROOT"):
        said = f"the settings keep static files by {backend.strip().rpartition('.')[2]}: pages fail without"
        found.append(Step(_in(root, f"{python} collectstatic --noinput"), said))
    if django.get("COMPRESS_OFFLINE") and django.get("COMPRESS_ENABLED"):
        found.append(Step(_in(root, f"{python} compress"), "the settings' COMPRESS_OFFLINE"))
    if any("Database" in str((table or {}).get("BACKEND")) for table in (django.get("CACHES") or {}).values()):
        found.append(Step(_in(root, f"{python} createcachetable"), "the settings keep a cache in the database"))
    seeds = [each for each in django.get("commands") or [] if _seeds(each["name"], each["help"])]
    for each in seeds:
        said = f"management command {each['name']}" + (f': "{each["help"]}"' if each["help"] else "")
        sure = not each["needs"] and bool(SEED_NAME.search(each["name"].lower()))
        words = f" {each['needs'].upper()}" if each["needs"] else ""
        found.append(Step(_in(root, f"{python} {each['name']}{words}"), said, sure))
    fixtures = [f for f in django.get("fixtures") or [] if "test" not in f["name"] and f["bytes"] < FIXTURES_BYTES_MAX]
    if fixtures:
        names = " ".join(each["name"].partition(".")[0] for each in fixtures)
        sure = not any(step.sure for step in found if "manage" in step.command and _is_seed(step))
        found.append(Step(_in(root, f"{python} loaddata {names}"), f"fixtures of {fixtures[0]['app']}", sure))
    elif not seeds:
        remarks.append("No fixture and no command that makes data was found: pages will be shown with empty tables.")
    return found, remarks


def _is_seed(step: Step) -> bool:
    return step.source.startswith("management command")


def _migrations(
    files: Files, root: str, outcome: Outcome, installed: Mapping[str, str]
) -> tuple[list[Step], list[str]]:
    """Flask-Migrate's, or Alembic's."""
    flask = outcome.found.get("flask") or {}
    prefix = "" if root == "." else root + "/"
    if flask.get("migrate") and "flask-migrate" in installed:
        if any(n.endswith("migrations/env.py") for n in files.names):
            line = _in(root, f"python -m flask --app {flask.get('entry', '')} db upgrade")
            return [Step(line, "Flask-Migrate, migrations/")], []
        return [], ["Flask-Migrate is used, and there are no migrations."]
    name = next((n for n in (prefix + "alembic.ini", "alembic.ini") if files.has(n)), "")
    name = name or next((n for n in files.names if n.rpartition("/")[2] == "alembic.ini"), "")
    if name and "alembic" in installed:
        folder = name.rpartition("/")[0] or "."
        return [Step(_in(folder, "python -m alembic upgrade head"), name)], []
    return [], []


def _scripts(files: Files, root: str) -> list[Step]:
    """Scripts that bear a seed's name and do something when they are run."""
    found = []
    for name in files.python(aside=True):
        if SEED_FILE.search(name) and not NEVER.search(name) and name.count("/") <= 2 and "test" not in name:
            text = files.text(name)
            runs = "__main__" in text or re.search(r"^[\w.]+\(.*\)\s*$", text, re.MULTILINE) is not None
            short = name if root == "." else name.removeprefix(root + "/")
            packaged = files.has(name.rpartition("/")[0] + "/__init__.py")
            how = f"python -m {short.removesuffix('.py').replace('/', '.')}" if packaged else f"python {short}"
            if runs:
                found.append(Step(_in(root, how), name))
    # of several, nobody can tell in which order
    return found if len(found) <= 1 else [Step(each.command, each.source, sure=False) for each in found]


def _hints(sources: Sources, found: list[Step]) -> list[Step]:
    """What release lines and container commands run besides, proposed."""
    known = " ".join(step.command for step in found)
    hints: list[Step] = []
    for line in sources.lines:
        words = line.command.words
        if line.role == "release" and words[0].rpartition("/")[2] in {"python", "python3", "flask", "alembic"}:
            text = " ".join(words)
            if not any(word in known for word in ("upgrade",) if word in text):
                hints.append(Step(_in(line.command.folder, text), line.source, sure=not NEVER.search(text)))
    return hints[:3]
