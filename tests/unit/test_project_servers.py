from __future__ import annotations

import ast
import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prony.app.project import configured, containers, literal, shell, sources
from prony.app.project.files import Files
from prony.app.project.model import Served
from prony.app.project.servers import served
from prony.knobs import server as server_knobs


def started(line: str, **variables: str) -> Served | None:
    return next((found for each in shell.commands(line, variables) if (found := served(each, "here"))), None)


def laid_out(folder: Path, files: dict[str, str]) -> Files:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Files(folder)


@pytest.mark.parametrize(
    ("line", "kind", "worker_class", "entry", "knobs"),
    [
        ("gunicorn shop.wsgi", "gunicorn", "sync", "shop.wsgi:application", {}),
        ("gunicorn shop.wsgi:app -w 4 -t 60", "gunicorn", "sync", "shop.wsgi:app", {"workers": 4, "timeout": 60}),
        ("gunicorn -w4 --threads=8 app:app", "gunicorn", "gthread", "app:app", {"workers": 4, "threads": 8}),
        ("gunicorn -k gevent --worker-connections 50 a:b", "gunicorn", "gevent", "a:b", {"worker_connections": 50}),
        ("gunicorn a.main:app -k uvicorn.workers.UvicornWorker", "gunicorn", "uvicorn", "a.main:app", {}),
        ("gunicorn 'shop:create_app()' --preload", "gunicorn", "sync", "shop:create_app()", {"preload": True}),
        ("newrelic-admin run-program gunicorn app:app", "gunicorn", "sync", "app:app", {}),
        ("python -m gunicorn --bind 0.0.0.0:8000 app:app", "gunicorn", "sync", "app:app", {}),
        ("poetry run uvicorn app.main:app --workers 2", "uvicorn", "", "app.main:app", {"workers": 2}),
        ("uvicorn --factory --host 0.0.0.0 shop:make_app", "uvicorn", "", "shop:make_app()", {}),
        ("fastapi run app/main.py --workers 3", "uvicorn", "", "app.main:app", {"workers": 3}),
        ("granian --interface wsgi --workers 2 app:app", "granian", "wsgi", "app:app", {"workers": 2}),
        ("waitress-serve --threads=8 --call shop:create_app", "waitress", "", "shop:create_app()", {"threads": 8}),
        ("hypercorn asgi:app -w 2", "hypercorn", "", "asgi:app", {"workers": 2}),
        ("daphne -b 0.0.0.0 -p 8000 config.asgi:application", "daphne", "", "config.asgi:application", {}),
        (
            "uwsgi --module shop.wsgi --processes 4 --threads 2",
            "uwsgi",
            "threads",
            "shop.wsgi:application",
            {"workers": 4, "threads": 2},
        ),
        ("uwsgi --wsgi-file app.py --callable app --harakiri 30", "uwsgi", "threads", "app:app", {"timeout": 30}),
        ("python manage.py runserver 0.0.0.0:8000", "runserver", "", "", {}),
        ("flask --app shop run", "flask run", "", "shop", {}),
        ("sh -c 'cd src && exec gunicorn app:app -w 2'", "gunicorn", "sync", "app:app", {"workers": 2}),
        ("python manage.py migrate && gunicorn app:app >> /log 2>&1", "gunicorn", "sync", "app:app", {}),
    ],
)
def test_a_command_says_which_server_it_starts(
    line: str, kind: str, worker_class: str, entry: str, knobs: dict[str, Any]
) -> None:
    found = started(line)
    assert found is not None
    assert (found.kind, found.worker_class, found.entry, found.knobs) == (kind, worker_class, entry, knobs)


@pytest.mark.parametrize("line", ["celery -A shop worker", "python manage.py migrate", "echo", "nginx", "", "'"])
def test_other_commands_start_none(line: str) -> None:
    assert started(line) is None


def test_a_variable_takes_its_default_where_it_is_not_set() -> None:
    line = "gunicorn app:app --workers ${WEB_CONCURRENCY:-3}"
    for found, workers in ((started(line), 3), (started(line, WEB_CONCURRENCY="5"), 5)):
        assert found is not None
        assert found.knobs == {"workers": workers}


def test_a_value_that_only_a_shell_knows_is_left_out_and_told() -> None:
    found = started("gunicorn app:app --workers $(nproc) --timeout $T")
    assert found is not None
    assert found.knobs == {}
    assert len(found.remarks) == 2
    assert "only a shell knows" in found.remarks[0]


def test_a_knob_beyond_its_range_and_an_unknown_worker_class_are_told() -> None:
    found = started("gunicorn app:app --workers 900 -k eventlet")
    assert found is not None
    assert found.worker_class == "gevent"
    assert any("workers: found 900" in each for each in found.remarks)
    assert any("eventlet" in each for each in found.remarks)


def test_a_folder_that_a_command_changes_to_is_kept() -> None:
    for line in ("cd backend && gunicorn app:app", "gunicorn --chdir backend app:app"):
        found = started(line)
        assert found is not None
        assert found.root == "backend"


