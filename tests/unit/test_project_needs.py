from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.app.interpreter import Interpreter
from prony.app.project import addresses, needs, variables
from prony.app.project.containers import Service
from prony.app.project.files import Files
from prony.app.project.model import StoreFound
from prony.app.project.trials import MARK, Outcome, Trial, Tried, outcome_of
from prony.app.project.troubles import trouble

PYTHON = Interpreter("/x/.venv/bin/python", ".venv", "3.12.1")


@dataclass(frozen=True)
class Said:
    code: int | None = 0
    printed: str = ""
    errors: str = ""


def app(needed: Mapping[str, str], lands: Any = lambda _: {}) -> Any:
    """An interpreter in which an app imports once every variable of `needed` is there; else it fails as told."""
    asked: list[dict[str, str]] = []

    def ask(argv: list[str], env: Mapping[str, str], timeout_s: float) -> Said:
        assert argv[1:3] == ["-m", "prony_gauge.needs"]
        assert timeout_s > 0
        asked.append(dict(env))
        reads = [{"name": n, "there": n in env, "default": None, "line": "settings.py:3", "order": 1} for n in needed]
        found: dict[str, Any] = {"reads": reads, **lands(env)}
        for name, text in needed.items():
            if name not in env:
                found["error"] = {"type": "KeyError", "text": text, "lines": ["settings.py:3"]}
        return Said(printed=f"noise\n{MARK}{json.dumps(found)}\n")

    return ask, asked


def run(
    ask: Any, env: Mapping[str, str] = {}, schemes: tuple[str, ...] = ("postgres",), shown: Mapping[str, str] = {}
) -> Tried:
    return Trial(ask, "python", "shop:app", env, schemes=schemes, shown=shown, say=lambda _: None).run()


# ---- trials


def test_variables_that_must_be_there_get_values_until_the_import_works() -> None:
    ask, asked = app({"SECRET_KEY": "'SECRET_KEY'", "PAGE_SIZE": "set the PAGE_SIZE", "ADMIN_EMAIL": "'ADMIN_EMAIL'"})
    tried = run(ask)
    assert tried.outcome.worked
    assert tried.invented == {"ADMIN_EMAIL": "bench@example.com", "PAGE_SIZE": "60", "SECRET_KEY": variables.LONG}
    assert len(asked) == 4


def test_an_import_that_nothing_helps_ends() -> None:
    ask, asked = app({}, lambda _: {"error": {"type": "TypeError", "text": "no idea", "lines": []}})
    assert not run(ask).usable
    assert len(asked) == 1


def test_a_value_that_does_not_fit_is_tried_otherwise() -> None:
    def lands(env: Mapping[str, str]) -> dict[str, Any]:
        text = f"invalid literal for int() with base 10: {env.get('LEVEL')!r}"
        return {} if env.get("LEVEL", "").isdecimal() else {"error": {"type": "ValueError", "text": text, "lines": []}}

    ask, _ = app({"LEVEL": "'LEVEL'"}, lands)
    assert run(ask).invented == {"LEVEL": "60"}


def test_an_authors_own_value_is_never_replaced() -> None:
    ask, asked = app({}, lambda _: {"error": {"type": "ValueError", "text": "SECRET_KEY is missing", "lines": []}})
    tried = run(ask, {"SECRET_KEY": "theirs"})
    assert tried.invented == {}
    assert len(asked) == 1


def django(env: Mapping[str, str]) -> dict[str, Any]:
    whole = addresses.parse(env.get("DATABASE_URL", "sqlite:///db.sqlite3"), "")
    assert whole is not None
    engine = {"postgres": "django.db.backends.postgresql", "sqlite": "django.db.backends.sqlite3"}[whole.kind]
    database = {"ENGINE": engine, "HOST": whole.host, "PORT": whole.port, "NAME": whole.name, "USER": whole.user}
    cache = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.get("REDIS_URL", "redis://r:6379/1"),
    }
    return {"django": {"DATABASES": {"default": database}, "CACHES": {"default": cache}}}


