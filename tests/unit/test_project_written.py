from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from prony.app.interpreter import Interpreter
from prony.app.project import making, settings, variables, write
from prony.app.project.files import Files
from prony.app.project.model import Fact, Project, Served, Step, StoreFound, Unknown, WorkerFound
from prony.app.project.sources import Sources
from prony.app.project.trials import Outcome, Tried
from prony.plan import read_document

PYTHON = Interpreter("/x/.venv/bin/python", ".venv", "3.12.1")


# ---- how data is made


def steps(found: dict[str, Any], folder: Path, root: str = ".", installed: tuple[str, ...] = ()) -> dict[str, bool]:
    made, _ = making.steps(Files(folder), root, Outcome(found), Sources(), dict.fromkeys(installed, "1"))
    return {step.command: step.sure for step in made}


def test_djangos_data_is_made_by_migrations_seeds_and_fixtures(tmp_path: Path) -> None:
    (tmp_path / "manage.py").touch()
    found: dict[str, Any] = {
        "DATABASES": {"default": {}},
        "without_migrations": ["blog"],
        "STORAGES": {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}},
        "STATIC_ROOT": "/x",
        "commands": [
            {"name": "seed_shop", "help": "", "needs": ""},
            {"name": "createsuperuser_demo", "help": "", "needs": ""},
            {"name": "flush_sample_data", "help": "", "needs": ""},
            {"name": "go", "help": "Populates the database.", "needs": ""},
            {"name": "load_data", "help": "", "needs": "file"},
            {"name": "reindex", "help": "Rebuilds the index.", "needs": ""},
        ],
        "fixtures": [{"app": "blog", "name": "posts.json", "bytes": 3}],
    }
    assert steps({"django": found}, tmp_path) == {
        "python manage.py migrate --noinput --run-syncdb": True,
        "python manage.py collectstatic --noinput": True,
        "python manage.py seed_shop": True,
        "python manage.py go": False,
        "python manage.py load_data FILE": False,
        "python manage.py loaddata posts": False,
    }
    found["commands"] = []
    assert steps({"django": found}, tmp_path)["python manage.py loaddata posts"]


def test_flasks_and_alembics_migrations_and_seed_scripts(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/env.py").touch()
    flask = {"migrate": True, "entry": "shop:app", "commands": [{"name": "init-db", "help": "", "needs": ""}]}
    assert steps({"flask": flask}, tmp_path, installed=("flask-migrate",)) == {
        "python -m flask --app shop:app db upgrade": True,
        "python -m flask --app shop:app init-db": True,
    }
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/alembic.ini").touch()
    (tmp_path / "backend/seed.py").write_text("if __name__ == '__main__':\n    main()\n", encoding="utf-8")
    assert steps({}, tmp_path, "backend", ("alembic",)) == {
        "cd backend && python -m alembic upgrade head": True,
        "cd backend && python seed.py": True,
    }
    (tmp_path / "backend/seed.py").rename(tmp_path / "backend/initial_data.py")
    assert steps({}, tmp_path, "backend")["cd backend && python initial_data.py"]


# ---- what requests must bear


def project() -> Project:
    return Project(Fact("shop:app", "shop.py, line 1"), PYTHON)


def applied(django: dict[str, Any], *reads: str) -> Project:
    found = project()
    account = {"django": django, "reads": [{"name": n, "there": False, "default": None, "line": "s:1"} for n in reads]}
    settings.apply(found, Tried(Outcome(account)))
    return found


def test_a_host_that_the_settings_allow_is_named() -> None:
    assert applied({"ALLOWED_HOSTS": ["*"]}).host is None
    assert applied({"ALLOWED_HOSTS": [], "DEBUG": True}).host is None
    host = applied({"ALLOWED_HOSTS": [".example.com"]}).host
    assert host is not None
    assert host.value == "example.com"
    assert applied({"ALLOWED_HOSTS": []}, "DJANGO_ALLOWED_HOSTS").env["DJANGO_ALLOWED_HOSTS"].value == "127.0.0.1"
    assert applied({"ALLOWED_HOSTS": []}).unknown[0].key == "[traffic] host"


def test_https_behind_a_proxy_is_what_requests_say() -> None:
    header = ["HTTP_X_FORWARDED_PROTO", "https"]
    found = applied({"ALLOWED_HOSTS": ["*"], "SECURE_SSL_REDIRECT": True, "SECURE_PROXY_SSL_HEADER": header}).headers
    assert found is not None
    assert found.value == {"X-Forwarded-Proto": "https"}
    assert (
        applied({"ALLOWED_HOSTS": ["*"], "SECURE_SSL_REDIRECT": True}, "SSL_REDIRECT").env["SSL_REDIRECT"].value
        == "false"
    )


# ---- variables


def test_values_come_from_env_else_from_its_example(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("A=1\nEMPTY=\nDATABASE_URL=postgres://u@h/x\n", encoding="utf-8")
    found = variables.read(Files(tmp_path))
    assert found.file is None
    assert {name: fact.value for name, fact in found.examples.items()} == {"A": "1", "DATABASE_URL": "postgres://u@h/x"}
    (tmp_path / ".env").write_text("A=2\n", encoding="utf-8")
    found = variables.read(Files(tmp_path))
    assert (found.values, found.examples) == ({"A": "2"}, {})


# ---- writing

TEXT = st.text(max_size=30)
FACT = st.builds(Fact, TEXT, TEXT)


def whole(text: str, name: str, source: str) -> Project:
    found = project()
    found.env = {name: Fact(text, source), "MODE": Fact("x", source)}
    found.env_file = Fact(text, source)
    found.server = Served("gunicorn", source, "gthread", {"workers": 3, "threads": 2}, remarks=(source,))
    found.stores = [
        StoreFound("database", "postgres", source, env=text or "X"),
        StoreFound("redis", "valkey", source, env={name: text}),
    ]
    found.steps = [Step(text, source), Step("python manage.py migrate", source), Step(text, source, sure=False)]
    found.workers = [WorkerFound("queue", text, source)]
    found.host = Fact(text, source)
    found.headers = Fact({name: text}, source)
    found.remarks = [text]
    found.unknown = [Unknown(text, name, source)]
    return found


@given(text=TEXT, name=TEXT, source=TEXT)
def test_whatever_was_found_what_is_written_can_be_read(text: str, name: str, source: str) -> None:
    made = write.render(whole(text, name, source), Path("/nowhere"))
    document = tomllib.loads(made)
    plan = read_document(document, "prony.toml", Path("/nowhere"))
    assert plan.app.entry == "shop:app"
    assert plan.server.knobs["threads"] == 2
    assert plan.app.env["MODE"] == "x"


def test_every_value_says_where_it_came_from_and_guesses_stay_comments(tmp_path: Path) -> None:
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    found = whole("echo seed", "NAME", "Procfile, line 1")
    found.python = Interpreter(str(python), ".venv", "3.12.1")
    made = write.render(found, tmp_path)
    lines = made.splitlines()
    assert 'python = ".venv/bin/python"  # .venv, Python 3.12.1' in lines
    assert '    "python manage.py migrate",  # Procfile, line 1' in lines
    assert '    # "echo seed",  # Procfile, line 1' in lines
    assert "# could not tell echo seed: NAME: Procfile, line 1" in lines
    assert 'kind = "gunicorn"  # Procfile, line 1' in lines
    assert "# [[traffic.request]]" in lines
    assert tomllib.loads(made)["app"]["prepare"] == ["echo seed", "python manage.py migrate"]