CONF = """
import multiprocessing
import os
bind = "0.0.0.0:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", 2)) * 2 + 1
threads: int = 4
timeout = os.getenv("TIMEOUT") or "90"
wsgi_app = "shop.wsgi"
preload_app = True
max_requests = compute()
"""


def test_a_gunicorn_file_is_read_and_never_run() -> None:
    found = configured.gunicorn_file(ast.parse(CONF), "gunicorn.conf.py", {"WEB_CONCURRENCY": "3"})
    assert found.worker_class == "gthread"
    assert found.knobs == {"workers": 7, "threads": 4, "timeout": 90, "preload": True}
    assert found.entry == "shop.wsgi:application"


def test_a_count_of_cpus_is_told_to_be_this_machines() -> None:
    tree = ast.parse("import multiprocessing\nworkers = multiprocessing.cpu_count()\nworker_class = pick()\n")
    found = configured.gunicorn_file(tree, "gunicorn.conf.py", {})
    assert any("line 2" in each and "depends on the machine" in each for each in found.remarks)
    assert any("worker_class is computed" in each for each in found.remarks)


def test_a_command_lines_knobs_go_over_its_files() -> None:
    file = Served("gunicorn", "gunicorn.conf.py", "gthread", {"workers": 2, "threads": 4}, "a:b")
    found = configured.over(Served("gunicorn", "Procfile, line 1", "sync", {"workers": 5}), file)
    assert (found.worker_class, found.knobs, found.entry) == ("gthread", {"workers": 5, "threads": 4}, "a:b")


def test_a_uwsgi_ini_is_read() -> None:
    text = (
        "[uwsgi]\nmodule = shop.wsgi:app\nprocesses = 4\nthreads = 2\nharakiri = 20\nlazy-apps = true\nmaster = true\n"
    )
    found = configured.uwsgi_file(text, "uwsgi.ini")
    assert found is not None
    assert found.knobs == {"workers": 4, "threads": 2, "timeout": 20, "preload": False}
    assert found.entry == "shop.wsgi:app"
    assert configured.uwsgi_file("[other]\n", "x.ini") is None


DOCKERFILE = """
FROM python:3.12 AS build
ENTRYPOINT ["never"]
FROM python:3.12
ENV WEB_CONCURRENCY=6 \\
    DJANGO_SETTINGS_MODULE=config.prod
# a comment
RUN python manage.py collectstatic --noinput
CMD ["sh", "-c", "gunicorn shop.wsgi --workers $WEB_CONCURRENCY"]
"""


def test_a_dockerfile_says_what_its_last_stage_runs() -> None:
    found = containers.read_dockerfile(DOCKERFILE)
    assert found.entrypoint == ""
    assert found.env["DJANGO_SETTINGS_MODULE"] == "config.prod"
    assert found.line == 9
    server = started(found.command, **found.env)
    assert server is not None
    assert server.knobs == {"workers": 6}


def test_a_shell_form_is_a_command_too() -> None:
    found = containers.read_dockerfile("FROM x\nCMD uvicorn app:app \\\n  --workers 2\n")
    server = started(found.command)
    assert server is not None
    assert server.knobs == {"workers": 2}


COMPOSE = """
services:
  web:
    build: .
    command: ["gunicorn", "shop.wsgi", "-w", "2"]
    environment:
      DEBUG: false
      DATABASE_URL: postgres://u:p@db/x
  db:
    image: registry.example.com/library/postgis/postgis:16-3.4
  cache:
    image: redis:7-alpine
    ports: !reset []
  listed:
    image: app
    environment: ["A=1", "B"]
    env_file: .env
"""


def test_a_compose_file_says_services_stores_and_commands() -> None:
    found = {each.name: each for each in containers.read_compose(COMPOSE)}
    assert found["web"].env["DEBUG"] == "false"
    assert found["web"].built
    assert (found["db"].kind, found["cache"].kind, found["listed"].kind) == ("postgres", "valkey", "")
    assert found["listed"].env == {"A": "1"}
    assert found["listed"].env_files == (".env",)
    with pytest.raises(ValueError, match="line 2"):
        containers.read_compose("a: [\n}")


def test_the_server_of_a_procfile_goes_before_one_for_development(tmp_path: Path) -> None:
    files = laid_out(
        tmp_path,
        {
            "Procfile": "release: python manage.py migrate\nweb: gunicorn shop.wsgi -w 3\n",
            "docker-compose.yml": "services:\n  web:\n    command: python manage.py runserver\n",
            "Dockerfile": 'FROM x\nENTRYPOINT ["./entrypoint.sh"]\n',
            "entrypoint.sh": "#!/bin/sh\nexport N=2\nuvicorn shop.asgi:application --workers $N --reload\n",
        },
    )
    found = sources.servers_of(files, sources.read(files, {}), {})
    assert found[0].source == "Procfile, line 2"
    assert [each.kind for each in found] == ["gunicorn", "uvicorn", "runserver", "uvicorn"]
    assert found[1].source == "entrypoint.sh, which Dockerfile runs"


