from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prony.app.project import entries, sources, variables
from prony.app.project.choice import Chosen, choose
from prony.app.project.files import Files
from prony.errors import PlanError

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FASTAPI = "from fastapi import FastAPI\napp: FastAPI = FastAPI()\n"
FACTORY = "from flask import Flask\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"
MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings')\n"
WSGI = (
    "import os\nfrom django.core.wsgi import get_wsgi_application\n"
    "os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings.production'\napplication = get_wsgi_application()\n"
)
ASGI = WSGI.replace("wsgi", "asgi")


def laid_out(folder: Path, files: dict[str, str]) -> Files:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Files(folder)


def chosen(folder: Path, files: dict[str, str], named: str = "") -> Chosen:
    found = laid_out(folder, files)
    known = variables.read(found)
    servers = sources.servers_of(found, sources.read(found, known.known), known.known)
    return choose(found, named, servers, known, None)


@pytest.mark.parametrize(
    ("files", "entry", "root", "framework"),
    [
        ({"app.py": FLASK}, "app:app", ".", "flask"),
        ({"main.py": FASTAPI}, "main:app", ".", "fastapi"),
        ({"shop/__init__.py": FACTORY}, "shop:create_app()", ".", "flask"),
        (
            {"shop/__init__.py": FACTORY, "wsgi.py": "from shop import create_app\napp = create_app()\n"},
            "wsgi:app",
            ".",
            "",
        ),
        ({"app/__init__.py": "", "app/main.py": FASTAPI}, "app.main:app", ".", "fastapi"),
        ({"app/main.py": "from app.db import x\n" + FASTAPI, "app/db.py": "x = 1\n"}, "app.main:app", ".", "fastapi"),
        ({"src/shop/__init__.py": "", "src/shop/app.py": FASTAPI}, "shop.app:app", "src", "fastapi"),
        ({"backend/main.py": FASTAPI}, "main:app", "backend", "fastapi"),
        (
            {"server.py": "from starlette.applications import Starlette\napp = Starlette()\n"},
            "server:app",
            ".",
            "starlette",
        ),
        ({"web.py": "from aiohttp import web\napp = web.Application()\n"}, "web:app", ".", "aiohttp"),
        ({"a.py": "from flask import Flask\nif True:\n    site = Flask('x')\n"}, "a:site", ".", "flask"),
        ({"a.py": "from x import ProxyFix, Flask\napp = ProxyFix(Flask(__name__))\n"}, "a:app", ".", "flask"),
        ({"main.py": FASTAPI + "api = FastAPI()\napp.mount('/api', api)\n"}, "main:app", ".", "fastapi"),
        ({"app.py": FLASK, "tests/test_app.py": FLASK, "docs/conf.py": FLASK}, "app:app", ".", "flask"),
        (
            {"app.py": FLASK, "Procfile": "web: gunicorn shop:create_app()\n", "shop.py": FACTORY},
            "shop:create_app()",
            ".",
            "flask",
        ),
        (
            {"app.py": FLASK, "Procfile": "web: gunicorn 'shop:create_app()'\n", "shop.py": FACTORY},
            "shop:create_app()",
            ".",
            "flask",
        ),
        ({"one.py": FLASK, "two.py": FLASK, ".flaskenv": "FLASK_APP=two.py\n"}, "two:app", ".", "flask"),
        (
            {"one.py": FLASK, "two/__init__.py": FACTORY, ".env": "FLASK_APP=two:create_app\n"},
            "two:create_app()",
            ".",
            "flask",
        ),
        (
            {"one.py": FASTAPI, "two.py": FASTAPI, "pyproject.toml": '[tool.fastapi]\nentrypoint = "two:app"\n'},
            "two:app",
            ".",
            "fastapi",
        ),
        (
            {"manage.py": MANAGE, "config/wsgi.py": WSGI, "config/__init__.py": ""},
            "config.wsgi:application",
            ".",
            "django",
        ),
        (
            {"manage.py": MANAGE, "config/wsgi.py": WSGI, "config/asgi.py": ASGI},
            "config.wsgi:application",
            ".",
            "django",
        ),
        (
            {
                "manage.py": MANAGE,
                "config/wsgi.py": WSGI,
                "config/asgi.py": ASGI,
                "Procfile": "web: uvicorn config.asgi:application\n",
            },
            "config.asgi:application",
            ".",
            "django",
        ),
        (
            {"manage.py": MANAGE, "config/wsgi.py": WSGI, "config/asgi.py": ASGI, "Procfile": "web: daphne -p 80\n"},
            "config.asgi:application",
            ".",
            "django",
        ),
        ({"backend/manage.py": MANAGE, "backend/config/wsgi.py": WSGI}, "config.wsgi:application", "backend", "django"),
        ({"manage.py": MANAGE}, "django.core.wsgi:get_wsgi_application()", ".", "django"),
    ],
)
def test_the_app_is_found(files: dict[str, str], entry: str, root: str, framework: str, tmp_path: Path) -> None:
    found = chosen(tmp_path, files)
    assert (found.app.entry, found.app.root) == (entry, root)
    assert found.app.framework in {framework, "flask" if framework == "" else framework}


