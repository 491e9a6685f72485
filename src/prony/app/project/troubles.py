"""Why an app could not be imported in, one paragraph that a person can act on out: file, line and what to do."""

from __future__ import annotations

import re

from prony.app.interpreter import Interpreter
from prony.app.project.files import Files
from prony.app.project.trials import IMPORT_S, Outcome
from prony.errors import PlanError

PACKAGES = {
    "yaml": "pyyaml", "PIL": "pillow", "cv2": "opencv-python", "dotenv": "python-dotenv", "jwt": "pyjwt",
    "rest_framework": "djangorestframework", "corsheaders": "django-cors-headers", "environ": "django-environ",
    "decouple": "python-decouple", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "bs4": "beautifulsoup4",
    "sklearn": "scikit-learn", "flask_sqlalchemy": "flask-sqlalchemy", "flask_migrate": "flask-migrate",
    "dateutil": "python-dateutil", "jose": "python-jose", "debug_toolbar": "django-debug-toolbar",
    "django_filters": "django-filter", "crispy_forms": "django-crispy-forms", "storages": "django-storages",
    "allauth": "django-allauth", "multipart": "python-multipart", "magic": "python-magic", "slugify": "python-slugify",
    "django_extensions": "django-extensions", "whitenoise": "whitenoise", "dj_database_url": "dj-database-url",
}  # fmt: skip
REQUIREMENTS = (
    "requirements.txt",
    "requirements/base.txt",
    "requirements/production.txt",
    "requirements/local.txt",
    "requirements/dev.txt",
)


def trouble(  # noqa: PLR0911 - one a kind of trouble
    files: Files, entry: str, python: Interpreter, outcome: Outcome
) -> PlanError:
    """The error to raise for an import that failed."""
    error = outcome.error
    kind, text = str(error["type"]), str(error["text"])
    at = _at(error)
    begin = f"{entry} does not import under {python.python} (Python {python.version})"
    if kind == "Hung":
        file, _, number = text.partition(", line ")
        lines = files.text(file).splitlines()
        code = lines[int(number) - 1].strip() if number.isdecimal() and 0 < int(number) <= len(lines) else ""
        served = re.search(r"\b(run|serve\w*|run_app)\(", code) is not None
        return PlanError(
            f"{entry} was not imported after {IMPORT_S:.0f} s; it hung in {text}"
            + (f": {code[:80]}." if code else "."),
            hint='what starts a server belongs under `if __name__ == "__main__":`'
            if served
            else "an import should not wait for a service: look at that line, or set the variable it depends on",
        )
    if kind == "Ended":
        return PlanError(f"{begin}: {text}.", log=outcome.log, hint=f"{python.python} -c 'import {_module(entry)}'")
    if kind in {"SyntaxError", "IndentationError", "TabError"}:
        file = str(error.get("file") or "").rpartition("/copy/")[2].partition("/")[2] or str(error.get("file"))
        line = int(error.get("line") or 0)
        newer = _newer(text, python)
        return PlanError(
            f"{file}, line {line}: {text}. {begin}.", hint=newer or f"edit {file}, line {line}, and prony init again"
        )
    if kind in {"ModuleNotFoundError", "ImportError"}:
        return _import_trouble(files, python, error, begin)
    if kind == "ImproperlyConfigured" and "psycopg" in text:
        return PlanError(
            f"{begin}: the settings want Postgres, and neither psycopg nor psycopg2 is installed there{at}.",
            hint=_install(files, python, "psycopg[binary]"),
        )
    if outcome.needs_store:
        return PlanError(
            f"{begin}: it connects to a store while it is imported, and none answers there: {kind}: {text}{at}.",
            hint="name the store in prony.toml, by [stores.NAME] env or at; or connect at the first request instead",
        )
    if "Address already in use" in text or "Errno 98" in text:
        return PlanError(
            f"{begin}: it opens a port of its own on import, which is in use{at}: {text}.",
            hint='put app.run() and the like under `if __name__ == "__main__":`',
        )
    if kind == "SystemExit":
        return PlanError(
            f"{begin}: it ended the interpreter (SystemExit: {text or 0}){at}.",
            hint="what runs a command or a server belongs under `if __name__ == '__main__':`",
            log=outcome.log,
        )
    hint = f"set what it wants in .env, or with [app] env; then prony init again; or try {_check(python, entry)}"
    return PlanError(f"{begin}: {kind}: {text}{at}.", hint=hint)