def found_in(tried: Tried, scheme: str = "postgres", services: Any = ()) -> dict[str, StoreFound]:
    return {each.name: each for each in needs.stores(tried, services, scheme, "/copy/shop")[0]}


def test_the_variables_that_lead_to_stores_are_found_by_where_they_land() -> None:
    ask, _ = app({"DATABASE_URL": "'DATABASE_URL'", "REDIS_URL": "'REDIS_URL'"}, django)
    found = found_in(run(ask))
    assert (found["database"].kind, found["database"].env) == ("postgres", "DATABASE_URL")
    assert (found["redis"].kind, found["redis"].env) == ("valkey", "REDIS_URL")


def test_parts_of_an_address_become_a_table() -> None:
    names = {"DB_HOST": "HOST", "DB_PORT": "PORT", "DB_NAME": "NAME", "DB_USER": "USER", "DB_PASSWORD": "PASSWORD"}

    def lands(env: Mapping[str, str]) -> dict[str, Any]:
        parts = {part: env.get(name, "") for name, part in names.items()}
        return {"django": {"DATABASES": {"default": {"ENGINE": "django.db.backends.postgresql", **parts}}}}

    ask, _ = app(dict.fromkeys(names, ""), lands)
    tried = run(ask, dict.fromkeys(names, "x"))
    assert found_in(tried)["database"].env == {name: "{" + part.lower() + "}" for name, part in names.items()}


def test_where_only_a_password_is_a_variable_the_rest_is_as_the_settings_have_it() -> None:
    def lands(env: Mapping[str, str]) -> dict[str, Any]:
        address = f"postgresql://shop:{env.get('DB_PASSWORD', 'x')}@db:5433/shop"
        return {"connects": [{"library": "sqlalchemy", "address": address, "line": "db.py:4"}]}

    ask, _ = app({"DB_PASSWORD": ""}, lands)
    store = found_in(run(ask, {"DB_PASSWORD": "theirs"}))["database"]
    assert store.env == {"DB_PASSWORD": "{password}"}
    assert store.at == "postgres://shop:theirs@db:5433/shop"


def test_a_scheme_of_its_own_stays_in_the_template() -> None:
    def lands(env: Mapping[str, str]) -> dict[str, Any]:
        address = env.get("DATABASE_URL", "")
        if address and not address.startswith("postgresql+asyncpg"):
            return {"error": {"type": "InvalidRequestError", "text": "not async", "lines": []}}
        return {"connects": [{"library": "sqlalchemy", "address": address, "line": "db.py:4"}]} if address else {}

    ask, _ = app({"DATABASE_URL": "'DATABASE_URL'"}, lands)
    tried = run(ask, schemes=("postgresql+asyncpg", "postgresql"))
    url = "postgresql+asyncpg://{user}:{password}@{host}:{port}/{name}"
    assert found_in(tried)["database"].env == {"DATABASE_URL": url}


def test_an_example_s_scheme_and_spelling_come_before_those_of_the_drivers() -> None:
    ask, _ = app({"database_url": "database_url: field required"})
    shown = {"DATABASE_URL": "postgresql://somebody@localhost/shop"}
    schemes = ("postgresql+asyncpg", "postgresql")
    url = "://{user}:{password}@{host}:{port}/{name}"
    [store] = needs.guessed(run(ask_upper(ask), {}, schemes, shown), [], schemes[0], {})
    assert store.env == {"DATABASE_URL": "postgresql" + url}
    [store] = needs.guessed(run(ask, {}, schemes), [], schemes[0], {})
    assert store.env == {"database_url": "postgresql+asyncpg" + url}


def ask_upper(ask: Any) -> Any:
    """An interpreter whose app takes its variables in either case, as settings classes do."""

    def either(argv: list[str], env: Mapping[str, str], timeout_s: float) -> Any:
        return ask(argv, {name.lower(): value for name, value in env.items()}, timeout_s)

    return either