def test_django_settings_are_those_of_its_entry_first_then_manages(tmp_path: Path) -> None:
    found = chosen(tmp_path, {"manage.py": MANAGE, "config/wsgi.py": WSGI})
    assert [fact.value for fact in found.settings] == ["config.settings.production", "config.settings"]
    assert found.settings[0].source == "config/wsgi.py, line 3"


def test_a_factory_that_needs_arguments_is_none(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="found no app"):
        chosen(tmp_path, {"shop.py": FACTORY.replace("config=None", "config")})


def test_two_apps_are_named_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        chosen(tmp_path, {"shop/__init__.py": "", "shop/app.py": FLASK, "blog/__init__.py": "", "blog/app.py": FLASK})
    assert "blog.app:app (blog/app.py, line 2); shop.app:app (shop/app.py, line 2)" in caught.value.message
    assert caught.value.hint == "prony init --entry 'blog.app:app'"
    one = chosen(tmp_path, {}, "shop.app:app")
    assert (one.app.entry, one.source) == ("shop.app:app", "--entry")


def test_two_django_projects_are_two_apps(tmp_path: Path) -> None:
    files = {
        f"{name}/{file}": text for name in "ab" for file, text in (("manage.py", MANAGE), ("config/wsgi.py", WSGI))
    }
    with pytest.raises(PlanError, match="Found 2 apps") as caught:
        chosen(tmp_path, files)
    assert caught.value.hint == "prony init a, for the one in that folder"


def test_an_entry_that_is_none_is_refused(tmp_path: Path) -> None:
    for named, what in (("nowhere:app", "no module nowhere"), ("a b", "allowed")):
        with pytest.raises(PlanError, match=what):
            chosen(tmp_path, {"app.py": FLASK}, named)


def test_no_app_and_a_broken_file_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as caught:
        chosen(tmp_path, {"app.py": FLASK + "def f(:\n"})
    assert "app.py, line 3" in caught.value.message
    with pytest.raises(PlanError, match="no Python file"):
        chosen(tmp_path / "empty", {})


def test_a_file_that_is_no_text_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(b"app = Flask(\xff)")
    found = chosen(tmp_path, {"app.py": FLASK})
    assert found.app.entry == "app:app"


PIECES = st.lists(
    st.sampled_from(
        [
            "app = Flask(__name__)",
            "def create_app():",
            "    return FastAPI()",
            "from x import y",
            "app = create_app()",
            "class",
            "if True:",
            "    app = web.Application()",
            "application = get_wsgi_application()",
            "async def make_app(a=1): ...",
            "\0",
            "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')",
            "= = (",
            "app.mount('/', app)",
            "#",
        ]
    ),
    max_size=8,
).map("\n".join)


@given(one=PIECES, other=PIECES, garbage=st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_no_python_file_makes_a_traceback(one: str, other: str, garbage: str, tmp_path: Path) -> None:
    files = {"app.py": one, "manage.py": other, "shop/wsgi.py": one, ".env": garbage, "pyproject.toml": garbage}
    try:
        found = chosen(tmp_path, files)
    except PlanError:
        return
    assert found.app.entry
    assert all(each.rank > 0 for each in entries.candidates(Files(tmp_path)))
