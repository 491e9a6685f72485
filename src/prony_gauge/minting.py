"""Turns an entry and a number of users into cookies of sessions that the app takes for its own, with no password.

Run as `python -m prony_gauge.minting TASK ANSWER` in the app's folder and environment. TASK is a file of JSON:
`entry`, `users` (how many; 0 for all), `names` (of users; empty for the first ones), `sessions` (what each holds),
`agent` (the visitors' User-Agent). ANSWER becomes one: {"framework", "cookies": [{name: value}]}, or {"error", "try"}.
"""

# ruff: noqa: SLF001, PTH123 (Django names its public API for models _meta; a Path brings nothing here)

import importlib
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALL_MAX = 1000
PROCESS_MEMORY = ("locmem.LocMemCache", "dummy.DummyCache")
WRAPPED = ("app", "wsgi_app", "wsgi_application", "application")  # where a wrapper keeps what it wraps
DEPTH = 4


class CannotError(Exception):
    """Why no session can be made, and what to try."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


def module(name: str) -> "Any":
    """A module of the user's own environment."""
    return importlib.import_module(name)


def minted(task: "dict[str, Any]") -> "dict[str, Any]":
    """The cookies of each visitor; raises CannotError, and whatever the app raises."""
    from prony_gauge.target import resolve

    app = resolve(task["entry"])
    flask = flask_within(app)
    if flask is not None:
        return {"framework": "flask", "cookies": flask_cookies(flask, task["sessions"], task["agent"])}
    if os.environ.get("DJANGO_SETTINGS_MODULE") and "django" in sys.modules:
        return {"framework": "django", "cookies": django_cookies(task)}
    raise CannotError(
        "the entry is neither Django nor a Flask app, and sessions of others cannot be made without a password",
        'kind = "form", "token" or "basic"',
    )


def flask_within(app: "Any") -> "Any":
    """The Flask app that an entry is or wraps; None where it is none."""
    for _ in range(DEPTH):
        app = getattr(app, "__self__", app)  # app.wsgi_app is a method of the app
        if hasattr(app, "session_interface") and hasattr(app, "test_request_context"):
            return app
        within = [getattr(app, name, None) for name in WRAPPED]
        app = next((each for each in within if each is not None and not isinstance(each, (str, bytes))), None)
        if app is None:
            return None
    return None


def flask_cookies(app: "Any", sessions: "list[dict[str, Any]]", agent: str) -> "list[dict[str, str]]":
    """A session of the app's own making for each of these."""
    if not all(sessions):
        raise CannotError(
            "a Flask app keeps in its session what its author chose, which has to be said",
            'session = { user_id = "{n:d}" }, or { _user_id = "{n}", _fresh = true } for Flask-Login',
        )
    made = []
    for values in sessions:
        visitor = {"REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": agent}
        with app.test_request_context("/", environ_overrides=visitor) as context:
            session = app.session_interface.open_session(app, context.request)
            if session is None:
                raise CannotError("the Flask app has no SECRET_KEY, without which it has no sessions")
            session.update(values)
            identify = getattr(getattr(app, "login_manager", None), "_session_identifier_generator", None)
            if "_user_id" in values and identify is not None:
                session.setdefault("_id", identify())  # Flask-Login: whose browser the session is
            session.modified = True
            response = app.response_class()
            app.session_interface.save_session(app, session, response)
            lines = [line.partition(";")[0] for line in response.headers.getlist("Set-Cookie")]
        pairs = [line.partition("=") for line in lines]
        made.append({name.strip(): value for name, _, value in pairs})
    if not all(made):
        raise CannotError("the Flask app's session interface set no cookie")
    return made