def test_an_address_that_no_variable_names_is_where_the_settings_expect_it() -> None:
    connects = [
        {"library": "psycopg2", "address": "host=db port=5433 dbname=shop user=u password=p", "line": "app.py:3"},
        {"library": "redis", "host": "cache", "port": 6380},
    ]
    found = found_in(Tried(Outcome({"connects": connects})))
    assert found["database"].at == "postgres://u:p@db:5433/shop"
    assert found["database"].source == "psycopg2 in app.py, line 3"
    assert found["redis"].at == "redis://cache:6380"


def test_sqlite_in_the_project_is_a_file_and_elsewhere_a_remark() -> None:
    def tried(name: str) -> Tried:
        return Tried(
            Outcome({"django": {"DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": name}}}})
        )

    assert found_in(tried("/copy/shop/data/db.sqlite3"))["database"].file == "data/db.sqlite3"
    assert found_in(tried("app.db"))["database"].file == "app.db"
    for outside in ("/srv/app.db", ":memory:"):
        stores, remarks, _ = needs.stores(tried(outside), (), "", "/copy/shop")
        assert stores == []
        assert remarks


def test_sqlite_by_default_stays_where_no_other_driver_is_installed() -> None:
    ask, _ = app({"DATABASE_URL": ""}, django)
    tried = run(ask, {"DATABASE_URL": "sqlite:///x.db"}, schemes=())
    assert found_in(tried, "")["database"].kind == "sqlite"


def test_what_prony_cannot_bring_up_and_what_nobody_uses_is_told() -> None:
    outcome = Outcome({"celery": [{"broker": "amqp://u:p@mq:5672/x", "results": "", "eager": False}]})
    services = [("compose.yaml", Service("r", "redis:7", "valkey", "", {}, (), built=False))]
    stores, remarks, unknown = needs.stores(Tried(outcome), services, "", "/copy")
    assert stores == []
    assert "RabbitMQ" in remarks[0]
    assert unknown[0].key == "[stores.redis]"
    assert "compose.yaml, service r" in unknown[0].what


@pytest.mark.parametrize(
    ("installed", "framework", "uses_async", "schemes"),
    [
        ({"psycopg"}, "django", False, ("postgres",)),
        ({"mysqlclient"}, "django", False, ("mysql",)),
        (
            {"psycopg2-binary", "asyncpg", "sqlalchemy"},
            "fastapi",
            True,
            ("postgresql+asyncpg", "postgresql+psycopg2", "postgresql"),
        ),
        (
            {"psycopg2-binary", "asyncpg", "sqlalchemy"},
            "fastapi",
            False,
            ("postgresql+psycopg2", "postgresql+asyncpg", "postgresql"),
        ),
        ({"asyncpg"}, "fastapi", True, ("postgresql",)),
        (set(), "flask", False, ()),
    ],
)
def test_the_drivers_installed_say_which_addresses_are_taken(
    installed: set[str], framework: str, *, uses_async: bool, schemes: tuple[str, ...]
) -> None:
    assert needs.schemes_of(dict.fromkeys(installed, "1"), framework, uses_async=uses_async) == schemes


# ---- what a child says