def _at(error: dict[str, object]) -> str:
    lines = error.get("lines")
    if not isinstance(lines, list) or not lines:
        return ""
    file, _, number = str(lines[-1]).rpartition(":")
    return f" ({file}, line {number})"


def _module(entry: str) -> str:
    return entry.partition(":")[0]


def _check(python: Interpreter, entry: str) -> str:
    return f"{python.python} -c 'import {_module(entry)}'"


def _newer(text: str, python: Interpreter) -> str:
    """A syntax that a newer Python knows is not the author's mistake."""
    words = ("match", "f-string", "type", "except*", "parenthes")
    major, minor, *_ = (int(part) for part in python.version.split("."))
    return (
        f"if that is newer syntax than Python {major}.{minor}'s, name another interpreter: prony init --python PATH"
        if (major, minor) < (3, 12) and any(word in text for word in words)
        else ""
    )


def _import_trouble(files: Files, python: Interpreter, error: dict[str, object], begin: str) -> PlanError:
    at = _at(error)
    module = str(error.get("module") or "")
    top = module.partition(".")[0]
    text = str(error["text"])
    own = any(name == f"{top}.py" or name.startswith(f"{top}/") or f"/{top}/" in name for name in files.names)
    settings = re.search(r"No module named '([\w.]+)'", text)
    if top and not own and text.startswith("cannot import name"):
        package = PACKAGES.get(top, top.replace("_", "-"))
        return PlanError(
            f"{begin}: {text.partition(' (/')[0]}{at}. It is installed there in a version that lacks this.",
            hint="install the version that the project was written for, as its lock file or its requirements have it: "
            f"{python.python} -m pip install '{package}<…'; and prony init again",
        )
    if top and not own:
        return PlanError(
            f"{begin}: there is no module {module}{at}. It is not installed there"
            + (" (nothing of the project's is: it is prony's own interpreter)" if python.how == "prony's own" else "")
            + ".",
            hint=_install(files, python, PACKAGES.get(top, top.replace("_", "-"))),
        )
    if settings and not error.get("lines"):
        return PlanError(
            f"{begin}: there is no module {settings[1]} in the project.",
            hint="set DJANGO_SETTINGS_MODULE in .env to settings that exist; or prony init --entry module:callable",
        )
    return PlanError(
        f"{begin}: {text}{at}.",
        hint="if it is the wrong settings module, set DJANGO_SETTINGS_MODULE in .env",
    )


def _install(files: Files, python: Interpreter, package: str) -> str:
    """The command that installs what is missing, as the project is installed."""
    if python.how == "prony's own":
        made = "python3 -m venv .venv && .venv/bin/pip install "
        listed = next((f"-r {name}" for name in REQUIREMENTS if files.has(name)), "")
        if files.has("uv.lock"):
            return "uv sync, and prony init again"
        if files.has("poetry.lock"):
            return "poetry install, and prony init again"
        return f"{made}{listed or package}, and prony init again"
    if files.has("uv.lock"):
        return f"uv sync, or uv add {package}; and prony init again"
    if python.how == "poetry":
        return f"poetry install, or poetry add {package}; and prony init again"
    if python.how == "pipenv":
        return f"pipenv install {package}, and prony init again"
    listed = next((f"-r {name}" for name in REQUIREMENTS if files.has(name)), "")
    return f"{python.python} -m pip install {listed or package}, and prony init again"