def test_a_gunicorn_file_beside_no_command_is_todays_server(tmp_path: Path) -> None:
    files = laid_out(tmp_path, {"deploy/gunicorn.conf.py": "workers = 2\n"})
    found = sources.servers_of(files, sources.read(files, {}), {})
    assert [(each.kind, each.knobs) for each in found] == [("gunicorn", {"workers": 2})]


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    files = laid_out(tmp_path, {"Procfile": "nonsense\n", "compose.yaml": "a: [\n}"})
    found = sources.read(files, {})
    assert any("Procfile, line 1" in each for each in found.remarks)
    assert any("compose.yaml cannot be read" in each for each in found.remarks)


# ---- garbage

WORDS = st.sampled_from(
    [
        "gunicorn",
        "uvicorn",
        "uwsgi",
        "-w",
        "--workers",
        "4",
        "app:app",
        "--config",
        "x.py",
        "&&",
        ";",
        "$(",
        "${A:-${B}}",
        "sh",
        "-c",
        "'",
        '"',
        "[",
        "]",
        "{",
        "}",
        ":",
        ",",
        "-",
        "services",
        "image\n",
    ]
)
GARBAGE = st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=12).map(" ".join))


@given(GARBAGE)
def test_no_line_makes_a_traceback(text: str) -> None:
    for each in shell.commands(text, {"A": text}):
        found = served(each, "here")
        if found is not None and found.kind in server_knobs.KINDS:
            known = {knob.key: knob for knob in server_knobs.KNOBS[found.kind, found.worker_class]}
            for key, value in found.knobs.items():
                known[key].read(value)


@given(GARBAGE)
def test_no_container_file_makes_a_traceback(text: str) -> None:
    containers.read_dockerfile(text)
    containers.read_dockerfile(f"FROM x\nCMD {text}\nENV {text}")
    configured.uwsgi_file(text, "uwsgi.ini")
    configured.uwsgi_file(f"[uwsgi]\nprocesses = {text}\n", "uwsgi.ini")
    for yaml in (text, f"services:\n  web:\n    command: {text}", f"services: {text}"):
        with contextlib.suppress(ValueError):  # what is no YAML
            containers.read_compose(yaml)


EXPRESSION = st.recursive(
    st.one_of(st.integers().map(repr), st.text(max_size=5).map(repr), st.sampled_from(["x", "None", "f()", "a.b"])),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "*", "/", "//", "-", "**", "or", "%"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.lists(inner, max_size=3).map(lambda parts: f"[{', '.join(parts)}]"),
        inner.map(lambda each: f"int({each})"),
        inner.map(lambda each: f"os.environ.get({each})"),
        inner.map(lambda each: f"os.environ[{each}]"),
    ),
    max_leaves=8,
)


@given(EXPRESSION)
def test_no_expression_is_run_or_makes_a_traceback(text: str) -> None:
    tree = ast.parse(f"workers = {text}\nthreads = workers\nworker_class = workers\n")
    assert isinstance(literal.assignments(tree, {"A": "1"}), dict)
    configured.gunicorn_file(tree, "gunicorn.conf.py", {})


def test_a_procfile_that_is_none_is_told_not_raised(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_bytes(b"\xff\xfe")
    assert any("Procfile" in each for each in sources.read(Files(tmp_path), {}).remarks)


@pytest.mark.parametrize(
    ("code", "kind", "entry", "knobs"),
    [
        (
            'import uvicorn\nuvicorn.run("shop.app:app", workers=2, host="0.0.0.0")',
            "uvicorn",
            "shop.app:app",
            {"workers": 2},
        ),
        ('import uvicorn\nuvicorn.run("shop:make", factory=True, reload=False)', "uvicorn", "shop:make()", {}),
        ("import uvicorn\napp = 1\nuvicorn.run(app, port=8000)", "uvicorn", "", {}),
        ("from waitress import serve\ndef main():\n    serve(1, threads=8)", "waitress", "", {"threads": 8}),
        ("from waitress import serve as go\ngo(1, threads=N)", "waitress", "", {}),
    ],
)
def test_a_server_that_the_projects_own_code_starts_is_found(
    tmp_path: Path, code: str, kind: str, entry: str, knobs: dict[str, Any]
) -> None:
    files = laid_out(tmp_path, {"run.py": code})
    [found] = sources.servers_of(files, sources.read(files, {}), {})
    assert (found.kind, found.entry, found.knobs) == (kind, entry, knobs)
    assert found.source.startswith("run.py, line ")


@pytest.mark.parametrize(
    "code", ["def run(): ...\nrun()", "import uvicorn", "serve(1)", "import uvicorn\nuvicorn.Config('a:b')"]
)
def test_what_only_looks_like_one_is_none(tmp_path: Path, code: str) -> None:
    files = laid_out(tmp_path, {"run.py": code})
    assert sources.servers_of(files, sources.read(files, {}), {}) == []


def test_a_command_that_starts_one_goes_before_the_projects_code(tmp_path: Path) -> None:
    files = laid_out(
        tmp_path, {"Procfile": "web: gunicorn run:app", "run.py": "import uvicorn\nuvicorn.run('run:app')"}
    )
    assert [each.kind for each in sources.servers_of(files, sources.read(files, {}), {})] == ["gunicorn", "uvicorn"]