def test_a_hung_import_names_its_line() -> None:
    errors = (
        "Timeout (0:00:30)!\nThread 0x1 (most recent call first):\n"
        '  File "/usr/lib/python3.12/socket.py", line 9 in connect\n'
        '  File "/var/tmp/prony-0/run-1/copy/shop/app/mail.py", line 12 in <module>\n'
        '  File "/var/tmp/prony-0/run-1/gauge/prony_gauge/needs.py", line 3 in main\n'
    )
    outcome = outcome_of(Said(1, "", errors))
    assert outcome.hung == "app/mail.py, line 12"


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            {"type": "SyntaxError", "text": "invalid syntax", "file": "/v/copy/shop/a/b.py", "line": 3, "lines": []},
            "a/b.py, line 3: invalid syntax",
            "edit a/b.py, line 3",
        ),
        (
            {
                "type": "ModuleNotFoundError",
                "text": "No module named 'rest_framework'",
                "module": "rest_framework",
                "lines": ["a.py:1"],
            },
            "there is no module rest_framework (a.py, line 1)",
            "/x/.venv/bin/python -m pip install djangorestframework",
        ),
        (
            {
                "type": "ImportError",
                "text": "cannot import name 'escape' from 'flask' (/x/.venv/lib/flask/__init__.py)",
                "module": "flask",
                "lines": ["a.py:2"],
            },
            "cannot import name 'escape' from 'flask' (a.py, line 2). It is installed there in a version",
            "/x/.venv/bin/python -m pip install 'flask<…'",
        ),
        (
            {
                "type": "ModuleNotFoundError",
                "text": "No module named 'config.prod'",
                "module": "config.prod",
                "lines": [],
            },
            "there is no module config.prod in the project",
            "DJANGO_SETTINGS_MODULE",
        ),
        (
            {"type": "OperationalError", "text": "connection refused", "lines": ["db.py:9"]},
            "(db.py, line 9)",
            "[stores.NAME]",
        ),
        (
            {"type": "OSError", "text": "[Errno 98] Address already in use", "lines": ["a.py:2"]},
            "in use (a.py, line 2)",
            "__main__",
        ),
        ({"type": "SystemExit", "text": "2", "lines": ["a.py:2"]}, "SystemExit: 2", "__main__"),
        ({"type": "ValueError", "text": "bad", "lines": ["a.py:2"]}, "ValueError: bad (a.py, line 2)", ".env"),
    ],
)
def test_each_trouble_says_where_and_what_to_do(error: dict[str, Any], message: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/__init__.py").touch()
    found = trouble(Files(tmp_path), "shop:app", PYTHON, Outcome({"error": error}))
    assert message in found.message
    assert hint in found.hint


@given(st.dictionaries(st.sampled_from(["error", "django", "flask", "reads", "connects", "celery"]), st.none()))
def test_an_empty_account_of_a_child_makes_no_traceback(found: dict[str, Any]) -> None:
    tried = Tried(outcome_of(Said(printed=MARK + json.dumps(found))))
    needs.stores(tried, (), "", "/copy")
    assert tried.outcome.reads == []
    assert outcome_of(Said(printed=MARK + "{")).error["type"] == "Ended"


# ---- addresses


@pytest.mark.parametrize(
    ("name", "store"),
    [
        ("DATABASE_URL", True),
        ("DB_HOST", True),
        ("POSTGRES_PASSWORD", True),
        ("PGHOST", True),
        ("REDIS_URL", True),
        ("CELERY_BROKER_URL", True),
        ("SQLALCHEMY_DATABASE_URI", True),
        ("MYSQL_DATABASE", True),
        ("CACHE_URL", True),
        ("SECRET_KEY", False),
        ("SENTRY_DSN", False),
        ("DB_ENGINE", False),
        ("EMAIL_HOST", False),
        ("DEBUG", False),
        ("DATABASE_POOL_SIZE", False),
        ("ALLOWED_HOSTS", False),
    ],
)
def test_a_stores_variable_is_told_by_its_name(name: str, *, store: bool) -> None:
    assert addresses.is_store(name) is store


@given(st.text(max_size=40), st.integers(1, 400), st.sampled_from(["postgres", "mysql+pymysql", "sqlite"]))
def test_an_address_of_ours_is_known_again(name: str, number: int, scheme: str) -> None:
    value = addresses.sentinel(number, name, None, scheme)
    whole = addresses.parse(value, "")
    if whole is not None and whole.kind != "sqlite":
        assert addresses.template(whole, {number: name}, {name: value}) == {name: addresses.shape(whole, value)}


@given(st.text(max_size=40))
def test_no_address_makes_a_traceback(text: str) -> None:
    for each in (text, f"postgres://{text}", f"redis://{text}@x/1"):
        found = addresses.parse(each, "")
        if found is not None and found.kind in addresses.OURS - {"sqlite"}:
            assert "://" in addresses.text_of(found)
