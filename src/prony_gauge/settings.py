"""Turns a Django or Flask app that has been imported into plain data: settings that a bench must know, and commands."""

# ruff: noqa: PTH109, PTH118, PTH202, PTH208 (what need not be imported into somebody's interpreter is not)

from __future__ import annotations

import os
import re
import sys
from typing import Any, Optional

DEPTH_MAX = 6
COMMANDS_MAX = 60
FIXTURES_MAX = 60
DJANGO = (
    "DATABASES", "CACHES", "SESSION_ENGINE", "ALLOWED_HOSTS", "SECURE_SSL_REDIRECT", "SECURE_PROXY_SSL_HEADER",
    "STATIC_ROOT", "STATIC_URL", "STORAGES", "STATICFILES_STORAGE", "DEBUG", "INSTALLED_APPS", "MIDDLEWARE",
    "AUTH_USER_MODEL", "CELERY_BROKER_URL", "BROKER_URL", "CELERY_RESULT_BACKEND", "CELERY_TASK_ALWAYS_EAGER",
    "CHANNEL_LAYERS", "RQ_QUEUES", "EMAIL_BACKEND", "EMAIL_HOST", "WSGI_APPLICATION", "ASGI_APPLICATION",
    "SESSION_COOKIE_SECURE", "SECURE_REDIRECT_EXEMPT", "PREPEND_WWW", "COMPRESS_OFFLINE", "COMPRESS_ENABLED",
)  # fmt: skip
SEEDING = re.compile(
    r"(^|[_-])(seed|seeds|seeder|populate|demo|fake|sample|samples|example|fixtures?|dummy|testdata|initdata)([_-]|$)"
    r"|^(load|create|generate|make|init|setup|import)[_-]?(\w+[_-])?(data|demo|sample|fixtures|seed|initial|content)"
)
FIXTURE_ENDS = (".json", ".yaml", ".yml", ".xml", ".jsonl", ".json.gz")


def plain(value: Any, depth: int = 0) -> Any:
    """A value as JSON can hold it: classes and lazy objects as their text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth >= DEPTH_MAX:
        return None
    if isinstance(value, dict):
        return {str(k): plain(v, depth + 1) for k, v in list(value.items())[:200]}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each, depth + 1) for each in list(value)[:200]]
    return str(value)


def is_own(path: Any) -> bool:
    """Whether a file is the project's own, not an installed package's."""
    here = os.getcwd().rstrip(os.sep) + os.sep
    return isinstance(path, str) and path.startswith(here) and "site-packages" not in path


def django_settings() -> Optional[dict[str, Any]]:
    """What the settings say, once they are loaded; None where there is no Django."""
    conf: Any = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return None
    settings = conf.settings
    found: dict[str, Any] = {"module": os.environ.get("DJANGO_SETTINGS_MODULE", "")}
    for name in DJANGO:
        try:
            found[name] = plain(getattr(settings, name, None))
        except Exception:
            found[name] = None
    found["urls"] = {}
    for name in dir(settings):
        if name.isupper() and name not in DJANGO:
            value = getattr(settings, name, None)
            if isinstance(value, str) and "://" in value:
                found["urls"][name] = value
    registry: Any = sys.modules.get("django.apps")
    if registry is not None and registry.apps.ready:
        found.update(_apps(registry.apps))
        found["commands"] = _commands(registry.apps)
    return found


def _apps(registry: Any) -> dict[str, Any]:
    """The project's own apps: their fixtures, and those whose models have no migrations."""
    fixtures, bare = [], []
    for config in registry.get_app_configs():
        if not is_own(config.path + os.sep):
            continue
        folder = os.path.join(config.path, "fixtures")
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            names = []
        fixtures += [
            {"app": config.label, "name": name, "bytes": os.path.getsize(os.path.join(folder, name))}
            for name in names
            if name.endswith(FIXTURE_ENDS)
        ]
        has_models = any(model._meta.managed for model in config.get_models())  # noqa: SLF001 - Django's own name
        if has_models and not os.path.isdir(os.path.join(config.path, "migrations")):  # noqa: PTH112 - as above
            bare.append(config.label)
    return {"fixtures": fixtures[:FIXTURES_MAX], "without_migrations": bare}


def _commands(registry: Any) -> list[dict[str, str]]:
    """The project's own management commands, with the first line of their help."""
    from importlib import import_module

    own = {config.name for config in registry.get_app_configs() if is_own(config.path + os.sep)}
    management = import_module("django.core.management")
    found: list[dict[str, str]] = []
    for name, app in sorted(management.get_commands().items()):
        if not isinstance(app, str) or app not in own or len(found) >= COMMANDS_MAX:
            continue
        text = ""
        needed: list[str] = []
        try:
            command = management.load_command_class(app, name)
            text = " ".join(str(command.help).split())[:120]
            parser = command.create_parser("manage.py", name)
            needed = [each.dest for each in parser._actions if each.required]  # noqa: SLF001 - argparse says it nowhere else
        except Exception:
            pass
        found.append({"name": name, "help": text, "needs": " ".join(needed)})
    return found


def flask_app(target: Any) -> Optional[dict[str, Any]]:
    """What a Flask app's config says, and the commands it was given; None for another app."""
    flask: Any = sys.modules.get("flask")
    for name in ("wsgi_app", "app", "_app", "application"):  # middlewares around it
        if flask is None or isinstance(target, flask.Flask):
            break
        target = getattr(target, name, target)
        target = getattr(target, "__self__", target)
    if flask is None or not isinstance(target, flask.Flask):
        return None
    config = {str(k): plain(v, DEPTH_MAX - 1) for k, v in target.config.items() if isinstance(v, (str, bool, int))}
    commands = []
    for name, command in sorted(target.cli.commands.items()):
        if name == "db" or "flask_migrate" in str(getattr(command.callback, "__module__", "")):
            continue
        nested = getattr(command, "commands", None) or {"": command}
        for inner, each in sorted(nested.items()):
            needed = [p.name for p in each.params if (p.required and p.default is None) or getattr(p, "prompt", None)]
            text = " ".join((each.help or "").split())[:120]
            commands.append({"name": f"{name} {inner}".strip(), "help": text, "needs": " ".join(map(str, needed))})
    migrated = "migrate" in target.extensions
    return {"config": config, "commands": commands[:COMMANDS_MAX], "migrate": migrated, "name": target.import_name}