def django_cookies(task: "dict[str, Any]") -> "list[dict[str, str]]":
    """A session for each user, as django.contrib.auth.login would leave it."""
    apps, settings = module("django.apps").apps, module("django.conf").settings
    if not apps.ready:
        module("django").setup()
    for name in ("django.contrib.auth", "django.contrib.sessions"):
        if not apps.is_installed(name):
            raise CannotError(f"{name} is not among INSTALLED_APPS", 'kind = "form", "token" or "basic"')
    kept_in_cache = settings.SESSION_ENGINE == "django.contrib.sessions.backends.cache"
    cache = settings.CACHES.get(settings.SESSION_CACHE_ALIAS, {}).get("BACKEND", "")
    if kept_in_cache and cache.endswith(PROCESS_MEMORY):
        raise CannotError(
            f"SESSION_ENGINE keeps sessions in {cache.rpartition('.')[2]}, the memory of one process alone, where no "
            "other process and not even the app's own next worker finds them",
            "a cache that processes share under [stores.cache], or SESSION_ENGINE = "
            '"django.contrib.sessions.backends.cached_db"',
        )
    engine = module(settings.SESSION_ENGINE)
    users = django_users(task["users"], task["names"])
    sessions = task["sessions"] or [{}] * len(users)
    made = []
    for user, values in zip(users, sessions):  # noqa: B905 # 3.9 knows no strict
        session = engine.SessionStore()
        session.update(values)
        session["_auth_user_id"] = user._meta.pk.value_to_string(user)
        session["_auth_user_backend"] = backend_of(user)
        if hasattr(user, "get_session_auth_hash"):
            session["_auth_user_hash"] = user.get_session_auth_hash()
        session.save()
        made.append({settings.SESSION_COOKIE_NAME: session.session_key})
    return made


def django_users(wanted: int, names: "list[str]") -> "list[Any]":
    """The users of these names, or the first active ones."""
    model = module("django.contrib.auth").get_user_model()
    rows = model._default_manager.all()
    if names:
        found = {str(user.get_username()): user for user in rows.filter(**{model.USERNAME_FIELD + "__in": names})}
        missing = [name for name in names if name not in found]
        if missing:
            raise CannotError(
                f"{len(missing)} of the {len(names)} users in the file are not in the database; the first is on its "
                f"line {names.index(missing[0]) + 2}",
                "a seed under [app] prepare that makes them, or users = 1",
            )
        off = [name for name in names if not getattr(found[name], "is_active", True)]
        if off:
            raise CannotError(
                f"the user on line {names.index(off[0]) + 2} of the file is inactive", "one that is active"
            )
        return [found[name] for name in names]
    if any(field.name == "is_active" for field in model._meta.get_fields()):
        rows = rows.filter(is_active=True)
    found_all = list(rows.order_by("pk")[: wanted or ALL_MAX])
    if not found_all or len(found_all) < wanted:
        raise CannotError(
            f"the database has {len(found_all) or 'no'} active user{'' if len(found_all) == 1 else 's'}, "
            f"and {wanted or 'some'} are asked for",
            f"users = {len(found_all)}" if found_all else "a seed under [app] prepare that makes some",
        )
    return found_all


def backend_of(user: "Any") -> str:
    """The first backend that knows the user by its key: the session is read with it on every request."""
    for path in module("django.conf").settings.AUTHENTICATION_BACKENDS:
        try:
            if module("django.contrib.auth").load_backend(path).get_user(user.pk) is not None:
                return str(path)
        except Exception:  # noqa: S112 # some are for logging in only
            continue
    raise CannotError("none of AUTHENTICATION_BACKENDS finds the users that are in the database")


def main(argv: "list[str]") -> None:
    """Reads the task and writes the answer."""
    with open(argv[1], encoding="utf-8") as file:
        task = json.load(file)
    try:
        answer = minted(task)
    except CannotError as error:
        answer = {"error": str(error), "try": error.remedy}
    except BaseException as error:
        import traceback

        traceback.print_exc()
        answer = {"error": "%s: %s" % (type(error).__name__, str(error)[:300]), "try": ""}
    with open(argv[2], "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main(sys.argv)
